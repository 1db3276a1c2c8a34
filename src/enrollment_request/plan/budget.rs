//! Budget: the limits of the provider config on emails. A request beyond a limit waits, and no call is made for it until
//! then. A redirect to a host that is not allowed is refused.
//!
//! The limits for an identity count in the list of its jobs that precedes each send. So they hold across restarts and
//! deletions, whoever created the jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::input::{Input, SERVICE_CLOCK_MARGIN, Step};
use crate::api::enrollment_limits::EnrollmentLimits;
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigKind, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::enrollment_request::job_state::{is_expired, is_outstanding};
use crate::enrollment_request::matching::created;
use crate::enrollment_request::observed::{JobList, SendTurn};
use crate::enrollment_request::pacer::SendWait;
use crate::enrollment_request::step::Action;
use crate::reconcile::times::MISSED_TURN;
use crate::reconcile::{End, Fact, Requeue};

/// How long a job counts for the limit of an hour: the service's clocks may differ.
pub const HOUR: Duration = Duration::from_secs(3600).saturating_add(SERVICE_CLOCK_MARGIN);

/// The limits of a provider config that is resolved.
fn limits<'a>(input: &Input<'a>, reference: &ProviderConfigRef) -> Option<&'a EnrollmentLimits> {
    input.resolved(reference).map(|realm| &realm.permissions.enrollment)
}

/// `Err` with a wait if the link would redirect to a host that is not allowed.
pub(super) fn redirect(input: &Input<'_>, reference: &ProviderConfigRef) -> Result<(), Step> {
    let Some(uri) = &input.desired.post_binding_redirect_uri else { return Ok(()) };
    if limits(input, reference).is_none_or(|limits| limits.allows_redirect(uri)) {
        return Ok(());
    }
    let provider = reference.resolve(&input.desired.namespace);
    let remedy = match provider.kind {
        ProviderConfigKind::ClusterProviderConfig => "ask the cluster's admins for",
        ProviderConfigKind::ProviderConfig => "add it to",
    };
    Err(input.blocked(
        Reason::RedirectNotAllowed,
        format!(
            "{provider} does not allow the host in spec.postBindingRedirectURI; correct it, or {remedy} \
             spec.enrollment.allowedRedirectHosts there"
        ),
    ))
}

/// `Err` while the identity has too many active links, or too many jobs within the last hour.
pub(super) fn of_identity(input: &Input<'_>, reference: &ProviderConfigRef, listed: &JobList) -> Result<(), Step> {
    let Some(limits) = limits(input, reference) else { return Ok(()) };
    let count = |limit: i32| usize::try_from(limit).unwrap_or_default();
    let provider = reference.resolve(&input.desired.namespace);

    let links: Vec<_> =
        listed.jobs.iter().filter(|job| is_active(input, job, listed) && !is_replaced(input, job)).collect();
    let max = limits.max_outstanding_per_identity;
    if links.len() >= count(max) {
        let expires = links.iter().filter_map(|job| input.time(job.expire_time.as_deref())).min();
        let when = expires.map(|at| format!(" at {}", shown(at))).unwrap_or_default();
        let message = format!(
            "The identity has {} that can still be used, and {provider} allows {max} \
             (spec.enrollment.maxOutstandingPerIdentity); the email is likely to be sent when the first of them expires\
             {when}, or soon after one is used or revoked",
            counted(links.len(), "link")
        );
        // No watch shows when a link is used, so it is looked up now and then.
        let until = expires.map_or(input.times.resync, |at| wait(server_time(input, listed), at));
        return Err(waits(message, until.min(input.times.resync)));
    }

    let ends = ends_of_recent(input, listed);
    let max = limits.max_sends_per_hour_per_identity;
    let Some(at) = ends.len().checked_sub(count(max)).and_then(|surplus| ends.get(surplus)) else { return Ok(()) };
    let message = format!(
        "The identity got {} within the last hour, and {provider} allows {max} \
         (spec.enrollment.maxSendsPerHourPerIdentity); the email is likely to be sent at {}",
        counted(ends.len(), "link"),
        shown(*at)
    );
    Err(waits(message, wait(server_time(input, listed), *at)))
}

/// `Err` until it is the turn of this request to send through the provider config.
pub(super) fn of_provider_config(input: &Input<'_>, reference: &ProviderConfigRef) -> Result<(), Step> {
    let Some(max) = limits(input, reference).and_then(|limits| limits.max_sends_per_hour) else { return Ok(()) };
    match &input.observed.send_turn {
        Fact::Known(SendTurn::Granted) => Ok(()),
        Fact::Known(SendTurn::Waits(SendWait { per_hour, likely_at })) => {
            let provider = reference.resolve(&input.desired.namespace);
            let message = format!(
                "{provider} allows {} an hour (spec.enrollment.maxSendsPerHour); this one is likely to be sent at {}",
                counted(usize::try_from(*per_hour).unwrap_or_default(), "email"),
                shown(*likely_at)
            );
            Err(waits(message, wait(input.now, *likely_at) + MISSED_TURN))
        }
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Unknown => Err(Step::Act(Action::TakeSendTurn(reference.clone(), max))),
    }
}

/// Waits without a failure: time alone resolves it.
fn waits(message: String, after: Duration) -> Step {
    let phase = Phase::Progressing(why(Reason::SendBudgetExceeded, message));
    Step::End(End::with_phase(phase, Requeue::After(after)))
}

/// Whether the link of a job can be used. Lists lag, so a read by id counts more.
fn is_active(input: &Input<'_>, job: &CredentialBindingJob, listed: &JobList) -> bool {
    let observed = input.observed;
    let read = observed.read.get(&job.id).and_then(Option::as_ref).or_else(|| observed.read_before.get(&job.id));
    let job = read.map_or(job, |read| &read.item);
    is_outstanding(job.state.as_ref().map(JobState::as_str)) && !is_expired(job, listed.server_time)
}

/// Whether the next email replaces the link of this job: it is one of this request, which revokes it then.
fn is_replaced(input: &Input<'_>, job: &CredentialBindingJob) -> bool {
    let status = input.status;
    let mut named = status.job_id.iter().chain(status.previous_jobs.iter().map(|job| &job.id));
    named.any(|id| *id == job.id) && !input.observed.revoke_refused.contains_key(&job.id)
}

/// When each job of the last hour stops counting, the first one first. The service's own clock decides, and for a job
/// without a usable time, how long this process has known it.
fn ends_of_recent(input: &Input<'_>, listed: &JobList) -> Vec<Timestamp> {
    let now = server_time(input, listed);
    let of_dated = || listed.jobs.iter().filter(|job| is_dated(job, listed.server_time));
    let dated: BTreeSet<&str> = of_dated().map(|job| job.id.as_str()).collect();
    let ends = of_dated().filter_map(created).filter_map(|at| at.checked_add(HOUR).ok());
    let of_others = listed.ages.iter().filter(|(id, _)| !dated.contains(id.as_str()));
    let other_ends = of_others.filter_map(|(_, age)| now.checked_add(HOUR.checked_sub(*age)?).ok());
    let mut ends: Vec<_> = ends.chain(other_ends).filter(|end| *end > now).collect();
    ends.sort();
    ends
}

/// Whether a list that the service returned at `server_time` tells the age of this job.
pub fn is_dated(job: &CredentialBindingJob, server_time: Option<Timestamp>) -> bool {
    server_time.is_some() && created(job).is_some()
}

fn server_time(input: &Input<'_>, listed: &JobList) -> Timestamp {
    listed.server_time.unwrap_or(input.now)
}

fn wait(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// A number of things, as a message shows it.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A time as a message shows it, to the next second.
fn shown(at: Timestamp) -> Timestamp {
    let whole = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(whole).unwrap_or(at)
}
