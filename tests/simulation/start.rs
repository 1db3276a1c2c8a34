//! The initial state of a run, and its planned actions.

use std::time::Duration;

use beyond_identity_operator::authenticator_config::desired::Desired;
use beyond_identity_operator::beyond_identity::types::JobState;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::actors::{self, Action, Object, Recreation, Selector};
use crate::budget;
use crate::faults::{Fault, Port};
use crate::kubernetes::Key;
use crate::reconciles::{SETTLE, options};
use crate::remote::Remote;
use crate::service::{Moment, SimIdentity};
use crate::specs;
use crate::world::{State, World};

/// Prepares a run. With `duplicates`, two requests may be for one identity.
pub fn prepare(world: &World, duplicates: bool) {
    let (now, wall) = (Instant::now(), world.wall());
    let initial = prepare_all(&mut world.lock(), duplicates, now, wall);
    initial.into_iter().for_each(|action| actors::apply_now(world, action));
}

/// Returns the actions to apply before the first process starts.
fn prepare_all(state: &mut State, duplicates: bool, now: Instant, wall: Timestamp) -> Vec<Action> {
    state.remote.service.minimal_answers = state.chance.happens(0.1);
    state.remote.service.refuses_revocation = state.chance.happens(0.05);
    state.remote.service.creates_irrevocable_jobs = state.chance.happens(0.15);
    state.remote.service.unknown_method = state.chance.happens(0.03);
    let namespaces = state.chance.pick(&[&["a"][..], &["a", "b"][..]]);
    for namespace in namespaces {
        let config = prepare_config(state, &((*namespace).to_owned(), "hosted-web".to_owned()), now, wall);
        let requests = 1 + state.chance.below(2);
        let mut identities = Vec::new();
        for number in 0..requests {
            // An identity may also be enrolled by the configuration of another namespace.
            let of_another = duplicates && *namespace == "b" && state.chance.happens(0.3);
            if of_another {
                identities = ["", "-namesake"].map(|suffix| format!("person-a-0{suffix}")).to_vec();
            } else if identities.is_empty() || !(duplicates && state.chance.happens(0.5)) {
                identities =
                    prepare_identities(state, &format!("person-{namespace}-{number}"), config.as_deref(), now, wall);
            }
            prepare_request(state, &((*namespace).to_owned(), format!("r{number}")), &identities);
        }
    }
    if state.chance.happens(0.2) {
        state.plans.actions.push(Action::DeleteSecret);
    }
    for problem in [Action::SwitchEndpoint, Action::Misroute, Action::InstallOldSchema, Action::RefuseStatuses] {
        if state.chance.happens(0.07) {
            state.plans.actions.push(problem);
        }
    }
    state.plans.actions.extend(budget::changes(&state.remote.limits));
    let (mut initial, mut later) = (Vec::new(), Vec::new());
    let State { plans, remote, .. } = state;
    plans.actions.retain(|action| remote.proxy.allows(action));
    for action in std::mem::take(&mut state.plans.actions) {
        let creates = matches!(action, Action::CreateConfig(_) | Action::CreateRequest { .. });
        if creates && state.chance.happens(0.8) { initial.push(action) } else { later.push(action) }
    }
    state.plans.actions = later;
    initial
}

/// Returns the id of the configuration from before a loss of the cluster, if any.
fn prepare_config(state: &mut State, key: &Key, now: Instant, wall: Timestamp) -> Option<String> {
    state.plans.actions.push(Action::CreateConfig(key.clone()));
    for _ in 0..state.chance.below(3) {
        let number = state.number();
        let action = match state.chance.below(6) {
            0 => {
                let how = state.chance.pick(&[Recreation::WithReferrers, Recreation::Alone]);
                recreate(key, how)
            }
            1 => recreate(key, Recreation::Orphan),
            2 => Action::RemoveRemote(key.clone()),
            3 => Action::EditRemote(key.clone()),
            _ => edit(key, number),
        };
        state.plans.actions.push(action);
    }
    if state.chance.happens(0.2) {
        // In any order: the rebuild may come before or after the removal.
        state.plans.actions.push(Action::RemoveRemote(key.clone()));
        state.plans.actions.extend([1, 2].map(|_| Action::Rebuild(key.0.clone())));
    }
    let (aim, _, fault) = state.faults.aim;
    if fault == Fault::Action {
        state.plans.actions.extend((0..20).map(|number| edit(key, number)));
        state.plans.actions.extend([1, 2, 3].map(|_| recreate(key, Recreation::Orphan)));
    }
    match aim {
        Port::DeleteConfig | Port::ListReferrers => {
            state.plans.actions.extend([1, 2].map(|_| recreate(key, Recreation::WithReferrers)))
        }
        Port::PatchConfig => state.plans.actions.extend((0..3).map(|number| edit(key, number))),
        _ => {}
    }
    let State { remote: Remote { service, observed, .. }, chance, .. } = state;
    let is_observed = observed.is_some();
    (is_observed || (aim != Port::CreateConfig && chance.happens(0.5))).then(|| {
        let mut new = Desired::of(&specs::config(key, None), &options(SETTLE)).create();
        if chance.happens(0.5) {
            new.config.remove("trusted_origins");
        }
        let before = now.checked_sub(Duration::from_secs(7200)).expect("a time before the start");
        let id = service.create_config(&new, &mut Moment { now: before, wall, chance }).expect("it is created").id;
        observed.iter_mut().for_each(|it| _ = it.configs.insert(key.0.clone(), id.clone()));
        id
    })
}

fn recreate(key: &Key, how: Recreation) -> Action {
    Action::RecreateConfig { key: key.clone(), how }
}

fn edit(key: &Key, number: u64) -> Action {
    Action::EditConfig { key: key.clone(), origin: format!("https://{number}.example.com") }
}

/// The number of expired jobs of an identity that a lagging list may still show as active.
const MANY: u64 = 30;

/// Adds an identity, and another one that a request may name by mistake, with earlier jobs.
fn prepare_identities(
    state: &mut State,
    identity: &str,
    config: Option<&str>,
    now: Instant,
    wall: Timestamp,
) -> Vec<String> {
    let identities = vec![identity.to_owned(), format!("{identity}-namesake")];
    for id in &identities {
        let username = format!("{id}@example.com");
        state.remote.service.identities.insert(id.clone(), SimIdentity { active: true, username });
        let many = state.chance.happens(0.02);
        for _ in 0..if many { MANY } else { state.chance.pick(&[0, 0, 1, 2]) } {
            let job = prepare_job(state, id, config, now, wall);
            if state.chance.happens(0.2) {
                state.remote.service.pass_expire_time(&job, now, wall);
                continue;
            }
            if many {
                state.remote.service.set_state(&job, JobState::Expired, now);
                continue;
            }
            let to = state.chance.pick(&["LINK_SENT", "EXPIRED", "REVOKED", "REVOKED", "FAILED_TO_SEND", "COMPLETE"]);
            state.remote.service.set_state(&job, JobState::from(to), now);
        }
        if state.remote.observed.is_some() && state.chance.happens(0.7) {
            prepare_job(state, id, config, now, wall);
        }
    }
    identities
}

/// Adds a job of others, which lists show by now.
fn prepare_job(state: &mut State, identity: &str, config: Option<&str>, now: Instant, wall: Timestamp) -> String {
    let State { remote: Remote { service, .. }, chance, .. } = state;
    let oldest = Duration::from_secs(chance.pick(&[55, 4000]));
    let age = chance.between(Duration::from_secs(31), oldest);
    service.add_job(identity, config.unwrap_or("another"), None, age, &mut Moment { now, wall, chance })
}

fn prepare_request(state: &mut State, key: &Key, identities: &[String]) {
    let by_username = state.chance.happens(0.3);
    let selector = |identity: &String| Selector { identity: identity.clone(), by_username };
    let first = if state.chance.happens(0.7) { selector(&identities[0]) } else { selector(&identities[1]) };
    state.plans.actions.push(Action::CreateRequest { key: key.clone(), selector: first.clone() });
    let replaced = if state.faults.aim.0 == Port::CreateJob { 0.7 } else { 0.1 };
    if state.chance.happens(replaced) {
        state.plans.actions.push(Action::ReplaceRequest { key: key.clone(), selector: first.clone() });
    }
    if state.remote.service.creates_irrevocable_jobs {
        state.plans.actions.extend([1, 2, 3].map(|_| Action::RaiseAttempt(key.clone())));
    }
    if state.faults.aim.0 == Port::RevokeJob {
        state.plans.actions.extend([1, 2, 3].map(|_| Action::RaiseAttempt(key.clone())));
        state.plans.actions.push(Action::SetRevoked { key: key.clone(), revoked: true });
    }
    if state.chance.happens(0.3) {
        let expires = Action::SetJobState { key: key.clone(), state: JobState::Expired };
        let again = Action::Resend(key.clone());
        state.plans.actions.extend([expires.clone(), again.clone(), expires, again]);
    }
    for _ in 0..state.chance.below(6) {
        let key = key.clone();
        let action = match state.chance.below(29) {
            0 => Action::DeleteRequest(key),
            1 | 2 => Action::RecreateRequest { key, selector: first.clone() },
            3 => Action::CorrectRequest { key, selector: selector(&identities[0]) },
            4 => Action::RemoveFinalizers(key),
            5 => Action::ClearStatus(key),
            6 => Action::CreateJobManually(key),
            7 => Action::Suspend(identities[0].clone()),
            8 | 9 => Action::RaiseAttempt(key),
            10 => Action::SetRevoked { key, revoked: true },
            11 => Action::SetRevoked { key, revoked: false },
            12 => Action::Orphan(key),
            14 | 15 => Action::Pause(Object::Request(key)),
            16 => Action::Pause(Object::Config((key.0, "hosted-web".to_owned()))),
            17 => Action::RequestReconcile(Object::Request(key)),
            18 => Action::RequestReconcile(Object::Config((key.0, "hosted-web".to_owned()))),
            19 => Action::JumpClocks { back: true },
            20 => Action::JumpClocks { back: false },
            21 | 22 => Action::Resend(key),
            23 => Action::ResendEarly(key),
            24 => Action::RevokeByAnnotation(key),
            25 => Action::RemoveAnnotations(key),
            26 => Action::PassExpireTime(key),
            27 => Action::LowerAttempt(key),
            13 => Action::SwapUsernames(identities[0].clone(), identities[1].clone()),
            _ => {
                let states = ["LINK_OPENED", "COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND", "SOMETHING_NEW"];
                Action::SetJobState { key, state: JobState::from(state.chance.pick(&states)) }
            }
        };
        state.plans.actions.push(action);
    }
}
