//! The next step for an AuthenticatorConfig: ordered rules, of which the first that has something to say
//! decides. Pure: the same facts give the same step, and conditions are none of them.

mod correct;
mod create;
mod doubt;
mod establish;
mod leave;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::desired::Desired;
use super::observed::{Listed, Observed};
use super::step::{Question, Step};
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::home::{Away, Home, at_home};
use crate::reconcile::{Destination, Fact, Outcome, RealmIds, Trouble, Until, Wait};

/// The times that a plan goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long one call to the service may take.
    pub request_timeout: Duration,
    /// How long after a create in doubt a list may still miss its configuration.
    pub settle: Duration,
    /// When the remote side is compared again, and what only a person can mend is tried again.
    pub resync: Duration,
    /// How long what could come right by itself is in progress, before it is stalled.
    pub grace: Duration,
}

/// What the rules decide by.
struct Facts<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    times: &'a Times,
}

/// How many lists have to miss a configuration before it counts as not there: either can miss one that is, such as while its
/// pages shift.
const LISTS: u32 = 2;

/// The next step.
pub fn plan(desired: &Desired, observed: &Observed, times: &Times) -> Step {
    let facts = Facts { desired, observed, times };
    if let Some(step) = undecodable(&facts).or_else(|| create::rule(&facts)) {
        return step;
    }
    let step = doubt::rule(&facts)
        .or_else(|| leave::rule(&facts))
        // Nothing is made for an object that could vanish without a word.
        .or_else(|| (!observed.finalizer).then_some(Step::AddFinalizer))
        .or_else(|| correct::rule(&facts))
        .unwrap_or_else(|| establish::rule(&facts));
    match (&observed.unwritable, step) {
        // What cannot be written down is not tried to be: it would be again at each look. A deletion goes on without it.
        (Some(unwritable), Step::Record(..)) if !desired.is_deleting() => Step::Wait(Wait::unwritable(unwritable)),
        (_, step) => step,
    }
}

/// By a spec that this version cannot decode, nothing is made, looked for or changed. What came of a create just now is
/// written down first. A deletion goes on by the status.
fn undecodable(facts: &Facts<'_>) -> Option<Step> {
    let Facts { desired, observed, .. } = facts;
    let told = observed.created.as_ref().is_some_and(|created| !matches!(created.outcome, Outcome::InDoubt));
    let why = desired.undecodable.as_ref().filter(|_| !(desired.is_deleting() || observed.ticket || told))?;
    Some(Step::Wait(Wait::undecodable(why)))
}

impl<'a> Facts<'a> {
    /// Waits, saying what went wrong.
    fn troubled(&self, trouble: &Trouble) -> Step {
        Step::Wait(Wait::troubled(trouble, self.times.resync, self.is_overdue(), self.is_seen()))
    }

    /// Waits for somebody to act elsewhere, saying what is in the way.
    fn blocked(&self, reason: Reason, message: impl AsRef<str>) -> Step {
        Step::Wait(Wait::saying(Phase::Blocked(why(reason, message)), Until::After(self.retry())))
    }

    /// Whether what could have come right by itself has not done so within the grace period.
    fn is_overdue(&self) -> bool {
        self.observed.patience.is_zero()
    }

    /// When to try again what somebody else has to mend: when the grace period is over, too, so that this is said.
    fn retry(&self) -> Duration {
        if self.is_overdue() { self.times.resync } else { self.times.resync.min(self.observed.patience) }
    }

    /// Whether something was said of this version of the spec.
    fn is_seen(&self) -> bool {
        self.observed.status.observed_generation == Some(self.desired.generation)
    }

    /// Waits until the next process does what this one may not begin any more.
    fn ending(reason: Reason) -> Step {
        let phase = Phase::AtWork(why(reason, "the operator is ending; the next one goes on"));
        Step::Wait(Wait::saying(phase, Until::Backoff(None)))
    }

    /// Where to work: in the realm `home`, where there is one.
    fn destination(&self, home: Option<&RealmIds>) -> Result<&'a Destination, Step> {
        self.destination_at(Home { realm: home, endpoint: None })
    }

    fn destination_at(&self, home: Home<'_>) -> Result<&'a Destination, Step> {
        let reference = &self.desired.provider_config_ref;
        at_home(&self.observed.destination, reference, home, self.times.resync).map_err(|away| match away {
            Away::Unknown => Step::Learn(Question::Realm(reference.clone())),
            Away::Trouble(trouble) => self.troubled(&trouble),
            Away::Wait(wait) => Step::Wait(wait),
        })
    }

    /// Nothing is made or changed for a namespace that the provider config does not allow.
    fn allowed(&self) -> Result<(), Step> {
        match &self.observed.not_allowed {
            None => Ok(()),
            Some(phase) => Err(self.troubled(&phase.clone().into())),
        }
    }

    /// Nothing is taken over by its id, changed or deleted where the provider config does not allow that.
    fn resource_id_allowed(&self) -> Result<(), Step> {
        match &self.observed.no_resource_ids {
            Some(phase) if self.desired.resource_id.is_some() && !self.desired.observe => {
                Err(Step::Wait(Wait::saying(phase.clone(), Until::After(self.retry()))))
            }
            _ => Ok(()),
        }
    }

    /// A configuration that bears another object's mark, or is of another type, is not taken and not changed.
    fn takeable(&self, current: &RemoteConfig) -> Result<(), Step> {
        let id = &current.id;
        if let Some(type_) = self.desired.other_type(current) {
            let phase = Phase::Refused(why(
                Reason::TypeMismatch,
                format!(
                    "the authenticator configuration {id} is of the type {type_}, and spec.config.type says {}: correct \
                     that, or make another AuthenticatorConfig",
                    self.desired.type_
                ),
            ));
            return Err(Step::Wait(Wait::saying(phase, Until::After(self.times.resync))));
        }
        match self.desired.stranger_on(current).filter(|_| !self.desired.observe) {
            None => Ok(()),
            Some(stranger) => Err(self.blocked(
                Reason::ConfigurationInUse,
                format!(
                    "the authenticator configuration {id} bears the mark {stranger} of another object, so it is neither \
                     changed nor deleted; if that object is gone, take the mark out of the display name in Beyond Identity"
                ),
            )),
        }
    }

    /// The realm that the status names.
    fn home(&self) -> Option<RealmIds> {
        let status = &self.observed.status;
        Some(RealmIds { tenant_id: status.tenant_id.clone()?, realm_id: status.realm_id.clone()? })
    }

    fn listed(&self) -> Result<&'a Listed, Step> {
        match &self.observed.listed {
            Fact::Unknown => Err(Step::Learn(Question::Configs)),
            Fact::Failed(trouble) => Err(self.troubled(trouble)),
            Fact::Known(listed) => Ok(listed),
        }
    }

    /// The configuration of this id, as the realm has it now.
    fn current(&self, id: &str) -> Result<Option<&'a RemoteConfig>, Step> {
        match self.observed.read.get(id) {
            None | Some(Fact::Unknown) => Err(Step::Learn(Question::Config(id.to_owned()))),
            Some(Fact::Failed(trouble)) => Err(self.troubled(trouble)),
            Some(Fact::Known(config)) => Ok(config.as_ref()),
        }
    }

    /// `Ok` when a list of the realm says, too, that it has no configuration of this id. That the id was answered with 404 is
    /// not enough for what cannot be undone.
    fn confirmed_gone(&self, id: &str) -> Result<(), Step> {
        // Another endpoint may be that of another service, which never had the configuration.
        self.destination_at(Home { realm: None, endpoint: self.observed.status.endpoint.as_deref() })?;
        if !self.listed()?.configs.iter().any(|config| config.id == id) {
            return Ok(());
        }
        Err(self.blocked(
            Reason::InconsistentAnswers,
            format!(
                "the service lists the authenticator configuration {id}, and does not find it by its id: nothing is done until \
                 its answers agree; if they never do, tell the vendor"
            ),
        ))
    }

    /// The configuration of the list that bears this object's mark, and still does when it is read by id, since
    /// a list lags: of several the one that is as asked for in every field, then the one with the lowest id.
    fn ours(&self, listed: &'a Listed) -> Result<Option<&'a RemoteConfig>, Step> {
        let mut ours: Vec<_> = listed.configs.iter().filter(|config| self.desired.is_ours(config)).collect();
        ours.sort_by_key(|config| (self.desired.patch(config).is_some(), &config.id));
        for config in ours {
            if let Some(current) = self.current(&config.id)?.filter(|current| self.desired.is_ours(current)) {
                return Ok(Some(current));
            }
        }
        Ok(None)
    }
}
