//! The effects of actions.

use std::sync::Arc;

use beyond_identity_operator::api::enrollment_request::DeletionPolicy;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::api::{RESEND, REVOKE};
use beyond_identity_operator::beyond_identity::types::AuthenticatorConfigPatch;
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::Instant;

use super::{Action, Object, Recreation};
use crate::kubernetes::{Key, Kind};
use crate::remote::Remote;
use crate::service::{MAX_LAG, is_active};
use crate::specs::{config, identity, request, selector};
use crate::world::{State, World};

/// Applies an action.
pub fn apply(world: &World, action: Action) {
    let (now, wall) = (Instant::now(), world.wall());
    let mut state = world.lock();
    match action {
        Action::CreateRequest { key, selector } => {
            let new = request(&key, &identity(&state, &selector));
            state.create(new, wall);
        }
        Action::CorrectRequest { key, selector } => {
            let corrected = request(&key, &identity(&state, &selector)).spec.identity;
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.identity = corrected);
        }
        Action::DeleteRequest(key) => state.delete::<EnrollmentRequest>(&key, wall),
        Action::RecreateRequest { key, selector } => {
            state.delete::<EnrollmentRequest>(&key, wall);
            state.plans.actions.push(Action::CreateRequest { key, selector });
        }
        Action::ReplaceRequest { key, selector } => {
            state.delete::<EnrollmentRequest>(&key, wall);
            state.plans.recreate.insert(key, selector);
        }
        Action::RemoveFinalizers(key) => {
            state.record_intervention(&key);
            state.remove_finalizers::<EnrollmentRequest>(&key);
        }
        Action::ClearStatus(key) => {
            state.record_intervention(&key);
            state.clear_status(&key);
        }
        Action::RaiseAttempt(key) => state.edit(&key, |request: &mut EnrollmentRequest| request.spec.attempt += 1),
        Action::LowerAttempt(key) => state.edit(&key, |request: &mut EnrollmentRequest| request.spec.attempt -= 1),
        Action::PassExpireTime(key) => {
            let (job, _) = job_of(&state, &key);
            state.remote.service.pass_expire_time(&job, now, wall);
        }
        Action::SwitchEndpoint => {
            let copy = state.remote.service.copy_without_jobs();
            (state.remote.other.identities, state.remote.other.configs) = (copy.identities, copy.configs);
            state.change_provider(|remote| remote.other_endpoint = true);
            state.plans.actions.push(Action::RestoreEndpoint);
        }
        Action::RestoreEndpoint => state.change_provider(|remote| remote.other_endpoint = false),
        Action::Misroute => {
            state.remote.misrouted = true;
            state.plans.actions.push(Action::RestoreRouting);
            delete_some(&mut state);
        }
        Action::RestoreRouting => state.remote.misrouted = false,
        Action::InstallOldSchema => {
            state.cluster.old_schema = true;
            state.plans.actions.push(Action::InstallSchema);
        }
        Action::InstallSchema => state.cluster.old_schema = false,
        Action::RefuseStatuses => {
            state.cluster.policy_since = Some(now);
            if state.chance.happens(0.5) {
                state.plans.actions.push(Action::AllowStatuses);
            }
            delete_some(&mut state);
        }
        Action::DenyNamespace(namespace) => _ = state.cluster.denied.insert(namespace),
        Action::AllowNamespace(namespace) => {
            state.cluster.denied.remove(&namespace);
            state.cluster.changes.notify_waiters();
        }
        Action::AllowStatuses => state.cluster.policy_since = None,
        Action::SetRevoked { key, revoked } => {
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.revoked = revoked);
        }
        Action::Resend(key) => {
            let (job, now) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(RESEND.to_owned(), format!("{job}/{now}")));
        }
        Action::ResendEarly(key) => {
            let (job, _) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(RESEND.to_owned(), format!("{job}/EXPIRED")));
        }
        Action::RevokeByAnnotation(key) => {
            let (job, _) = job_of(&state, &key);
            state.annotate_request(&key, |all| _ = all.insert(REVOKE.to_owned(), job));
        }
        Action::RemoveAnnotations(key) => {
            state.annotate_request(&key, |all| all.retain(|name, _| name != RESEND && name != REVOKE))
        }
        Action::Orphan(key) => {
            state.record_intervention(&key);
            let orphan = DeletionPolicy::Orphan;
            state.edit(&key, |request: &mut EnrollmentRequest| request.spec.deletion_policy = orphan);
        }
        Action::SwapUsernames(one, other) => {
            let identities = &mut state.remote.service.identities;
            let (a, b) = (identities[&one].username.clone(), identities[&other].username.clone());
            identities.get_mut(&one).expect("there").username = b;
            identities.get_mut(&other).expect("there").username = a;
        }
        Action::CreateConfig(key) => {
            let observed = state.remote.observed.as_ref().and_then(|observed| observed.configs.get(&key.0));
            let new = config(&key, observed);
            state.create(new, wall);
        }
        Action::EditConfig { key, origin } => state.edit(&key, |config: &mut AuthenticatorConfig| {
            config.spec.config.trusted_origins = Some(vec![origin]);
        }),
        Action::RecreateConfig { key, how } => {
            if how == Recreation::Orphan {
                state.orphan_config(&key);
            }
            if how == Recreation::WithReferrers {
                let refers = |(other, request): &(&Key, &Arc<EnrollmentRequest>)| {
                    other.0 == key.0 && request.metadata.deletion_timestamp.is_none()
                };
                let referrers = state.cluster.requests.objects.iter().filter(refers);
                let referrers: Vec<_> =
                    referrers.map(|(key, request)| (key.clone(), selector(&state, request))).collect();
                for (key, selector) in referrers {
                    state.delete::<EnrollmentRequest>(&key, wall);
                    state.plans.actions.push(Action::CreateRequest { key, selector });
                }
            }
            state.delete::<AuthenticatorConfig>(&key, wall);
            state.plans.actions.push(Action::CreateConfig(key));
        }
        Action::RemoveRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            _ = state.remote.service.delete_config(&id, now);
        }
        Action::EditRemote(key) => {
            let id = state.remote_of(&key).unwrap_or_default();
            let origins = json!({ "trusted_origins": ["https://other.example.com"] });
            let config = origins.as_object().cloned();
            _ = state.remote.service.patch_config(&id, &AuthenticatorConfigPatch { display_name: None, config }, now);
        }
        Action::Rebuild(namespace) => {
            state.rebuild::<EnrollmentRequest>(&namespace, wall);
            state.rebuild::<AuthenticatorConfig>(&namespace, wall);
        }
        Action::SetJobState { key, state: to } => {
            let request = EnrollmentRequest::table(&mut state).objects.get(&key).cloned();
            let job = request.and_then(|request| request.status.as_ref()?.job_id.clone()).unwrap_or_default();
            // A job that is not active does not change.
            if state.remote.service.jobs.get(&job).is_some_and(|job| is_active(job.now())) {
                state.remote.service.set_state(&job, to, now);
            }
        }
        Action::CreateJobManually(key) => {
            let status = state.cluster.requests.objects.get(&key).and_then(|request| request.status.clone());
            let status = status.unwrap_or_default();
            let (identity, config) = (status.identity_id.unwrap_or_default(), status.authenticator_config_id);
            let State { remote: Remote { service, .. }, chance, .. } = &mut *state;
            let mut moment = crate::service::Moment { now, wall, chance };
            let job =
                service.add_job(&identity, &config.unwrap_or_default(), None, std::time::Duration::ZERO, &mut moment);
            // Lists show it at once.
            service.jobs.get_mut(&job).expect("just created").history[0].0 = now.checked_sub(MAX_LAG).expect("a time");
        }
        Action::Pause(Object::Request(key)) => {
            state.pause::<EnrollmentRequest>(&key);
            state.plans.actions.push(Action::Resume(Object::Request(key)));
        }
        Action::Pause(Object::Config(key)) => {
            state.pause::<AuthenticatorConfig>(&key);
            state.plans.actions.push(Action::Resume(Object::Config(key)));
        }
        Action::Resume(Object::Request(key)) => state.resume::<EnrollmentRequest>(&key),
        Action::Resume(Object::Config(key)) => state.resume::<AuthenticatorConfig>(&key),
        Action::RequestReconcile(object) => {
            let value = state.number().to_string();
            match object {
                Object::Request(key) => state.annotate::<EnrollmentRequest>(&key, RECONCILE_REQUESTED_AT, &value),
                Object::Config(key) => state.annotate::<AuthenticatorConfig>(&key, RECONCILE_REQUESTED_AT, &value),
            }
        }
        Action::DeleteSecret => {
            state.change_provider(|remote| remote.secret_deleted = true);
            state.plans.actions.push(Action::CreateSecret);
        }
        Action::RefuseToken => {
            let token = state.remote.token;
            state.remote.refused.insert(token, now);
        }
        Action::AcceptToken => state.remote.accept_tokens(),
        Action::ReplaceToken => state.change_provider(|remote| {
            remote.refused.entry(remote.token).or_insert(now);
            remote.token += 1;
            remote.accepted_since = Some(now);
        }),
        Action::PauseProvider => state.change_provider(|remote| remote.paused_since = Some(now)),
        Action::ResumeProvider => state.change_provider(|remote| remote.paused_since = None),
        Action::AllowRevokingAdopted(allowed) => state.change_provider(|remote| {
            let observed = remote.observed.as_mut().expect("possible");
            (observed.allows_revoking, observed.changed) = (allowed, Some(now));
        }),
        Action::SetSendLimit(limit) => {
            state.change_provider(|remote| remote.limits.max_sends_per_hour = Some(limit));
        }
        Action::CreateSecret => state.change_provider(|remote| remote.secret_deleted = false),
        Action::JumpClocks { back } => state.clock_jumps += SignedDuration::from_hours(if back { -1 } else { 1 }),
        Action::Suspend(identity) => {
            state.remote.service.identities.get_mut(&identity).expect("possible").active = false;
            state.plans.actions.push(Action::Activate(identity));
        }
        Action::Activate(identity) => {
            state.remote.service.identities.get_mut(&identity).expect("possible").active = true
        }
    }
}

/// Plans the deletion of some requests during a disturbance.
fn delete_some(state: &mut State) {
    let keys: Vec<Key> = state.cluster.requests.objects.keys().cloned().collect();
    for key in keys {
        if state.chance.happens(0.5) {
            state.plans.actions.push(Action::DeleteRequest(key));
        }
    }
}

/// The job in the status of a request, and its state.
fn job_of(state: &State, key: &Key) -> (String, String) {
    let status = state.cluster.requests.objects.get(key).and_then(|request| request.status.clone()).unwrap_or_default();
    (status.job_id.unwrap_or_default(), status.state.unwrap_or_default())
}
