//! What is known of an AuthenticatorConfig and of its remote side. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::AuthenticatorConfig;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::{Fact, Failure, ObjectState, View};

/// What is known of an AuthenticatorConfig in one reconcile. Facts that nobody fetched stay unknown, and cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What is known of objects of every kind.
    pub object: ObjectState<AuthenticatorConfig>,
    /// This process has compared the remote side with this generation of the spec; after this time it does so again.
    pub compared: Option<Duration>,
    /// How long this process has known the configuration in status.
    pub known_for: Duration,
    /// The EnrollmentRequests that refer to the object, and are not being deleted.
    pub referrers: Fact<Vec<String>>,
    /// The realm's configurations.
    pub listed: Fact<Listed>,
    /// What the realm has under an id, for each that was read; `None` when there is none.
    pub read: BTreeMap<String, Fact<Option<RemoteConfig>>>,
    /// What came of the PATCH. (Whatever it did, the next reconcile reads what is there.)
    pub patched: Option<Result<(), Failure>>,
    /// What came of deleting.
    pub deleted: Option<Result<(), Failure>>,
}

impl Observed {
    /// What is known now: what was fetched `before`, and what `view` shows.
    pub fn from(before: Self, view: View<'_, AuthenticatorConfig>) -> Self {
        let View { object, desired, status, local_state, published: (), times: _, now: _, monotonic } = view;
        let id = status.id.as_deref();
        let poll = local_state.poll_of(id).filter(|poll| poll.generation == desired.lifecycle.generation);
        let left = |at: Instant| at.saturating_duration_since(monotonic);
        Self {
            compared: poll.and_then(|poll| poll.next_poll_at).map(left).filter(|left| !left.is_zero()),
            known_for: id.map(|id| local_state.remote_known_for(id, monotonic)).unwrap_or_default(),
            object,
            ..before
        }
    }
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

impl Listed {
    /// These configurations, and those that only the list `before` has shown.
    pub fn after(before: Fact<Self>, configs: Vec<RemoteConfig>, age: Duration) -> Self {
        let Fact::Known(before) = before else { return Self { configs, age, lists: 1 } };
        let missed = |config: &RemoteConfig| configs.iter().all(|other| other.id != config.id);
        let missed: Vec<_> = before.configs.into_iter().filter(missed).collect();
        Self { configs: [configs, missed].concat(), age, lists: before.lists + 1 }
    }
}
