//! What is known of a request, and of the objects and remote resources that it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::enrollment_key::EnrollmentKey;
use super::pacer::SendWait;
use crate::api::authenticator_config::ManagementPolicy;
use crate::api::conditions::{READY, is_ready, is_stalled};
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef};
use crate::beyond_identity::Answer;
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::reconcile::annotations::is_paused;
use crate::reconcile::{Fact, Failure, ObjectState, RealmIds};

/// What is known of a request in one reconcile. A fact that was not fetched stays unknown, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The state that is known for objects of every kind.
    pub object: ObjectState<EnrollmentRequest>,
    /// The AuthenticatorConfig; `None` if it does not exist.
    pub config: Fact<Option<Config>>,
    /// The identity; `None` if the realm has no identity of this name.
    pub identity: Fact<Option<Identity>>,
    /// The enrolment key that is reserved for this request.
    pub reservation: Fact<EnrollmentKey>,
    /// Whether it is this request's turn to send through its provider config, which limits emails.
    pub send_turn: Fact<SendTurn>,
    /// All jobs of the identity.
    pub jobs: Fact<JobList>,
    /// The jobs that were read by id in this reconcile; `None` for a job that the service does not know.
    pub read: BTreeMap<String, Option<ReadJob>>,
    /// Why a job could not be read or revoked in this reconcile, by job id.
    pub job_failures: BTreeMap<String, Failure>,
    /// Whether a list of the identity's jobs still shows a job that the service does not find by its id. By job id.
    pub listed: BTreeMap<String, Fact<bool>>,
    /// Whether the service that responds knows an identity, or the authenticator configuration of its job. By
    /// identity id.
    pub recognized: BTreeMap<String, Fact<Recognized>>,
    /// The jobs that earlier reconciles read by id, before any attempt was concluded. None of them could be adopted
    /// then.
    pub read_before: BTreeMap<String, ReadJob>,
    /// The jobs that this reconcile tried to revoke, regardless of the service's response.
    pub revoked: BTreeSet<String>,
    /// The jobs that another request's status also names. This request must not revoke them.
    pub shared: BTreeSet<String>,
    /// The service's response to the revocation of a job, by job id. The next read of the job shows what the response
    /// means.
    pub revoke_messages: BTreeMap<String, String>,
    /// The jobs that recently could not be revoked, and why.
    pub revoke_refused: BTreeMap<String, String>,
    /// Whether the request holds the send slot of its identity, so that no other request may send to it.
    pub holds_send_slot: bool,
    /// The last poll of the current job.
    pub poll: Option<LastPoll>,
    /// Whether the watcher allows to read the job now.
    pub may_poll: bool,
    /// How long this process has known the job in status.
    pub job_known_for: Duration,
}

/// What a request needs to know of its AuthenticatorConfig.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The provider config that it uses.
    pub provider_config_ref: ProviderConfigRef,
    /// Whether it only observes the configuration, which may belong to another team.
    pub observes: bool,
    /// The id, tenant and realm of the configuration, once it is Ready.
    pub ready: Option<ReadyConfig>,
    /// Whether it is being deleted.
    pub leaving: bool,
    /// Whether it is Stalled.
    pub stalled: bool,
    /// Whether an annotation pauses it.
    pub paused: bool,
}

impl From<&AuthenticatorConfig> for Config {
    fn from(config: &AuthenticatorConfig) -> Self {
        let status = config.status.as_ref();
        // The conditions apply only to a spec that this version can decode.
        let is_decoded = config.spec.undecodable.is_none();
        let is_usable = is_decoded && config.metadata.deletion_timestamp.is_none();
        let ready = status.filter(|status| is_usable && is_ready(&status.conditions));
        Self {
            provider_config_ref: config.spec.provider_config_ref.clone(),
            observes: only_observes(config),
            leaving: config.metadata.deletion_timestamp.is_some(),
            stalled: !is_decoded || status.is_some_and(|status| is_stalled(&status.conditions)),
            paused: is_paused(config),
            ready: ready.and_then(|status| {
                Some(ReadyConfig {
                    id: status.id.clone()?,
                    realm: RealmIds { tenant_id: status.tenant_id.clone()?, realm_id: status.realm_id.clone()? },
                })
            }),
        }
    }
}

/// Whether the configuration may belong to another team, because it is only observed. An edit from `Observe` to `Manage`
/// counts once the conditions show that the provider config allows it.
fn only_observes(config: &AuthenticatorConfig) -> bool {
    let conditions = config.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let is_current = |condition: &Condition| condition.observed_generation == config.metadata.generation;
    let is_decided = conditions.iter().any(|condition| condition.type_ == READY && is_current(condition));
    config.spec.management_policy == ManagementPolicy::Observe || (config.spec.resource_id.is_some() && !is_decided)
}

/// An authenticator configuration that is Ready.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadyConfig {
    /// Its id.
    pub id: String,
    /// The realm that it was created in.
    pub realm: RealmIds,
}

/// The evidence that the expected service responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// The service knows the identity.
    pub identity: bool,
    /// The service lists the authenticator configuration. This is fetched only if the service does not know the
    /// identity.
    pub config: bool,
}

/// A job that was read by its id.
pub type ReadJob = Answer<CredentialBindingJob>;

/// A list of an identity's jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<CredentialBindingJob>,
    /// The ids of the jobs that another request's status names, or that are left to that request.
    pub named_elsewhere: BTreeSet<String>,
    /// How long this process has known the jobs of its own sends within the last hour, which the list may not show yet, and
    /// the listed jobs without a usable time. By job id.
    pub ages: BTreeMap<String, Duration>,
    /// The service's time of the first list, if it was readable; this machine's, if that is earlier. A wrong clock that is
    /// ahead would make active links look expired, and a send look older than it is.
    pub server_time: Option<Timestamp>,
    /// The earliest time of these lists that the service itself reported, if each list had one.
    pub listed_at: Option<Timestamp>,
    /// How long the write-ahead record had been known when the list was requested; zero without a record.
    pub age: Duration,
    /// The number of lists that this is the union of. `age` belongs to the last list, and `server_time` to the first.
    pub lists: u32,
}

/// Whether it is a request's turn to send through its provider config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendTurn {
    /// It is its turn, until the end of the reconcile.
    Granted,
    /// It waits for its turn.
    Waits(SendWait),
}

/// The last poll of the current job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPoll {
    /// Whether the job was found.
    pub found: bool,
}

/// What the shared state of all requests says of one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Whether it holds the send slot of its identity, so that no other request may send to it.
    pub holds_send_slot: bool,
    /// Whether the watcher allows it to read its job now.
    pub may_poll: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A configuration of generation 2, whose conditions are of `generation`.
    fn config(spec: Value, generation: i64) -> AuthenticatorConfig {
        let ready = json!({"type": READY, "status": "True", "reason": "Available", "message": "",
                           "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation});
        let mut config = json!({
            "metadata": {"namespace": "team", "name": "hosted-web", "generation": 2},
            "spec": {"config": {"type": "hosted_web"}},
            "status": {"conditions": [ready]},
        });
        config["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn configuration_is_observed_until_its_management_is_allowed() {
        let observe = json!({"resourceID": "4e129fc8", "managementPolicy": "Observe"});
        let manage = json!({"resourceID": "4e129fc8"});
        for (spec, generation, observes) in
            [(observe, 2, true), (manage.clone(), 1, true), (manage, 2, false), (json!({}), 1, false)]
        {
            assert_eq!(Config::from(&config(spec.clone(), generation)).observes, observes, "{spec} {generation}");
        }
    }
}
