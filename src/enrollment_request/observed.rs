//! What is known of a request and of the world it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::enrollment_key::EnrollmentKey;
use crate::api::conditions::{is_ready, is_stalled};
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef};
use crate::beyond_identity::Answer;
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::reconcile::annotations::is_paused;
use crate::reconcile::{Fact, Failure, ObjectState, RealmIds};

/// What is known of a request in one reconcile. Facts that nobody fetched stay unknown, and cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What is known of objects of every kind.
    pub object: ObjectState<EnrollmentRequest>,
    /// The AuthenticatorConfig; `None` when there is no such object.
    pub config: Fact<Option<Config>>,
    /// The identity; `None` when the realm has none of this name.
    pub identity: Fact<Option<Identity>>,
    /// Whether the person is this request's.
    pub reservation: Fact<EnrollmentKey>,
    /// The identity's jobs, all of them.
    pub jobs: Fact<Listed>,
    /// The jobs that were read by id in this reconcile; `None` for one that the service does not know.
    pub read: BTreeMap<String, Option<ReadJob>>,
    /// Why a job could not be read or revoked in this reconcile, by the job.
    pub job_failures: BTreeMap<String, Failure>,
    /// Whether a list of its identity's jobs still shows a job that the service does not know by its id.
    pub listed: BTreeMap<String, Fact<bool>>,
    /// Whether what answers knows an identity, or the authenticator configuration of its job: by the identity's id.
    pub recognized: BTreeMap<String, Fact<Recognized>>,
    /// The jobs that were read by id in the reconciles before, while nothing was concluded: none of them could be adopted then.
    pub read_before: BTreeMap<String, ReadJob>,
    /// The jobs that were to be revoked in this reconcile, whatever the service said to that.
    pub revoked: BTreeSet<String>,
    /// The jobs that another request's status names, too: they are not this one's to revoke.
    pub shared: BTreeSet<String>,
    /// What the service said to the revocation of a job, where the job tells next what that means: by the job.
    pub revoke_said: BTreeMap<String, String>,
    /// The jobs that, not long ago, could not be revoked, and why.
    pub revoke_refused: BTreeMap<String, String>,
    /// Whether the request may send to its identity now, so that no other one may.
    pub holds_send_slot: bool,
    /// The last poll of the current job.
    pub poll: Option<LastPoll>,
    /// How long this process has known the job in status.
    pub job_known_for: Duration,
}

/// What a request needs to know of its AuthenticatorConfig.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The provider config that it goes through.
    pub provider_config_ref: ProviderConfigRef,
    /// The id, tenant and realm of the configuration, once it is Ready.
    pub ready: Option<ReadyConfig>,
    /// Whether it is being deleted.
    pub leaving: bool,
    /// Whether it is Stalled.
    pub stalled: bool,
    /// Whether an annotation has stopped all work on it.
    pub paused: bool,
}

impl From<&AuthenticatorConfig> for Config {
    fn from(config: &AuthenticatorConfig) -> Self {
        let status = config.status.as_ref();
        // What its conditions say is of a spec that this version could decode.
        let is_decoded = config.spec.undecodable.is_none();
        let is_usable = is_decoded && config.metadata.deletion_timestamp.is_none();
        let ready = status.filter(|status| is_usable && is_ready(&status.conditions));
        Self {
            provider_config_ref: config.spec.provider_config_ref.clone(),
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

/// An authenticator configuration that is Ready.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadyConfig {
    /// Its id.
    pub id: String,
    /// Where it was made.
    pub realm: RealmIds,
}

/// By what the service is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// It knows the identity.
    pub identity: bool,
    /// It lists the authenticator configuration; asked only where it does not know the identity.
    pub config: bool,
}

/// A job as it was read by its id.
pub type ReadJob = Answer<CredentialBindingJob>;

/// A list of an identity's jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The jobs.
    pub jobs: Vec<CredentialBindingJob>,
    /// The ids of those that another request's status names, or that are left to it.
    pub named_elsewhere: BTreeSet<String>,
    /// The service's own time, where it was readable.
    pub server_time: Option<Timestamp>,
    /// How long the write-ahead record had been known when the list was asked for; zero without a record.
    pub age: Duration,
    /// How many lists this is the union of. `age` is that of the last one, and `server_time` that of the first.
    pub lists: u32,
}

/// The last poll of the current job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPoll {
    /// Whether the job was there.
    pub found: bool,
    /// In how long it is polled next; `None`: when something changes.
    pub next_in: Option<Duration>,
}

/// Whether a request may send to its identity now, so that no other one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendSlot(pub bool);
