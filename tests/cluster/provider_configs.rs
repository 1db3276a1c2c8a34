//! The health of provider configs: what fails because of one fails there, once, and everything continues afterwards.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, PAUSED, ProviderConfig, RECONCILE_REQUESTED_AT};
use data_encoding::BASE64URL_NOPAD;
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Operation, Outcome, Reply, Rule};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::fixture::{
    Access, CONFIG, Fixture, OWN, REQUEST, conditions, eventually, is_ready, job_of, message, message_of, object,
    patch, poll_often, reason, shared_simulator, short_delays, wait_for, wait_until_deleted,
};

/// The number of objects in tests of many.
const MANY: usize = 20;

/// A JWT with these claims, which the simulator knows as an opaque token.
fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()))
}

/// Creates requests for new identities with this prefix, and returns their names.
async fn create_many(fixture: &Fixture, prefix: &str) -> Vec<String> {
    let names: Vec<_> = (0..MANY).map(|number| format!("{prefix}-{number}")).collect();
    join_all(names.iter().map(|name| async move {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
    }))
    .await;
    names
}

async fn wait_for_all(fixture: &Fixture, names: &[String], reason: &str) {
    join_all(names.iter().map(|name| fixture.wait_for_request_named(name, reason))).await;
}

/// Sets or removes the annotation that pauses the ProviderConfig.
async fn pause(fixture: &Fixture, value: Option<&str>) {
    let annotation = json!({"metadata": {"annotations": {PAUSED: value}}});
    patch(&fixture.own_providers(), OWN, annotation).await.unwrap();
}

#[tokio::test]
async fn namespaced_provider_config_enrols_with_a_secret_of_its_namespace() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    let provider = fixture.wait_for_own_provider("CredentialsAccepted").await;
    assert_eq!(
        (conditions(&provider).as_str(), message(&provider)),
        ("Ready=True", "The service accepts the credentials")
    );
    assert_eq!(provider.status.as_ref().unwrap().observed_generation, provider.metadata.generation);
    assert_eq!(provider.finalizers(), ["beyondidentity.dev/finalizer"]);
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
}

/// The API server accepts the example, and keeps every field of it.
#[tokio::test]
async fn example_of_a_namespaced_provider_config_is_valid() {
    let fixture = Fixture::bare(shared_simulator()).await;
    let mut example: Value = serde_saphyr::from_str(include_str!("../../examples/namespaced-provider.yaml")).unwrap();
    example["metadata"]["namespace"] = json!(fixture.namespace);
    let created = fixture.own_providers().create(&PostParams::default(), &object(example.clone())).await.unwrap();
    let stored = serde_json::to_value(created).unwrap();
    for field in ["/spec/tenantID", "/spec/realmID", "/spec/region", "/spec/credentials/apiToken"] {
        assert_eq!(stored.pointer(field), example.pointer(field), "{field}");
    }
}

#[tokio::test]
async fn same_name_in_two_namespaces_has_its_own_token() {
    let (one, two) = (Fixture::bare(shared_simulator()).await, Fixture::bare(shared_simulator()).await);
    let two = Fixture { operator_namespace: one.operator_namespace.clone(), ..two };
    for fixture in [&one, &two] {
        fixture.create_own_provider().await;
        fixture.set_own_token(&fixture.token).await;
    }
    let _operator = one.start_with(|settings| settings.watch_namespaces.push(two.namespace.clone())).await;
    for fixture in [&one, &two] {
        fixture.create_own_config(CONFIG).await;
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        assert_eq!(fixture.mailed(), [job], "sent in its own realm");
    }
    // The Secret of one namespace is gone: its link is revoked with its own last known token.
    two.delete_own_secret().await;
    two.wait_for_own_provider("SecretNotFound").await;
    two.delete_request(REQUEST).await;
    wait_until_deleted(two.requests(), REQUEST).await;
    assert_eq!((two.revocations(), one.revocations().len()), (two.mailed(), 0));
    assert!(
        one.realm
            .all_requests()
            .iter()
            .chain(&two.realm.all_requests())
            .all(|call| call.outcome != Outcome::Answered(401))
    );
}

#[tokio::test]
async fn reference_never_leaves_its_namespace() {
    let (one, _operator) = Fixture::with_own_provider(|_| {}).await;
    let other = Fixture::bare(shared_simulator()).await;
    let _other = other.start().await;
    other.create_own_config(CONFIG).await;
    let config = other.wait_for_config("ProviderConfigNotFound").await;
    let expected = format!(
        "ProviderConfig {}/own does not exist; create it, or correct spec.providerConfigRef of the AuthenticatorConfig",
        other.namespace
    );
    assert_eq!(message(&config), expected);
    assert_eq!((one.realm.configs().len(), other.realm.all_requests().len()), (1, 0));
}

#[tokio::test]
async fn each_problem_of_the_credentials_has_its_reason() {
    let fixture = Fixture::bare(shared_simulator()).await;
    fixture.create_own_provider().await;
    let _operator = fixture.start().await;
    let provider = fixture.wait_for_own_provider("SecretNotFound").await;
    assert_eq!(conditions(&provider), "Reconciling=True Ready=False");
    let expired = jwt(&json!({"exp": 1_700_000_000, "bi_t": fixture.realm.tenant()}));
    let foreign = jwt(&json!({"exp": 4_100_000_000_u64, "bi_t": "another"}));
    let fresh = jwt(&json!({"exp": 4_100_000_000_u64, "bi_t": fixture.realm.tenant()}));
    for (token, reason, sentence) in [
        ("two words", "InvalidToken", "is not a valid token for ProviderConfig"),
        ("unknown", "Unauthorized", "was refused (401)"),
        ("\"unknown\"", "InvalidToken", "it is in quotes; store it without them"),
        (&expired, "TokenExpired", "The token expired at 2023-11-14T22:13:20Z"),
        (&foreign, "TenantMismatch", "does not belong to the tenant in spec.tenantID"),
    ] {
        fixture.set_own_token(token).await;
        let provider = fixture.wait_for_own_provider(reason).await;
        assert!(message(&provider).contains(sentence), "{}", message(&provider));
        assert_eq!(conditions(&provider), "Reconciling=True Ready=False", "{reason}");
    }
    fixture.realm.set_token(&fresh);
    // People copy the scheme from a header.
    fixture.set_own_token(&format!("Bearer {fresh}")).await;
    let provider = fixture.wait_for_own_provider("CredentialsAccepted").await;
    assert_eq!(provider.status.unwrap().token_expire_time.as_deref(), Some("2099-12-03T16:53:20Z"));
}

#[tokio::test]
async fn status_of_another_writer_is_overwritten_without_a_check() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    let checks = fixture.calls(Operation::Check);
    let edit = json!({"status": {"conditions": [], "tokenExpireTime": "2099-12-03T16:53:20Z"}});
    let (providers, params) = (fixture.own_providers(), PatchParams::default());
    let edited: ProviderConfig = providers.patch_status(OWN, &params, &Patch::Merge(edit)).await.unwrap();
    assert_eq!(reason(&edited), "");
    let provider = fixture.wait_for_own_provider("CredentialsAccepted").await;
    assert_eq!(provider.status.unwrap().token_expire_time, None);
    assert_eq!(fixture.calls(Operation::Check), checks);
}

#[tokio::test]
async fn revoked_token_costs_a_few_calls_and_everything_continues() {
    let (fixture, _operator) = Fixture::with_own_provider(poll_often).await;
    let followed = create_many(&fixture, "followed").await;
    wait_for_all(&fixture, &followed, "LinkSent").await;
    fixture.realm.set_token("renewed");
    fixture.wait_for_own_provider("Unauthorized").await;
    let (calls, checks) = (fixture.realm.requests().len(), fixture.calls(Operation::Check));
    let waiting = create_many(&fixture, "waiting").await;
    wait_for_all(&fixture, &waiting, "Unauthorized").await;
    eventually("two more checks fail", || fixture.calls(Operation::Check) >= checks + 2).await;
    assert_eq!(fixture.realm.requests().len(), calls, "no object makes a call");
    let request = fixture.requests().get(&waiting[0]).await.unwrap();
    let prefix =
        format!("ProviderConfig {}/own is not Ready: GET authenticator-configs was refused (401)", fixture.namespace);
    assert!(message(&request).starts_with(&prefix), "{}", message(&request));
    assert_eq!(
        reason(&fixture.requests().get(&followed[0]).await.unwrap()),
        "LinkSent",
        "settled objects keep their conditions"
    );

    fixture.set_own_token("renewed").await;
    wait_for_all(&fixture, &waiting, "LinkSent").await;
    let job = job_of(&fixture.requests().get(&followed[0]).await.unwrap());
    fixture.realm.set_job_state(&job, "LINK_OPENED");
    fixture.wait_for_request_named(&followed[0], "LinkOpened").await;
    assert_eq!(fixture.mailed().len(), 2 * MANY, "one email each");
}

#[tokio::test]
async fn outage_costs_only_checks_and_everything_continues() {
    let (fixture, _operator) = Fixture::with_own_provider(poll_often).await;
    let followed = create_many(&fixture, "followed").await;
    wait_for_all(&fixture, &followed, "LinkSent").await;
    fixture.realm.pause();
    fixture.wait_for_own_provider("ServiceUnavailable").await;
    let calls = fixture.realm.requests().len();
    let waiting = create_many(&fixture, "waiting").await;
    wait_for_all(&fixture, &waiting, "ServiceUnavailable").await;
    assert_eq!(fixture.realm.requests().len(), calls, "no object makes a call");
    fixture.realm.resume();
    wait_for_all(&fixture, &waiting, "LinkSent").await;
    let job = job_of(&fixture.requests().get(&followed[0]).await.unwrap());
    fixture.realm.set_job_state(&job, "LINK_OPENED");
    fixture.wait_for_request_named(&followed[0], "LinkOpened").await;
    assert_eq!(fixture.mailed().len(), 2 * MANY, "one email each");
}

#[tokio::test]
async fn send_in_doubt_is_settled_after_the_token_is_replaced() {
    let (fixture, _operator) = Fixture::with_own_provider(short_delays).await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs).times(2));
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;
    fixture.realm.set_token("renewed");
    fixture.wait_for_own_provider("Unauthorized").await;
    let request: EnrollmentRequest = fixture.requests().get(REQUEST).await.unwrap();
    assert!(request.status.unwrap().send.is_some());
    fixture.set_own_token("renewed").await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)], "one email");
}

#[tokio::test]
async fn missing_scope_stops_new_sends_until_it_is_granted() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    let forbidden = Reply::error(403, "forbidden", "forbidden");
    let fault = fixture.realm.fault(Rule::new(Effect::Answer(forbidden)).on(Operation::CreateJob));
    let names = create_many(&fixture, "waiting").await;
    let provider = fixture.wait_for_own_provider("MissingScopes").await;
    assert_eq!(
        message(&provider),
        "The token lacks the scope credential-binding-jobs:create; grant it, or store a token that has it in the Secret"
    );
    wait_for_all(&fixture, &names, "MissingScopes").await;
    // One object after the other tries again.
    let tried = fixture.calls(Operation::CreateJob);
    eventually("another object has tried", || fixture.calls(Operation::CreateJob) > tried).await;
    fixture.realm.remove_fault(fault);
    wait_for_all(&fixture, &names, "LinkSent").await;
    fixture.wait_for_own_provider("CredentialsAccepted").await;
    assert_eq!(fixture.mailed().len(), MANY);
}

#[tokio::test]
async fn missing_revoke_scope_is_reported_and_stops_no_send() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let provider = wait_for(fixture.own_providers(), OWN, "is degraded", |provider: &ProviderConfig| {
        conditions(provider) == "Ready=True Degraded=True"
    });
    let provider = provider.await;
    assert!(
        message_of(&provider, "Degraded").starts_with("The token lacks the scope credential-binding-jobs:revoke, ")
    );
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
}

#[tokio::test]
async fn paused_provider_config_sends_nothing_and_still_revokes() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    pause(&fixture, Some("true")).await;
    let provider = wait_for(fixture.own_providers(), OWN, "is paused", |provider: &ProviderConfig| {
        conditions(provider) == "Ready=True Paused=True"
    });
    let provider = provider.await;
    assert!(message_of(&provider, "Paused").contains("remove the annotation beyondidentity.dev/paused to resume"));
    let names = create_many(&fixture, "waiting").await;
    wait_for_all(&fixture, &names, "ProviderConfigPaused").await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    assert_eq!((fixture.revocations().len(), fixture.mailed().len()), (1, 1));
    pause(&fixture, None).await;
    wait_for_all(&fixture, &names, "LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1 + MANY);
}

#[tokio::test]
async fn provider_config_in_use_is_deleted_after_its_referrers() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.own_providers().delete(OWN, &DeleteParams::default()).await.unwrap();
    let provider = fixture.wait_for_own_provider("InUse").await;
    let namespace = &fixture.namespace;
    assert_eq!(
        message(&provider),
        format!(
            "Referred to by AuthenticatorConfig {namespace}/{CONFIG}, EnrollmentRequest {namespace}/{REQUEST}; delete \
             what refers to it first"
        )
    );
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.delete_config().await;
    wait_until_deleted(fixture.own_providers(), OWN).await;
    assert_eq!(
        (fixture.revocations().len(), fixture.realm.configs().len()),
        (1, 0),
        "its credentials were there to the end"
    );
}

#[tokio::test]
async fn token_that_expires_soon_has_an_event() {
    let fixture = Fixture::bare(shared_simulator()).await;
    let provider = fixture.create_own_provider().await;
    let soon = provider.metadata.creation_timestamp.unwrap().0.as_second() + 3 * 24 * 3600;
    let token = jwt(&json!({"exp": soon}));
    fixture.realm.set_token(&token);
    fixture.set_own_token(&token).await;
    let _operator = fixture.start().await;
    fixture.wait_for_own_provider("CredentialsAccepted").await;
    let event = fixture.wait_for_event_of("ProviderConfig", OWN, "Warning TokenExpiring").await;
    let at = jiff::Timestamp::from_second(soon).unwrap();
    assert_eq!(event.note, format!("The token expires at {at}; store a new token in its Secret before then"));
}

/// The annotation stays, since no status says that it was handled.
#[tokio::test]
async fn requested_check_is_made_once_where_no_status_is_written() {
    let (fixture, _operator) = Fixture::ready().await;
    let request = |value: &str| json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: value}}});
    let checks = || fixture.calls(Operation::Check);
    // A check has three calls.
    eventually("no check is being made", || checks() > 0 && checks().is_multiple_of(3)).await;
    for round in ["one", "two"] {
        let before = checks();
        patch(&fixture.providers(), &fixture.provider, request(round)).await.unwrap();
        eventually("the credentials are checked", || checks() >= before + 3).await;
        // A change of the spec is no request. The configuration shows that the operator has seen it.
        let names =
            json!({"spec": {"allowedNamespaces": {"names": [fixture.namespace, round]}, "allowedConfigTypes": []}});
        patch(&fixture.providers(), &fixture.provider, names).await.unwrap();
        fixture.wait_for_config("ConfigNotAllowed").await;
        patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowedConfigTypes": null}})).await.unwrap();
        fixture.wait_for_config("Available").await;
        assert_eq!(checks(), before + 3, "{round}");
    }
}

#[tokio::test]
async fn cluster_scoped_status_is_written_where_the_whole_cluster_is_watched() {
    let fixture = Fixture::new().await;
    let some = fixture.spawn(&Access::shared(), &[]).await;
    eventually("the log has the health", || !some.logged("The service accepts the credentials").is_empty()).await;
    let sentence = "The status of ClusterProviderConfigs is not written, because only some namespaces are watched; their \
                    health is reported in this log";
    assert_eq!(some.logged(sentence).len(), 1);
    let provider = fixture.providers().get(&fixture.provider).await.unwrap();
    assert!(provider.status.is_none() && provider.finalizers().is_empty());
    assert_eq!(some.stop().0, Some(0));

    let _everything = fixture.spawn(&Access::shared().everywhere(), &[]).await;
    let provider = wait_for(fixture.providers(), &fixture.provider, "is Ready", is_ready).await;
    assert_eq!((conditions(&provider).as_str(), reason(&provider)), ("Ready=True", "CredentialsAccepted"));
    fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.providers(), &fixture.provider).await;
}
