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
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use jiff::Timestamp;

use super::input::{Input, Step};
use crate::api::enrollment_request::DeliveryMethod;
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::enrollment_request::desired::{Desired, Who};
use crate::enrollment_request::observed::{Config, Listed, Observed, ReadJob, ReadyConfig};
use crate::enrollment_request::person::Person;
use crate::enrollment_request::step::{Action, JobRef};
use crate::enrollment_request::testing::{ENDPOINT, send as record};
use crate::enrollment_request::wishes::Wishes;
use crate::reconcile::plan::plan;
use crate::reconcile::testing::TIMES;
use crate::reconcile::unwritable::Unwritable;
use crate::reconcile::{
    Destination, Fact, Failure, Left, Lifecycle, Outcome, RealmIds, ResolvedRealm, Sent, Until, Wait,
};

/// What is known of a request: its status, and the rest.
#[derive(Clone, Debug, Default)]
struct Known {
    status: EnrollmentRequestStatus,
    observed: Observed,
}

impl Deref for Known {
    type Target = Observed;

    fn deref(&self) -> &Observed {
        &self.observed
    }
}

impl DerefMut for Known {
    fn deref_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl Known {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// What the rules take.
    fn input<'a>(&'a self, desired: &'a Desired) -> Input<'a> {
        Input { desired, status: &self.status, observed: &self.observed, times: &TIMES, now: now() }
    }
}

impl Desired {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The moment at which all plans are made: three seconds after the list that [`super::super::testing::send`]
/// was written after.
fn now() -> Timestamp {
    "2026-01-01T12:00:03Z".parse().unwrap()
}

fn next(desired: &Desired, known: &Known) -> Step {
    plan(&known.input(desired))
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
        lifecycle: Lifecycle { generation: 1, ..Lifecycle::default() },
    }
}

fn deleting() -> Desired {
    desired().with(|it| it.lifecycle.deleted_at = Some(now()))
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
fn leads(found: Fact<Destination>) -> BTreeMap<ProviderConfigRef, Fact<ResolvedRealm>> {
    let found = match found {
        Fact::Unknown => Fact::Unknown,
        Fact::Failed(failure) => Fact::Failed(failure),
        Fact::Known(destination) => {
            Fact::Known(ResolvedRealm { destination, not_allowed: None, no_resource_ids: None })
        }
    };
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
fn fresh() -> Known {
    Known::default().with(|it| {
        let object = &mut it.object;
        (object.fresh, object.finalizer, object.may_write) = (true, true, true);
        (object.nonce, object.grace_remaining) = ("nonce".to_owned(), TIMES.grace);
    })
}

/// A new request of which all is known that a send needs.
fn prepared() -> Known {
    let ready = ReadyConfig { id: "4e129fc8".to_owned(), realm: home() };
    fresh().with(|it| {
        it.config = Fact::Known(Some(config(Some(ready))));
        it.object.realms = leads(there());
        it.identity = Fact::Known(Some(identity(r#"{"primary_email_address": "jane@example.com"}"#, "active")));
        it.reservation = Fact::Known(person());
        it.jobs = Fact::Known(listed(Vec::new(), 0));
    })
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

fn failure() -> Failure {
    Failure::transient(Reason::ServiceUnavailable, "down")
}

/// What came of the send of [`super::super::testing::send`].
fn sent(outcome: Outcome<CredentialBindingJob>) -> Option<Sent<crate::api::EnrollmentRequest>> {
    Some(Sent { record: record(), outcome })
}

/// Until when a step waits that leaves the conditions as they are.
fn silent(step: &Step) -> Until {
    let Step::Wait(Wait { say: None, until, .. }) = step else { panic!("it is not silent: {step:?}") };
    *until
}

fn is_pending(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    super::pending::is_pending(&Known { status: status.clone(), ..Known::default() }.input(desired))
}

fn to_revoke(desired: &Desired, status: &EnrollmentRequestStatus) -> Vec<JobRef> {
    super::to_revoke(&Known { status: status.clone(), ..Known::default() }.input(desired))
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
