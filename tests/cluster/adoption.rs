//! Adoption: a request for which nothing was ever sent does not email an identity that has a link or a passkey.

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Job, Operation, Reply, Rule};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, JANE, REQUEST, conditions, job_of, message, patch, reason, wait_for, wait_until_deleted,
};

/// A job in this state, for Jane and the fixture's configuration.
fn job_in(fixture: &Fixture, state: Option<&str>) -> Job {
    Job { state: state.map(str::to_owned), ..Job::email(JANE, &fixture.realm.configs()[0].id) }
}

#[track_caller]
fn assert_adopted(request: &EnrollmentRequest, job: &Job) {
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.job_id.as_ref(), status.attempt, status.adopted), (Some(&job.id), Some(1), Some(true)));
    assert_eq!((&status.state, &status.expire_time), (&job.state, &job.expire_time));
    assert_eq!((status.identity_id.as_deref(), status.send.as_ref()), (Some(JANE), None));
    assert_eq!(status.authenticator_config_id.as_ref(), Some(&job.authenticator_config_id));
    assert_eq!(status.tenant_id.is_some() && status.realm_id.is_some(), status.provider_config_ref.is_some());
}

/// Raises the attempt to 2, and waits until it is concluded.
async fn second_attempt(fixture: &Fixture) -> EnrollmentRequest {
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    wait_for(fixture.requests(), REQUEST, "has sent attempt 2", |request: &EnrollmentRequest| {
        request.status.as_ref().unwrap().attempt == Some(2)
    })
    .await
}

#[tokio::test]
async fn active_link_is_adopted_in_any_state() {
    let table = [
        (Some("LINK_SENT"), "The enrolment email was sent"),
        (Some("LINK_OPENED"), "The user has opened the link"),
        (Some("REQUEST_DELIVERED"), "The link has reached the user's authenticator"),
        (Some("SOMETHING_NEW"), "The job is in state SOMETHING_NEW, which this version does not know"),
        (None, "The service does not report the state of the job"),
    ];
    futures::future::join_all(table.map(|(state, what)| async move {
        let (fixture, _operator) = Fixture::ready().await;
        if state.is_none() {
            fixture.realm.allow_any_answer();
        }
        let job = job_in(&fixture, state);
        fixture.realm.add_job(job.clone());
        fixture.create_request().await;
        let request = fixture.wait_for_request("Adopted").await;
        assert_adopted(&request, &job);
        assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
        assert_eq!(
            message(&request),
            format!(
                "Nothing was sent because an earlier link is still active. {what}; the link expires at {}. To send \
                 another email, raise spec.attempt. Deleting this request revokes that link.",
                job.expire_time.as_ref().unwrap()
            )
        );
        fixture.wait_for_events("EnrollmentRequest", REQUEST, &["Normal Adopted"]).await;
        assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);

        let request = second_attempt(&fixture).await;
        assert_eq!((reason(&request), request.status.as_ref().unwrap().adopted), ("LinkSent", None));
        assert_eq!(fixture.mailed(), [job_of(&request)]);
        let is_revoked = |request: &EnrollmentRequest| {
            let previous = &request.status.as_ref().unwrap().previous_jobs[0];
            (previous.id.as_str(), previous.state.as_deref()) == (job.id.as_str(), Some("REVOKED"))
        };
        wait_for(fixture.requests(), REQUEST, "has revoked the adopted job", is_revoked).await;
        assert_eq!(fixture.remote_state(&job.id), "REVOKED");
    }))
    .await;
}

#[tokio::test]
async fn completed_job_is_adopted_and_next_attempt_sends() {
    let (fixture, _operator) = Fixture::ready().await;
    let job = job_in(&fixture, Some("COMPLETE"));
    fixture.realm.add_job(job.clone());
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_adopted(&request, &job);
    assert_eq!(conditions(&request), "Ready=True Succeeded=True");
    assert_eq!(
        message(&request),
        "The user has bound a passkey through a job that existed before this request; raise spec.attempt to send \
         another email for another device"
    );
    assert_eq!(fixture.mailed().len(), 0);
    let request = second_attempt(&fixture).await;
    assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job_of(&request)], 0));
}

#[tokio::test]
async fn enrolled_identity_is_emailed_only_if_attempt_is_raised() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.edit_identity(JANE, |jane| jane.enrollment_status = Some("ENROLLED".to_owned()));
    fixture.create_request().await;
    let request = fixture.wait_for_request("AlreadyEnrolled").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=True");
    assert_eq!(
        message(&request),
        "The identity already had a passkey, so nothing was sent; raise spec.attempt to send another email for \
         another device"
    );
    let status = request.status.unwrap();
    assert_eq!((json!(status.skipped), status.attempt, status.job_id), (json!("AlreadyEnrolled"), Some(1), None));
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    let request = second_attempt(&fixture).await;
    assert_eq!((reason(&request), request.status.as_ref().unwrap().skipped), ("LinkSent", None));
    assert_eq!(fixture.mailed(), [job_of(&request)]);
}

#[tokio::test]
async fn inactive_or_other_config_jobs_are_not_adopted() {
    futures::future::join_all(["EXPIRED", "REVOKED", "FAILED_TO_SEND", "elsewhere"].map(|case| async move {
        let (fixture, _operator) = Fixture::ready().await;
        let job = match case {
            "elsewhere" => Job::email(JANE, "another-configuration"),
            state => job_in(&fixture, Some(state)),
        };
        fixture.realm.add_job(job.clone());
        fixture.create_request().await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{case}");
        assert_ne!(job_of(&request), job.id);
        assert_eq!(fixture.revocations().len(), 0, "{case}: jobs that are not adopted are not revoked");
    }))
    .await;
}

#[tokio::test]
async fn newest_active_job_is_adopted_by_its_current_state() {
    let (fixture, _operator) = Fixture::ready().await;
    let at = |second: u32| Some(format!("2030-01-01T00:00:{second:02}.000000Z"));
    let [oldest, middle, newest] = [10, 20, 30].map(|second| {
        let job = Job { create_time: at(second), ..job_in(&fixture, Some("LINK_SENT")) };
        fixture.realm.add_job(job.clone());
        job
    });
    // A stale list: the newest job has been revoked since.
    let list = json!({"credential_binding_jobs": [newest, oldest, middle], "total_size": 3});
    fixture.realm.set_job_state(&newest.id, "REVOKED");
    fixture.realm.fault(Rule::new(Effect::Answer(Reply::json(200, &list))).on(Operation::ListJobs));
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_adopted(&request, &middle);
    let read: Vec<_> = fixture.realm.requests_of(Operation::GetJob).into_iter().map(|call| call.path).collect();
    assert!(read[0].ends_with(&newest.id) && read[1].ends_with(&middle.id), "{read:?}");
    assert_eq!(fixture.mailed().len(), 0);
}

#[tokio::test]
async fn request_created_as_revoked_adopts_and_revokes_the_link() {
    let (fixture, _operator) = Fixture::ready().await;
    let job = job_in(&fixture, Some("LINK_SENT"));
    fixture.realm.add_job(job.clone());
    fixture.create_request_with(REQUEST, json!({"revoked": true})).await;
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!((job_of(&request), fixture.remote_state(&job.id).as_str()), (job.id, "REVOKED"));
    assert_eq!(fixture.mailed().len(), 0);
}

#[tokio::test]
async fn lost_status_is_restored_without_an_email() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    operator.stop().await;
    let mut lost = sent.clone();
    lost.status = Some(serde_json::from_value(json!({"observedGeneration": -1})).unwrap());
    fixture.requests().replace_status(REQUEST, &Default::default(), &lost).await.unwrap();
    let _next = fixture.start().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    assert_eq!(job_of(&request), job_of(&sent));
}

#[tokio::test]
async fn rebuilt_cluster_adopts_active_links_without_email() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    operator.stop().await;
    // The cluster is lost: the objects are deleted without finalization.
    let bare = json!({"metadata": {"finalizers": null}});
    patch(&fixture.requests(), REQUEST, bare.clone()).await.unwrap();
    patch(&fixture.configs(), CONFIG, bare).await.unwrap();
    fixture.delete_request(REQUEST).await;
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    wait_until_deleted(fixture.configs(), CONFIG).await;

    let apply = PatchParams::apply("gitops");
    let config = Patch::Apply(fixture.config(CONFIG));
    fixture.configs().patch(CONFIG, &apply, &config).await.unwrap();
    fixture.create_request().await;
    let _next = fixture.start().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    assert_eq!(job_of(&request), job_of(&sent));
    assert_eq!(fixture.realm.configs().len(), 1);
    assert_eq!(request.status.unwrap().authenticator_config_id, sent.status.unwrap().authenticator_config_id);
}
