//! Correct: the configuration is there; at each change of the spec, and now and then, it is compared with what the
//! spec says, and what differs is changed.

use super::Facts;
use super::create::available;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::Step;
use crate::reconcile::{Destination, RealmIds, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let id = facts.observed.status.id.as_ref()?;
    Some(correct(facts, id).unwrap_or_else(|step| settled(facts, step)))
}

fn correct(facts: &Facts<'_>, id: &str) -> Result<Step, Step> {
    let home = facts.home();
    if let (Some(left), Some(home)) = (facts.observed.compared, &home) {
        return Ok(Step::Wait(Wait::saying(available(home), Until::After(left))));
    }
    let Destination { realm, endpoint } = facts.destination(home.as_ref())?;
    match &facts.observed.patched {
        Some(Ok(())) => return Ok(done(facts, realm)),
        Some(Err(trouble)) => return Ok(facts.troubled(trouble)),
        None => {}
    }
    let Some(current) = facts.current(id)? else {
        facts.confirmed_gone(id)?;
        return Ok(Step::Record(Change::Forget { id: id.to_owned() }, None));
    };
    if facts.observed.status.endpoint.as_ref().is_some_and(|known| known != endpoint) {
        // The service has moved, or the status is an earlier version's.
        let (id, realm, endpoint) = (id.to_owned(), realm.clone(), Some(endpoint.clone()));
        return Ok(Step::Record(Change::Take { create_id: None, id, realm, endpoint }, None));
    }
    if let Err(step) = facts.takeable(current) {
        return Ok(step);
    }
    let patch = facts.desired.patch(current).filter(|_| !facts.desired.observe);
    let Some(patch) = patch else { return Ok(done(facts, realm)) };
    facts.allowed()?;
    facts.resource_id_allowed()?;
    let may_write = facts.observed.may_write;
    Ok(if may_write { Step::Patch(id.to_owned(), Box::new(patch)) } else { Facts::ending(Reason::Correcting) })
}

fn done(facts: &Facts<'_>, realm: &RealmIds) -> Step {
    Step::Wait(Wait::saying(available(realm), Until::After(facts.times.resync)))
}

/// A look that failed moves nothing of what is said about an object whose spec has not changed: after a
/// restart nobody knows yet that anything is owed. What somebody has to mend wakes it, or it comes right unseen.
fn settled(facts: &Facts<'_>, step: Step) -> Step {
    match step {
        Step::Wait(Wait { say: Some(phase), until })
            if !matches!(phase.why().reason, Reason::RealmChanged | Reason::EndpointChanged) && facts.is_seen() =>
        {
            let blocked = matches!(phase, Phase::Blocked(_) | Phase::Refused(_));
            Step::Wait(Wait { say: None, until: if blocked { Until::After(facts.times.resync) } else { until } })
        }
        step => step,
    }
}
