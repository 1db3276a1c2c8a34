//! The limits of the provider config on emails, and the invariants about them.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::api::enrollment_limits::EnrollmentLimits;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::actors::Action;
use crate::chance::Chance;
use crate::invariants::PROPAGATION;
use crate::record::Announcement;
use crate::service::{Job, MAX_LAG, is_active};
use crate::world::State;

const HOUR: Duration = Duration::from_secs(3600);

/// The limits of emails within an hour through the provider config.
const SLOWEST: i32 = 15;
const FASTEST: i32 = 60;

/// No limit, as far as the schema allows.
const MOST: i32 = 1000;

/// The limits of a run. They are drawn separately, so that they change no other part of its schedule.
pub fn draw(seed: u64) -> EnrollmentLimits {
    let mut chance = Chance::of(!seed);
    if chance.happens(0.4) { tight(&mut chance) } else { none() }
}

/// Limits that no run reaches.
pub fn none() -> EnrollmentLimits {
    EnrollmentLimits {
        max_outstanding_per_identity: MOST,
        max_sends_per_hour_per_identity: MOST,
        ..EnrollmentLimits::default()
    }
}

/// Limits that a run reaches.
pub fn tight(chance: &mut Chance) -> EnrollmentLimits {
    EnrollmentLimits {
        max_outstanding_per_identity: chance.pick(&[1, 2, MOST]),
        max_sends_per_hour_per_identity: chance.pick(&[1, 2, 3]),
        allowed_redirect_hosts: None,
        max_sends_per_hour: chance.pick(&[None, Some(SLOWEST), Some(FASTEST)]),
    }
}

/// Changes of the limit of the provider config during the run, drawn as the limits.
pub fn changes(limits: &EnrollmentLimits) -> Vec<Action> {
    match (limits.max_sends_per_hour, limits.max_sends_per_hour_per_identity) {
        (Some(_), 1) => [FASTEST, SLOWEST, FASTEST].map(Action::SetSendLimit).to_vec(),
        _ => Vec::new(),
    }
}

/// After an email: neither the identity nor the provider config has exceeded a limit. The jobs of the identity count as
/// the list before the record must have shown them.
pub fn after_an_email(state: &mut State, record: &str, job: &str) {
    let Some(announcement) = state.record.announced.get(record).cloned() else { return };
    let violation = of_provider_config(state, record, &announcement).or_else(|| of_identity(state, &announcement, job));
    if let Some(what) = violation {
        state.violate(format!("the email of the job {job} was sent, although {what}"));
    }
}

/// The records of two emails are an interval apart, unless two processes act at the same time.
fn of_provider_config(state: &State, record: &str, announcement: &Announcement) -> Option<String> {
    let limit = state.remote.limits.max_sends_per_hour?;
    // The limit may have been lowered since the turn was taken.
    let limit = if changes(&state.remote.limits).is_empty() { limit } else { FASTEST };
    if !state.single_process && !state.elects_leader {
        return None;
    }
    let interval = HOUR / u32::try_from(limit).ok()?;
    let apart = |other: &Announcement| {
        let (one, two) = (announcement.started, other.started);
        one.saturating_duration_since(two).max(two.saturating_duration_since(one))
    };
    let sent = state.record.announced.iter().filter(|(id, other)| *id != record && !other.jobs.is_empty());
    let (id, other) = sent.min_by_key(|(_, other)| apart(other))?;
    let apart = apart(other);
    (apart < interval).then(|| format!("the record {id} was written {apart:?} apart, and {limit} an hour are allowed"))
}

fn of_identity(state: &State, announcement: &Announcement, job: &str) -> Option<String> {
    let limits = &state.remote.limits;
    let identity = state.remote.job(job)?.now().identity_id.clone()?;
    // A list of the realm may have been read for another request.
    let of_realm = announcement.listed_realm.iter().filter(|at| **at + PROPAGATION >= announcement.started);
    let lists: Vec<_> = of_realm.chain(&announcement.listed).copied().collect();
    let (first, listed) =
        lists.iter().min().zip(lists.iter().max()).unwrap_or((&announcement.started, &announcement.started));
    let shown = first.checked_sub(MAX_LAG)?;
    let service = if state.remote.service.jobs.contains_key(job) { &state.remote.service } else { &state.remote.other };
    let jobs = service.jobs.iter().filter(|(id, other)| {
        id.as_str() != job && other.now().identity_id.as_ref() == Some(&identity) && created(other) <= shown
    });
    let recent = jobs.clone().filter(|(_, other)| created(other) + HOUR > *listed).count();
    if recent >= usize::try_from(limits.max_sends_per_hour_per_identity).ok()? {
        return Some(format!("the identity {identity} had {recent} jobs within an hour"));
    }
    let active = jobs.filter(|(id, other)| is_usable(other) && !announcement.named.contains(*id)).count();
    (active >= usize::try_from(limits.max_outstanding_per_identity).ok()?)
        .then(|| format!("the identity {identity} had {active} active links"))
}

/// Whether a request may wait for good: the identity has as many links of others as it may have.
pub fn is_full(state: &State, request: &EnrollmentRequest, identity: Option<&String>) -> bool {
    let status = request.status.clone().unwrap_or_default();
    let is_own = |id: &String| {
        status.job_id.as_ref() == Some(id) || status.previous_jobs.iter().any(|previous| previous.id == *id)
    };
    let limit = usize::try_from(state.remote.limits.max_outstanding_per_identity).unwrap_or_default();
    let jobs = state.remote.service.jobs.iter();
    let of_identity = jobs.filter(|(_, job)| job.now().identity_id.as_ref() == identity && is_active(job.now()));
    let counted = of_identity.filter(|(id, _)| !is_own(id) || !state.is_revocable(id));
    let waits = status.conditions.iter().any(|condition| condition.reason == "SendBudgetExceeded");
    waits && request.metadata.deletion_timestamp.is_none() && counted.count() >= limit
}

fn created(job: &Job) -> Instant {
    job.history[0].0
}

/// Whether the link of a job can be used, and its expire time never changed.
fn is_usable(job: &Job) -> bool {
    let first = &job.history[0].1.expire_time;
    is_active(job.now()) && job.now().expire_time == *first
}

/// The jobs that the status of an object names.
pub fn named(request: &EnrollmentRequest) -> Vec<String> {
    let status = request.status.clone().unwrap_or_default();
    status.job_id.into_iter().chain(status.previous_jobs.into_iter().map(|job| job.id)).collect()
}

/// The name of an object, for the record of its lists.
pub fn lister(process: &str, (namespace, name): &(String, String)) -> String {
    format!("{process} {namespace}/{name}")
}

/// As [`lister`], of an object.
pub fn lister_of(process: &str, object: &impl ResourceExt) -> String {
    lister(process, &(object.namespace().unwrap_or_default(), object.name_any()))
}
