//! Authorization, and the record of requests.

use harness::simulator::{Operation, Outcome};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, JANE, SIMULATOR, jobs_of, parts};

#[tokio::test]
async fn missing_and_unknown_tokens_are_unauthorized() {
    let api = Api::new();
    let url = format!("{}/v1/tenants/tenant/realms/{}/authenticator-configs", SIMULATOR.url(), api.realm.realm());
    let expected = (401, json!({"code": "unauthorized", "message": "unauthorized"}));
    assert_eq!(parts(api.client.get(&url).send().await.unwrap()).await, expected);
    let unknown = api.client.get(&url).bearer_auth("unknown");
    assert_eq!(parts(unknown.send().await.unwrap()).await, expected);
    let basic = api.client.get(&url).basic_auth("tenant", Some(&api.token));
    assert_eq!(parts(basic.send().await.unwrap()).await, expected);
}

#[tokio::test]
async fn token_of_another_realm_is_forbidden() {
    let (api, mut other) = (Api::new(), Api::new());
    other.token.clone_from(&api.token);
    let expected = (403, json!({"code": "forbidden", "message": "forbidden"}));
    assert_eq!(other.get("authenticator-configs").await, expected);
    assert_eq!(other.post(&jobs_of(JANE), other.enrolment()).await, expected);
    assert_eq!(other.realm.outbox(), []);
}

#[tokio::test]
async fn unknown_realm_of_the_tenant_is_not_found() {
    let api = Api::new();
    let missing = json!({
        "code": "not_found",
        "message": "realm not found",
        "details": [
            {"type": "ResourceInfo", "resource_type": "Realm", "id": "mistyped", "description": "realm not found"},
        ],
    });
    let bare = json!({"code": "not_found", "message": "The requested resource was not found."});
    let forbidden = json!({"code": "forbidden", "message": "forbidden"});
    let jobs = jobs_of(JANE);
    for (tenant, path, expected) in [
        ("tenant", format!("identities/{JANE}"), (404, missing.clone())),
        ("tenant", "identities".to_owned(), (404, missing.clone())),
        ("tenant", format!("{jobs}/1"), (404, missing.clone())),
        ("tenant", jobs, (404, missing)),
        ("tenant", "authenticator-configs".to_owned(), (404, bare.clone())),
        ("tenant", "authenticator-configs/1".to_owned(), (404, bare)),
        ("elsewhere", "authenticator-configs".to_owned(), (403, forbidden)),
    ] {
        let url = format!("{}/v1/tenants/{tenant}/realms/mistyped/{path}", SIMULATOR.url());
        let answer = api.client.get(&url).bearer_auth(&api.token).send().await.unwrap();
        assert_eq!(parts(answer).await, expected, "{tenant} {path}");
    }
}

#[tokio::test]
async fn replaced_token_is_unauthorized() {
    let mut api = Api::new();
    api.realm.set_token("the next token");
    assert_eq!(api.get("authenticator-configs").await.0, 401);
    "the next token".clone_into(&mut api.token);
    assert_eq!(api.get("authenticator-configs").await.0, 200);
}

#[tokio::test]
async fn unknown_operation_is_not_found() {
    let api = Api::new();
    for (method, path) in [(Method::GET, "groups"), (Method::PUT, "authenticator-configs"), (Method::GET, "")] {
        let (status, body) = api.call(method, path, None).await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{path}");
    }
}

#[tokio::test]
async fn requests_are_recorded_as_received() {
    let api = Api::new();
    let body = json!({"authenticator_config": {"config": {"type": "hosted_web"}}, "unknown": 1});
    api.post("authenticator-configs", body.clone()).await;
    api.get("authenticator-configs?page_size=%35").await;
    let url = format!("{}/v1/tenants/tenant/realms/{}/identities/a%2Fb", SIMULATOR.url(), api.realm.realm());
    api.client.get(url).header("user-agent", "tester/1").send().await.unwrap();

    let requests = api.realm.requests();
    let [create, list, identity] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(create.operation, Operation::CreateConfig);
    assert_eq!(create.method, "POST");
    assert_eq!(create.json(), body);
    assert!(create.authorization);
    assert_eq!(create.outcome, Outcome::Answered(200));
    assert_eq!(list.operation, Operation::ListConfigs);
    assert_eq!(list.query.as_deref(), Some("page_size=%35"));
    assert_eq!(list.json(), Value::Null);
    assert!(list.time >= create.time);
    assert_eq!(identity.operation, Operation::GetIdentity);
    assert!(identity.path.ends_with("/identities/a%2Fb"), "{}", identity.path);
    assert!(!identity.authorization);
    assert_eq!(identity.user_agent.as_deref(), Some("tester/1"));
    assert_eq!(identity.outcome, Outcome::Answered(401));
    assert_eq!(api.realm.requests_of(Operation::ListConfigs), std::slice::from_ref(list));
}
