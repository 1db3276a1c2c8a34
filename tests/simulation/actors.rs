//! The actions of users and administrators: they edit objects, use links, and change what the operator stores.

mod apply;
mod interventions;
mod possible;

use std::collections::BTreeMap;
use std::sync::Arc;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::beyond_identity::types::JobState;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::faults::Port;
use crate::kubernetes::{Key, Kind, key};
use crate::world::{State, World};
use apply::apply;
use possible::possible;

/// The identity of a request, and how the request selects it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    pub identity: String,
    pub by_username: bool,
}

/// An object that can be annotated.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Request(Key),
    Config(Key),
}

/// How a configuration is deleted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recreation {
    /// With all requests that refer to it.
    WithReferrers,
    /// Although requests may refer to it. The deletion must wait.
    Alone,
    /// With the remote configuration retained.
    Orphan,
}

/// A planned action. It is applied when it is possible.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    CreateRequest {
        key: Key,
        selector: Selector,
    },
    /// Corrects the identity of a request, as long as the schema allows it.
    CorrectRequest {
        key: Key,
        selector: Selector,
    },
    DeleteRequest(Key),
    RecreateRequest {
        key: Key,
        selector: Selector,
    },
    /// Removes the finalizer of a request without a call in doubt.
    RemoveFinalizers(Key),
    /// Clears the status of a request without a call in doubt.
    ClearStatus(Key),
    /// Deletes a request just after its email was sent, and creates it again as soon as it is deleted.
    ReplaceRequest {
        key: Key,
        selector: Selector,
    },
    RaiseAttempt(Key),
    /// Lowers the attempt again.
    LowerAttempt(Key),
    SetRevoked {
        key: Key,
        revoked: bool,
    },
    /// Requests another email by an annotation, for the current job and state. It may be too early, or a repetition.
    Resend(Key),
    /// Requests another email for the state EXPIRED, before the link has expired.
    ResendEarly(Key),
    /// Requests the revocation of the current job by an annotation.
    RevokeByAnnotation(Key),
    /// Removes these annotations, as a tool does that does not know them.
    RemoveAnnotations(Key),
    /// Sets the deletion policy Orphan.
    Orphan(Key),
    /// Swaps the usernames of two identities.
    SwapUsernames(String, String),
    CreateConfig(Key),
    EditConfig {
        key: Key,
        origin: String,
    },
    /// Deletes a configuration and creates it again.
    RecreateConfig {
        key: Key,
        how: Recreation,
    },
    /// Removes a configuration in the service.
    RemoveRemote(Key),
    /// Changes a configuration in the service.
    EditRemote(Key),
    /// Deletes all objects of a namespace, and creates them again from Git.
    Rebuild(String),
    /// Sets the state of a request's job.
    SetJobState {
        key: Key,
        state: JobState,
    },
    /// Pauses an object.
    Pause(Object),
    /// Resumes a paused object.
    Resume(Object),
    /// Requests a reconcile by an annotation.
    RequestReconcile(Object),
    /// Moves the expire time of a request's job to the past. The service keeps the state of the job.
    PassExpireTime(Key),
    /// Changes the provider config to another endpoint for a while.
    SwitchEndpoint,
    RestoreEndpoint,
    /// Routes calls to another service for a while, which has no identities.
    Misroute,
    RestoreRouting,
    /// Installs CustomResourceDefinitions of an older version for a while, without the write-ahead records.
    InstallOldSchema,
    InstallSchema,
    /// Installs an admission policy that refuses every status of the operator.
    RefuseStatuses,
    AllowStatuses,
    /// Removes the Role of the operator in a namespace for a while.
    DenyNamespace(String),
    AllowNamespace(String),
    /// Changes the limit of the provider config on emails within an hour.
    SetSendLimit(i32),
    /// Moves the wall clocks of the processes by an hour.
    JumpClocks {
        back: bool,
    },
    /// Deletes the Secret with the token.
    DeleteSecret,
    /// Creates the Secret again.
    CreateSecret,
    /// The service refuses the token in the Secret.
    RefuseToken,
    /// The service accepts it again.
    AcceptToken,
    /// Stores a new token in the Secret. The service refuses the earlier one.
    ReplaceToken,
    PauseProvider,
    ResumeProvider,
    /// Changes whether the provider config allows the revocation of adopted links.
    AllowRevokingAdopted(bool),
    /// Creates a job for an identity whose request is concluded.
    CreateJobManually(Key),
    Suspend(String),
    Activate(String),
}

/// The planned actions, and those in progress.
#[derive(Debug, Default)]
pub struct Plans {
    /// The planned actions, in no order.
    pub actions: Vec<Action>,
    /// The requests to create again as soon as they are deleted.
    pub recreate: BTreeMap<Key, Selector>,
    /// The paused objects, with the time of the pause.
    pub paused: BTreeMap<(Port, Key), Instant>,
}

/// Applies one of the planned actions that are possible now. Returns false if there is none.
pub fn apply_one(world: &World) -> bool {
    let chosen = {
        let mut state = world.lock();
        let count = state.plans.actions.len();
        let first = usize::try_from(state.chance.below(count as u64)).unwrap_or(0);
        let mut order = (first..count).chain(0..first);
        order
            .find(|index| possible(&state, &state.plans.actions[*index]))
            .map(|index| state.plans.actions.remove(index))
    };
    let Some(action) = chosen else { return false };
    world.log(format_args!("action: {action:?}"));
    apply(world, action);
    true
}

/// Applies a planned `ReplaceRequest` of this object as soon as its status shows that the email was sent.
pub fn replace<K: Kind>(state: &mut State, object: &K, wall: Timestamp) {
    let object = key(object);
    let sent = state.cluster.requests.objects.get(&object).and_then(|request| request.status.clone());
    if !sent.is_some_and(|status| status.attempt.is_some() && status.send.is_none()) {
        return;
    }
    let is_its = |action: &Action| matches!(action, Action::ReplaceRequest { key, .. } if *key == object);
    if let Some(place) = state.plans.actions.iter().position(is_its)
        && let Action::ReplaceRequest { key, selector } = state.plans.actions.remove(place)
    {
        state.log_detail(|| format!("action: {key:?} is replaced"));
        state.delete::<EnrollmentRequest>(&key, wall);
        state.plans.recreate.insert(key, selector);
    }
}

/// Applies an action.
pub fn apply_now(world: &World, action: Action) {
    apply(world, action);
}

/// Reverts every disturbance and completes the planned creations, so that all objects can settle.
pub fn revert_disturbances(world: &World) {
    let remaining: Vec<Action> = {
        let mut state = world.lock();
        let deleting = |config: &&Arc<AuthenticatorConfig>| config.metadata.deletion_timestamp.is_some();
        let deleting: Vec<Key> =
            state.cluster.configs.objects.values().filter(deleting).map(|config| key(config.as_ref())).collect();
        deleting.iter().for_each(|key| state.orphan_config(key));
        resume_all::<EnrollmentRequest>(&mut state);
        resume_all::<AuthenticatorConfig>(&mut state);
        state.remote.service.identities.values_mut().for_each(|identity| identity.active = true);
        if state.remote.secret_deleted || state.remote.other_endpoint || state.remote.paused_since.is_some() {
            state.change_provider(|remote| {
                (remote.secret_deleted, remote.other_endpoint, remote.paused_since) = (false, false, None);
            });
        }
        if !state.remote.refused.is_empty() {
            state.remote.accept_tokens();
        }
        state.restored.get_or_insert_with(Instant::now);
        state.remote.misrouted = false;
        state.cluster.old_schema = false;
        state.cluster.policy_since = None;
        state.allow_all();
        let creates = |action: &Action| matches!(action, Action::CreateRequest { .. } | Action::CreateConfig(_));
        state.plans.actions.retain(creates);
        state.plans.actions.clone()
    };
    for action in remaining {
        if possible(&world.lock(), &action) {
            world.log(format_args!("action: {action:?}"));
            world.lock().plans.actions.retain(|other| *other != action);
            apply(world, action);
        }
    }
}

fn resume_all<K: Kind>(state: &mut State) {
    let paused: Vec<Key> =
        state.plans.paused.keys().filter(|(kind, _)| *kind == K::READ).map(|(_, key)| key.clone()).collect();
    paused.iter().for_each(|key| state.resume::<K>(key));
}
