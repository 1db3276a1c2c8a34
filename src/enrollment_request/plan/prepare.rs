//! Prepare: a send is pending. The rule checks everything that the service requires, so that the send is not refused.
//! Then it writes ahead what will be sent.

use jiff::Timestamp;

use super::input::{Input, SERVICE_CLOCK_MARGIN, Step};
use super::{adopt, budget, revoke};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{PAUSED, Phase, ProviderConfigRef, Reason, text};
use crate::beyond_identity::types::{Identity, IdentityStatus};
use crate::enrollment_request::change::MAX_ACTIVE_LINKS;
use crate::enrollment_request::desired::IdentitySelector;
use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::enrollment_request::matching;
use crate::enrollment_request::observed::{Config, JobList, ReadyConfig};
use crate::enrollment_request::step::{Action, Query};
use crate::reconcile::times::RETRY_IDENTITY;
use crate::reconcile::{Destination, End, Fact, Failure, Requeue};

/// The maximum number of existing jobs in a write-ahead record.
const MAX_EXISTING_JOBS: usize = 1000;

pub(super) fn rule(input: &Input<'_>) -> Step {
    prepare(input).unwrap_or_else(|step| step)
}

fn prepare(input: &Input<'_>) -> Result<Step, Step> {
    if !input.object().fresh {
        return Ok(Step::Refresh);
    }
    let (reference, config) = ready_config(input)?;
    input.same_realm(reference, Some(&config.realm), None)?;
    // After a send in one realm, no send in another realm follows.
    let destination = input.same_realm(reference, input.recorded_realm().as_ref(), None)?;
    input.allowed(reference)?;
    budget::redirect(input, reference)?;
    let sends_nothing = input.desired.revoked;
    if input.status.failing_since.is_none() && !sends_nothing {
        // The turn comes before all calls, since calls are scarce. A request with a known problem reports whether it is
        // solved, rather than that it waits.
        budget::of_provider_config(input, reference)?;
    }
    let identity = checked_identity(input, reference)?;
    let key = EnrollmentKey {
        tenant_id: config.realm.tenant_id.clone(),
        realm_id: config.realm.realm_id.clone(),
        identity_id: identity.id.clone(),
        authenticator_config_id: config.id.clone(),
    };
    reserved(input, &key)?;
    let listed = input.jobs(reference, &key.identity_id)?;
    if let Some(step) = adopt::instead_of_sending(input, (reference, destination), &key, identity, listed) {
        return Ok(step);
    }
    if !input.object().may_call_service {
        return Ok(input.shutting_down(Reason::Sending));
    }
    room_for_another_link(input)?;
    // An email is not sent if its record cannot be stored.
    if let Some(unwritable) = &input.object().unwritable {
        return Ok(Step::End(End::unwritable(unwritable)));
    }
    let send = write_ahead(input, reference, destination, key, listed)?;
    budget::of_identity(input, reference, listed)?;
    budget::of_provider_config(input, reference)?;
    Ok(send)
}

/// The next send makes the current job one of an earlier attempt. If more than [`MAX_ACTIVE_LINKS`] links would then be
/// active that cannot be revoked, nothing is sent: the status could not name them all.
fn room_for_another_link(input: &Input<'_>) -> Result<(), Step> {
    let status = input.status;
    let active = revoke::earlier(status).chain(revoke::current(status)).filter(|job| !job.expired).count();
    if active <= MAX_ACTIVE_LINKS {
        return Ok(());
    }
    Err(input.blocked(
        Reason::TooManyActiveLinks,
        format!(
            "{active} links of earlier attempts are still active and cannot be revoked, so no further email is sent; \
             see the condition RevokeRefused, or revoke their jobs in Beyond Identity"
        ),
    ))
}

fn ready_config<'a>(input: &Input<'a>) -> Result<(&'a ProviderConfigRef, &'a ReadyConfig), Step> {
    let name = &input.desired.authenticator_config;
    match &input.observed.config {
        Fact::Unknown => Err(Step::Fetch(Query::Config(name.clone()))),
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Known(None) => Err(input.blocked(
            Reason::AuthenticatorConfigNotFound,
            format!(
                "AuthenticatorConfig {name} does not exist in namespace {}; create it, or correct \
                 spec.authenticatorConfigRef",
                input.desired.namespace
            ),
        )),
        Fact::Known(Some(Config { provider_config_ref, ready: Some(ready), .. })) => Ok((provider_config_ref, ready)),
        // The deletion of the AuthenticatorConfig waits for this request.
        Fact::Known(Some(Config { leaving: true, .. })) => Err(input.blocked(
            Reason::AuthenticatorConfigNotFound,
            format!(
                "AuthenticatorConfig {name} is being deleted and waits for this request; delete this request too, or \
                 correct spec.authenticatorConfigRef"
            ),
        )),
        Fact::Known(Some(Config { stalled: true, .. })) => Err(input.blocked(
            Reason::AuthenticatorConfigStalled,
            format!("AuthenticatorConfig {name} is Stalled; see its conditions"),
        )),
        // The operator does not work on the AuthenticatorConfig until the annotation is removed.
        Fact::Known(Some(Config { paused: true, .. })) => Err(input.blocked(
            Reason::AuthenticatorConfigNotReady,
            format!("AuthenticatorConfig {name} is not Ready and is paused; remove the annotation {PAUSED} from it"),
        )),
        // The AuthenticatorConfig enqueues this request when it becomes Ready. The long wait covers a missed watch
        // event.
        Fact::Known(Some(_)) => Err(Step::End(End::with_phase(
            Phase::Progressing(why(
                Reason::AuthenticatorConfigNotReady,
                format!("Waiting for AuthenticatorConfig {name} to become Ready"),
            )),
            Requeue::After(input.times.resync),
        ))),
    }
}

/// Checks the vendor's requirements for an identity: it exists, is active, and has an address for the email.
fn checked_identity<'a>(input: &Input<'a>, reference: &ProviderConfigRef) -> Result<&'a Identity, Step> {
    // A username is often an email address, so it must not be shown.
    let name = match &input.desired.identity {
        IdentitySelector::Id(id) => format!("Identity {id} of spec.identity.id"),
        IdentitySelector::Username(_) => "The identity of spec.identity.username".to_owned(),
    };
    let blocked = |reason, what: &str| {
        let failure = Failure::blocked(reason, format!("{name} {what}"));
        Err(input.failed(&failure.retried_within(RETRY_IDENTITY)))
    };
    match &input.observed.identity {
        Fact::Unknown => Err(Step::Fetch(Query::Identity(reference.clone(), input.desired.identity.clone()))),
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Known(None) => blocked(
            Reason::IdentityNotFound,
            "does not exist in the realm; correct that field, or create the identity in Beyond Identity",
        ),
        Fact::Known(Some(identity)) if !is_active(identity) => blocked(
            Reason::IdentityNotActive,
            &format!(
                "is {}, not active; activate it in Beyond Identity",
                text::status_text(identity.status.as_ref().map_or("", IdentityStatus::as_str))
            ),
        ),
        Fact::Known(Some(identity)) if identity.primary_email_address().is_none() => {
            blocked(Reason::NoEmailAddress, "has no primary email address; add one in Beyond Identity")
        }
        Fact::Known(Some(identity)) => Ok(identity),
    }
}

/// An absent status counts as active, because the vendor's own example has none.
pub fn is_active(identity: &Identity) -> bool {
    matches!(identity.status, None | Some(IdentityStatus::Active))
}

/// Ensures that this request has reserved the enrolment key.
fn reserved(input: &Input<'_>, key: &EnrollmentKey) -> Result<(), Step> {
    match &input.observed.reservation {
        Fact::Known(held) if held == key => Ok(()),
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Known(_) | Fact::Unknown => Err(Step::Act(Action::Reserve(key.clone()))),
    }
}

fn write_ahead(
    input: &Input<'_>,
    reference: &ProviderConfigRef,
    destination: &Destination,
    key: EnrollmentKey,
    listed: &JobList,
) -> Result<Step, Step> {
    let EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id } = key;
    // A raised attempt includes a requested resend. A resend alone does not change the attempt.
    let status = input.status;
    let concluded = status.attempt.filter(|concluded| *concluded >= input.desired.attempt);
    let resend_of = input.desired.annotation_actions.resend_of(status).filter(|_| concluded.is_some());
    let mut send = SendRecord {
        id: input.object().nonce.clone(),
        attempt: concluded.unwrap_or(input.desired.attempt),
        resend_of: resend_of.map(str::to_owned),
        provider_config_ref: reference.clone(),
        endpoint: Some(destination.endpoint.clone()),
        tenant_id,
        realm_id,
        identity_id,
        authenticator_config_id,
        delivery_method: input.desired.delivery_method,
        post_binding_redirect_uri: input.desired.post_binding_redirect_uri.clone(),
        not_before: not_before(listed).to_string(),
        existing_job_ids: Vec::new(),
        timeout_seconds: input.times.record_timeout_seconds(),
    };
    let existing: Vec<String> = matching::existing(&listed.jobs, &send).map(|job| job.id.clone()).collect();
    if existing.len() > MAX_EXISTING_JOBS {
        let message = format!(
            "The identity has {} recent jobs that cannot be distinguished from a new one, and at most \
             {MAX_EXISTING_JOBS} are supported, so nothing is sent; find out what creates jobs for this identity",
            existing.len()
        );
        return Err(input.refused(Reason::TooManyJobs, message));
    }
    send.existing_job_ids = existing;
    let phase = Phase::InDoubt(why(Reason::Sending, "Sending the enrolment email"));
    Ok(Step::WriteAhead(Box::new(send), phase))
}

/// The earliest create time of this send's own job. A clock that is an hour ahead must not count: the job would not be
/// recognized, and the email would be sent again. So the time of the list is that of the service or of this machine,
/// whichever is earlier. If a response had no usable `Date`, only the listed jobs are known not to belong to the send.
fn not_before(listed: &JobList) -> Timestamp {
    let at = listed.server_time.and_then(|at| at.checked_sub(SERVICE_CLOCK_MARGIN).ok());
    at.unwrap_or(Timestamp::UNIX_EPOCH)
}
