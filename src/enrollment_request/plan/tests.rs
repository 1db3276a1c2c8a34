//! The table of the planner, rule by rule.

mod adopt;
mod doubt;
mod follow;
mod leave;
mod prepare;
mod properties;
mod resend;
mod revoke;
mod send;
mod undecodable;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{Times, plan};
use crate::api::enrollment_request::DeliveryMethod;
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::enrollment_request::desired::{Desired, Who};
use crate::enrollment_request::observed::{Config, Listed, Observed, Person, ReadJob, ReadyConfig, Sent};
use crate::enrollment_request::step::Step;
use crate::enrollment_request::testing::ENDPOINT;
use crate::enrollment_request::wishes::Wishes;
use crate::reconcile::memory::Unwritable;
use crate::reconcile::{Destination, Fact, Left, Outcome, RealmIds, Trouble, Until, Wait};

const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// The moment at which all plans are made: three seconds after the list that [`super::super::testing::send`]
/// was written after.
fn now() -> Timestamp {
    "2026-01-01T12:00:03Z".parse().unwrap()
}

fn next(desired: &Desired, observed: &Observed) -> Step {
    plan(desired, observed, &TIMES, now())
}

/// Enrol the identity of the vendor's how-to.
fn desired() -> Desired {
    Desired {
        namespace: "identity".to_owned(),
        authenticator_config: "hosted-web".to_owned(),
        identity: Who::Id("9ca7716e846cfa97".to_owned()),
        delivery_method: DeliveryMethod::Email,
        post_binding_redirect_uri: None,
        attempt: 1,
        revoked: false,
        wishes: Wishes::default(),
        orphan: false,
        generation: 1,
        deleting: false,
        deleted_at: None,
        look_asked_for: None,
        undecodable: None,
    }
}

fn deleting() -> Desired {
    Desired { deleting: true, ..desired() }
}

/// What this annotation asks for.
fn wishes(annotation: &str, value: &str) -> Wishes {
    Wishes::of(&[(annotation.to_owned(), value.to_owned())].into())
}

fn home() -> RealmIds {
    RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() }
}

/// The provider config of all tests.
fn via() -> ProviderConfigRef {
    ProviderConfigRef::default()
}

fn destination() -> Destination {
    Destination { realm: home(), endpoint: ENDPOINT.to_owned() }
}

fn there() -> Fact<Destination> {
    Fact::Known(destination())
}

/// What was found of where the provider config leads.
fn leads(found: Fact<Destination>) -> BTreeMap<ProviderConfigRef, Fact<Destination>> {
    [(via(), found)].into()
}

/// The status cannot be written.
fn unwritable() -> Option<Unwritable> {
    Some(Unwritable { why: "a policy refuses it".to_owned(), retry_in: Duration::from_secs(40) })
}

/// A job as it was read by its id, at 12:00:03 by the service's clock.
fn read(job: CredentialBindingJob) -> Option<ReadJob> {
    Some(ReadJob { item: job, server_time: Some(now()) })
}

/// A new request, just read from the API server, with its finalizer.
fn fresh() -> Observed {
    let (nonce, patience) = ("nonce".to_owned(), TIMES.grace);
    Observed { fresh: true, finalizer: true, may_write: true, nonce, patience, ..Observed::default() }
}

/// A new request of which all is known that a send needs.
fn prepared() -> Observed {
    let ready = ReadyConfig { id: "4e129fc8".to_owned(), realm: home() };
    Observed {
        config: Fact::Known(Some(config(Some(ready)))),
        destinations: leads(there()),
        identity: Fact::Known(Some(identity(r#"{"primary_email_address": "jane@example.com"}"#, "active"))),
        reservation: Fact::Known(person()),
        jobs: Fact::Known(listed(Vec::new(), 0)),
        ..fresh()
    }
}

fn config(ready: Option<ReadyConfig>) -> Config {
    Config { provider_config_ref: ProviderConfigRef::default(), ready, leaving: false, stalled: false, paused: false }
}

fn person() -> Person {
    let RealmIds { tenant_id, realm_id } = home();
    let identity_id = "9ca7716e846cfa97".to_owned();
    Person { tenant_id, realm_id, identity_id, authenticator_config_id: "4e129fc8".to_owned() }
}

/// A list of 12:00:00, asked for when this process had known the record for `age` seconds.
fn listed(jobs: Vec<CredentialBindingJob>, age: u64) -> Listed {
    let age = Duration::from_secs(age);
    Listed { jobs, named_elsewhere: BTreeSet::new(), server_time: Some(at("12:00:00")), age, lists: 1 }
}

fn identity(traits: &str, status: &str) -> Identity {
    let json = format!(r#"{{"id": "9ca7716e846cfa97", "status": "{status}", "traits": {traits}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().unwrap()
}

fn trouble() -> Trouble {
    Phase::AtWork(crate::api::phase::why(Reason::ServiceUnavailable, "down")).into()
}

/// What came of the send of [`super::super::testing::send`].
fn sent(outcome: Outcome<CredentialBindingJob>) -> Option<Sent> {
    Some(Sent { send_id: "nonce".to_owned(), outcome })
}

/// What a step that waits says.
fn said(step: &Step) -> Phase {
    let Step::Wait(Wait { say: Some(phase), .. }) = step else { panic!("it says nothing: {step:?}") };
    assert!(phase.why().reason.shows_as(phase), "the registry of reasons does not know this: {phase:?}");
    phase.clone()
}

fn reason(step: &Step) -> Reason {
    said(step).why().reason
}

fn until(step: &Step) -> Until {
    let Step::Wait(wait) = step else { panic!("it does not wait: {step:?}") };
    wait.until
}
