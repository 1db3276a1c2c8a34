//! What people do: they create, edit and delete, click links, and lay hands on what the operator keeps.

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

/// Whom a request names, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Who {
    pub person: String,
    pub by_username: bool,
}

/// An object that an annotation can be put on.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Request(Key),
    Config(Key),
}

/// How a configuration is deleted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recreation {
    /// With all that refers to it.
    WithUsers,
    /// Although something may refer to it: it has to wait.
    Alone,
    /// So that what it stands for stays.
    Orphan,
}

/// Something that a person will do, at some moment at which it can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    CreateRequest {
        key: Key,
        who: Who,
    },
    /// Corrects whom a request is for, as long as the schema allows it.
    CorrectRequest {
        key: Key,
        who: Who,
    },
    DeleteRequest(Key),
    RecreateRequest {
        key: Key,
        who: Who,
    },
    /// Takes the finalizer off a request in whose name nothing is in doubt.
    FreeRequest(Key),
    /// Takes everything out of the status of a request in whose name nothing is in doubt.
    StripRequest(Key),
    /// Deletes a request whose email has just gone out, and makes it again in the moment in which it is gone.
    ReplaceRequest {
        key: Key,
        who: Who,
    },
    RaiseAttempt(Key),
    /// Takes that back.
    LowerAttempt(Key),
    SetRevoked {
        key: Key,
        revoked: bool,
    },
    /// Asks by an annotation for another email, as the status stands now. It may be too early, or the second click.
    Resend(Key),
    /// Asks for it as it will be only when the link has expired.
    ResendEarly(Key),
    /// Asks by an annotation for the end of the link that is out now.
    RevokeByName(Key),
    /// Takes such annotations off, as a tool does that knows nothing of them.
    StripAnnotations(Key),
    /// Lets a link stay when its request is deleted.
    Orphan(Key),
    /// Two people exchange their usernames.
    Rename(String, String),
    CreateConfig(Key),
    EditConfig {
        key: Key,
        origin: String,
    },
    /// Deletes a configuration and makes it again.
    RecreateConfig {
        key: Key,
        how: Recreation,
    },
    /// Removes a configuration in the service.
    RemoveRemote(Key),
    /// Changes a configuration in the service.
    EditRemote(Key),
    /// All of a namespace is lost, and made again from Git.
    Rebuild(String),
    /// Moves the job of a request on.
    Move {
        key: Key,
        state: JobState,
    },
    /// Stops all work on a request, or on a configuration.
    Pause(Object),
    /// Has it go on.
    Resume(Object),
    /// Asks for a look now.
    AskForALook(Object),
    /// The time of a request's link is over, and the service goes on to show its job as if it were not.
    RunOut(Key),
    /// The provider config leads to another service for a while.
    LeadElsewhere,
    LeadBack,
    /// What answers is another service for a while, which knows nobody.
    Misdirect,
    Redirect,
    /// The CustomResourceDefinitions of an older version are installed for a while, which know no write-ahead records.
    InstallOldSchema,
    InstallSchema,
    /// An admission policy refuses every status that the operator writes.
    RefuseStatuses,
    AllowStatuses,
    /// The clocks of the machines that processes run on jump by an hour.
    ClocksJump {
        back: bool,
    },
    /// The Secret with the token is deleted.
    DeleteSecret,
    /// It is made again.
    CreateSecret,
    /// Makes a job for a person whose request is concluded.
    SendByHand(Key),
    Suspend(String),
    Activate(String),
}

/// What people will do, and what they have begun.
#[derive(Debug, Default)]
pub struct Plans {
    /// What they will do, at any moment.
    pub acts: Vec<Act>,
    /// The requests that are made again as soon as they are gone, and for whom.
    pub again: BTreeMap<Key, Who>,
    /// The objects that they have paused, and since when.
    pub paused: BTreeMap<(Port, Key), Instant>,
}

/// Does one of the things that people will do, if there is one that can be done now.
pub fn act(world: &World) -> bool {
    let chosen = {
        let mut state = world.lock();
        let count = state.plans.acts.len();
        let first = usize::try_from(state.chance.below(count as u64)).unwrap_or(0);
        let mut order = (first..count).chain(0..first);
        order.find(|index| possible(&state, &state.plans.acts[*index])).map(|index| state.plans.acts.remove(index))
    };
    let Some(act) = chosen else { return false };
    world.say(format_args!("somebody: {act:?}"));
    apply(world, act);
    true
}

/// Somebody who waits for the email of this object to go out replaces it in the moment in which its status says so.
pub fn replace<K: Kind>(state: &mut State, object: &K, wall: Timestamp) {
    let object = key(object);
    let sent = state.cluster.requests.objects.get(&object).and_then(|request| request.status.clone());
    if !sent.is_some_and(|status| status.attempt.is_some() && status.send.is_none()) {
        return;
    }
    let is_its = |act: &Act| matches!(act, Act::ReplaceRequest { key, .. } if *key == object);
    if let Some(place) = state.plans.acts.iter().position(is_its)
        && let Act::ReplaceRequest { key, who } = state.plans.acts.remove(place)
    {
        state.add(|| format!("somebody replaces {key:?}"));
        state.delete::<EnrollmentRequest>(&key, wall);
        state.plans.again.insert(key, who);
    }
}

/// Does a certain thing, now.
pub fn now(world: &World, act: Act) {
    apply(world, act);
}

/// Does all that was begun and has to be ended, so that everything can be settled.
pub fn tidy(world: &World) {
    let left: Vec<Act> = {
        let mut state = world.lock();
        let stuck = |config: &&Arc<AuthenticatorConfig>| config.metadata.deletion_timestamp.is_some();
        let stuck: Vec<Key> =
            state.cluster.configs.objects.values().filter(stuck).map(|config| key(config.as_ref())).collect();
        stuck.iter().for_each(|key| state.orphan_config(key));
        resume_all::<EnrollmentRequest>(&mut state);
        resume_all::<AuthenticatorConfig>(&mut state);
        state.remote.service.people.values_mut().for_each(|person| person.active = true);
        if state.remote.secretless || state.remote.elsewhere {
            state.change_provider(|remote| (remote.secretless, remote.elsewhere) = (false, false));
        }
        state.remote.misdirected = false;
        state.cluster.old_schema = false;
        state.cluster.policy_since = None;
        let begun = |act: &Act| matches!(act, Act::CreateRequest { .. } | Act::CreateConfig(_));
        state.plans.acts.retain(begun);
        state.plans.acts.clone()
    };
    for act in left {
        if possible(&world.lock(), &act) {
            world.say(format_args!("somebody: {act:?}"));
            world.lock().plans.acts.retain(|other| *other != act);
            apply(world, act);
        }
    }
}

fn resume_all<K: Kind>(state: &mut State) {
    let paused: Vec<Key> =
        state.plans.paused.keys().filter(|(kind, _)| *kind == K::READ).map(|(_, key)| key.clone()).collect();
    paused.iter().for_each(|key| state.resume::<K>(key));
}
