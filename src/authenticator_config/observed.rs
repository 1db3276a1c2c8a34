//! What is known of an AuthenticatorConfig and of its remote side. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::authenticator_config::CreateRecord;
use crate::api::{AuthenticatorConfigStatus, Phase};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::memory::Unwritable;
use crate::reconcile::{Destination, Fact, Outcome, Trouble};

/// What is known during one look. Facts that nobody asked for stay unknown, and cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The object's own status: its memory.
    pub status: AuthenticatorConfigStatus,
    /// Whether the object was read from the API server in this look.
    pub fresh: bool,
    /// Whether the finalizer stands.
    pub finalizer: bool,
    /// Whether a remote write may be started.
    pub may_write: bool,
    /// This process has compared the remote side with this generation of the spec; after this time it does so again.
    pub compared: Option<Duration>,
    /// How long what could come right by itself is still given to do so; zero when the grace period is over.
    pub patience: Duration,
    /// How long this process has known the configuration in status.
    pub known_for: Duration,
    /// The EnrollmentRequests that refer to the object, and are not being deleted.
    pub users: Fact<Vec<String>>,
    /// Where the provider config leads.
    pub destination: Fact<Destination>,
    /// Why the provider config does not serve this namespace, if it does not.
    pub not_allowed: Option<Phase>,
    /// Why no configuration may be taken over by its id, if none may.
    pub no_resource_ids: Option<Phase>,
    /// The realm's configurations.
    pub listed: Fact<Listed>,
    /// What the realm has under an id, for each that was read; `None` when there is none.
    pub read: BTreeMap<String, Fact<Option<RemoteConfig>>>,
    /// Whether there is a ticket to create with.
    pub ticket: bool,
    /// What came of creating in this look, until it was written down.
    pub created: Option<Created>,
    /// What came of the PATCH. (Whatever it did, the next look reads what is there.)
    pub patched: Option<Result<(), Trouble>>,
    /// What came of deleting.
    pub deleted: Option<Result<(), Trouble>>,
    /// What the service said when it refused the create that is now in doubt.
    pub refusal: Option<String>,
    /// Why the API server, not long ago, did not store what the operator wrote. Nothing is made then, and a deletion goes on
    /// without writing down what it has done.
    pub unwritable: Option<Unwritable>,
    /// A fresh random identifier.
    pub nonce: String,
}

/// What came of a create.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// Its write-ahead record. By now another one may stand in the status.
    pub record: CreateRecord,
    /// What came of it.
    pub outcome: Outcome<RemoteConfig>,
}

/// A list of the realm's configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The configurations.
    pub configs: Vec<RemoteConfig>,
    /// How long the write-ahead record had been known when the list was asked for; zero without a record.
    pub age: Duration,
    /// How many lists this is the union of; `age` is that of the last one.
    pub lists: u32,
}
