//! The class of objects, by status and cause.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::conditions::conditions;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfigStatus, EnrollmentRequestStatus, HasStatus, Phase, ProviderConfigRef, Reason};
use crate::authenticator_config::testing::object;
use crate::enrollment_request::testing::{concluded, request, send};
use crate::reconcile::testing::options;

const CAUSES: [Cause; 3] = [Cause::First, Cause::Change, Cause::Requeue];

fn named(name: &str) -> ProviderConfigRef {
    ProviderConfigRef { name: name.to_owned(), ..ProviderConfigRef::default() }
}

fn no_config(_: &str) -> Option<Arc<AuthenticatorConfig>> {
    None
}

/// The priorities on first reconcile, after a change, and after a requeue.
fn priorities(request: &EnrollmentRequest) -> [Priority; 3] {
    CAUSES.map(|cause| of_request(request, no_config, cause, &options(), Timestamp::UNIX_EPOCH).priority)
}

fn of_config_with(status: AuthenticatorConfigStatus) -> [Priority; 3] {
    let config = AuthenticatorConfig { status: Some(status), ..object() };
    CAUSES.map(|cause| of_config(&config, cause, &options(), Timestamp::UNIX_EPOCH).priority)
}

#[test]
fn pending_changes_precede_retries_and_routine_work() {
    let pending = [Priority::Pending, Priority::Pending, Priority::Default];
    assert_eq!(priorities(&request("uid", EnrollmentRequestStatus::default())), pending);
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    assert_eq!(priorities(&request("uid", in_doubt)), pending);
    let mut again = request("uid", concluded());
    again.spec.attempt = 7;
    assert_eq!(priorities(&again), pending);
    let settled = request("uid", concluded());
    assert_eq!(priorities(&settled), [Priority::Default, Priority::Routine, Priority::Routine]);
}

#[test]
fn deletion_and_revocation_have_the_highest_priority() {
    let removal = [Priority::Removal, Priority::Removal, Priority::Default];
    let mut deleted = request("uid", concluded());
    deleted.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(priorities(&deleted), removal);
    let mut revoked = request("uid", concluded());
    revoked.spec.revoked = true;
    assert_eq!(priorities(&revoked), removal);
}

#[test]
fn refused_revocation_has_routine_priority() {
    let mut revoked = request("uid", concluded());
    revoked.spec.revoked = true;
    let mut refused =
        conditions(&Phase::Outstanding(why(Reason::LinkSent, "text")), 1, &[], jiff::Timestamp::UNIX_EPOCH);
    refused[0].type_ = REVOKE_REFUSED.to_owned();
    revoked.set_conditions(refused, Some(1));
    assert_eq!(priorities(&revoked), [Priority::Default, Priority::Routine, Priority::Routine]);
    revoked.spec.attempt = 7;
    assert_eq!(
        priorities(&revoked),
        [Priority::Default, Priority::Routine, Priority::Routine],
        "a revoked request sends nothing"
    );
    revoked.spec.revoked = false;
    assert_eq!(priorities(&revoked), [Priority::Pending, Priority::Pending, Priority::Default], "an email is pending");
}

#[test]
fn provider_config_comes_from_status_record_or_config() {
    let with = |name: &str| AuthenticatorConfig {
        spec: crate::api::AuthenticatorConfigSpec { provider_config_ref: named(name), ..object().spec },
        ..object()
    };
    let found = |request: &EnrollmentRequest| {
        let config = |name: &str| {
            assert_eq!(name, request.spec.authenticator_config_ref.name);
            Some(Arc::new(with("by config")))
        };
        of_request(request, config, Cause::Change, &options(), Timestamp::UNIX_EPOCH).provider.map(|key| key.name)
    };
    let new = request("uid", EnrollmentRequestStatus::default());
    assert_eq!(found(&new).as_deref(), Some("by config"));
    assert_eq!(of_request(&new, no_config, Cause::Change, &options(), Timestamp::UNIX_EPOCH).provider, None);
    let mut send = send();
    send.provider_config_ref = named("in doubt");
    let in_doubt = EnrollmentRequestStatus { send: Some(send), ..EnrollmentRequestStatus::default() };
    assert_eq!(found(&request("uid", in_doubt.clone())).as_deref(), Some("in doubt"));
    let sent = EnrollmentRequestStatus { provider_config_ref: Some(named("sent")), ..in_doubt };
    assert_eq!(found(&request("uid", sent)).as_deref(), Some("sent"));
    assert_eq!(
        of_config(&with("its own"), Cause::Change, &options(), Timestamp::UNIX_EPOCH).provider.unwrap().name,
        "its own"
    );
    assert_eq!(of_config(&object(), Cause::Change, &options(), Timestamp::UNIX_EPOCH).namespace, "identity");
}

#[test]
fn configuration_is_pending_until_created_and_observed() {
    let pending = [Priority::Pending, Priority::Pending, Priority::Default];
    let settled = AuthenticatorConfigStatus {
        id: Some("id".to_owned()),
        observed_generation: Some(1),
        ..AuthenticatorConfigStatus::default()
    };
    assert_eq!(CAUSES.map(|cause| of_config(&object(), cause, &options(), Timestamp::UNIX_EPOCH).priority), pending);
    assert_eq!(of_config_with(AuthenticatorConfigStatus { id: None, ..settled.clone() }), pending);
    assert_eq!(of_config_with(AuthenticatorConfigStatus { observed_generation: Some(0), ..settled.clone() }), pending);
    assert_eq!(of_config_with(settled), [Priority::Default, Priority::Routine, Priority::Routine]);
    let mut deleted = object();
    deleted.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(of_config(&deleted, Cause::Change, &options(), Timestamp::UNIX_EPOCH).priority, Priority::Removal);
}
