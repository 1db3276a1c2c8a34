//! Runs whose configurations are only observed, so that the links of others can be adopted, and the invariants about the
//! permission to revoke them.

use std::collections::BTreeMap;
use std::time::Duration;

use beyond_identity_operator::api::enrollment_request::DeletionPolicy;
use beyond_identity_operator::api::{EnrollmentRequest, Reason};
use beyond_identity_operator::reconcile::Failure;
use kube::ResourceExt;
use tokio::time::{Instant, sleep};

use crate::actors::Action;
use crate::chance::Chance;
use crate::invariants::PROPAGATION;
use crate::kubernetes::Kind;
use crate::service::is_active;
use crate::world::{State, World};

/// The maximum duration of a deletion without faults. A deletion that waits for its grace period takes longer.
const TO_DELETE: Duration = Duration::from_secs(300);

/// The observed configurations, and whether the provider config allows the revocation of links that were adopted through
/// them.
#[derive(Debug)]
pub struct Observed {
    /// The ids of the configurations, by namespace.
    pub configs: BTreeMap<String, String>,
    /// Whether these links may be revoked.
    pub allows_revoking: bool,
    /// When the provider config last changed this. `None` if never.
    pub changed: Option<Instant>,
}

impl Observed {
    pub fn new(allows_revoking: bool) -> Self {
        Self { configs: BTreeMap::new(), allows_revoking, changed: None }
    }

    /// Whether every process knows by now that these links may not be revoked.
    fn is_known_to_forbid(&self) -> bool {
        !self.allows_revoking && self.changed.is_none_or(|changed| changed.elapsed() > PROPAGATION)
    }
}

/// Whether a run observes its configurations, and its changes of the permission. Both are drawn separately, so that other
/// schedules do not change.
pub fn draw(seed: u64) -> Option<(Observed, Vec<Action>)> {
    let mut chance = Chance::of(!seed ^ (1 << 41));
    chance.happens(0.15).then(|| {
        let allows = chance.happens(0.3);
        let changes = if chance.happens(0.4) { vec![!allows, allows, !allows] } else { Vec::new() };
        (Observed::new(allows), changes.into_iter().map(Action::AllowRevokingAdopted).collect())
    })
}

/// Why the provider config does not allow the revocation of adopted links, unless it does.
pub fn no_revoking_adopted(state: &State) -> Option<Failure> {
    let observed = state.remote.observed.as_ref()?;
    let why = || Failure::blocked(Reason::RevokeRefused, "the provider config does not allow it");
    (!observed.allows_revoking).then(why)
}

/// Before a revocation in the service: the job is not one of others, unless the provider config allows that.
pub fn before_a_revocation(state: &mut State, id: &str) {
    let is_of_others = state.remote.job(id).is_some_and(|job| job.created_for.is_none());
    if is_of_others && state.remote.observed.as_ref().is_some_and(Observed::is_known_to_forbid) {
        state.violate(format!("the job {id} of others is revoked, although the provider config does not allow it"));
    }
}

/// After an event about jobs that a deletion left alone: they were adopted through an observed configuration.
pub fn after_retained_event(state: &mut State, named: &[String], note: &str) {
    let is_adopted = |id: &&String| state.remote.observed.is_some() && state.record.adopted.contains(*id);
    if note.contains("because it was adopted through a configuration that is only observed")
        && let Some(id) = named.iter().find(|id| !is_adopted(id))
    {
        state.violate(format!("the job {id} was not adopted through an observed configuration: {note}"));
    }
}

/// At the end, all requests are deleted. Without faults, no deletion waits for a link that it may not revoke, and none
/// leaves another link.
pub async fn check_deletions(world: &World) {
    let deleted: Vec<_> = {
        let mut state = world.lock();
        if state.remote.observed.is_none() || state.record.violation.is_some() {
            return;
        }
        let requests = state.cluster.requests.objects.clone();
        requests.keys().for_each(|key| state.delete::<EnrollmentRequest>(key, world.wall()));
        requests.into_values().collect()
    };
    world.log("all requests are deleted");
    sleep(TO_DELETE).await;
    let mut state = world.lock();
    for request in deleted {
        let jobs = request.named();
        let is_active = |id: &&String| state.remote.service.jobs.get(*id).is_some_and(|job| is_active(job.now()));
        let mut active = jobs.iter().filter(is_active);
        let remains = state.cluster.requests.objects.values().any(|other| other.uid() == request.uid());
        let is_orphaned = request.spec.deletion_policy == DeletionPolicy::Orphan;
        // The service may refuse a revocation, and the result of a send may be found only at another endpoint.
        let may_wait = request.announced().is_some() || jobs.iter().any(|id| !state.can_be_revoked(id));
        if remains && !may_wait {
            let name = request.name_any();
            return state.violate(format!("the deletion of {name} does not finish within {TO_DELETE:?}"));
        }
        if !remains
            && !is_orphaned
            && let Some(id) = active.find(|id| state.is_revocable(id))
        {
            return state.violate(format!("the deletion of {} has left the link of {id}", request.name_any()));
        }
    }
}

impl State {
    /// Whether the service lets the operator revoke a job.
    fn can_be_revoked(&self, id: &String) -> bool {
        let service = &self.remote.service;
        !service.refuses_revocation
            && !service.unknown_method
            && !service.irrevocable.contains_key(id)
            && service.jobs.contains_key(id)
    }

    /// Whether the service and the provider config let the operator revoke a job.
    pub fn is_revocable(&self, id: &String) -> bool {
        let is_left_alone = no_revoking_adopted(self).is_some() && self.record.adopted.contains(id);
        self.can_be_revoked(id) && !is_left_alone
    }
}
