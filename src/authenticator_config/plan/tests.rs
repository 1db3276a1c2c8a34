//! The table of the planner, rule by rule.

mod correct;
mod create;
mod doubt;
mod establish;
mod leave;
mod properties;
mod resource_id;
mod undecodable;

use std::time::Duration;

use super::{Times, plan};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfigStatus, Phase, ProviderConfigRef, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::desired::Desired;
use crate::authenticator_config::mark::Mark;
use crate::authenticator_config::observed::{Created, Listed, Observed};
use crate::authenticator_config::step::{Question, Step};
use crate::authenticator_config::testing::{desired, remote};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::memory::Unwritable;
use crate::reconcile::{Destination, Fact, Left, Outcome, RealmIds, Trouble, Until, Wait};

const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};
/// What only a person can mend is tried again after this.
const RESYNC: Until = Until::After(TIMES.resync);

fn next(observed: &Observed) -> Step {
    plan(&desired(), observed, &TIMES)
}

fn next_in_deletion(observed: &Observed) -> Step {
    plan(&deleting(), observed, &TIMES)
}

fn deleting() -> Desired {
    Desired { deleted_at: Some(jiff::Timestamp::UNIX_EPOCH), ..desired() }
}

fn home() -> RealmIds {
    RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() }
}

fn elsewhere() -> RealmIds {
    RealmIds { realm_id: "elsewhere".to_owned(), ..home() }
}

/// A new object, just read from the API server, with its finalizer.
fn fresh() -> Observed {
    let (nonce, patience) = ("nonce".to_owned(), TIMES.grace);
    Observed { fresh: true, finalizer: true, may_write: true, nonce, patience, ..Observed::default() }
}

/// The status cannot be written.
fn unwritable() -> Unwritable {
    Unwritable { why: "a policy refuses it".to_owned(), retry_in: Duration::from_secs(40) }
}

/// Where the provider config leads.
const ENDPOINT: &str = "https://api.example.com";

fn at(realm: RealmIds) -> Fact<Destination> {
    Fact::Known(Destination { realm, endpoint: ENDPOINT.to_owned() })
}

/// A new object whose realm has these configurations.
fn listed(configs: &[RemoteConfig]) -> Observed {
    Observed { destination: at(home()), listed: list(configs, 0), ..fresh() }
}

/// An object whose create is in doubt, in a realm that had these configurations when the record had been known
/// for `age` seconds.
fn in_doubt(configs: &[RemoteConfig], age: u64) -> Observed {
    Observed { status: doubtful(), listed: list(configs, age), ..listed(&[]) }
}

/// An object whose configuration is known, and is this one when it is read by id.
fn made(current: Option<RemoteConfig>) -> Observed {
    let users = Fact::Known(Vec::new());
    Observed { status: known(), destination: at(home()), users, known_for: TIMES.settle, ..fresh() }
        .reading("4e129fc8", current)
}

impl Observed {
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

fn created(outcome: Outcome<RemoteConfig>) -> Option<Created> {
    Some(Created { record: record("nonce"), outcome })
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

fn down() -> Trouble {
    Phase::AtWork(why(Reason::ServiceUnavailable, "down")).into()
}

fn refused() -> Trouble {
    Phase::Refused(why(Reason::Refused, "an application still uses it")).into()
}

fn take(id: &str, create_id: Option<&str>) -> Change {
    Change::Take {
        id: id.to_owned(),
        realm: home(),
        endpoint: Some(ENDPOINT.to_owned()),
        create_id: create_id.map(str::to_owned),
    }
}

fn withdraw() -> Change {
    Change::Withdraw { create_id: "nonce".to_owned() }
}

/// The change that a step records, and the reason that it says.
fn recorded(step: Step) -> (Change, Option<Reason>) {
    let Step::Record(change, phase) = step else { panic!("it records nothing: {step:?}") };
    (change, phase.map(|phase| phase.why().reason))
}

/// What a step that waits says.
fn said(step: &Step) -> Phase {
    let Step::Wait(Wait { say: Some(phase), .. }) = step else { panic!("it says nothing: {step:?}") };
    assert!(phase.why().reason.shows_as(phase), "the registry of reasons does not know this: {phase:?}");
    phase.clone()
}

/// The reason that a step that waits says, and until when it waits.
fn waits(step: &Step) -> (Reason, Until) {
    let Step::Wait(Wait { until, .. }) = step else { panic!("it does not wait: {step:?}") };
    (said(step).why().reason, *until)
}

/// What somebody has to mend elsewhere.
fn blocked() -> Trouble {
    Phase::Blocked(why(Reason::SecretNotFound, "no Secret")).into()
}

const RELEASE: Step = Step::Release { left: None };

fn ask_realm() -> Step {
    Step::Learn(Question::Realm(ProviderConfigRef::default()))
}

fn read(id: &str) -> Step {
    Step::Learn(Question::Config(id.to_owned()))
}

#[test]
fn the_finalizer_stands_before_anything_is_learned() {
    assert_eq!(next(&Observed::default()), Step::AddFinalizer);
    assert_eq!(next(&Observed { finalizer: false, ..made(None) }), Step::AddFinalizer);
}
