//! Follow: the attempt is concluded, and all there is to do is to look how the job gets on.

use std::time::Duration;

use jiff::Timestamp;

use super::Facts;
use super::revoke;
use crate::api::{EnrollmentRequestStatus, Phase, Reason};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::LastLook;
use crate::enrollment_request::phase;
use crate::enrollment_request::step::{Question, Step};
use crate::reconcile::{Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let observed = facts.observed;
    if facts.is_owed() {
        return None;
    }
    if observed.holds_send_slot && !observed.fresh {
        // It was about to send, and has to no more. Others wait for that to be known: whether its record stands only the API
        // server can say.
        return Some(Step::Refresh);
    }
    Some(follow(facts, &observed.status).unwrap_or_else(|step| step))
}

fn follow(facts: &Facts<'_>, status: &EnrollmentRequestStatus) -> Result<Step, Step> {
    let is_final = phase::is_final(status.state.as_deref());
    // What is final is read once more for who asks for it.
    if status.skipped.is_some() || (is_final && facts.desired.look_asked_for.is_none()) {
        return Ok(Step::Wait(Wait::saying(facts.settled_phase(), Until::Change)));
    }
    let Some(job) = revoke::named(status) else {
        // Somebody has edited the status: there is nothing to follow, and sending again would be worse.
        return Ok(missing(facts, Until::Change));
    };
    if let Some(wait) = not_due(facts, status) {
        return Ok(Step::Wait(wait));
    }
    let reference = revoke::open(facts).map_err(|step| unmoved(facts, step))?;
    if let Some(trouble) = facts.observed.job_trouble.get(&job.job_id) {
        return Err(unmoved(facts, facts.troubled(trouble)));
    }
    Ok(match facts.observed.read.get(&job.job_id) {
        None => Step::Learn(Question::Job(reference.clone(), job)),
        // A passkey stays a passkey.
        Some(None) if is_final => Step::Wait(Wait::saying(facts.settled_phase(), Until::Change)),
        Some(None) => {
            // Another endpoint may be that of another service, which never had the job.
            facts.same_realm(reference, None, status.endpoint.as_deref())?;
            missing(facts, next_look(facts, status, false, facts.now))
        }
        Some(Some(read)) => {
            if let Some(endpoint) = facts.moved(reference) {
                return Ok(Step::Record(Change::FoundAt { job_id: job.job_id, endpoint }));
            }
            let change = Change::Follow(Box::new(read.clone()));
            // Writing what is there already would not change anything, and so would never come to an end.
            if change.changes(status) {
                Step::Record(change)
            } else {
                Step::Wait(Wait::saying(facts.settled_phase(), next_look(facts, status, true, facts.now)))
            }
        }
    })
}

fn missing(facts: &Facts<'_>, until: Until) -> Step {
    Step::Wait(Wait::saying(phase::of_missing_job(&facts.observed.status, facts.desired), until))
}

/// A look that failed moves nothing of what is said about a settled request: one expired token would otherwise
/// turn thousands of them red. Only of a spec that nobody has looked at yet is said what the status says.
fn unmoved(facts: &Facts<'_>, step: Step) -> Step {
    let Step::Wait(Wait { say: Some(phase), until }) = step else { return step };
    let failed = match &phase {
        Phase::AtWork(_) | Phase::Blocked(_) => true,
        Phase::Refused(why) => why.reason == Reason::Refused,
        _ => false,
    };
    let say = match (failed, facts.is_seen()) {
        (false, _) => Some(phase),
        (true, true) => None,
        (true, false) => Some(as_last_seen(facts)),
    };
    Step::Wait(Wait { say, until })
}

/// What the last look has found.
fn as_last_seen(facts: &Facts<'_>) -> Phase {
    match facts.observed.last_look {
        Some(LastLook { found: false, .. }) => phase::of_missing_job(&facts.observed.status, facts.desired),
        _ => facts.settled_phase(),
    }
}

/// The rest of the wait when it is too early for another look.
fn not_due(facts: &Facts<'_>, status: &EnrollmentRequestStatus) -> Option<Wait> {
    if status.job_id.as_ref().is_some_and(|id| facts.observed.read.contains_key(id)) {
        return None;
    }
    let last = facts.observed.last_look?;
    // As it was reckoned then: once the link has expired, its end would not count any more.
    let then = facts.now.checked_sub(last.ago).unwrap_or(facts.now);
    let Until::After(pause) = next_look(facts, status, last.found, then) else { return None };
    let rest = pause.checked_sub(last.ago).filter(|rest| !rest.is_zero())?;
    Some(Wait::saying(as_last_seen(facts), Until::After(rest)))
}

/// When to look at the job next, reckoned from `now`: after a tenth of its age, since people click within
/// minutes or after days, and once more when its link expires.
fn next_look(facts: &Facts<'_>, status: &EnrollmentRequestStatus, found: bool, now: Timestamp) -> Until {
    if !found {
        return Until::After(facts.times.resync);
    }
    if phase::is_final(status.state.as_deref()) {
        return Until::Change;
    }
    let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let since = |earlier: Timestamp, later: Timestamp| Duration::try_from(later.duration_since(earlier)).ok();
    let age = time(&status.create_time).and_then(|created| since(created, now));
    // Without a create time it is as old as this process has known it.
    let age = age.unwrap_or(facts.observed.job_known_for);
    let max = facts.times.job_poll_max.max(facts.times.job_poll_min);
    let pause = (age / 10).clamp(facts.times.job_poll_min, max);
    // A little later: the service's clock may be behind.
    let over = time(&status.expire_time).and_then(|at| at.checked_add(facts.times.job_poll_min).ok());
    let left = over.and_then(|over| since(now, over)).filter(|left| !left.is_zero());
    Until::After(left.map_or(pause, |left| pause.min(left.max(facts.times.job_poll_min))))
}
