//! What must always be so, and what must be so in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::enrollment_request::{IdentityRef, SendRecord};
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, EnrollmentRequestStatus};
use beyond_identity_operator::authenticator_config::desired::Desired;
use beyond_identity_operator::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, JobState};
use beyond_identity_operator::enrollment_request::annotation_actions::{AnnotationActions, RESEND};
use beyond_identity_operator::reconcile::annotations::{is_paused, reconcile_requested};
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::faults::Port;
use crate::kubernetes::{Kind, key};
use crate::process::Process;
use crate::reconciles::{GRACE, SETTLE, options};
use crate::record::Announcement;
use crate::service::{Job, is_live, is_over};
use crate::world::{State, World};

/// How far the clocks of processes and of the API server are apart.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// How long a deletion may take whose status cannot be written.
const WITHOUT_A_STATUS: Duration = Duration::from_secs(1700);

/// For how long before a call something must have been there to be known: a list lags, and a process can be suspended
/// before it acts.
const KNOWN: Duration = Duration::from_secs(600);

/// A process begins a call that changes something at the service: not while it is ending, nor when another one leads.
pub fn before_a_remote_write(process: &Process, port: Port) {
    let mut state = process.world.lock();
    let name = &process.name;
    if process.ending.load(Ordering::SeqCst) {
        state.violate(format!("{name} has begun {port:?}, and is ending"));
    }
    let leader =
        state.cluster.lease.object_uid().filter(|leader| process.is_elected() && leader != name).map(str::to_owned);
    if let Some(leader) = leader {
        state.violate(format!("{name} has begun {port:?}, and {leader} leads"));
    }
}

/// The email of `job` went out under the record `id`: it is the only one for its attempt, the record stands, and nothing was
/// there to adopt.
pub fn after_an_email(state: &mut State, id: &str, job: &str, (now, wall): (Instant, Timestamp)) {
    let Some(announcement) = state.record.announced.get_mut(id) else {
        return state.violate(format!("an email went out under the record {id}, which nobody wrote"));
    };
    announcement.jobs.push(job.to_owned());
    let Announcement { uid, record, begun, .. } = announcement.clone();
    state.record.emails.insert(uid.clone(), now);
    let emails = state.record.done_for(&uid, &record);
    if emails > 1 {
        let resend = record.resend_of.map(|job| format!(", sent again after the job {job},")).unwrap_or_default();
        state.violate(format!("{emails} emails for attempt {}{resend} of the request {uid}", record.attempt));
    }
    let request = state.cluster.requests.objects.values().find(|request| request.uid().as_ref() == Some(&uid)).cloned();
    let status = request.as_ref().and_then(|request| request.status.clone()).unwrap_or_default();
    if let Some(key) = request.as_ref().map(|request| key(request.as_ref()))
        && state.record.opened_without.get(&key).is_some_and(|opened| *opened <= begun)
    {
        state.violate(format!("an email went out for {key:?} by a token that was gone before it was announced"));
    }
    let Some(send) = status.send.filter(|send| send.id == id) else {
        if !state.record.mutated {
            state.violate(format!("an email went out under the record {id}, which stands no more"));
        }
        return;
    };
    if let Some(other) = rival(state, &uid, &send) {
        let name = &other.metadata.name;
        state
            .violate(format!("an email went out under the record {id}, although the person is the request {name:?}'s"));
    }
    if status.attempt.is_none()
        && let Some(job) = to_adopt(state, &send, now, wall)
    {
        state.violate(format!("an email went out under the record {id}, although there was the job {job}"));
    }
}

/// Another request that is about the person of `send`, by what was concluded or is in doubt, and still leads there.
fn rival<'a>(state: &'a State, uid: &str, send: &SendRecord) -> Option<&'a EnrollmentRequest> {
    let is_about = |other: &&Arc<EnrollmentRequest>| {
        let status = other.status.clone().unwrap_or_default();
        let concluded = status.identity_id.zip(status.authenticator_config_id);
        let in_doubt = status.send.map(|send| (send.identity_id, send.authenticator_config_id));
        let person = (send.identity_id.clone(), send.authenticator_config_id.clone());
        in_doubt.or(concluded) == Some(person)
    };
    let others = state.cluster.requests.objects.values().filter(|other| other.uid().as_deref() != Some(uid));
    let leads_there = |other: &&Arc<EnrollmentRequest>| person_of(state, other).as_ref() == Some(&send.identity_id);
    others.filter(is_about).find(leads_there).map(AsRef::as_ref)
}

/// A job that should have been adopted instead of sending `send`.
fn to_adopt(state: &State, send: &SendRecord, now: Instant, wall: Timestamp) -> Option<String> {
    let statuses = || state.cluster.requests.objects.values().filter_map(|request| request.status.as_ref());
    let is_named = |id: &String| statuses().any(|status| names(status).any(|named| named == id));
    let fits = |job: &&Job| {
        let job_now = job.now();
        job.history[0].0 + KNOWN < now
            && job_now.identity_id.as_ref() == Some(&send.identity_id)
            && job_now.authenticator_config_id.as_ref() == Some(&send.authenticator_config_id)
            && ((is_live(job_now) && !is_over(job_now, wall)) || job_now.state == Some(JobState::Complete))
            && !is_named(&job_now.id)
    };
    let service =
        if send.endpoint.as_deref() == Some("https://other") { &state.remote.other } else { &state.remote.service };
    service.jobs.values().find(fits).map(|job| job.now().id.clone())
}

fn names(status: &EnrollmentRequestStatus) -> impl Iterator<Item = &String> {
    status.job_id.iter().chain(status.previous_jobs.iter().map(|job| &job.id))
}

/// A status was written: no other request names its job, and what it adopts was read by its id.
pub fn after_a_status(state: &mut State, request: &EnrollmentRequest) {
    let status = request.status.clone().unwrap_or_default();
    let others = state.cluster.requests.objects.values().filter(|other| other.uid() != request.uid());
    for other in others {
        let both =
            names(&status).find(|id| other.status.as_ref().is_some_and(|other| names(other).any(|it| it == *id)));
        if let Some(id) = both {
            let what = format!("the job {id} is named by {} and by {}", request.name_any(), other.name_any());
            return state.violate(what);
        }
    }
    if let (Some(id), Some(uid)) = (&status.job_id, request.uid()) {
        state.record.namers.entry(id.clone()).or_insert(uid);
    }
    if let Some(send) = &status.send
        && let Some(resend_of) = &send.resend_of
        && state.record.resends.insert(send.id.clone())
    {
        // The record was written under the version that was read: there the annotation stands, and names this.
        let (id, now) = (status.job_id.clone().unwrap_or_default(), status.state.clone().unwrap_or_default());
        let dead = ["EXPIRED", "FAILED_TO_SEND", "REVOKED"].contains(&now.as_str());
        let asks = |state: &str| request.annotations().get(RESEND).is_some_and(|it| *it == format!("{id}/{state}"));
        let asked = (dead && asks(&now)) || (status.expired == Some(true) && asks("EXPIRED"));
        if *resend_of != id || !asked {
            state.violate(format!("{} sends again after the job {resend_of} in state {now}", request.name_any()));
        }
    }
    if status.adopted == Some(true)
        && let Some(id) = status.job_id.filter(|id| !state.record.read.contains(id))
    {
        state.violate(format!("the job {id} was adopted, and not read"));
    }
    if status.adopted == Some(true)
        && !state.remote.service.terse
        && let Some(id) = request.status.as_ref().and_then(|status| status.job_id.clone())
        && state.record.adopted.insert(id.clone())
        && state.remote.job(&id).and_then(over_since).is_some_and(|since| since.elapsed() > KNOWN)
    {
        state.violate(format!("the job {id} was adopted, and the time of its link was over"));
    }
}

/// Since when the time of a job's link is over, although the service shows it as if it worked.
fn over_since(job: &Job) -> Option<Instant> {
    let first = &job.history[0].1.expire_time;
    let (since, _) = job.history.iter().find(|(_, later)| later.expire_time != *first)?;
    is_live(job.now()).then_some(*since)
}

/// It was told that something is left of an object: the jobs that are named, or whatever may have come of a call in doubt.
pub fn told<K: Kind>(state: &mut State, object: &K, note: &str) {
    let named: Vec<String> =
        state.remote.all_jobs().map(|(id, _)| id.clone()).filter(|id| note.contains(id.as_str())).collect();
    if named.is_empty() || note.contains("it is not known whether") {
        state.record.touched.extend(object.uid());
    }
    let can_be_revoked = |id: &&String| {
        state.remote.service.jobs.get(*id).is_some_and(|job| is_live(job.now()))
            && !state.remote.service.stuck.contains_key(*id)
    };
    // Long after the last trouble, nothing keeps a job from being revoked but the service itself.
    let is_over = state.over_since.is_some_and(|since| since.elapsed() > KNOWN);
    let is_reached = !state.remote.elsewhere && !state.remote.misdirected && !state.remote.secretless;
    if is_over
        && is_reached
        && !state.remote.service.keeps_links
        && !state.remote.service.odd_method
        && note.contains("is not revoked")
        && let Some(id) = named.iter().find(can_be_revoked)
    {
        let what =
            format!("{:?} was let go with the link of the job {id}, which could be revoked: {note}", key(object));
        state.violate(what);
    }
    state.record.left.extend(named);
}

/// While a policy refuses every status, what is deleted goes all the same.
pub fn deletions_went_on(world: &World) {
    let mut state = world.lock();
    let stuck = |request: &&Arc<EnrollmentRequest>| {
        let deleted = request.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let is_long_ago = deleted.is_some_and(|at| at + WITHOUT_A_STATUS < world.wall());
        is_long_ago && !is_paused(request.as_ref())
    };
    let stuck = state.cluster.requests.objects.values().find(stuck).map(|request| request.name_any());
    if let Some(name) = stuck {
        state.violate(format!("the request {name} is still being deleted, since its status cannot be written"));
    }
}

/// A configuration was made: it is the only one with its mark.
pub fn after_a_create(state: &mut State, made: &RemoteConfig) {
    let alike = state.remote.service.live_configs().filter(|config| config.display_name == made.display_name).count();
    if alike > 1 {
        let name = made.display_name.as_deref().unwrap_or_default();
        state.violate(format!("{alike} configurations are called {name}"));
    }
}

/// An object was let go although something of it is left, against its wish: not before the grace period is over.
pub fn left_behind<K: Kind>(world: &World, object: &K, note: &str) {
    let deleted = object.meta().deletion_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let waited = world.wall().duration_since(deleted);
    let mut state = world.lock();
    // Of two whose clocks are an hour apart, one takes for long ago what the other has just written.
    if state.alone && waited < GRACE.saturating_sub(CLOCKS_APART).try_into().expect("short") {
        state.violate(format!("{:?} was let go {waited:#} after its deletion: {note}", key(object)));
    }
}

/// A configuration was deleted: nobody refers to its object any more who has been there for a while. (A process can be
/// suspended between its look at them and the call.)
pub fn after_a_delete(state: &mut State, id: &str, wall: Timestamp) {
    let is_its = |config: &AuthenticatorConfig| config.status.as_ref().and_then(|it| it.id.as_deref()) == Some(id);
    let Some(config) = state.cluster.configs.objects.values().find(|config| is_its(config)) else { return };
    let there = |request: &&Arc<EnrollmentRequest>| {
        let made = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
        request.namespace() == config.namespace()
            && request.metadata.deletion_timestamp.is_none()
            && made.is_some_and(|made| made + KNOWN < wall)
    };
    if let Some(user) = state.cluster.requests.objects.values().find(there) {
        let what = format!("the configuration {id} was deleted, although {} refers to its object", user.name_any());
        state.violate(what);
    }
}

/// What is still to be done, if anything.
pub fn unsettled(state: &State) -> Option<String> {
    let of_a_request =
        state.cluster.requests.objects.values().find_map(|request| Some((request.name_any(), undone(state, request)?)));
    if let Some((name, what)) = of_a_request {
        return Some(format!("the request {name} {what}"));
    }
    for config in state.cluster.configs.objects.values() {
        let status = config.status.clone().unwrap_or_default();
        if config.metadata.deletion_timestamp.is_some() {
            return Some(format!("the configuration {} is still being deleted", config.name_any()));
        }
        if reconcile_requested(config.as_ref()).is_some() {
            return Some(format!("the configuration {} was not looked at, though somebody asks", config.name_any()));
        }
        if status.create.is_some() || status.id.is_none() {
            return Some(format!("the configuration {} is not established", config.name_any()));
        }
        let wanted = Desired::of(config, &options(SETTLE));
        let remote = status.id.and_then(|id| state.remote.service.config(&id).ok());
        if remote.is_none_or(|remote| !wanted.is_ours(&remote) || wanted.patch(&remote).is_some()) {
            return Some(format!("the configuration {} is not as the spec says", config.name_any()));
        }
    }
    (state.late > 0 || !state.plans.acts.is_empty()).then(|| "something is still to happen".to_owned())
}

/// What is still to be done for a request.
fn undone(state: &State, request: &EnrollmentRequest) -> Option<&'static str> {
    let (spec, status) = (&request.spec, request.status.clone().unwrap_or_default());
    if request.metadata.deletion_timestamp.is_some() {
        return Some("is still being deleted");
    }
    let has = |reason: &str| status.conditions.iter().any(|condition| condition.reason == reason);
    if let Some(send) = &status.send {
        // Nothing leads any more to where only can be found out what became of it.
        let is_elsewhere = send.endpoint.as_deref() == Some("https://other") && has("EndpointChanged");
        return (!is_elsewhere).then_some("is in doubt");
    }
    if reconcile_requested(request).is_some() {
        return Some("was not looked at, though somebody asks");
    }
    let actions = AnnotationActions::of(request.annotations());
    let again = status.attempt < Some(spec.attempt) || actions.resend_of(&status).is_some();
    let owed = status.attempt.is_none() || (again && !spec.revoked);
    if owed {
        let person = person_of(state, request);
        let rival = |other: &EnrollmentRequest| {
            let concluded = other.status.as_ref().and_then(|status| status.identity_id.clone());
            let same = person.is_some() && (person_of(state, other) == person || concluded == person);
            same && other.uid() != request.uid() && other.namespace() == request.namespace()
        };
        // What leads elsewhere, or waits for what does, is stalled.
        if has("EndpointChanged") || has("WaitingForAnotherSend") {
            return None;
        }
        let duplicate = has("DuplicateRequest") && state.cluster.requests.objects.values().any(|other| rival(other));
        return (!duplicate).then_some("is not concluded");
    }
    let named = spec.revoked || actions.revoke(&status);
    let unwanted = status.previous_jobs.iter().map(|job| &job.id).chain(status.job_id.iter().filter(|_| named));
    // What cannot be revoked, or is not certainly its own, stays; and so does what is at a service that nothing leads to.
    let can_be = |id: &&String| !state.remote.service.stuck.contains_key(*id) && !state.remote.service.odd_method;
    let is_live = |id: &String| state.remote.service.jobs.get(id).is_some_and(|job| is_live(job.now()));
    if !state.remote.service.keeps_links && unwanted.into_iter().filter(can_be).any(is_live) {
        return Some("has a link that should be revoked");
    }
    let over = status.job_id.as_ref().and_then(|id| over_since(state.remote.service.jobs.get(id)?));
    let is_shown = status.expired == Some(true) || status.state.as_deref() == Some("COMPLETE");
    (over.is_some_and(|since| since.elapsed() > KNOWN) && !is_shown && !state.remote.service.terse)
        .then_some("does not show that the time of its link is over")
}

/// Whom a request names.
fn person_of(state: &State, request: &EnrollmentRequest) -> Option<String> {
    let IdentityRef { id, username } = &request.spec.identity;
    let by_name = |name: &String| {
        state
            .remote
            .service
            .people
            .iter()
            .find(|(_, person)| person.username.eq_ignore_ascii_case(name))
            .map(|(id, _)| id.clone())
    };
    id.clone().or_else(|| username.as_ref().and_then(by_name))
}

/// What must be so when all is settled.
pub fn at_the_end(state: &mut State) {
    let violation = of_requests(state).or_else(|| of_jobs(state)).or_else(|| of_configs(state));
    if let Some(violation) = violation {
        state.violate(violation);
    }
}

/// Every request names a job that it made, or one that it could adopt, or says why it has none.
fn of_requests(state: &State) -> Option<String> {
    for request in state.cluster.requests.objects.values() {
        let (name, uid, status) = (request.name_any(), request.uid(), request.status.clone().unwrap_or_default());
        if status.attempt.is_none() || status.skipped.is_some() {
            continue;
        }
        let Some(id) = status.job_id else { return Some(format!("the request {name} names no job")) };
        let Some(job) = state.remote.job(&id) else { return Some(format!("{name} names {id}: no such job")) };
        let maker = job.created_by.as_ref().and_then(|record| state.record.announced.get(record));
        let own = maker.filter(|maker| Some(&maker.uid) == uid.as_ref());
        if status.adopted != Some(true) && own.is_none() {
            return Some(format!("the request {name} names the job {id}, which is not its own"));
        }
        if own.is_some_and(|own| status.adopted != Some(true) && Some(own.record.attempt) != status.attempt) {
            return Some(format!("the request {name} names the job {id} of another attempt"));
        }
        if job.now().identity_id != status.identity_id {
            return Some(format!("the request {name} names the job {id} of somebody else"));
        }
    }
    None
}

/// No link that the operator sent is left that nobody knows of.
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
        let Some(maker) = job.created_by.as_ref().and_then(|record| state.record.announced.get(record)) else {
            continue;
        };
        // While its record stands, the job is not forgotten.
        let stands = |request: &Arc<EnrollmentRequest>| request.announced().map(|record| record.id) == job.created_by;
        let in_doubt = state.cluster.requests.objects.values().any(stands);
        let left = state.record.touched.contains(&maker.uid) || state.record.left.contains(id) || in_doubt;
        // What is over by the service's own clock, and cannot be revoked, is not waited for.
        if is_live(job.now()) && over_since(job).is_none() && !left && !known.contains(id) {
            return Some(format!("the link of the job {id} of {} is out, and nobody names it", maker.uid));
        }
    }
    None
}

/// Each configuration is named by one object, and each that is named is there.
fn of_configs(state: &State) -> Option<String> {
    let ids: Vec<_> =
        state.cluster.configs.objects.values().filter_map(|config| config.status.as_ref()?.id.clone()).collect();
    for id in &ids {
        if ids.iter().filter(|other| *other == id).count() > 1 {
            return Some(format!("the configuration {id} is named by two"));
        }
        if state.remote.service.config(id).is_err() {
            return Some(format!("the configuration {id} that is named is not there"));
        }
    }
    let unnamed = state.remote.service.live_configs().find(|config| !ids.contains(&config.id));
    unnamed.map(|config| format!("the configuration {} is named by nobody", config.id))
}
