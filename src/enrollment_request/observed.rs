//! What is known of a request and of the world it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef};
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::reconcile::{Fact, Outcome, RealmIds, Trouble};

/// What is known during one look. Facts that nobody asked for stay unknown, and cost nothing.
#[derive(Debug, Default)]
pub struct Observed {
    /// The request's own status: its memory.
    pub status: EnrollmentRequestStatus,
    /// Whether the object was read from the API server in this look.
    pub fresh: bool,
    /// Whether the finalizer stands.
    pub finalizer: bool,
    /// Whether a remote write may be started.
    pub may_write: bool,
    /// The AuthenticatorConfig; `None` when there is no such object.
    pub config: Fact<Option<Config>>,
    /// The realm behind the provider config.
    pub realm: Fact<RealmIds>,
    /// Why the provider config does not serve this namespace, if it does not.
    pub not_allowed: Option<Phase>,
    /// The identity; `None` when the realm has none of this name.
    pub identity: Fact<Option<Identity>>,
    /// Whether the person is this request's.
    pub reservation: Fact<Person>,
    /// The identity's jobs, all of them.
    pub jobs: Fact<Listed>,
    /// The jobs that were read by id in this look; `None` for one that is gone.
    pub read: BTreeMap<String, Option<CredentialBindingJob>>,
    /// Why a job could not be read or revoked in this look.
    pub job_trouble: Option<Trouble>,
    /// The jobs that were to be revoked in this look, whatever the service said to that.
    pub revoked: BTreeSet<String>,
    /// The jobs that another request's status names, too: they are not this one's to revoke.
    pub shared: BTreeSet<String>,
    /// What the service said to the last revocation, where the job tells next what that means.
    pub revoke_said: Option<String>,
    /// Whether the service, not long ago, did not let the operator revoke a job, and what it said.
    pub revoke_refused: Option<String>,
    /// The look at the job before this one.
    pub last_look: Option<LastLook>,
    /// How long what could come right by itself is still given to do so; zero when the grace period is over.
    pub patience: Duration,
    /// How long this process has known the job in status.
    pub job_known_for: Duration,
    /// Whether there is a ticket to send with.
    pub ticket: bool,
    /// What came of sending in this look, until it was written down.
    pub sent: Option<Sent>,
    /// What the service said when it refused the send that is now in doubt.
    pub refusal: Option<String>,
    /// A fresh random identifier.
    pub nonce: String,
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
}

/// An authenticator configuration that is Ready.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadyConfig {
    /// Its id.
    pub id: String,
    /// Where it was made.
    pub realm: RealmIds,
}

/// Who is enrolled, and by which configuration: no two requests may be about the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
    /// The identity's id.
    pub identity_id: String,
    /// The authenticator configuration's id.
    pub authenticator_config_id: String,
}

/// What came of a send.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The id of its write-ahead record. By now another one may stand in the status.
    pub send_id: String,
    /// What came of it.
    pub outcome: Outcome<CredentialBindingJob>,
}

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
}

/// The look at the job before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLook {
    /// How long ago it was.
    pub ago: Duration,
    /// Whether the job was there.
    pub found: bool,
}
