//! What there is at the beginning of a run, and what people will do in it.

use std::time::Duration;

use beyond_identity_operator::authenticator_config::desired::Desired;
use beyond_identity_operator::beyond_identity::types::JobState;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::actors::{self, Act, Object, Recreation, Who};
use crate::faults::{Fault, Port};
use crate::kubernetes::Key;
use crate::reconciles::{SETTLE, options};
use crate::remote::Remote;
use crate::service::{Moment, Person};
use crate::specs;
use crate::world::{State, World};

/// Prepares the world. With `rivals`, two requests may be about one person.
pub fn prepare(world: &World, rivals: bool) {
    let (now, wall) = (Instant::now(), world.wall());
    let there = prepare_all(&mut world.lock(), rivals, now, wall);
    there.into_iter().for_each(|act| actors::now(world, act));
}

/// Answers what was done before the first process starts.
fn prepare_all(state: &mut State, rivals: bool, now: Instant, wall: Timestamp) -> Vec<Act> {
    state.remote.service.terse = state.chance.happens(0.1);
    state.remote.service.keeps_links = state.chance.happens(0.05);
    state.remote.service.has_stuck_jobs = state.chance.happens(0.15);
    state.remote.service.odd_method = state.chance.happens(0.03);
    let namespaces = state.chance.pick(&[&["a"][..], &["a", "b"][..]]);
    for namespace in namespaces {
        let config = prepare_config(state, &((*namespace).to_owned(), "hosted-web".to_owned()), now, wall);
        let requests = 1 + state.chance.below(2);
        let mut people = Vec::new();
        for number in 0..requests {
            // By another namespace's configuration somebody may be enrolled, too.
            let of_another = rivals && *namespace == "b" && state.chance.happens(0.3);
            if of_another {
                people = ["", "-namesake"].map(|suffix| format!("person-a-0{suffix}")).to_vec();
            } else if people.is_empty() || !(rivals && state.chance.happens(0.5)) {
                people = prepare_people(state, &format!("person-{namespace}-{number}"), config.as_deref(), now, wall);
            }
            prepare_request(state, &((*namespace).to_owned(), format!("r{number}")), &people);
        }
    }
    if state.chance.happens(0.2) {
        state.plans.acts.push(Act::DeleteSecret);
    }
    for problem in [Act::LeadElsewhere, Act::Misdirect, Act::InstallOldSchema, Act::RefuseStatuses] {
        if state.chance.happens(0.07) {
            state.plans.acts.push(problem);
        }
    }
    let (mut there, mut later) = (Vec::new(), Vec::new());
    for act in std::mem::take(&mut state.plans.acts) {
        let creates = matches!(act, Act::CreateConfig(_) | Act::CreateRequest { .. });
        if creates && state.chance.happens(0.8) { there.push(act) } else { later.push(act) }
    }
    state.plans.acts = later;
    there
}

/// Answers the id of the configuration that was made before the cluster was lost, if there was one.
fn prepare_config(state: &mut State, key: &Key, now: Instant, wall: Timestamp) -> Option<String> {
    state.plans.acts.push(Act::CreateConfig(key.clone()));
    for _ in 0..state.chance.below(3) {
        let number = state.number();
        let act = match state.chance.below(6) {
            0 => {
                let how = state.chance.pick(&[Recreation::WithUsers, Recreation::Alone]);
                recreate(key, how)
            }
            1 => recreate(key, Recreation::Orphan),
            2 => Act::RemoveRemote(key.clone()),
            3 => Act::EditRemote(key.clone()),
            _ => edit(key, number),
        };
        state.plans.acts.push(act);
    }
    if state.chance.happens(0.2) {
        // In whatever order: a rebuild after something was removed, or before.
        state.plans.acts.push(Act::RemoveRemote(key.clone()));
        state.plans.acts.extend([1, 2].map(|_| Act::Rebuild(key.0.clone())));
    }
    let (aim, _, fault) = state.faults.aim;
    if fault == Fault::Act {
        state.plans.acts.extend((0..20).map(|number| edit(key, number)));
        state.plans.acts.extend([1, 2, 3].map(|_| recreate(key, Recreation::Orphan)));
    }
    match aim {
        Port::DeleteConfig | Port::ListReferrers => {
            state.plans.acts.extend([1, 2].map(|_| recreate(key, Recreation::WithUsers)))
        }
        Port::PatchConfig => state.plans.acts.extend((0..3).map(|number| edit(key, number))),
        _ => {}
    }
    let State { remote: Remote { service, .. }, chance, .. } = state;
    (aim != Port::CreateConfig && chance.happens(0.5)).then(|| {
        let mut new = Desired::of(&specs::config(key), &options(SETTLE)).create();
        if chance.happens(0.5) {
            new.config.remove("trusted_origins");
        }
        let before = now.checked_sub(Duration::from_secs(7200)).expect("there is a time before the beginning");
        service.create_config(&new, &mut Moment { now: before, wall, chance }).expect("it is made").id
    })
}

fn recreate(key: &Key, how: Recreation) -> Act {
    Act::RecreateConfig { key: key.clone(), how }
}

fn edit(key: &Key, number: u64) -> Act {
    Act::EditConfig { key: key.clone(), origin: format!("https://{number}.example.com") }
}

/// How many jobs a person has that are all dead by now, and that a list may still show as if they worked.
const MANY: u64 = 30;

/// Somebody, and somebody else whom a request may name by mistake; with jobs from before.
fn prepare_people(state: &mut State, person: &str, config: Option<&str>, now: Instant, wall: Timestamp) -> Vec<String> {
    let people = vec![person.to_owned(), format!("{person}-namesake")];
    for id in &people {
        let username = format!("{id}@example.com");
        state.remote.service.people.insert(id.clone(), Person { active: true, username });
        let many = state.chance.happens(0.02);
        for _ in 0..if many { MANY } else { state.chance.pick(&[0, 0, 1, 2]) } {
            let oldest = Duration::from_secs(state.chance.pick(&[55, 4000]));
            let State { remote: Remote { service, .. }, chance, .. } = &mut *state;
            let age = chance.between(Duration::from_secs(31), oldest);
            let mut moment = Moment { now, wall, chance };
            let job = service.add_job(id, config.unwrap_or("another"), None, age, &mut moment);
            if state.chance.happens(0.2) {
                state.remote.service.run_out(&job, now, wall);
                continue;
            }
            if many {
                state.remote.service.set_state(&job, JobState::Expired, now);
                continue;
            }
            let to = state.chance.pick(&["LINK_SENT", "EXPIRED", "REVOKED", "REVOKED", "FAILED_TO_SEND", "COMPLETE"]);
            state.remote.service.set_state(&job, JobState::from(to), now);
        }
    }
    people
}

fn prepare_request(state: &mut State, key: &Key, people: &[String]) {
    let by_username = state.chance.happens(0.3);
    let who = |person: &String| Who { person: person.clone(), by_username };
    let first = if state.chance.happens(0.7) { who(&people[0]) } else { who(&people[1]) };
    state.plans.acts.push(Act::CreateRequest { key: key.clone(), who: first.clone() });
    let replaced = if state.faults.aim.0 == Port::CreateJob { 0.7 } else { 0.1 };
    if state.chance.happens(replaced) {
        state.plans.acts.push(Act::ReplaceRequest { key: key.clone(), who: first.clone() });
    }
    if state.remote.service.has_stuck_jobs {
        state.plans.acts.extend([1, 2, 3].map(|_| Act::RaiseAttempt(key.clone())));
    }
    if state.faults.aim.0 == Port::RevokeJob {
        state.plans.acts.extend([1, 2, 3].map(|_| Act::RaiseAttempt(key.clone())));
        state.plans.acts.push(Act::SetRevoked { key: key.clone(), revoked: true });
    }
    if state.chance.happens(0.3) {
        let expires = Act::Move { key: key.clone(), state: JobState::Expired };
        let again = Act::Resend(key.clone());
        state.plans.acts.extend([expires.clone(), again.clone(), expires, again]);
    }
    for _ in 0..state.chance.below(6) {
        let key = key.clone();
        let act = match state.chance.below(29) {
            0 => Act::DeleteRequest(key),
            1 | 2 => Act::RecreateRequest { key, who: first.clone() },
            3 => Act::CorrectRequest { key, who: who(&people[0]) },
            4 => Act::FreeRequest(key),
            5 => Act::StripRequest(key),
            6 => Act::SendByHand(key),
            7 => Act::Suspend(people[0].clone()),
            8 | 9 => Act::RaiseAttempt(key),
            10 => Act::SetRevoked { key, revoked: true },
            11 => Act::SetRevoked { key, revoked: false },
            12 => Act::Orphan(key),
            14 | 15 => Act::Pause(Object::Request(key)),
            16 => Act::Pause(Object::Config((key.0, "hosted-web".to_owned()))),
            17 => Act::AskForALook(Object::Request(key)),
            18 => Act::AskForALook(Object::Config((key.0, "hosted-web".to_owned()))),
            19 => Act::ClocksJump { back: true },
            20 => Act::ClocksJump { back: false },
            21 | 22 => Act::Resend(key),
            23 => Act::ResendEarly(key),
            24 => Act::RevokeByName(key),
            25 => Act::StripAnnotations(key),
            26 => Act::RunOut(key),
            27 => Act::LowerAttempt(key),
            13 => Act::Rename(people[0].clone(), people[1].clone()),
            _ => {
                let states = ["LINK_OPENED", "COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND", "SOMETHING_NEW"];
                Act::Move { key, state: JobState::from(state.chance.pick(&states)) }
            }
        };
        state.plans.acts.push(act);
    }
}
