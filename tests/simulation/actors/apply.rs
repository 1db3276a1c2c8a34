//! What becomes of the world when somebody does something.

use std::sync::Arc;

use beyond_identity_operator::api::enrollment_request::DeletionPolicy;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::beyond_identity::types::AuthenticatorConfigPatch;
use beyond_identity_operator::enrollment_request::annotation_actions::{RESEND, REVOKE};
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::Instant;

use super::{Act, Object, Recreation};
use crate::kubernetes::{Key, Kind};
use crate::remote::Remote;
use crate::service::{LAG, is_live};
use crate::specs::{config, identity, request, who};
use crate::world::{State, World};

/// Does it, now.
pub fn apply(world: &World, act: Act) {
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
            state.plans.acts.push(Act::CreateRequest { key, who });
        }
        Act::ReplaceRequest { key, who } => {
            state.delete::<EnrollmentRequest>(&key, wall);
            state.plans.again.insert(key, who);
        }
        Act::FreeRequest(key) => {
            state.touch(&key);
            state.free::<EnrollmentRequest>(&key);
        }
        Act::StripRequest(key) => {
            state.touch(&key);
            state.strip(&key);
        }
        Act::RaiseAttempt(key) => state.edit(&key, |request: &mut EnrollmentRequest| request.spec.attempt += 1),
        Act::LowerAttempt(key) => state.edit(&key, |request: &mut EnrollmentRequest| request.spec.attempt -= 1),
        Act::RunOut(key) => {
            let (job, _) = job_of(&state, &key);
            state.remote.service.run_out(&job, now, wall);
        }
        Act::LeadElsewhere => {
            let twin = state.remote.service.twin();
            (state.remote.other.people, state.remote.other.configs) = (twin.people, twin.configs);
            state.change_provider(|remote| remote.elsewhere = true);
            state.plans.acts.push(Act::LeadBack);
        }
        Act::LeadBack => state.change_provider(|remote| remote.elsewhere = false),
        Act::Misdirect => {
            state.remote.misdirected = true;
            state.plans.acts.push(Act::Redirect);
            delete_some(&mut state);
        }
        Act::Redirect => state.remote.misdirected = false,
        Act::InstallOldSchema => {
            state.cluster.old_schema = true;
            state.plans.acts.push(Act::InstallSchema);
        }
        Act::InstallSchema => state.cluster.old_schema = false,
        Act::RefuseStatuses => {
            state.cluster.policy_since = Some(now);
            if state.chance.happens(0.5) {
                state.plans.acts.push(Act::AllowStatuses);
            }
            delete_some(&mut state);
        }
        Act::AllowStatuses => state.cluster.policy_since = None,
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
            state.touch(&key);
            let orphan = DeletionPolicy::Orphan;
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.deletion_policy = orphan);
        }
        Act::Rename(one, other) => {
            let people = &mut state.remote.service.people;
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
                let referrers = state.cluster.requests.objects.iter().filter(refers);
                let referrers: Vec<_> = referrers.map(|(key, user)| (key.clone(), who(&state, user))).collect();
                for (key, who) in referrers {
                    state.delete::<EnrollmentRequest>(&key, wall);
                    state.plans.acts.push(Act::CreateRequest { key, who });
                }
            }
            state.delete::<AuthenticatorConfig>(&key, wall);
            state.plans.acts.push(Act::CreateConfig(key));
        }
        Act::RemoveRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            _ = state.remote.service.delete_config(&id, now);
        }
        Act::EditRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            let origins = json!({ "trusted_origins": ["https://somebody.example.com"] });
            let config = origins.as_object().cloned();
            _ = state.remote.service.patch_config(&id, &AuthenticatorConfigPatch { display_name: None, config }, now);
        }
        Act::Rebuild(namespace) => {
            state.rebuild::<EnrollmentRequest>(&namespace, wall);
            state.rebuild::<AuthenticatorConfig>(&namespace, wall);
        }
        Act::Move { key, state: to } => {
            let request = EnrollmentRequest::table(&mut state).objects.get(&key).cloned();
            let job = request.and_then(|request| request.status.as_ref()?.job_id.clone()).unwrap_or_default();
            // What is dead stays dead.
            if state.remote.service.jobs.get(&job).is_some_and(|job| is_live(job.now())) {
                state.remote.service.set_state(&job, to, now);
            }
        }
        Act::SendByHand(key) => {
            let status = state.cluster.requests.objects.get(&key).and_then(|request| request.status.clone());
            let status = status.unwrap_or_default();
            let (person, config) = (status.identity_id.unwrap_or_default(), status.authenticator_config_id);
            let State { remote: Remote { service, .. }, chance, .. } = &mut *state;
            let mut moment = crate::service::Moment { now, wall, chance };
            let job =
                service.add_job(&person, &config.unwrap_or_default(), None, std::time::Duration::ZERO, &mut moment);
            // Every list shows it from the beginning.
            service.jobs.get_mut(&job).expect("just made").history[0].0 = now.checked_sub(LAG).expect("a time");
        }
        Act::Pause(Object::Request(key)) => {
            state.pause::<EnrollmentRequest>(&key);
            state.plans.acts.push(Act::Resume(Object::Request(key)));
        }
        Act::Pause(Object::Config(key)) => {
            state.pause::<AuthenticatorConfig>(&key);
            state.plans.acts.push(Act::Resume(Object::Config(key)));
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
            state.change_provider(|remote| remote.secretless = true);
            state.plans.acts.push(Act::CreateSecret);
        }
        Act::CreateSecret => state.change_provider(|remote| remote.secretless = false),
        Act::ClocksJump { back } => state.clocks += SignedDuration::from_hours(if back { -1 } else { 1 }),
        Act::Suspend(person) => {
            state.remote.service.people.get_mut(&person).expect("possible").active = false;
            state.plans.acts.push(Act::Activate(person));
        }
        Act::Activate(person) => state.remote.service.people.get_mut(&person).expect("possible").active = true,
    }
}

/// Somebody will delete some of the requests, while there is something in the way.
fn delete_some(state: &mut State) {
    let keys: Vec<Key> = state.cluster.requests.objects.keys().cloned().collect();
    for key in keys {
        if state.chance.happens(0.5) {
            state.plans.acts.push(Act::DeleteRequest(key));
        }
    }
}

/// The job that a request names, and its state there.
fn job_of(state: &State, key: &Key) -> (String, String) {
    let status = state.cluster.requests.objects.get(key).and_then(|request| request.status.clone()).unwrap_or_default();
    (status.job_id.unwrap_or_default(), status.state.unwrap_or_default())
}
