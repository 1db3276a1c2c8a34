//! Tests of the planner, one module for each rule.

mod adopt_or_create;
mod create;
mod doubt;
mod finalize;
mod fuzz;
mod properties;
mod realm_rules;
mod resource_id;
mod set_fields;
mod undecodable;
mod update;

use std::time::Duration;

use super::input::Step;
use crate::api::authenticator_config::CreateRecord;
use crate::api::{AuthenticatorConfig, AuthenticatorConfigStatus, Phase, ProviderConfigRef, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::desired::Desired;
use crate::authenticator_config::kind::CreatedConfig;
use crate::authenticator_config::mark::OwnershipMark;
use crate::authenticator_config::observed::ConfigList;
use crate::authenticator_config::step::{Action, Query};
use crate::authenticator_config::testing::{desired, remote};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::testing::{
    self, TIMES, fresh_object, now, phase_of, provider_ref, realm_ids, requeue_keeping_conditions, resolved_realms,
    unwritable,
};
use crate::reconcile::{Destination, End, Fact, Failure, Leftover, Outcome, RealmIds, Requeue, ResolvedRealm, Sent};

/// The interval for problems that need manual action.
const RESYNC: Requeue = Requeue::After(TIMES.resync);

type Known = testing::Known<AuthenticatorConfig>;

impl Known {
    /// The resolved realm of the provider config.
    fn realm(&mut self) -> &mut ResolvedRealm {
        let Some(Ok(realm)) = self.object.realms.get_mut(&provider_ref()) else { panic!("the realm is not resolved") };
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

fn other_realm() -> RealmIds {
    RealmIds { realm_id: "elsewhere".to_owned(), ..realm_ids() }
}

/// A new object with its finalizer, as read from the API server.
fn fresh() -> Known {
    Known::default().with(|it| it.object = fresh_object())
}

/// The endpoint of the provider config.
const ENDPOINT: &str = "https://api.example.com";

fn at(realm: RealmIds) -> Fact<Destination> {
    Fact::Known(Destination { realm, endpoint: ENDPOINT.to_owned() })
}

/// A new object in a realm with these configurations.
fn listed(configs: &[RemoteConfig]) -> Known {
    fresh().with(|it| {
        it.object.realms = resolved_realms(at(realm_ids()));
        it.listed = list(configs, 0);
    })
}

/// An object with a create in doubt. The realm was listed with these configurations when the record was `age` seconds
/// old in this process.
fn in_doubt(configs: &[RemoteConfig], age: u64) -> Known {
    listed(&[]).with(|it| {
        it.status = in_doubt_status();
        it.listed = list(configs, age);
    })
}

/// An object with a recorded configuration. A read by id returns this one.
fn existing(current: Option<RemoteConfig>) -> Known {
    let referrers = Fact::Known(Vec::new());
    fresh()
        .with(|it| {
            it.status = recorded_status();
            it.object.realms = resolved_realms(at(realm_ids()));
            it.referrers = referrers;
            it.known_for = TIMES.settle;
        })
        .reading("4e129fc8", current)
}

impl Known {
    /// With this result of a read by id.
    fn reading(mut self, id: &str, config: Option<RemoteConfig>) -> Self {
        self.read.insert(id.to_owned(), Fact::Known(config));
        self
    }
}

/// The status of an object whose configuration is [`remote`], as generation 1 requested it.
fn recorded_status() -> AuthenticatorConfigStatus {
    let RealmIds { tenant_id, realm_id } = realm_ids();
    AuthenticatorConfigStatus {
        observed_generation: Some(1),
        id: Some("4e129fc8".to_owned()),
        tenant_id: Some(tenant_id),
        realm_id: Some(realm_id),
        set_fields: desired().set_fields(),
        ..AuthenticatorConfigStatus::default()
    }
}

/// The status of an object with a create in doubt.
fn in_doubt_status() -> AuthenticatorConfigStatus {
    AuthenticatorConfigStatus { create: Some(record("nonce")), ..AuthenticatorConfigStatus::default() }
}

fn record(id: &str) -> CreateRecord {
    let RealmIds { tenant_id, realm_id } = realm_ids();
    let (id, endpoint, set_fields) = (id.to_owned(), Some(ENDPOINT.to_owned()), desired().set_fields());
    CreateRecord { id, endpoint, tenant_id, realm_id, timeout_seconds: 31, set_fields }
}

/// The outcome of the create of [`record`], in generation 1.
fn created(outcome: Outcome<RemoteConfig>) -> Option<Sent<AuthenticatorConfig>> {
    let outcome = match outcome {
        Outcome::Done(config) => Outcome::Done(CreatedConfig { config, generation: 1 }),
        Outcome::NotDone(failure) => Outcome::NotDone(failure),
        Outcome::InDoubt => Outcome::InDoubt,
    };
    Some(Sent { record: record("nonce"), outcome })
}

fn list(configs: &[RemoteConfig], age: u64) -> Fact<ConfigList> {
    Fact::Known(ConfigList { configs: configs.to_vec(), age: Duration::from_secs(age), lists: 2 })
}

/// A configuration with this id that equals the spec.
fn ours(id: &str) -> RemoteConfig {
    RemoteConfig { id: id.to_owned(), ..remote() }
}

/// A configuration of this object with drift.
fn changed(id: &str) -> RemoteConfig {
    let mut config = ours(id);
    config.config.get_or_insert_default().insert("trusted_origins".to_owned(), serde_json::json!([]));
    config
}

/// A configuration with the ownership mark of another object.
fn marked_by_another(id: &str) -> RemoteConfig {
    let name = OwnershipMark::of("demo", "identity", "another").behind(Some("Hosted web"));
    RemoteConfig { display_name: Some(name), ..ours(id) }
}

fn down() -> Failure {
    Failure::transient(Reason::ServiceUnavailable, "down")
}

fn refused() -> Failure {
    Failure::refused(Reason::Refused, "an application still uses it")
}

fn take(id: &str, create_id: Option<&str>) -> Change {
    Change::Adopt {
        id: id.to_owned(),
        realm: realm_ids(),
        endpoint: Some(ENDPOINT.to_owned()),
        create_id: create_id.map(str::to_owned),
        created_generation: None,
        duplicates: Vec::new(),
    }
}

/// The same change with these duplicates.
fn beside(change: Change, others: &[&str]) -> Change {
    let Change::Adopt { create_id, id, realm, endpoint, created_generation, .. } = change else { panic!() };
    let duplicates = others.iter().map(|id| (*id).to_owned()).collect();
    Change::Adopt { create_id, id, realm, endpoint, created_generation, duplicates }
}

/// The change that records the configuration created in generation 1.
fn created_as(id: &str) -> Change {
    let Change::Adopt { id, realm, endpoint, duplicates, .. } = take(id, None) else { panic!() };
    let (create_id, created_generation) = (Some("nonce".to_owned()), Some(1));
    Change::Adopt { create_id, id, realm, endpoint, created_generation, duplicates }
}

/// The reason that a step sets while it withdraws the record.
fn withdrawn(step: &Step) -> Option<Reason> {
    let Step::Withdraw { record_id, phase } = step else { panic!("not a withdrawal: {step:?}") };
    assert_eq!(record_id, "nonce");
    phase.as_ref().map(|phase| phase.why().reason)
}

/// The change that a step records, and the reason that it sets.
fn recorded(step: Step) -> (Change, Option<Reason>) {
    let Step::Record(change) = step else { panic!("not a record: {step:?}") };
    let phase = change.phase(1);
    (change, phase.map(|phase| phase.why().reason))
}

/// The reason and the requeue of a step that ends the reconcile.
fn end_of(step: &Step) -> (Reason, Requeue) {
    let Step::End(End { requeue, .. }) = step else { panic!("not the end of a reconcile: {step:?}") };
    (phase_of(step).why().reason, *requeue)
}

/// A failure that has to be fixed elsewhere.
fn blocked() -> Failure {
    Failure::blocked(Reason::SecretNotFound, "no Secret")
}

const REMOVE_FINALIZER: Step = Step::RemoveFinalizer { leftover: None };

fn resolve_realm() -> Step {
    Step::Resolve(ProviderConfigRef::default())
}

fn read(id: &str) -> Step {
    Step::Fetch(Query::Config(id.to_owned()))
}

#[test]
fn finalizer_is_added_before_anything_is_fetched() {
    assert_eq!(next(&Known::default()), Step::AddFinalizer);
    assert_eq!(next(&existing(None).with(|it| it.object.finalizer = false)), Step::AddFinalizer);
}
