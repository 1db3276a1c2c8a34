//! Manual edits of a status: the object is reconciled at once, no job or configuration of another owner is touched, and
//! nothing is sent. The exception is a wiped status whose last link has expired.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use harness::simulator::{Config, Effect, Identity, Operation, Reply, Rule};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixture::{
    Access, CLUSTER, CONFIG, Fixture, REQUEST, conditions, eventually, job_of, message, patch, poll_often, reason,
    wait_for, wait_until_deleted,
};

/// Merges `change` into the status of Jane's request, as `kubectl edit --subresource=status` does.
async fn edit(fixture: &Fixture, change: Value) -> EnrollmentRequest {
    let change = Patch::Merge(json!({ "status": change }));
    fixture.requests().patch_status(REQUEST, &PatchParams::default(), &change).await.unwrap()
}

/// Removes all fields of the status.
async fn wipe(fixture: &Fixture) {
    let whole = edit(fixture, json!({})).await.status.unwrap();
    let Value::Object(fields) = serde_json::to_value(whole).unwrap() else { panic!("a status is an object") };
    edit(fixture, fields.into_iter().map(|(field, _)| (field, Value::Null)).collect::<serde_json::Map<_, _>>().into())
        .await;
}

/// Jane's request with an active link, and its job. No timer reconciles the request.
async fn sent() -> (Fixture, crate::fixture::Operator, String) {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    (fixture, operator, job)
}

#[tokio::test]
async fn wiped_status_is_restored_by_adopting_the_job() {
    let (fixture, _operator, job) = sent().await;
    for state in ["LINK_SENT", "COMPLETE"] {
        fixture.realm.set_job_state(&job, state);
        wipe(&fixture).await;
        let request = fixture.wait_for_request("Adopted").await;
        let status = request.status.as_ref().unwrap();
        assert_eq!((job_of(&request), status.attempt, status.state.as_deref()), (job.clone(), Some(1), Some(state)));
    }
    assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job], 0));
}

#[tokio::test]
async fn wiped_status_with_expired_link_sends_again() {
    let (fixture, _operator, job) = sent().await;
    fixture.realm.set_job_state(&job, "EXPIRED");
    wipe(&fixture).await;
    let again = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(fixture.mailed(), [job, again]);
}

#[tokio::test]
async fn status_edits_trigger_reconciles_and_own_writes_do_not() {
    let fixture = Fixture::new().await;
    // No timer reconciles the request.
    let never = ["--job-poll-min", "1h", "--job-poll-max", "1h"];
    let process = fixture.spawn(&Access::shared(), &never).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(process.stop().0, Some(0));
    let process = fixture.spawn(&Access::shared(), &never).await;
    let reconciles = || {
        let (_, metrics) = process.get("/metrics");
        let counts = metrics.lines().filter(|line| {
            line.starts_with("controller_runtime_reconcile_total{") && line.contains("enrollmentrequest")
        });
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    eventually("the request is reconciled", || reconciles() >= 1.0).await;
    let before = reconciles();
    let rounds = 6;
    for round in 0..rounds {
        wipe(&fixture).await;
        fixture.wait_for_request("Adopted").await;
        // A reconcile that the operator's own write triggered would precede the one for the annotation.
        let asked = round.to_string();
        let annotation = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: asked}}});
        patch(&fixture.requests(), REQUEST, annotation).await.unwrap();
        let is_handled = move |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some(asked.as_str());
        wait_for(fixture.requests(), REQUEST, "is reconciled", is_handled).await;
    }
    // One reconcile for each status edit, and one for each annotation. Own writes would double that. The start may add
    // one or two, since the initial list arrives in parts.
    assert!(
        reconciles() - before < 2.5 * f64::from(rounds),
        "{} reconciles for {rounds} rounds",
        reconciles() - before
    );
    assert_eq!(fixture.mailed(), [job]);
}

#[tokio::test]
async fn job_of_another_identity_is_not_found_nor_revoked() {
    let (fixture, _operator, job) = sent().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    let joes = job_of(&fixture.wait_for_request_named("joe", "LinkSent").await);

    edit(&fixture, json!({"jobID": joes})).await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(
        message(&request),
        "The job was not found in Beyond Identity; to enrol again, set spec.revoked to false and raise spec.attempt"
    );
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let request = fixture.wait_for_request("JobNotFound").await;
    assert_eq!(
        message(&request),
        format!(
            "Credential binding job {joes} was not found in Beyond Identity, and nothing is sent again for it; raise \
             spec.attempt to send another email"
        )
    );
    assert_eq!(conditions(&request), "Stalled=True Ready=False Succeeded=Unknown");

    edit(&fixture, json!({"jobID": job})).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(job_of(&request), job);
    edit(&fixture, json!({"jobID": joes})).await;
    fixture.wait_for_request("JobNotFound").await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&joes).as_str(), fixture.mailed()), ("LINK_SENT", vec![job, joes.clone()]));
    assert_eq!(reason(&fixture.requests().get("joe").await.unwrap()), "LinkSent");
}

#[tokio::test]
async fn answer_with_job_of_another_identity_counts_as_missing() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.resync_interval = crate::fixture::SOON;
    })
    .await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let joes = Reply::json(200, &json!({"id": job, "identity_id": "joe", "state": "COMPLETE"}));
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(joes)).on(Operation::GetJob));
    fixture.wait_for_request("JobNotFound").await;
    fixture.realm.remove_fault(rule);
    fixture.wait_for_request("LinkSent").await;
}

#[tokio::test]
async fn status_without_job_ids_is_reported_and_sends_nothing() {
    let (fixture, _operator, job) = sent().await;
    for change in [json!({"jobID": ""}), json!({"jobID": job, "identityID": ""}), json!({"identityID": null})] {
        edit(&fixture, change).await;
        let request = fixture.wait_for_request("JobNotFound").await;
        assert!(message(&request).ends_with("raise spec.attempt to send another email"), "{}", message(&request));
        edit(&fixture, json!({"jobID": job, "identityID": "jane"})).await;
        fixture.wait_for_request("LinkSent").await;
    }
    for times in [json!({"createTime": "soon", "expireTime": "x"}), json!({"failingSince": "never"})] {
        edit(&fixture, times).await;
    }
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    assert_eq!(reason(&fixture.wait_until_request_is_reconciled().await), "LinkSent");
    assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job], 0));
}

#[tokio::test]
async fn invalid_send_record_is_reported_and_sends_nothing() {
    let (fixture, _operator, job) = sent().await;
    // An expired job that would match a record without a valid time.
    let mut older = fixture.realm.job(&job).unwrap();
    (older.id, older.state) = ("0123456789abcdef".to_owned(), Some("EXPIRED".to_owned()));
    fixture.realm.add_job(older);
    let whole = json!({
        "id": "by-hand",
        "attempt": 2,
        "providerConfigRef": {"kind": "ClusterProviderConfig", "name": fixture.provider},
        "tenantID": fixture.realm.tenant(),
        "realmID": fixture.realm.realm(),
        "identityID": "jane",
        "authenticatorConfigID": fixture.configs().get("hosted-web").await.unwrap().status.unwrap().id,
        "deliveryMethod": "EMAIL",
        "notBefore": "2020-01-01T00:00:00Z",
        "existingJobIDs": [],
        "timeoutSeconds": 0,
    });
    for (field, value) in [("notBefore", "yesterday"), ("id", ""), ("identityID", ""), ("tenantID", " ")] {
        let mut send = whole.clone();
        send[field] = json!(value);
        edit(&fixture, json!({ "send": send })).await;
        let request = fixture.wait_for_request("StatusEdited").await;
        assert_eq!(
            message(&request),
            format!(
                "The field status.send.{field} was modified outside the operator, so the outcome of the send is \
                 unknown and nothing is sent; with kubectl edit --subresource=status restore the field, or remove \
                 status.send if no email was sent"
            )
        );
        assert_eq!(conditions(&request), "Stalled=True Ready=False");
        // A higher attempt is not sent meanwhile either.
        fixture.change_request(json!({"attempt": 2})).await.unwrap();
        fixture.wait_until_request_is_reconciled().await;
        fixture.change_request(json!({"attempt": 1})).await.unwrap();
        fixture.wait_until_request_is_reconciled().await;
        edit(&fixture, json!({"send": null})).await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(job_of(&request), job);
    }
    assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job.clone()], 0));

    // A valid record without a matching job is settled as not sent, and nothing is pending.
    let created: jiff::Timestamp = fixture.realm.job(&job).unwrap().create_time.unwrap().parse().unwrap();
    let recent = json!((created + jiff::SignedDuration::from_secs(1)).to_string());
    let mut send = whole;
    send["notBefore"] = recent;
    edit(&fixture, json!({ "send": send })).await;
    let settled = |request: &EnrollmentRequest| request.status.as_ref().unwrap().send.is_none();
    wait_for(fixture.requests(), REQUEST, "is settled", settled).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((job_of(&request), fixture.mailed(), fixture.revocations().len()), (job.clone(), vec![job], 0));
}

#[tokio::test]
async fn edited_configuration_id_is_restored_by_the_mark() {
    let (fixture, _operator) = Fixture::ready().await;
    let id = fixture.configs().get(CONFIG).await.unwrap().status.unwrap().id;
    let display_name = Some(format!("Theirs {}", OwnershipMark::of(CLUSTER, &fixture.namespace, "another")));
    let other = Config { display_name, ..Config::of_type("hosted_web") };
    fixture.realm.allow_any_answer();
    fixture.realm.add_config(other.clone());
    let edit = async |id: &str| {
        let change = Patch::Merge(json!({"status": {"id": id}}));
        fixture.configs().patch_status(CONFIG, &PatchParams::default(), &change).await.unwrap();
    };
    edit("nonsense").await;
    let has_its_id = |config: &AuthenticatorConfig| config.status.as_ref().unwrap().id == id;
    wait_for(fixture.configs(), CONFIG, "has its own id again", has_its_id).await;
    edit(&other.id).await;
    fixture.wait_for_config("ConfigurationInUse").await;
    assert_eq!(fixture.realm.config(&other.id), Some(other));
    assert_eq!(fixture.calls(Operation::CreateConfig), 1);
}
