//! What people do: they create, edit and delete, click links, and lay hands on what the operator keeps.

use std::sync::Arc;

use beyond_identity_operator::api::enrollment_request::DeletionPolicy;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::beyond_identity::types::{AuthenticatorConfigPatch, JobState};
use beyond_identity_operator::enrollment_request::wishes::{RESEND, REVOKE};
use jiff::SignedDuration;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use crate::kubernetes::{Key, Kind, key};
use crate::service::{LAG, LATE, is_live};
use crate::specs::{config, identity, request, who};
use crate::world::{State, World};

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
    RaiseAttempt(Key),
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

/// Does one of the things that people will do, if there is one that can be done now.
pub fn act(world: &World) -> bool {
    let chosen = {
        let mut state = world.lock();
        let count = state.acts.len();
        let first = usize::try_from(state.chance.below(count as u64)).unwrap_or(0);
        let mut order = (first..count).chain(0..first);
        order.find(|index| possible(&state, &state.acts[*index])).map(|index| state.acts.remove(index))
    };
    let Some(act) = chosen else { return false };
    world.say(format_args!("somebody: {act:?}"));
    carry_out(world, act);
    true
}

/// Does a certain thing, now.
pub fn now(world: &World, act: Act) {
    carry_out(world, act);
}

/// Does all that was begun and has to be ended, so that everything can be settled.
pub fn tidy(world: &World) {
    let left: Vec<Act> = {
        let mut state = world.lock();
        let stuck = |config: &&Arc<AuthenticatorConfig>| config.metadata.deletion_timestamp.is_some();
        let stuck: Vec<Key> = state.configs.objects.values().filter(stuck).map(|config| key(config.as_ref())).collect();
        stuck.iter().for_each(|key| state.orphan_config(key));
        resume_all::<EnrollmentRequest>(&mut state);
        resume_all::<AuthenticatorConfig>(&mut state);
        state.service.people.values_mut().for_each(|person| person.active = true);
        state.secretless = false;
        let begun = |act: &Act| matches!(act, Act::CreateRequest { .. } | Act::CreateConfig(_));
        state.acts.retain(begun);
        state.acts.clone()
    };
    for act in left {
        if possible(&world.lock(), &act) {
            world.say(format_args!("somebody: {act:?}"));
            world.lock().acts.retain(|other| *other != act);
            carry_out(world, act);
        }
    }
}

fn resume_all<K: Kind>(state: &mut State) {
    let paused: Vec<Key> =
        state.paused.keys().filter(|(kind, _)| *kind == K::READ).map(|(_, key)| key.clone()).collect();
    paused.iter().for_each(|key| state.resume::<K>(key));
}

/// For how long after a call a list may not show its effect: nobody lays hands on its object so soon.
fn is_fresh(state: &State, object: &impl ResourceExt) -> bool {
    let uid = object.uid().unwrap_or_default();
    let recent = |at: &Instant| at.elapsed() < LATE + LAG;
    state.announced.values().any(|it| it.uid == uid && recent(&it.begun)) || state.emails.get(&uid).is_some_and(recent)
}

fn possible(state: &State, act: &Act) -> bool {
    let request = |key: &Key| state.requests.objects.get(key);
    let status = |key: &Key| request(key).and_then(|request| request.status.clone());
    let is_there = |key: &Key| request(key).is_some_and(|request| request.metadata.deletion_timestamp.is_none());
    let is_calm = |key: &Key| {
        request(key).is_some_and(|request| !is_fresh(state, request.as_ref()))
            && status(key).is_some_and(|status| status.send.is_none())
    };
    match act {
        Act::CreateRequest { key, .. } => request(key).is_none(),
        Act::CorrectRequest { key, .. } => {
            status(key).is_some_and(|status| status.send.is_none() && status.attempt.is_none())
        }
        Act::DeleteRequest(key)
        | Act::RecreateRequest { key, .. }
        | Act::RaiseAttempt(key)
        | Act::SetRevoked { key, .. }
        | Act::Orphan(key) => is_there(key),
        Act::Resend(key) | Act::ResendEarly(key) | Act::RevokeByName(key) => {
            is_there(key) && status(key).is_some_and(|status| status.job_id.is_some())
        }
        Act::StripAnnotations(key) => {
            is_there(key)
                && request(key).is_some_and(|it| [RESEND, REVOKE].iter().any(|a| it.annotations().contains_key(*a)))
        }
        Act::FreeRequest(key) => is_calm(key) && request(key).is_some_and(|request| !request.finalizers().is_empty()),
        Act::StripRequest(key) => is_calm(key) && is_there(key),
        Act::CreateConfig(key) => !state.configs.objects.contains_key(key),
        Act::EditConfig { key, .. } | Act::RecreateConfig { key, .. } => {
            state.configs.objects.get(key).is_some_and(|config| config.metadata.deletion_timestamp.is_none())
        }
        Act::RemoveRemote(key) | Act::EditRemote(key) => {
            state.remote_of(key).is_some_and(|id| state.service.config(&id).is_ok())
        }
        Act::Rebuild(namespace) => {
            let here = |key: &&Key| key.0 == *namespace;
            let whole = |config: &AuthenticatorConfig| {
                let status = config.status.clone().unwrap_or_default();
                let is_deleted = config.metadata.deletion_timestamp.is_some();
                !is_deleted && status.create.is_none() && status.id.is_some() && !is_fresh(state, config)
            };
            state.configs.objects.iter().any(|(key, _)| here(&key))
                && state.configs.objects.iter().filter(|(key, _)| here(key)).all(|(_, config)| whole(config))
                && state.requests.objects.keys().filter(here).all(|key| is_calm(key) && is_there(key))
        }
        Act::Move { key, .. } => status(key).is_some_and(|status| status.job_id.is_some()),
        // Not in the same seconds as an email of the operator's.
        Act::SendByHand(key) => {
            is_there(key)
                && state.requests.objects.values().filter(|other| other.namespace().as_ref() == Some(&key.0)).all(
                    |other| {
                        let status = other.status.clone().unwrap_or_default();
                        !is_fresh(state, other.as_ref())
                            && status.send.is_none()
                            && status.attempt >= Some(other.spec.attempt)
                    },
                )
        }
        Act::DeleteSecret => !state.secretless,
        Act::CreateSecret => state.secretless,
        Act::Suspend(person) => state.service.people.get(person).is_some_and(|person| person.active),
        Act::Activate(person) => state.service.people.get(person).is_some_and(|person| !person.active),
        Act::Pause(Object::Request(key)) | Act::AskForALook(Object::Request(key)) => request(key).is_some(),
        Act::Pause(Object::Config(key)) | Act::AskForALook(Object::Config(key)) => {
            state.configs.objects.contains_key(key)
        }
        Act::Resume(Object::Request(key)) => state.paused.contains_key(&(EnrollmentRequest::READ, key.clone())),
        Act::Resume(Object::Config(key)) => state.paused.contains_key(&(AuthenticatorConfig::READ, key.clone())),
        Act::Rename(..) | Act::ClocksJump { .. } => true,
    }
}

fn carry_out(world: &World, act: Act) {
    let (now, wall) = (Instant::now(), world.wall());
    let mut state = world.lock();
    match act {
        Act::CreateRequest { key, who } => {
            let new = request(&key, &identity(&state, &who));
            state.create(new, wall);
        }
        Act::CorrectRequest { key, who } => {
            let corrected = request(&key, &identity(&state, &who)).spec.identity;
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.identity = corrected);
        }
        Act::DeleteRequest(key) => state.delete::<EnrollmentRequest>(&key, wall),
        Act::RecreateRequest { key, who } => {
            state.delete::<EnrollmentRequest>(&key, wall);
            state.acts.push(Act::CreateRequest { key, who });
        }
        Act::FreeRequest(key) => {
            state.touched(&key);
            state.free::<EnrollmentRequest>(&key);
        }
        Act::StripRequest(key) => {
            state.touched(&key);
            state.strip(&key);
        }
        Act::RaiseAttempt(key) => state.edit(&key, |request: &mut EnrollmentRequest| request.spec.attempt += 1),
        Act::SetRevoked { key, revoked } => {
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.revoked = revoked);
        }
        Act::Resend(key) => {
            let (job, now) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(RESEND.to_owned(), format!("{job}/{now}")));
        }
        Act::ResendEarly(key) => {
            let (job, _) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(RESEND.to_owned(), format!("{job}/EXPIRED")));
        }
        Act::RevokeByName(key) => {
            let (job, _) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(REVOKE.to_owned(), job));
        }
        Act::StripAnnotations(key) => {
            state.annotate_request(&key, |all| all.retain(|name, _| name != RESEND && name != REVOKE))
        }
        Act::Orphan(key) => {
            state.touched(&key);
            let orphan = DeletionPolicy::Orphan;
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.deletion_policy = orphan);
        }
        Act::Rename(one, other) => {
            let people = &mut state.service.people;
            let (a, b) = (people[&one].username.clone(), people[&other].username.clone());
            people.get_mut(&one).expect("there").username = b;
            people.get_mut(&other).expect("there").username = a;
        }
        Act::CreateConfig(key) => state.create(config(&key), wall),
        Act::EditConfig { key, origin } => state.edit(&key, |config: &mut AuthenticatorConfig| {
            config.spec.config.trusted_origins = Some(vec![origin]);
        }),
        Act::RecreateConfig { key, how } => {
            if how == Recreation::Orphan {
                state.orphan_config(&key);
            }
            if how == Recreation::WithUsers {
                let refers = |(user, request): &(&Key, &Arc<EnrollmentRequest>)| {
                    user.0 == key.0 && request.metadata.deletion_timestamp.is_none()
                };
                let users = state.requests.objects.iter().filter(refers);
                let users: Vec<_> = users.map(|(key, user)| (key.clone(), who(&state, user))).collect();
                for (key, who) in users {
                    state.delete::<EnrollmentRequest>(&key, wall);
                    state.acts.push(Act::CreateRequest { key, who });
                }
            }
            state.delete::<AuthenticatorConfig>(&key, wall);
            state.acts.push(Act::CreateConfig(key));
        }
        Act::RemoveRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            _ = state.service.delete_config(&id, now);
        }
        Act::EditRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            let origins = json!({ "trusted_origins": ["https://somebody.example.com"] });
            let config = origins.as_object().cloned();
            _ = state.service.patch_config(&id, &AuthenticatorConfigPatch { display_name: None, config }, now);
        }
        Act::Rebuild(namespace) => {
            state.rebuild::<EnrollmentRequest>(&namespace, wall);
            state.rebuild::<AuthenticatorConfig>(&namespace, wall);
        }
        Act::Move { key, state: to } => {
            let request = EnrollmentRequest::table(&mut state).objects.get(&key).cloned();
            let job = request.and_then(|request| request.status.as_ref()?.job_id.clone()).unwrap_or_default();
            // What is dead stays dead.
            if state.service.jobs.get(&job).is_some_and(|job| is_live(job.now())) {
                state.service.set_state(&job, to, now);
            }
        }
        Act::SendByHand(key) => {
            let status = state.requests.objects.get(&key).and_then(|request| request.status.clone());
            let status = status.unwrap_or_default();
            let (person, config) = (status.identity_id.unwrap_or_default(), status.authenticator_config_id);
            let State { service, chance, .. } = &mut *state;
            let mut moment = crate::service::Moment { now, wall, chance };
            let job =
                service.add_job(&person, &config.unwrap_or_default(), None, std::time::Duration::ZERO, &mut moment);
            // Every list shows it from the beginning.
            service.jobs.get_mut(&job).expect("just made").history[0].0 = now.checked_sub(LAG).expect("a time");
        }
        Act::Pause(Object::Request(key)) => {
            state.pause::<EnrollmentRequest>(&key);
            state.acts.push(Act::Resume(Object::Request(key)));
        }
        Act::Pause(Object::Config(key)) => {
            state.pause::<AuthenticatorConfig>(&key);
            state.acts.push(Act::Resume(Object::Config(key)));
        }
        Act::Resume(Object::Request(key)) => state.resume::<EnrollmentRequest>(&key),
        Act::Resume(Object::Config(key)) => state.resume::<AuthenticatorConfig>(&key),
        Act::AskForALook(object) => {
            let value = state.number().to_string();
            match object {
                Object::Request(key) => state.annotate::<EnrollmentRequest>(&key, RECONCILE_REQUESTED_AT, &value),
                Object::Config(key) => state.annotate::<AuthenticatorConfig>(&key, RECONCILE_REQUESTED_AT, &value),
            }
        }
        Act::DeleteSecret => {
            state.secretless = true;
            state.acts.push(Act::CreateSecret);
        }
        Act::CreateSecret => state.secretless = false,
        Act::ClocksJump { back } => state.clocks += SignedDuration::from_hours(if back { -1 } else { 1 }),
        Act::Suspend(person) => {
            state.service.people.get_mut(&person).expect("possible").active = false;
            state.acts.push(Act::Activate(person));
        }
        Act::Activate(person) => state.service.people.get_mut(&person).expect("possible").active = true,
    }
}

/// The job that a request names, and its state there.
fn job_of(state: &State, key: &Key) -> (String, String) {
    let status = state.requests.objects.get(key).and_then(|request| request.status.clone()).unwrap_or_default();
    (status.job_id.unwrap_or_default(), status.state.unwrap_or_default())
}
