//! A proxy or a load balancer answers in the place of the service: that is an outage, whatever the status. And a realm that
//! the service does not know says nothing about what was made there.

use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Reply, Rule};

use crate::fixture::{
    CONFIG, Fixture, History, REQUEST, conditions, eventually, following, job_of, message, reason, short,
    wait_until_gone,
};

/// Jobs are looked at again and again, and configurations are compared every second.
fn watching(settings: &mut Settings) {
    following(settings);
    settings.resync_interval = Duration::from_secs(1);
}

/// What stands between answers, with this status.
fn in_between(status: u16) -> [Effect; 2] {
    [Reply::proxy_page(status), Reply::gateway_error(status, "no Route matched")].map(Effect::Answer)
}

/// What was ever said of the object.
fn reasons<K: beyond_identity_operator::api::HasStatus>(versions: &[K]) -> Vec<String> {
    versions.iter().map(|version| reason(version).to_owned()).collect()
}

/// It may have passed the request on, and the email may be on its way.
#[tokio::test]
async fn a_send_that_a_proxy_answers_is_in_doubt_and_made_again_once_that_is_settled_and_the_proxy_is_gone() {
    let effects = [400, 401, 403, 404, 409, 422].map(|status| in_between(status)[usize::from(status == 404)].clone());
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(short).await;
        let history = History::of(&fixture.requests(), REQUEST).await;
        // It comes up between the last list and the send, and answers everything from then on.
        let send = fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateJob));
        fixture.realm.fault(Rule::new(effect.clone()).on(Operation::ListJobs).skip(1));
        fixture.create_request().await;
        let in_doubt = history.says("ServiceUnavailable").await;
        assert_eq!(conditions(&in_doubt), "Reconciling=True Ready=False");
        assert!(in_doubt.status.unwrap().send.is_some(), "its record stays");
        let listed = fixture.calls(Operation::ListJobs);
        eventually("it was looked for twice more", || fixture.calls(Operation::ListJobs) >= listed + 2).await;
        assert_eq!((fixture.realm.fired(send), fixture.mailed().len()), (1, 0), "{effect:?}");
        fixture.realm.clear_faults();
        let request = fixture.request_says("LinkSent").await;
        assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job_of(&request)], 2), "{effect:?}");
        let said = reasons(&history.versions());
        for other in ["Refused", "Unauthorized", "PermissionDenied"] {
            assert!(!said.iter().any(|reason| reason == other), "{effect:?}: {said:?}");
        }
    }))
    .await;
}

#[tokio::test]
async fn an_email_that_went_out_behind_a_proxy_is_found_by_its_job() {
    for status in [401, 404] {
        let (fixture, _operator) = Fixture::ready_with(short).await;
        let answer = Effect::HappenThenAnswer(Reply::proxy_page(status));
        fixture.realm.fault(Rule::new(answer).on(Operation::CreateJob).once());
        fixture.create_request().await;
        let request = fixture.request_says("LinkSent").await;
        assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job_of(&request)], 1), "{status}");
    }
}

#[tokio::test]
async fn a_configuration_that_a_proxy_answers_for_is_in_doubt_and_made_once() {
    for (made, status) in [(true, 403), (false, 404)] {
        let fixture = Fixture::new().await;
        let _operator = fixture.start_with(short).await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        let reply = Reply::proxy_page(status);
        let effect = if made { Effect::HappenThenAnswer(reply) } else { Effect::Answer(reply) };
        fixture.realm.fault(Rule::new(effect).on(Operation::CreateConfig).once());
        fixture.create_config().await;
        let config = fixture.config_says("Available").await;
        let remotes = fixture.realm.configs();
        assert_eq!((remotes.len(), config.status.unwrap().id.as_ref()), (1, Some(&remotes[0].id)), "{status}");
        assert_eq!(fixture.calls(Operation::CreateConfig), if made { 1 } else { 2 }, "{status}");
        let said = reasons(&history.versions());
        assert!(!said.iter().any(|reason| reason == "Refused" || reason == "PermissionDenied"), "{said:?}");
    }
}

/// The request is not written while its job is answered like that, and is followed from then on.
#[tokio::test]
async fn a_job_that_a_proxy_or_an_unknown_realm_hides_is_not_gone() {
    let [page, gateway] = in_between(404);
    let realm = |fixture: &Fixture| Effect::Answer(Reply::realm_not_found(fixture.realm.realm()));
    let hidden = [Some(page), Some(gateway), None];
    futures::future::join_all(hidden.map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(watching).await;
        fixture.create_request().await;
        let sent = fixture.request_says("LinkSent").await;
        let rule = Rule::new(effect.unwrap_or_else(|| realm(&fixture))).on(Operation::GetJob);
        let rule = fixture.realm.fault(rule);
        eventually("it was read twice", || fixture.realm.fired(rule) >= 2).await;
        let now = fixture.request_says("LinkSent").await;
        assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);
        fixture.realm.remove_fault(rule);
        fixture.realm.set_job_state(&job_of(&sent), "LINK_OPENED");
        fixture.request_says("LinkOpened").await;
        assert_eq!(fixture.mailed().len(), 1);
    }))
    .await;
}

#[tokio::test]
async fn a_configuration_that_a_proxy_hides_is_not_made_again() {
    futures::future::join_all(in_between(404).map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(watching).await;
        let available = fixture.config_says("Available").await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        let rule = fixture.realm.fault(Rule::new(effect).on(Operation::GetConfig));
        eventually("it was read twice", || fixture.realm.fired(rule) >= 2).await;
        fixture.realm.remove_fault(rule);
        let read = fixture.calls(Operation::GetConfig);
        eventually("it was found again", || fixture.calls(Operation::GetConfig) > read).await;
        let config = fixture.config_says("Available").await;
        assert_eq!(config.status.unwrap().id, available.status.unwrap().id);
        let is_named = |config: &AuthenticatorConfig| config.status.as_ref().is_some_and(|status| status.id.is_some());
        assert!(history.versions().iter().all(is_named));
        assert_eq!((fixture.calls(Operation::CreateConfig), fixture.realm.configs().len()), (1, 1));
    }))
    .await;
}

/// Nothing is wrong with the token.
#[tokio::test]
async fn what_a_proxy_refuses_neither_blocks_nor_stalls() {
    futures::future::join_all([401, 403, 404].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(1)).await;
        let [effect, _] = in_between(status);
        let identity = fixture.realm.fault(Rule::new(effect).on(Operation::GetIdentity).times(3));
        let history = History::of(&fixture.requests(), REQUEST).await;
        fixture.create_request().await;
        let request = history.says("ServiceUnavailable").await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        assert_eq!(
            message(&request),
            format!(
                "GET identities/{{id}} returned {status}, but not in the form of the Beyond Identity API; check the \
                 endpoint, and any proxy or load balancer in between"
            )
        );
        // By then the grace period is over.
        eventually("it was tried again and again", || fixture.realm.fired(identity) == 3).await;
        let request = fixture.request_says("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)]);
        let versions = history.versions();
        assert!(!versions.iter().any(|version| conditions(version).contains("Stalled")), "{:?}", reasons(&versions));
        assert!(versions.iter().all(|version| version.status.as_ref().unwrap().failing_since.is_none()));
    }))
    .await;
}

#[tokio::test]
async fn a_deletion_waits_for_a_proxy_to_go_and_then_revokes_its_link() {
    futures::future::join_all([403, 404].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(1)).await;
        fixture.create_request().await;
        let job = job_of(&fixture.request_says("LinkSent").await);
        fixture.realm.fault(Rule::new(Effect::Answer(Reply::proxy_page(status))));
        fixture.delete_request(REQUEST).await;
        let request = fixture.request_says("ServiceUnavailable").await;
        assert_eq!(conditions(&request), "Succeeded=Unknown Ready=True", "being deleted, it keeps its row");
        let sentence = format!("returned {status}, but not in the form of the Beyond Identity API");
        assert!(message(&request).contains(&sentence), "{}", message(&request));
        let revocations = fixture.revocations().len();
        eventually("it was tried twice more", || fixture.revocations().len() >= revocations + 2).await;
        let request: EnrollmentRequest = fixture.requests().get(REQUEST).await.unwrap();
        assert!(!request.metadata.finalizers.unwrap_or_default().is_empty());
        assert_eq!(fixture.remote_state(&job), "LINK_SENT");
        fixture.realm.clear_faults();
        wait_until_gone(fixture.requests(), REQUEST).await;
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
    }))
    .await;
}

/// A revocation alone that something on the way refuses, while the job can be read.
#[tokio::test]
async fn a_revocation_that_a_proxy_refuses_is_not_one_that_the_service_refuses() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(Reply::proxy_page(403))).on(Operation::RevokeJob).times(2));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(serde_json::json!({"revoked": true})).await.unwrap();
    fixture.request_says("Revoked").await;
    assert_eq!((fixture.realm.fired(rule), fixture.remote_state(&job).as_str()), (2, "REVOKED"));
    let said: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(!said.iter().any(|said| said.contains("RevokeRefused")), "{said:?}");
}

#[tokio::test]
async fn a_realm_that_the_service_does_not_know_is_said_to_be_one_where_something_is_pending() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let unknown = Effect::Answer(Reply::realm_not_found(fixture.realm.realm()));
    let rule = fixture.realm.fault(Rule::new(unknown.clone()).on(Operation::GetIdentity));
    fixture.create_request().await;
    let request = fixture.request_says("RealmNotFound").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "GET identities/{{id}} found no such realm (404): realm not found; check tenantID, realmID and the region or \
             endpoint of the provider config; the provider config is ClusterProviderConfig {}",
            fixture.provider
        )
    );
    fixture.realm.remove_fault(rule);
    let job = job_of(&fixture.request_says("LinkSent").await);
    // Nor is its link taken for gone when it is to be revoked.
    let rule = fixture.realm.fault(Rule::new(unknown));
    fixture.delete_request(REQUEST).await;
    let request = fixture.request_says("DeletionBlocked").await;
    assert!(message(&request).contains("found no such realm (404)"), "{}", message(&request));
    fixture.realm.remove_fault(rule);
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
}

#[tokio::test]
async fn a_deletion_of_a_configuration_that_a_page_takes_is_believed_once_its_id_says_so() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let id = fixture.realm.configs()[0].id.clone();
    fixture.realm.allow_any_answer();
    let page = Effect::Answer(Reply::text(200, "text/html", "<html>blocked</html>"));
    let page = fixture.realm.fault(Rule::new(page).on(Operation::DeleteConfig));
    fixture.delete_config().await;
    let config = fixture.config_says("DeletionBlocked").await;
    assert!(
        message(&config).contains(&id) && message(&config).contains("but the configuration still exists"),
        "{}",
        message(&config)
    );
    eventually("it was tried again", || fixture.realm.fired(page) >= 2).await;
    assert!(fixture.configs().get_opt(CONFIG).await.unwrap().is_some(), "it is still there");
    fixture.realm.remove_fault(page);
    wait_until_gone(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs().len(), 0);
}
