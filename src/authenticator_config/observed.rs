//! What is known of an AuthenticatorConfig and of its remote configuration. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::AuthenticatorConfig;
use crate::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch};
use crate::beyond_identity::union_by_id;
use crate::reconcile::{Fact, Failure, ObjectState, View};

/// What is known of an AuthenticatorConfig in one reconcile. A fact that was not fetched stays unknown, and costs
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The state that is known for objects of every kind.
    pub object: ObjectState<AuthenticatorConfig>,
    /// Set if this process has compared the remote configuration with this generation of the spec. After this time,
    /// it compares again.
    pub compared: Option<Duration>,
    /// How long this process has known the configuration in status.
    pub known_for: Duration,
    /// The EnrollmentRequests that refer to the object and are not being deleted.
    pub referrers: Fact<Vec<String>>,
    /// The realm's configurations.
    pub listed: Fact<ConfigList>,
    /// The configuration that the realm has under an id, for each id that was read; `None` if there is none.
    pub read: BTreeMap<String, Fact<Option<RemoteConfig>>>,
    /// The result of the PATCH. Its answer then counts as what was read. `None` in it: the answer does not show the
    /// configuration.
    pub patched: Option<Result<Option<Patched>, Failure>>,
    /// The result of the deletion.
    pub deleted: Option<Result<(), Failure>>,
}

impl Observed {
    /// Combines what was fetched `before` with what `view` shows.
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

/// A PATCH that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// What was sent.
    pub sent: AuthenticatorConfigPatch,
    /// The configuration in the answer, as messages may show it.
    pub shown: RemoteConfig,
}

/// A list of the realm's configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigList {
    /// The configurations.
    pub configs: Vec<RemoteConfig>,
    /// How long the write-ahead record had been known when the list was requested; zero without a record.
    pub age: Duration,
    /// The number of lists that this is the union of. `age` belongs to the last list.
    pub lists: u32,
}

impl ConfigList {
    /// These configurations, and those that only the list `before` shows.
    pub fn after(before: Fact<Self>, configs: Vec<RemoteConfig>, age: Duration) -> Self {
        let Fact::Known(before) = before else { return Self { configs, age, lists: 1 } };
        let configs = union_by_id(configs, before.configs, |config| &config.id);
        Self { configs, age, lists: before.lists + 1 }
    }
}
