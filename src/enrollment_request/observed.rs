//! What is known of a request and of the world it refers to. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::matching;
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef};
use crate::beyond_identity::Answer;
use crate::beyond_identity::types::{CredentialBindingJob, Identity};
use crate::reconcile::memory::Unwritable;
use crate::reconcile::{Destination, Fact, Outcome, RealmIds, Trouble};

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
    /// Where the provider configs lead that were asked for.
    pub destinations: BTreeMap<ProviderConfigRef, Fact<Destination>>,
    /// Why a provider config does not serve this namespace, for those that do not.
    pub not_allowed: BTreeMap<ProviderConfigRef, Phase>,
    /// The identity; `None` when the realm has none of this name.
    pub identity: Fact<Option<Identity>>,
    /// Whether the person is this request's.
    pub reservation: Fact<Person>,
    /// The identity's jobs, all of them.
    pub jobs: Fact<Listed>,
    /// The jobs that were read by id in this look; `None` for one that the service does not know.
    pub read: BTreeMap<String, Option<ReadJob>>,
    /// Why a job could not be read or revoked in this look, by the job.
    pub job_trouble: BTreeMap<String, Trouble>,
    /// Whether a list of its identity's jobs still shows a job that the service does not know by its id.
    pub listed: BTreeMap<String, Fact<bool>>,
    /// Whether what answers knows an identity, or the authenticator configuration of its job: by the identity's id.
    pub recognized: BTreeMap<String, Fact<Recognized>>,
    /// The jobs that were read by id in the looks before, while nothing was concluded: none of them could be adopted then.
    pub read_before: BTreeMap<String, ReadJob>,
    /// The jobs that were to be revoked in this look, whatever the service said to that.
    pub revoked: BTreeSet<String>,
    /// The jobs that another request's status names, too: they are not this one's to revoke.
    pub shared: BTreeSet<String>,
    /// What the service said to the last revocation, where the job tells next what that means.
    pub revoke_said: Option<String>,
    /// The jobs that, not long ago, could not be revoked, and why.
    pub revoke_refused: BTreeMap<String, String>,
    /// Why the API server, not long ago, did not store what the operator wrote. Nothing is sent then, and a deletion goes on
    /// without writing down what it has done.
    pub unwritable: Option<Unwritable>,
    /// Whether the request may send to its identity now, so that no other one may.
    pub holds_send_slot: bool,
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

impl Observed {
    /// Of the jobs that were read by their ids while nothing is concluded, those that cannot be adopted, and never can be:
    /// they need not be read again.
    pub fn cannot_be_adopted(&mut self, delivery_method: &str) -> BTreeMap<String, ReadJob> {
        let mut read = std::mem::take(&mut self.read_before);
        if self.status.attempt.is_some() {
            return BTreeMap::new();
        }
        if let Fact::Known(person) = &self.reservation {
            let dead = |job: &ReadJob| !matching::is_adoptable(&job.item, person, delivery_method, job.server_time);
            let known = std::mem::take(&mut self.read).into_iter();
            read.extend(known.filter_map(|(id, job)| Some((id, job.filter(&dead)?))));
        }
        read
    }
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

/// The look at the job before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLook {
    /// How long ago it was.
    pub ago: Duration,
    /// Whether the job was there.
    pub found: bool,
}
