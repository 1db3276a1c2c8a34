//! Expired links: a link with a past expire time does not prevent a send, in any state of its job.

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use harness::simulator::{Config, Effect, Job, Operation, Reply, Rule};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, message_of, poll_often,
    wait_for, wait_until_deleted,
};

const RESEND: &str = "beyondidentity.dev/resend";

/// The time this many days before the creation of the job, in the format of the service.
fn days_before(job: &Job, days: i64) -> String {
    let created: Timestamp = job.create_time.as_deref().unwrap().parse().unwrap();
    format!("{:.6}", created - SignedDuration::from_hours(24 * days))
}

/// Sets the expire time of a job to the past. Returns the new expire time.
fn expire(fixture: &Fixture, id: &str) -> String {
    let expire_time = days_before(&fixture.realm.job(id).unwrap(), 3);
    fixture.realm.edit_job(id, |job| job.expire_time = Some(expire_time.clone()));
    expire_time
}

/// A job for Jane that was created ten days ago, and whose link expired three days ago.
fn expired_job(config: &Config) -> Job {
    let job = Job::email(JANE, &config.id);
    let (created, expired) = (Some(days_before(&job, 10)), Some(days_before(&job, 3)));
    Job { create_time: created.clone(), update_time: created, expire_time: expired, ..job }
}

#[tokio::test]
async fn expired_link_in_state_link_sent_is_not_adopted() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.leave_expired();
    let old = expired_job(&fixture.realm.configs()[0]);
    fixture.realm.add_job(old.clone());
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_ne!(job, old.id);
    assert_eq!((fixture.mailed(), fixture.remote_state(&old.id).as_str()), (vec![job], "LINK_SENT"));
}

#[tokio::test]
async fn expired_link_is_reported_resent_and_revoked() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.realm.leave_expired();
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let expire_time = expire(&fixture, &first);
    let request = fixture.wait_for_request("LinkExpired").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    let prefix = format!("The link expired at {expire_time}, although the job is still in state LINK_SENT");
    assert!(message(&request).starts_with(&prefix), "{}", message(&request));
    let status = request.status.unwrap();
    assert_eq!((status.expired, status.state.as_deref()), (Some(true), Some("LINK_SENT")));
    assert_eq!(fixture.mailed(), [first.as_str()]);

    annotate(&fixture.requests(), REQUEST, RESEND, &*format!("{first}/EXPIRED")).await;
    let request = wait_for(fixture.requests(), REQUEST, "has sent again", |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.job_id.as_ref() != Some(&first) && status.send.is_none()
    })
    .await;
    let second = job_of(&request);
    eventually("the expired link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().expired, None);
    assert_eq!((fixture.mailed(), fixture.revocations()), (vec![first.clone(), second], vec![first]));
}

#[tokio::test]
async fn expired_link_is_revoked_with_its_request() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.realm.leave_expired();
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    expire(&fixture, &job);
    fixture.wait_for_request("LinkExpired").await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations()), ("REVOKED", vec![job]));
}

/// More jobs than one reconcile reads.
#[tokio::test]
async fn expired_jobs_in_a_stale_list_are_each_read_once() {
    const JOBS: usize = 60;
    let (fixture, _operator) = Fixture::ready().await;
    let (tenant, realm) = (fixture.realm.tenant(), fixture.realm.realm());
    let mut stale: Vec<Value> = Vec::new();
    for _ in 0..JOBS {
        let job = Job::email(JANE, &fixture.realm.configs()[0].id);
        fixture.realm.add_job(job.clone());
        fixture.realm.set_job_state(&job.id, "EXPIRED");
        let mut shown = serde_json::to_value(job).unwrap();
        (shown["tenant_id"], shown["realm_id"]) = (json!(tenant), json!(realm));
        stale.push(shown);
    }
    let stale = Reply::json(200, &json!({"credential_binding_jobs": stale, "total_size": JOBS}));
    fixture.realm.fault(Rule::new(Effect::Answer(stale)).on(Operation::ListJobs));
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(fixture.mailed(), [job]);
    let mut read: Vec<_> = fixture.realm.requests_of(Operation::GetJob).into_iter().map(|call| call.path).collect();
    assert_eq!(read.len(), JOBS);
    read.sort();
    read.dedup();
    assert_eq!(read.len(), JOBS, "each job is read once");
}

/// By the service's own clock the link has expired.
#[tokio::test]
async fn refused_revocation_of_expired_link_is_not_reported() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.realm.leave_expired();
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    expire(&fixture, &first);
    fixture.wait_for_request("LinkExpired").await;
    let conflict = Reply::resource_error(409, "conflict", "not outstanding", "CredentialBindingJob", &first);
    fixture.realm.fault(Rule::new(Effect::Answer(conflict)).on(Operation::RevokeJob).about(&first));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let sent_again = |request: &EnrollmentRequest| request.status.as_ref().unwrap().attempt == Some(2);
    let second = job_of(&wait_for(fixture.requests(), REQUEST, "has sent again", sent_again).await);
    eventually("the revocation is tried", || fixture.revocations().contains(&first)).await;
    fixture.realm.set_job_state(&second, "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
    let versions = history.versions();
    assert!(versions.iter().all(|version| message_of(version, REVOKE_REFUSED).is_empty()), "{versions:#?}");
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&second), "REVOKED");
}
