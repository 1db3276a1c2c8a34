//! The table of the planner, rule by rule.

mod adopt_or_create;
mod create;
mod doubt;
mod finalize;
mod properties;
mod resource_id;
mod undecodable;
mod update;

use std::time::Duration;

use super::input::Step;
use crate::api::authenticator_config::CreateRecord;
use crate::api::{AuthenticatorConfig, AuthenticatorConfigStatus, Phase, ProviderConfigRef, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::desired::Desired;
use crate::authenticator_config::kind::CreatedConfig;
use crate::authenticator_config::mark::Mark;
use crate::authenticator_config::observed::Listed;
use crate::authenticator_config::step::{Action, Query};
use crate::authenticator_config::testing::{desired, remote};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::testing::{self, TIMES, fresh_object, home, leads, now, said, silent, unwritable, via};
use crate::reconcile::{Destination, End, Fact, Failure, Leftover, Outcome, RealmIds, Requeue, ResolvedRealm, Sent};

/// What only a person can mend is tried again after this.
const RESYNC: Requeue = Requeue::After(TIMES.resync);

type Known = testing::Known<AuthenticatorConfig>;

impl Known {
    /// The realm behind the provider config, once it is known.
    fn realm(&mut self) -> &mut ResolvedRealm {
        let Some(Ok(realm)) = self.object.realms.get_mut(&via()) else { panic!("it is not resolved") };
        realm
    }
}

impl Desired {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

fn next_of(desired: &Desired, known: &Known) -> Step {
    known.next(desired)
}

fn next(known: &Known) -> Step {
    next_of(&desired(), known)
}

fn next_in_deletion(known: &Known) -> Step {
    next_of(&deleting(), known)
}

fn deleting() -> Desired {
    desired().with(|it| it.lifecycle.deleted_at = Some(now()))
}

fn elsewhere() -> RealmIds {
    RealmIds { realm_id: "elsewhere".to_owned(), ..home() }
}

/// A new object, just read from the API server, with its finalizer.
fn fresh() -> Known {
    Known::default().with(|it| it.object = fresh_object())
}

/// Where the provider config leads.
const ENDPOINT: &str = "https://api.example.com";

fn at(realm: RealmIds) -> Fact<Destination> {
    Fact::Known(Destination { realm, endpoint: ENDPOINT.to_owned() })
}

/// A new object whose realm has these configurations.
fn listed(configs: &[RemoteConfig]) -> Known {
    fresh().with(|it| {
        it.object.realms = leads(at(home()));
        it.listed = list(configs, 0);
    })
}

/// An object whose create is in doubt, in a realm that had these configurations when the record had been known
/// for `age` seconds.
fn in_doubt(configs: &[RemoteConfig], age: u64) -> Known {
    listed(&[]).with(|it| {
        it.status = doubtful();
        it.listed = list(configs, age);
    })
}

/// An object whose configuration is known, and is this one when it is read by id.
fn made(current: Option<RemoteConfig>) -> Known {
    let referrers = Fact::Known(Vec::new());
    fresh()
        .with(|it| {
            it.status = known();
            it.object.realms = leads(at(home()));
            it.referrers = referrers;
            it.known_for = TIMES.settle;
        })
        .reading("4e129fc8", current)
}

impl Known {
    /// With what the realm has under this id.
    fn reading(mut self, id: &str, config: Option<RemoteConfig>) -> Self {
        self.read.insert(id.to_owned(), Fact::Known(config));
        self
    }
}

/// The status of an object whose configuration is [`remote`], and stood as generation 1 asked.
fn known() -> AuthenticatorConfigStatus {
    let RealmIds { tenant_id, realm_id } = home();
    AuthenticatorConfigStatus {
        observed_generation: Some(1),
        id: Some("4e129fc8".to_owned()),
        tenant_id: Some(tenant_id),
        realm_id: Some(realm_id),
        ..AuthenticatorConfigStatus::default()
    }
}

/// The status of an object whose create may have been carried out.
fn doubtful() -> AuthenticatorConfigStatus {
    AuthenticatorConfigStatus { create: Some(record("nonce")), ..AuthenticatorConfigStatus::default() }
}

fn record(id: &str) -> CreateRecord {
    let RealmIds { tenant_id, realm_id } = home();
    CreateRecord { id: id.to_owned(), endpoint: Some(ENDPOINT.to_owned()), tenant_id, realm_id, timeout_seconds: 31 }
}

/// What came of the create of [`record`], in generation 1.
fn created(outcome: Outcome<RemoteConfig>) -> Option<Sent<AuthenticatorConfig>> {
    let outcome = match outcome {
        Outcome::Done(config) => Outcome::Done(CreatedConfig { config, generation: 1 }),
        Outcome::NotDone(failure) => Outcome::NotDone(failure),
        Outcome::InDoubt => Outcome::InDoubt,
    };
    Some(Sent { record: record("nonce"), outcome })
}

fn list(configs: &[RemoteConfig], age: u64) -> Fact<Listed> {
    Fact::Known(Listed { configs: configs.to_vec(), age: Duration::from_secs(age), lists: 2 })
}

/// A configuration that is as asked for, under this id.
fn ours(id: &str) -> RemoteConfig {
    RemoteConfig { id: id.to_owned(), ..remote() }
}

/// A configuration of this object that somebody has changed.
fn changed(id: &str) -> RemoteConfig {
    let mut config = ours(id);
    config.config.get_or_insert_default().insert("trusted_origins".to_owned(), serde_json::json!([]));
    config
}

/// A configuration that bears the mark of another object.
fn strangers(id: &str) -> RemoteConfig {
    let name = Mark::of("demo", "identity", "another").behind(Some("Hosted web"));
    RemoteConfig { display_name: Some(name), ..ours(id) }
}

fn down() -> Failure {
    Failure::transient(Reason::ServiceUnavailable, "down")
}

fn refused() -> Failure {
    Failure::refused(Reason::Refused, "an application still uses it")
}

fn take(id: &str, create_id: Option<&str>) -> Change {
    Change::Take {
        id: id.to_owned(),
        realm: home(),
        endpoint: Some(ENDPOINT.to_owned()),
        create_id: create_id.map(str::to_owned),
        made_as: None,
    }
}

/// What was just made, in generation 1, is taken.
fn made_of(id: &str) -> Change {
    let Change::Take { create_id: _, id, realm, endpoint, made_as: _ } = take(id, None) else { panic!() };
    Change::Take { create_id: Some("nonce".to_owned()), id, realm, endpoint, made_as: Some(1) }
}

/// The record is taken off, and the step says this.
fn withdrawn(step: &Step) -> Option<Reason> {
    let Step::Withdraw { record_id, phase } = step else { panic!("it withdraws nothing: {step:?}") };
    assert_eq!(record_id, "nonce");
    phase.as_ref().map(|phase| phase.why().reason)
}

/// The change that a step records, and the reason that it says.
fn recorded(step: Step) -> (Change, Option<Reason>) {
    let Step::Record(change) = step else { panic!("it records nothing: {step:?}") };
    let phase = change.phase(1);
    (change, phase.map(|phase| phase.why().reason))
}

/// The reason that a step that waits says, and until when it waits.
fn waits(step: &Step) -> (Reason, Requeue) {
    let Step::End(End { requeue, .. }) = step else { panic!("it does not wait: {step:?}") };
    (said(step).why().reason, *requeue)
}

/// What somebody has to mend elsewhere.
fn blocked() -> Failure {
    Failure::blocked(Reason::SecretNotFound, "no Secret")
}

const RELEASE: Step = Step::RemoveFinalizer { leftover: None };

fn ask_realm() -> Step {
    Step::Resolve(ProviderConfigRef::default())
}

fn read(id: &str) -> Step {
    Step::Fetch(Query::Config(id.to_owned()))
}

#[test]
fn finalizer_is_added_before_anything_is_fetched() {
    assert_eq!(next(&Known::default()), Step::AddFinalizer);
    assert_eq!(next(&made(None).with(|it| it.object.finalizer = false)), Step::AddFinalizer);
}
