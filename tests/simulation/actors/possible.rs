//! Which things can be done as the world is now, so that what comes of them is what is promised.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::enrollment_request::annotation_actions::{RESEND, REVOKE};
use kube::ResourceExt;
use tokio::time::Instant;

use super::{Act, Object};
use crate::kubernetes::{Key, Kind};
use crate::service::{LAG, LATE};
use crate::world::State;

/// For how long after a call a list may not show its effect: nobody lays hands on its object so soon.
fn is_fresh(state: &State, object: &impl ResourceExt) -> bool {
    let uid = object.uid().unwrap_or_default();
    let recent = |at: &Instant| at.elapsed() < LATE + LAG;
    state.record.announced.values().any(|it| it.uid == uid && recent(&it.begun))
        || state.record.emails.get(&uid).is_some_and(recent)
}

/// Whether it can be done now.
pub fn possible(state: &State, act: &Act) -> bool {
    let request = |key: &Key| state.cluster.requests.objects.get(key);
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
        | Act::RunOut(key)
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
        Act::CreateConfig(key) => !state.cluster.configs.objects.contains_key(key),
        Act::EditConfig { key, .. } | Act::RecreateConfig { key, .. } => {
            state.cluster.configs.objects.get(key).is_some_and(|config| config.metadata.deletion_timestamp.is_none())
        }
        Act::RemoveRemote(key) | Act::EditRemote(key) => {
            state.remote_of(key).is_some_and(|id| state.remote.service.config(&id).is_ok())
        }
        Act::Rebuild(namespace) => {
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
        Act::Move { key, .. } => status(key).is_some_and(|status| status.job_id.is_some()),
        // Not in the same seconds as an email of the operator's.
        Act::SendByHand(key) => {
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
        Act::ReplaceRequest { key, .. } => {
            is_there(key)
                && status(key).is_some_and(|status| status.send.is_none())
                && request(key).is_some_and(|request| is_fresh(state, request.as_ref()))
        }
        Act::LowerAttempt(key) => is_there(key) && request(key).is_some_and(|request| request.spec.attempt > 1),
        Act::DeleteSecret => !state.remote.secretless,
        Act::CreateSecret => state.remote.secretless,
        Act::LeadElsewhere => !state.remote.elsewhere && !state.remote.misdirected,
        Act::LeadBack => state.remote.elsewhere,
        Act::Misdirect => !state.remote.misdirected && !state.remote.elsewhere,
        Act::Redirect => state.remote.misdirected,
        // Not while a call is in doubt: a record that is there goes with the next write, as if somebody had wiped it.
        Act::InstallOldSchema => {
            let requests = state.cluster.requests.objects.values().any(|request| request.announced().is_some());
            let configs = state.cluster.configs.objects.values().any(|config| config.announced().is_some());
            !state.cluster.old_schema && !requests && !configs
        }
        Act::InstallSchema => state.cluster.old_schema,
        Act::RefuseStatuses => state.cluster.policy_since.is_none(),
        Act::AllowStatuses => state.cluster.policy_since.is_some(),
        Act::Suspend(person) => state.remote.service.people.get(person).is_some_and(|person| person.active),
        Act::Activate(person) => state.remote.service.people.get(person).is_some_and(|person| !person.active),
        Act::Pause(Object::Request(key)) | Act::AskForALook(Object::Request(key)) => request(key).is_some(),
        Act::Pause(Object::Config(key)) | Act::AskForALook(Object::Config(key)) => {
            state.cluster.configs.objects.contains_key(key)
        }
        Act::Resume(Object::Request(key)) => state.plans.paused.contains_key(&(EnrollmentRequest::READ, key.clone())),
        Act::Resume(Object::Config(key)) => state.plans.paused.contains_key(&(AuthenticatorConfig::READ, key.clone())),
        Act::Rename(..) | Act::ClocksJump { .. } => true,
    }
}
