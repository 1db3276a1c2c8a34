//! Correct: the configuration is there; after a change of the spec the remote side is brought to it.

use super::Facts;
use super::create::available;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::Step;
use crate::reconcile::{RealmIds, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let id = facts.observed.status.id.as_ref()?;
    Some(correct(facts, id).unwrap_or_else(|step| settled(facts, step)))
}

fn correct(facts: &Facts<'_>, id: &str) -> Result<Step, Step> {
    let home = facts.home();
    if facts.observed.corrected
        && let Some(home) = &home
    {
        return Ok(done(home));
    }
    let realm = facts.realm(home.as_ref())?;
    match &facts.observed.patched {
        Some(Ok(())) => return Ok(done(realm)),
        Some(Err(trouble)) => return Ok(facts.troubled(trouble)),
        None => {}
    }
    let Some(current) = facts.current(id)? else { return Ok(Step::Record(Change::Forget { id: id.to_owned() }, None)) };
    if let Some(stranger) = current.display_name.as_deref().and_then(|name| facts.desired.mark.stranger_on(name)) {
        let phase = Phase::Blocked(why(
            Reason::ConfigurationInUse,
            format!(
                "the authenticator configuration {id} bears the mark {stranger} of another object, so it is neither \
                 changed nor deleted; if that object is gone, take the mark out of the display name in Beyond Identity"
            ),
        ));
        return Ok(Step::Wait(Wait::saying(phase, Until::After(facts.times.resync))));
    }
    let Some(patch) = facts.desired.patch(current) else { return Ok(done(realm)) };
    facts.allowed()?;
    let may_write = facts.observed.may_write;
    Ok(if may_write { Step::Patch(id.to_owned(), Box::new(patch)) } else { Facts::ending(Reason::Correcting) })
}

fn done(realm: &RealmIds) -> Step {
    Step::Wait(Wait::saying(available(realm), Until::Change))
}

/// A look that failed moves nothing of what is said about an object whose spec has not changed: after a
/// restart nobody knows yet that anything is owed.
fn settled(facts: &Facts<'_>, step: Step) -> Step {
    match step {
        Step::Wait(Wait { say: Some(phase), until })
            if phase.why().reason != Reason::RealmChanged && facts.is_seen() =>
        {
            Step::Wait(Wait { say: None, until })
        }
        step => step,
    }
}
