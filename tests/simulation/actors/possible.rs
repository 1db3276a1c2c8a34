//! Whether an action is possible now, so that the promise covers its outcome.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::api::{RESEND, REVOKE};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{Action, Object};
use crate::kubernetes::{Key, Kind};
use crate::service::{MAX_DELAY, MAX_LAG};
use crate::world::State;

/// Whether lists may not yet show the last call of an object. Interventions on it are not possible then.
fn is_fresh(state: &State, object: &impl ResourceExt) -> bool {
    let uid = object.uid().unwrap_or_default();
    let recent = |at: &Instant| at.elapsed() < MAX_DELAY + MAX_LAG;
    state.record.announced.values().any(|it| it.uid == uid && recent(&it.started))
        || state.record.emails.get(&uid).is_some_and(recent)
}

/// Whether an action is possible now.
pub fn possible(state: &State, action: &Action) -> bool {
    let request = |key: &Key| state.cluster.requests.objects.get(key);
    let status = |key: &Key| request(key).and_then(|request| request.status.clone());
    let is_there = |key: &Key| request(key).is_some_and(|request| request.metadata.deletion_timestamp.is_none());
    let is_calm = |key: &Key| {
        request(key).is_some_and(|request| !is_fresh(state, request.as_ref()))
            && status(key).is_some_and(|status| status.send.is_none())
    };
    match action {
        Action::CreateRequest { key, .. } => request(key).is_none(),
        Action::CorrectRequest { key, .. } => {
            status(key).is_some_and(|status| status.send.is_none() && status.attempt.is_none())
        }
        Action::DeleteRequest(key)
        | Action::RecreateRequest { key, .. }
        | Action::RaiseAttempt(key)
        | Action::PassExpireTime(key)
        | Action::SetRevoked { key, .. }
        | Action::Orphan(key) => is_there(key),
        Action::Resend(key) | Action::ResendEarly(key) | Action::RevokeByAnnotation(key) => {
            is_there(key) && status(key).is_some_and(|status| status.job_id.is_some())
        }
        Action::RemoveAnnotations(key) => {
            is_there(key)
                && request(key).is_some_and(|it| [RESEND, REVOKE].iter().any(|a| it.annotations().contains_key(*a)))
        }
        Action::RemoveFinalizers(key) => {
            is_calm(key) && request(key).is_some_and(|request| !request.finalizers().is_empty())
        }
        Action::ClearStatus(key) => is_calm(key) && is_there(key),
        Action::CreateConfig(key) => !state.cluster.configs.objects.contains_key(key),
        Action::EditConfig { key, .. } | Action::RecreateConfig { key, .. } => {
            state.cluster.configs.objects.get(key).is_some_and(|config| config.metadata.deletion_timestamp.is_none())
        }
        // The operator does not create an observed configuration again.
        Action::RemoveRemote(_) if state.remote.observed.is_some() => false,
        Action::RemoveRemote(key) | Action::EditRemote(key) => {
            state.remote_of(key).is_some_and(|id| state.remote.service.config(&id).is_ok())
        }
        Action::Rebuild(namespace) => {
            let here = |key: &&Key| key.0 == *namespace;
            let whole = |config: &AuthenticatorConfig| {
                let status = config.status.clone().unwrap_or_default();
                let is_deleted = config.metadata.deletion_timestamp.is_some();
                !is_deleted && status.create.is_none() && status.id.is_some() && !is_fresh(state, config)
            };
            state.cluster.configs.objects.iter().any(|(key, _)| here(&key))
                && state.cluster.configs.objects.iter().filter(|(key, _)| here(key)).all(|(_, config)| whole(config))
                && state.cluster.requests.objects.keys().filter(here).all(|key| is_calm(key) && is_there(key))
        }
        Action::SetJobState { key, .. } => status(key).is_some_and(|status| status.job_id.is_some()),
        // Not at about the same time as an email of the operator.
        Action::CreateJobManually(key) => {
            is_there(key)
                && state
                    .cluster
                    .requests
                    .objects
                    .values()
                    .filter(|other| other.namespace().as_ref() == Some(&key.0))
                    .all(|other| {
                        let status = other.status.clone().unwrap_or_default();
                        !is_fresh(state, other.as_ref())
                            && status.send.is_none()
                            && status.attempt >= Some(other.spec.attempt)
                    })
        }
        Action::ReplaceRequest { key, .. } => {
            is_there(key)
                && status(key).is_some_and(|status| status.send.is_none())
                && request(key).is_some_and(|request| is_fresh(state, request.as_ref()))
        }
        Action::LowerAttempt(key) => is_there(key) && request(key).is_some_and(|request| request.spec.attempt > 1),
        Action::DeleteSecret => !state.remote.secret_deleted,
        Action::CreateSecret => state.remote.secret_deleted,
        Action::RefuseToken => !state.remote.refuses_token(),
        Action::AcceptToken => state.remote.refuses_token(),
        Action::PauseProvider => state.remote.paused_since.is_none(),
        Action::ResumeProvider => state.remote.paused_since.is_some(),
        Action::AllowRevokingAdopted(allowed) => {
            state.remote.observed.as_ref().is_some_and(|observed| observed.allows_revoking != *allowed)
        }
        Action::DenyNamespace(namespace) => {
            !state.denies(namespace) && state.cluster.configs.objects.keys().any(|key| key.0 == *namespace)
        }
        Action::AllowNamespace(namespace) => state.denies(namespace),
        Action::SwitchEndpoint => !state.remote.other_endpoint && !state.remote.misrouted,
        Action::RestoreEndpoint => state.remote.other_endpoint,
        Action::Misroute => !state.remote.misrouted && !state.remote.other_endpoint,
        Action::RestoreRouting => state.remote.misrouted,
        // Not while a call is in doubt: the next write would drop the record.
        Action::InstallOldSchema => {
            let requests = state.cluster.requests.objects.values().any(|request| request.announced().is_some());
            let configs = state.cluster.configs.objects.values().any(|config| config.announced().is_some());
            !state.cluster.old_schema && !requests && !configs
        }
        Action::InstallSchema => state.cluster.old_schema,
        Action::RefuseStatuses => state.cluster.policy_since.is_none(),
        Action::AllowStatuses => state.cluster.policy_since.is_some(),
        Action::Suspend(identity) => {
            state.remote.service.identities.get(identity).is_some_and(|identity| identity.active)
        }
        Action::Activate(identity) => {
            state.remote.service.identities.get(identity).is_some_and(|identity| !identity.active)
        }
        Action::Pause(Object::Request(key)) | Action::RequestReconcile(Object::Request(key)) => request(key).is_some(),
        Action::Pause(Object::Config(key)) | Action::RequestReconcile(Object::Config(key)) => {
            state.cluster.configs.objects.contains_key(key)
        }
        Action::Resume(Object::Request(key)) => {
            state.plans.paused.contains_key(&(EnrollmentRequest::READ, key.clone()))
        }
        Action::Resume(Object::Config(key)) => {
            state.plans.paused.contains_key(&(AuthenticatorConfig::READ, key.clone()))
        }
        Action::SwapUsernames(..) | Action::JumpClocks { .. } | Action::SetSendLimit(_) | Action::ReplaceToken => true,
    }
}
