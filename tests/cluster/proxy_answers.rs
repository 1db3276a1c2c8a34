//! An answer of a proxy or load balancer, instead of the service, is an outage, whatever its status code. A 404 for the
//! realm proves nothing about the objects in it.

use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Reply, Rule};

use crate::fixture::{
    CONFIG, Fixture, HIDDEN, History, REQUEST, conditions, eventually, job_of, message, poll_often, reason,
    short_delays, wait_until_deleted,
};

/// Polls jobs often, and checks configurations for drift every second.
fn poll_and_resync_often(settings: &mut Settings) {
    poll_often(settings);
    settings.resync_interval = Duration::from_secs(1);
}

/// Answers of a proxy and of a gateway, with this status code.
fn proxy_answers(status: u16) -> [Effect; 2] {
    [Reply::proxy_page(status), Reply::gateway_error(status, "no Route matched")].map(Effect::Answer)
}

/// The reasons of Ready in all versions of the object.
fn reasons<K: beyond_identity_operator::api::HasStatus>(versions: &[K]) -> Vec<String> {
    versions.iter().map(|version| reason(version).to_owned()).collect()
}

/// The proxy may have forwarded the call, so the email may have been sent.
#[tokio::test]
async fn send_answered_by_proxy_is_in_doubt_then_repeated() {
    let effects =
        [400, 401, 403, 404, 409, 422].map(|status| proxy_answers(status)[usize::from(status == 404)].clone());
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(short_delays).await;
        let history = History::of(&fixture.requests(), REQUEST).await;
        // The proxy starts to answer between the last list and the send.
        let send = fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateJob));
        fixture.realm.fault(Rule::new(effect.clone()).on(Operation::ListJobs).skip(1));
        fixture.create_request().await;
        let in_doubt = history.first_with_reason("SendInDoubt").await;
        assert_eq!(conditions(&in_doubt), "Reconciling=True Ready=Unknown");
        assert!(in_doubt.status.unwrap().send.is_some(), "status.send is retained");
        let listed = fixture.calls(Operation::ListJobs);
        eventually("jobs are listed twice more", || fixture.calls(Operation::ListJobs) >= listed + 2).await;
        assert_eq!((fixture.realm.fired(send), fixture.mailed().len()), (1, 0), "{effect:?}");
        fixture.realm.clear_faults();
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job_of(&request)], 2), "{effect:?}");
        let seen = reasons(&history.versions());
        for other in ["Refused", "Unauthorized", "PermissionDenied"] {
            assert!(!seen.iter().any(|reason| reason == other), "{effect:?}: {seen:?}");
        }
    }))
    .await;
}

#[tokio::test]
async fn email_sent_behind_proxy_is_found_by_its_job() {
    for status in [401, 404] {
        let (fixture, _operator) = Fixture::ready_with(short_delays).await;
        let answer = Effect::HappenThenAnswer(Reply::proxy_page(status));
        fixture.realm.fault(Rule::new(answer).on(Operation::CreateJob).once());
        fixture.create_request().await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job_of(&request)], 1), "{status}");
    }
}

#[tokio::test]
async fn create_answered_by_proxy_creates_one_configuration() {
    for (created, status) in [(true, 403), (false, 404)] {
        let fixture = Fixture::new().await;
        let _operator = fixture.start_with(short_delays).await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        let reply = Reply::proxy_page(status);
        let effect = if created { Effect::HappenThenAnswer(reply) } else { Effect::Answer(reply) };
        fixture.realm.fault(Rule::new(effect).on(Operation::CreateConfig).once());
        fixture.create_config().await;
        let config = fixture.wait_for_config("Available").await;
        let remotes = fixture.realm.configs();
        assert_eq!((remotes.len(), config.status.unwrap().id.as_ref()), (1, Some(&remotes[0].id)), "{status}");
        assert_eq!(fixture.calls(Operation::CreateConfig), if created { 1 } else { 2 }, "{status}");
        let seen = reasons(&history.versions());
        assert!(!seen.iter().any(|reason| reason == "Refused" || reason == "PermissionDenied"), "{seen:?}");
    }
}

/// The request's status is not written meanwhile, and polling continues afterwards.
#[tokio::test]
async fn job_behind_proxy_or_unknown_realm_is_not_missing() {
    let [page, gateway] = proxy_answers(404);
    let realm = |fixture: &Fixture| Effect::Answer(Reply::realm_not_found(fixture.realm.realm()));
    let hidden = [Some(page), Some(gateway), None];
    futures::future::join_all(hidden.map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(poll_and_resync_often).await;
        fixture.create_request().await;
        let sent = fixture.wait_for_request("LinkSent").await;
        let rule = Rule::new(effect.unwrap_or_else(|| realm(&fixture))).on(Operation::GetJob);
        let rule = fixture.realm.fault(rule);
        eventually("it is read twice", || fixture.realm.fired(rule) >= 2).await;
        let now = fixture.wait_for_request("LinkSent").await;
        assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);
        fixture.realm.remove_fault(rule);
        fixture.realm.set_job_state(&job_of(&sent), "LINK_OPENED");
        fixture.wait_for_request("LinkOpened").await;
        assert_eq!(fixture.mailed().len(), 1);
    }))
    .await;
}

#[tokio::test]
async fn configuration_hidden_by_proxy_is_not_recreated() {
    futures::future::join_all(proxy_answers(404).map(|effect| async move {
        let (fixture, _operator) = Fixture::ready_with(poll_and_resync_often).await;
        let available = fixture.wait_for_config("Available").await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        let rule = fixture.realm.fault(Rule::new(effect).on(Operation::GetConfig));
        eventually("it is read twice", || fixture.realm.fired(rule) >= 2).await;
        fixture.realm.remove_fault(rule);
        let read = fixture.calls(Operation::GetConfig);
        eventually("it is read without the fault", || fixture.calls(Operation::GetConfig) > read).await;
        let config = fixture.wait_for_config("Available").await;
        assert_eq!(config.status.unwrap().id, available.status.unwrap().id);
        let is_named = |config: &AuthenticatorConfig| config.status.as_ref().is_some_and(|status| status.id.is_some());
        assert!(history.versions().iter().all(is_named));
        assert_eq!((fixture.calls(Operation::CreateConfig), fixture.realm.configs().len()), (1, 1));
    }))
    .await;
}

/// A 401 or 403 of a proxy does not mean that the token is wrong.
#[tokio::test]
async fn proxy_refusal_never_stalls_the_request() {
    futures::future::join_all([401, 403, 404].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(1)).await;
        let [effect, _] = proxy_answers(status);
        let identity = fixture.realm.fault(Rule::new(effect).on(Operation::GetIdentity).times(3));
        let history = History::of(&fixture.requests(), REQUEST).await;
        fixture.create_request().await;
        let request = history.first_with_reason("ServiceUnavailable").await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        assert_eq!(
            message(&request),
            format!(
                "GET identities/{{id}} returned {status}, but not in the form of the Beyond Identity API; check the \
                 endpoint, and any proxy or load balancer in between"
            )
        );
        // The grace period ends meanwhile.
        eventually("the identity is read three times", || fixture.realm.fired(identity) == 3).await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)]);
        let versions = history.versions();
        assert!(!versions.iter().any(|version| conditions(version).contains("Stalled")), "{:?}", reasons(&versions));
        assert!(versions.iter().all(|version| version.status.as_ref().unwrap().failing_since.is_none()));
    }))
    .await;
}

#[tokio::test]
async fn deletion_waits_out_proxy_errors_then_revokes_the_link() {
    futures::future::join_all([403, 404].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(1)).await;
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        fixture.realm.fault(Rule::new(Effect::Answer(Reply::proxy_page(status))));
        fixture.delete_request(REQUEST).await;
        let request = fixture.wait_for_request("ServiceUnavailable").await;
        assert_eq!(
            conditions(&request),
            "Succeeded=Unknown Ready=True",
            "an object that is being deleted keeps its conditions"
        );
        let sentence = format!("returned {status}, but not in the form of the Beyond Identity API");
        assert!(message(&request).contains(&sentence), "{}", message(&request));
        let checks = fixture.calls(Operation::Check);
        eventually("two checks fail", || fixture.calls(Operation::Check) >= checks + 2).await;
        let request: EnrollmentRequest = fixture.requests().get(REQUEST).await.unwrap();
        assert!(!request.metadata.finalizers.unwrap_or_default().is_empty());
        assert_eq!(fixture.remote_state(&job), "LINK_SENT");
        fixture.realm.clear_faults();
        wait_until_deleted(fixture.requests(), REQUEST).await;
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
    }))
    .await;
}

/// Only the revocation is refused by the proxy. The job can be read.
#[tokio::test]
async fn proxy_refusal_of_revocation_sets_no_revoke_refused() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(Reply::proxy_page(403))).on(Operation::RevokeJob).times(2));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(serde_json::json!({"revoked": true})).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    assert_eq!((fixture.realm.fired(rule), fixture.remote_state(&job).as_str()), (2, "REVOKED"));
    let seen: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(!seen.iter().any(|seen| seen.contains("RevokeRefused")), "{seen:?}");
}

#[tokio::test]
async fn unknown_realm_is_reported_and_blocks_deletion() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let unknown = Effect::Answer(Reply::realm_not_found(fixture.realm.realm()));
    let rule = fixture.realm.fault(Rule::new(unknown.clone()).on(Operation::GetIdentity));
    fixture.create_request().await;
    let request = fixture.wait_for_request("RealmNotFound").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "GET identities/{{id}} found no such realm (404): code not_found; {HIDDEN}; check tenantID, realmID and the region or \
             endpoint of the provider config; the provider config is ClusterProviderConfig {}",
            fixture.provider
        )
    );
    fixture.realm.remove_fault(rule);
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    // Nor does the 404 count as proof that the link no longer exists.
    let rule = fixture.realm.fault(Rule::new(unknown));
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request("DeletionBlocked").await;
    assert!(message(&request).contains("found no such realm (404)"), "{}", message(&request));
    fixture.realm.remove_fault(rule);
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
}

#[tokio::test]
async fn configuration_deletion_answered_by_html_page_is_verified() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let id = fixture.realm.configs()[0].id.clone();
    fixture.realm.allow_any_answer();
    let page = Effect::Answer(Reply::text(200, "text/html", "<html>blocked</html>"));
    let page = fixture.realm.fault(Rule::new(page).on(Operation::DeleteConfig));
    fixture.delete_config().await;
    let config = fixture.wait_for_config("DeletionBlocked").await;
    assert!(
        message(&config).contains(&id) && message(&config).contains("but the configuration still exists"),
        "{}",
        message(&config)
    );
    eventually("the deletion is tried again", || fixture.realm.fired(page) >= 2).await;
    assert!(fixture.configs().get_opt(CONFIG).await.unwrap().is_some(), "the AuthenticatorConfig still exists");
    fixture.realm.remove_fault(page);
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs().len(), 0);
}
