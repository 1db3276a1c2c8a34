//! Tests of the planner, one module for each rule.

mod adopt;
mod budget;
mod doubt;
mod finalize;
mod fuzz;
mod observe;
mod poll;
mod prepare;
mod properties;
mod resend;
mod revoke;
mod send;
mod undecodable;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::input::Step;
use crate::api::enrollment_limits::EnrollmentLimits;
use crate::api::enrollment_request::DeliveryMethod;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::enrollment_request::annotation_actions::AnnotationActions;
use crate::enrollment_request::desired::{Desired, IdentitySelector};
use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::enrollment_request::observed::{Config, JobList, Observed, ReadJob, ReadyConfig};
use crate::enrollment_request::step::{Action, JobRef};
use crate::enrollment_request::testing::{ENDPOINT, send as record};
use crate::reconcile::testing::{
    self, TIMES, fresh_object, now, phase_of, provider_ref, realm_ids, requeue_keeping_conditions, resolved_realms,
    unwritable,
};
use crate::reconcile::{Destination, End, Fact, Failure, Leftover, Lifecycle, Outcome, RealmIds, Requeue, Sent};

type Known = testing::Known<EnrollmentRequest>;

impl Desired {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

fn next(desired: &Desired, known: &Known) -> Step {
    known.next(desired)
}

/// A spec for the identity of the vendor's how-to guide.
fn desired() -> Desired {
    Desired {
        namespace: "identity".to_owned(),
        authenticator_config: "hosted-web".to_owned(),
        identity: IdentitySelector::Id("9ca7716e846cfa97".to_owned()),
        delivery_method: DeliveryMethod::Email,
        post_binding_redirect_uri: None,
        attempt: 1,
        revoked: false,
        annotation_actions: AnnotationActions::default(),
        lifecycle: Lifecycle { generation: 1, ..Lifecycle::default() },
    }
}

fn deleting() -> Desired {
    desired().with(|it| it.lifecycle.deleted_at = Some(now()))
}

/// The actions of this annotation.
fn actions(annotation: &str, value: &str) -> AnnotationActions {
    AnnotationActions::of(&[(annotation.to_owned(), value.to_owned())].into())
}

fn destination() -> Destination {
    Destination { realm: realm_ids(), endpoint: ENDPOINT.to_owned() }
}

fn known_destination() -> Fact<Destination> {
    Fact::Known(destination())
}

/// The result of a read by id, at 12:00:03 server time.
fn read(job: CredentialBindingJob) -> Option<ReadJob> {
    Some(ReadJob { item: job, server_time: Some(now()) })
}

/// A new request with its finalizer, as read from the API server.
fn fresh() -> Known {
    Known::default().with(|it| {
        it.object = fresh_object();
        it.may_poll = true;
    })
}

/// A new request with all facts that a send requires.
fn prepared() -> Known {
    let ready = ReadyConfig { id: "4e129fc8".to_owned(), realm: realm_ids() };
    fresh().with(|it| {
        it.config = Fact::Known(Some(config(Some(ready))));
        it.object.realms = resolved_realms(known_destination());
        it.identity = Fact::Known(Some(identity(r#"{"primary_email_address": "jane@example.com"}"#, "active")));
        it.reservation = Fact::Known(key());
        it.jobs = Fact::Known(listed(Vec::new(), 0));
    })
}

/// `known`, under a provider config with these limits.
fn limited(known: Known, change: impl FnOnce(&mut EnrollmentLimits)) -> Known {
    known.with(|it| {
        let Some(Ok(realm)) = it.object.realms.get_mut(&provider_ref()) else { panic!("not resolved") };
        change(&mut realm.permissions.enrollment);
    })
}

/// `known`, without a limit on emails to an identity.
fn unlimited(known: Known) -> Known {
    limited(known, |limits| {
        (limits.max_outstanding_per_identity, limits.max_sends_per_hour_per_identity) = (i32::MAX, i32::MAX);
    })
}

fn config(ready: Option<ReadyConfig>) -> Config {
    let provider_config_ref = ProviderConfigRef::default();
    Config { provider_config_ref, observes: false, ready, leaving: false, stalled: false, paused: false }
}

fn key() -> EnrollmentKey {
    let RealmIds { tenant_id, realm_id } = realm_ids();
    let identity_id = "9ca7716e846cfa97".to_owned();
    EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id: "4e129fc8".to_owned() }
}

/// A list at a time of the service of 12:00:00 and `age` seconds, when the record was as old in this process. The limits
/// on emails count from 12:00:00.
fn listed(jobs: Vec<CredentialBindingJob>, age: u64) -> JobList {
    let age = Duration::from_secs(age);
    let (named_elsewhere, ages) = (BTreeSet::new(), BTreeMap::new());
    let server_time = at("12:00:00");
    let listed_at = server_time.checked_add(age).ok();
    JobList { jobs, named_elsewhere, ages, server_time: Some(server_time), listed_at, age, lists: 1 }
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

/// The outcome of the send of [`super::super::testing::send`].
fn sent(outcome: Outcome<CredentialBindingJob>) -> Option<Sent<crate::api::EnrollmentRequest>> {
    Some(Sent { record: record(), outcome })
}

fn is_pending(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    super::pending::is_pending(&Known { status: status.clone(), ..Known::default() }.input(desired))
}

fn to_revoke(desired: &Desired, status: &EnrollmentRequestStatus) -> Vec<JobRef> {
    super::to_revoke(&Known { status: status.clone(), ..Known::default() }.input(desired))
}

/// Whether the step handles a requested reconcile.
fn handles_request(step: &Step) -> bool {
    let Step::End(end) = step else { panic!("not the end of a reconcile: {step:?}") };
    end.handles_requested_reconcile()
}

fn reason(step: &Step) -> Reason {
    phase_of(step).why().reason
}

fn requeue_of(step: &Step) -> Requeue {
    let Step::End(end) = step else { panic!("not the end of a reconcile: {step:?}") };
    end.requeue
}
