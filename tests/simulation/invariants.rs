//! The invariants during a run and at its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::RESEND;
use beyond_identity_operator::api::enrollment_request::{IdentityRef, SendRecord, Skipped};
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, EnrollmentRequestStatus};
use beyond_identity_operator::authenticator_config::desired::Desired;
use beyond_identity_operator::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, JobState};
use beyond_identity_operator::enrollment_request::annotation_actions::AnnotationActions;
use beyond_identity_operator::reconcile::annotations::{is_paused, reconcile_requested};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::budget;
use crate::faults::Port;
use crate::kubernetes::{Kind, key};
use crate::observed;
use crate::process::Process;
use crate::reconciles::{GRACE, SETTLE, options};
use crate::record::Announcement;
use crate::service::{Job, has_expired, is_active};
use crate::world::{State, World};

/// The maximum difference between the clocks of processes and the API server.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// The maximum duration of a deletion while the status cannot be written.
const MAX_DELETION_WITHOUT_STATUS: Duration = Duration::from_secs(1700);

/// How long something must have existed before a call to be known. Lists lag, and a process can be suspended before the
/// call.
pub const PROPAGATION: Duration = Duration::from_secs(600);

/// Before a write to the service: the process is not shutting down, and no other process is the leader.
pub fn before_a_remote_write(process: &Process, port: Port) {
    let mut state = process.world.lock();
    let name = &process.name;
    if process.ending.load(Ordering::SeqCst) {
        state.violate(format!("{name} starts {port:?} during its shutdown"));
    }
    let leader =
        state.cluster.lease.holder().filter(|leader| process.is_elected() && leader != name).map(str::to_owned);
    if let Some(leader) = leader {
        state.violate(format!("{name} starts {port:?}, but {leader} is the leader"));
    }
}

/// After the email of `job` for the record `id`: it is the only one for its attempt, the record still exists, and there
/// was no job to adopt.
pub fn after_an_email(state: &mut State, id: &str, job: &str, (now, wall): (Instant, Timestamp)) {
    let Some(announcement) = state.record.announced.get_mut(id) else {
        return state.violate(format!("an email was sent for the record {id}, which was never written"));
    };
    announcement.jobs.push(job.to_owned());
    let announced = announcement.clone();
    let Announcement { uid, record, started, .. } = announced.clone();
    state.record.emails.insert(uid.clone(), now);
    let emails = state.record.emails_for(&uid, &record);
    if emails > 1 {
        let resend = record.resend_of.map(|job| format!(" (resend of the job {job})")).unwrap_or_default();
        state.violate(format!("{emails} emails for attempt {}{resend} of the request {uid}", record.attempt));
    }
    let request = state.cluster.requests.objects.values().find(|request| request.uid().as_ref() == Some(&uid)).cloned();
    let status = request.as_ref().and_then(|request| request.status.clone()).unwrap_or_default();
    if let Some(key) = request.as_ref().map(|request| key(request.as_ref()))
        && state.record.resolved_without_secret.get(&key).is_some_and(|resolved| *resolved <= started)
    {
        state.violate(format!("an email was sent for {key:?} with a token that was deleted before the announcement"));
    }
    let Some(send) = status.send.filter(|send| send.id == id) else {
        if !state.record.mutated {
            state.violate(format!("an email was sent for the record {id}, which no longer exists"));
        }
        return;
    };
    if let Some(other) = competing_request(state, &uid, &send) {
        let name = &other.metadata.name;
        state.violate(format!("an email was sent for the record {id}, but the request {name:?} has the same identity"));
    }
    if status.attempt.is_none()
        && let Some(created) = request.as_ref().and_then(|request| request.metadata.creation_timestamp.as_ref())
        && let age = Duration::try_from(wall.duration_since(created.0)).unwrap_or_default()
        && !announcement_is_justified(&announced, now.checked_sub(age).unwrap_or(now))
    {
        state.violate(format!("an email was sent for the record {id} without a recent list of jobs"));
    }
    if status.attempt.is_none()
        && let Some(job) = to_adopt(state, &send, now, wall)
    {
        state.violate(format!("an email was sent for the record {id}, although the job {job} could be adopted"));
    }
}

/// Whether a list of jobs from before a first record shows what its request, which was created at `created`, may send.
fn announcement_is_justified(announcement: &Announcement, created: Instant) -> bool {
    let Announcement { started, listed, listed_realm, .. } = announcement;
    let mut lists = listed_realm.iter().chain(listed);
    lists.any(|at| (created..=*started).contains(at) && *at + PROPAGATION >= *started)
}

/// Another request with the identity and configuration of `send`, by its status and by its spec.
fn competing_request<'a>(state: &'a State, uid: &str, send: &SendRecord) -> Option<&'a EnrollmentRequest> {
    let has_same_target = |other: &&Arc<EnrollmentRequest>| {
        let status = other.status.clone().unwrap_or_default();
        let concluded = status.identity_id.zip(status.authenticator_config_id);
        let in_doubt = status.send.map(|send| (send.identity_id, send.authenticator_config_id));
        let target = (send.identity_id.clone(), send.authenticator_config_id.clone());
        in_doubt.or(concluded) == Some(target)
    };
    let others = state.cluster.requests.objects.values();
    let others = others.filter(|other| other.uid().as_deref() != Some(uid) && !was_revoked_before_it_sent(other));
    let has_identity = |other: &&Arc<EnrollmentRequest>| identity_of(state, other).as_ref() == Some(&send.identity_id);
    others.filter(has_same_target).find(has_identity).map(AsRef::as_ref)
}

/// Whether the request was revoked before it sent an email, so that others may send.
fn was_revoked_before_it_sent(request: &EnrollmentRequest) -> bool {
    let status = request.status.clone().unwrap_or_default();
    status.skipped == Some(Skipped::Revoked) && status.send.is_none() && names(&status).next().is_none()
}

/// A job that should have been adopted instead of the send.
fn to_adopt(state: &State, send: &SendRecord, now: Instant, wall: Timestamp) -> Option<String> {
    let statuses = || state.cluster.requests.objects.values().filter_map(|request| request.status.as_ref());
    let is_named = |id: &String| statuses().any(|status| names(status).any(|named| named == id));
    let fits = |job: &&Job| {
        let job_now = job.now();
        job.history[0].0 + PROPAGATION < now
            && job_now.identity_id.as_ref() == Some(&send.identity_id)
            && job_now.authenticator_config_id.as_ref() == Some(&send.authenticator_config_id)
            && ((is_active(job_now) && !has_expired(job_now, wall)) || job_now.state == Some(JobState::Complete))
            && !is_named(&job_now.id)
    };
    let service =
        if send.endpoint.as_deref() == Some("https://other") { &state.remote.other } else { &state.remote.service };
    service.jobs.values().find(fits).map(|job| job.now().id.clone())
}

fn names(status: &EnrollmentRequestStatus) -> impl Iterator<Item = &String> {
    status.job_id.iter().chain(status.previous_jobs.iter().map(|job| &job.id))
}

/// After a write of a status: no other request has its job, and an adopted job was read by id.
pub fn after_a_status(state: &mut State, request: &EnrollmentRequest) {
    let status = request.status.clone().unwrap_or_default();
    let others = state.cluster.requests.objects.values().filter(|other| other.uid() != request.uid());
    for other in others {
        let both =
            names(&status).find(|id| other.status.as_ref().is_some_and(|other| names(other).any(|it| it == *id)));
        if let Some(id) = both {
            let what = format!("the job {id} is in the status of {} and of {}", request.name_any(), other.name_any());
            return state.violate(what);
        }
    }
    if let (Some(id), Some(uid)) = (&status.job_id, request.uid()) {
        state.record.claimed_by.entry(id.clone()).or_insert(uid);
    }
    if let Some(send) = &status.send
        && let Some(resend_of) = &send.resend_of
        && state.record.resends.insert(send.id.clone())
    {
        // The record was written under the version that was read, which has the annotation for this job and state.
        let (id, now) = (status.job_id.clone().unwrap_or_default(), status.state.clone().unwrap_or_default());
        let is_finished = ["EXPIRED", "FAILED_TO_SEND", "REVOKED"].contains(&now.as_str());
        let has_annotation =
            |state: &str| request.annotations().get(RESEND).is_some_and(|it| *it == format!("{id}/{state}"));
        let requested =
            (is_finished && has_annotation(&now)) || (status.expired == Some(true) && has_annotation("EXPIRED"));
        if *resend_of != id || !requested {
            state.violate(format!(
                "{} resends for the job {resend_of} in state {now}, which was not requested",
                request.name_any()
            ));
        }
    }
    if status.adopted == Some(true)
        && let Some(id) = status.job_id.filter(|id| !state.record.read.contains(id))
    {
        state.violate(format!("the job {id} was adopted without a read by id"));
    }
    if status.adopted == Some(true)
        && let Some(id) = request.status.as_ref().and_then(|status| status.job_id.clone())
        && state.record.adopted.insert(id.clone())
        && !state.remote.service.minimal_answers
        && state.remote.job(&id).and_then(expired_since).is_some_and(|since| since.elapsed() > PROPAGATION)
    {
        state.violate(format!("the job {id} was adopted after its expire time"));
    }
}

/// Since when the expire time of a job has passed, if the service still shows an active state.
fn expired_since(job: &Job) -> Option<Instant> {
    let first = &job.history[0].1.expire_time;
    let (since, _) = job.history.iter().find(|(_, later)| later.expire_time != *first)?;
    is_active(job.now()).then_some(*since)
}

/// After an event about retained resources of an object: the named jobs, or the possible result of a call in doubt.
pub fn after_retained_event<K: Kind>(state: &mut State, object: &K, note: &str) {
    let named: Vec<String> =
        state.remote.all_jobs().map(|(id, _)| id.clone()).filter(|id| note.contains(id.as_str())).collect();
    if named.is_empty() || note.contains("it is not known whether") {
        state.record.tampered.extend(object.uid());
    }
    observed::after_retained_event(state, &named, note);
    let can_be_revoked = |id: &&String| {
        state.remote.service.jobs.get(*id).is_some_and(|job| is_active(job.now())) && state.is_revocable(id)
    };
    // Long after the last fault, only the service or the provider config can prevent a revocation.
    let faults_ended_long_ago = state.faults_ended.is_some_and(|since| since.elapsed() > PROPAGATION);
    let is_accepted =
        !state.remote.refuses_token() && state.remote.accepted_since.is_none_or(|since| since.elapsed() > PROPAGATION);
    let is_reached =
        !state.remote.other_endpoint && !state.remote.misrouted && !state.remote.secret_deleted && is_accepted;
    if faults_ended_long_ago
        && is_reached
        && note.contains("is not revoked")
        && let Some(id) = named.iter().find(can_be_revoked)
    {
        let what = format!("the finalizer of {:?} was removed, but the job {id} could be revoked: {note}", key(object));
        state.violate(what);
    }
    state.record.retained.extend(named);
}

/// While a policy refuses every status, deletions still finish.
pub fn check_deletions(world: &World) {
    let mut state = world.lock();
    let overdue = |request: &&Arc<EnrollmentRequest>| {
        let deleted = request.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let is_long_ago = deleted.is_some_and(|at| at + MAX_DELETION_WITHOUT_STATUS < world.wall());
        is_long_ago && !is_paused(request.as_ref())
    };
    let overdue = state.cluster.requests.objects.values().find(overdue).map(|request| request.name_any());
    if let Some(name) = overdue {
        state.violate(format!("the deletion of the request {name} does not finish while its status cannot be written"));
    }
}

/// After a configuration was created: it is the only one with its ownership mark.
pub fn after_a_create(state: &mut State, created: &RemoteConfig) {
    let same_name =
        state.remote.service.existing_configs().filter(|config| config.display_name == created.display_name).count();
    if same_name > 1 {
        let name = created.display_name.as_deref().unwrap_or_default();
        state.violate(format!("{same_name} configurations have the name {name}"));
    }
}

/// After a finalizer was removed although a remote resource remains: the grace period is over.
pub fn after_retained_warning<K: Kind>(world: &World, object: &K, note: &str) {
    let deleted = object.meta().deletion_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let waited = world.wall().duration_since(deleted);
    let mut state = world.lock();
    // With several processes, clocks may differ by an hour.
    if state.single_process && waited < GRACE.saturating_sub(MAX_CLOCK_DIFFERENCE).try_into().expect("short") {
        state.violate(format!("the finalizer of {:?} was removed {waited:#} after its deletion: {note}", key(object)));
    }
}

/// After a configuration was deleted: no request refers to its object, except very new ones. A process can be suspended
/// between its list of referrers and the call.
pub fn after_a_delete(state: &mut State, id: &str, wall: Timestamp) {
    let is_its = |config: &AuthenticatorConfig| config.status.as_ref().and_then(|it| it.id.as_deref()) == Some(id);
    let Some(config) = state.cluster.configs.objects.values().find(|config| is_its(config)) else { return };
    let is_established = |request: &&Arc<EnrollmentRequest>| {
        let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
        request.namespace() == config.namespace()
            && request.metadata.deletion_timestamp.is_none()
            && created.is_some_and(|created| created + PROPAGATION < wall)
    };
    if let Some(referrer) = state.cluster.requests.objects.values().find(is_established) {
        let what = format!("the configuration {id} was deleted, but {} refers to its object", referrer.name_any());
        state.violate(what);
    }
}

/// The pending work, if any.
pub fn unsettled(state: &State) -> Option<String> {
    let of_request = state
        .cluster
        .requests
        .objects
        .values()
        .find_map(|request| Some((request.name_any(), pending_work(state, request)?)));
    if let Some((name, what)) = of_request {
        return Some(format!("the request {name} {what}"));
    }
    for config in state.cluster.configs.objects.values() {
        let status = config.status.clone().unwrap_or_default();
        if config.metadata.deletion_timestamp.is_some() {
            return Some(format!("the configuration {} is still being deleted", config.name_any()));
        }
        if reconcile_requested(config.as_ref()).is_some() {
            return Some(format!("a requested reconcile of the configuration {} is pending", config.name_any()));
        }
        if status.create.is_some() || status.id.is_none() {
            return Some(format!("the configuration {} is not established", config.name_any()));
        }
        // An observed configuration may differ from the spec.
        if state.remote.observed.is_some() {
            continue;
        }
        let desired = Desired::of(config, &options(SETTLE));
        let remote = status.id.as_ref().and_then(|id| state.remote.service.config(id).ok());
        if remote.is_none_or(|remote| !desired.is_ours(&remote, &[]) || desired.patch(&remote, &status).is_some()) {
            return Some(format!("the configuration {} differs from the spec", config.name_any()));
        }
    }
    (state.pending_effects > 0 || !state.plans.actions.is_empty())
        .then(|| "an effect or an action is still pending".to_owned())
}

/// The pending work of a request, if any.
fn pending_work(state: &State, request: &EnrollmentRequest) -> Option<&'static str> {
    let (spec, status) = (&request.spec, request.status.clone().unwrap_or_default());
    if request.metadata.deletion_timestamp.is_some() {
        return Some("is still being deleted");
    }
    let has = |reason: &str| status.conditions.iter().any(|condition| condition.reason == reason);
    if let Some(send) = &status.send {
        // Its outcome can be found only at an endpoint that is no longer configured.
        let is_at_other_endpoint = send.endpoint.as_deref() == Some("https://other") && has("EndpointChanged");
        return (!is_at_other_endpoint).then_some("is in doubt");
    }
    if reconcile_requested(request).is_some() {
        return Some("has a pending reconcile request");
    }
    let actions = AnnotationActions::of(request.annotations());
    let again = status.attempt < Some(spec.attempt) || actions.resend_of(&status).is_some();
    let pending = status.attempt.is_none() || (again && !spec.revoked);
    if pending {
        let identity = identity_of(state, request);
        let competes = |other: &EnrollmentRequest| {
            let concluded = other.status.as_ref().and_then(|status| status.identity_id.clone());
            let same = identity.is_some() && (identity_of(state, other) == identity || concluded == identity);
            let is_another = other.uid() != request.uid() && other.namespace() == request.namespace();
            same && is_another && !was_revoked_before_it_sent(other)
        };
        // A request for another endpoint, or one that waits for it, is stalled.
        if has("EndpointChanged") || has("WaitingForAnotherSend") {
            return None;
        }
        let duplicate = has("DuplicateRequest") && state.cluster.requests.objects.values().any(|other| competes(other));
        let waits = budget::is_full(state, request, identity.as_ref());
        return (!duplicate && !waits).then_some("is not concluded");
    }
    let named = spec.revoked || actions.revoke(&status);
    let unwanted = status.previous_jobs.iter().map(|job| &job.id).chain(status.job_id.iter().filter(|_| named));
    // Jobs remain that cannot or may not be revoked, or are at another endpoint.
    let can_be = |id: &&String| state.is_revocable(id);
    let is_active = |id: &String| state.remote.service.jobs.get(id).is_some_and(|job| is_active(job.now()));
    if unwanted.into_iter().filter(can_be).any(is_active) {
        return Some("has a link that should be revoked");
    }
    let expired = status.job_id.as_ref().and_then(|id| expired_since(state.remote.service.jobs.get(id)?));
    let is_shown = status.expired == Some(true) || status.state.as_deref() == Some("COMPLETE");
    if state.remote.service.minimal_answers {
        return None;
    }
    if expired.is_some_and(|since| since.elapsed() > PROPAGATION) && !is_shown {
        return Some("does not show that its link has expired");
    }
    let changed =
        status.job_id.as_ref().and_then(|id| state.remote.service.jobs.get(id)).and_then(|job| job.history.last());
    let is_missed = changed.is_some_and(|(since, job)| {
        let current = job.state.as_ref().map(JobState::as_str);
        since.elapsed() > PROPAGATION && status.state.as_deref() != current && !is_shown
    });
    // A status without an identity, or of a paused request, is not followed.
    let is_followed = status.identity_id.is_some() && status.skipped.is_none() && !is_paused(request);
    (is_missed && is_followed).then_some("does not show the state of its job")
}

/// The id of the identity of a request.
fn identity_of(state: &State, request: &EnrollmentRequest) -> Option<String> {
    let IdentityRef { id, username } = &request.spec.identity;
    let by_name = |name: &String| {
        state
            .remote
            .service
            .identities
            .iter()
            .find(|(_, identity)| identity.username.eq_ignore_ascii_case(name))
            .map(|(id, _)| id.clone())
    };
    id.clone().or_else(|| username.as_ref().and_then(by_name))
}

/// The invariants when all objects are settled.
pub fn check_final_state(state: &mut State) {
    let violation = of_requests(state).or_else(|| of_jobs(state)).or_else(|| of_configs(state));
    if let Some(violation) = violation {
        state.violate(violation);
    }
}

/// The status of each request has a job that it created or adopted, or a reason for having none.
fn of_requests(state: &State) -> Option<String> {
    for request in state.cluster.requests.objects.values() {
        let (name, uid, status) = (request.name_any(), request.uid(), request.status.clone().unwrap_or_default());
        if status.attempt.is_none() || status.skipped.is_some() {
            continue;
        }
        let Some(id) = status.job_id else { return Some(format!("the request {name} has no job")) };
        let Some(job) = state.remote.job(&id) else {
            return Some(format!("the request {name} has the job {id}, which does not exist"));
        };
        let announcement = job.created_for.as_ref().and_then(|record| state.record.announced.get(record));
        let own = announcement.filter(|announcement| Some(&announcement.uid) == uid.as_ref());
        if status.adopted != Some(true) && own.is_none() {
            return Some(format!("the request {name} has the job {id}, which it did not create"));
        }
        if own.is_some_and(|own| status.adopted != Some(true) && Some(own.record.attempt) != status.attempt) {
            return Some(format!("the request {name} has the job {id} of another attempt"));
        }
        if job.now().identity_id != status.identity_id {
            return Some(format!("the request {name} has the job {id} of another identity"));
        }
    }
    None
}

/// Each active link that the operator sent is in a status.
fn of_jobs(state: &State) -> Option<String> {
    let known: Vec<String> = state
        .cluster
        .requests
        .objects
        .values()
        .filter_map(|request| request.status.as_ref())
        .flat_map(|status| names(status).cloned())
        .collect();
    for (id, job) in state.remote.all_jobs() {
        let Some(announcement) = job.created_for.as_ref().and_then(|record| state.record.announced.get(record)) else {
            continue;
        };
        // A job in doubt is found by its record.
        let has_record =
            |request: &Arc<EnrollmentRequest>| request.announced().map(|record| record.id) == job.created_for;
        let in_doubt = state.cluster.requests.objects.values().any(has_record);
        let may_remain =
            state.record.tampered.contains(&announcement.uid) || state.record.retained.contains(id) || in_doubt;
        // A job after its expire time that cannot be revoked may remain.
        if is_active(job.now()) && expired_since(job).is_none() && !may_remain && !known.contains(id) {
            return Some(format!("the job {id} of {} is active, but in no status", announcement.uid));
        }
    }
    None
}

/// Each configuration is in the status of one object, and each configuration in a status exists.
fn of_configs(state: &State) -> Option<String> {
    let ids: Vec<_> =
        state.cluster.configs.objects.values().filter_map(|config| config.status.as_ref()?.id.clone()).collect();
    for id in &ids {
        if ids.iter().filter(|other| *other == id).count() > 1 {
            return Some(format!("the configuration {id} is in two statuses"));
        }
        if state.remote.service.config(id).is_err() {
            return Some(format!("the configuration {id} is in a status, but does not exist"));
        }
    }
    let unnamed = state.remote.service.existing_configs().find(|config| !ids.contains(&config.id));
    unnamed.map(|config| format!("the configuration {} is in no status", config.id))
}
