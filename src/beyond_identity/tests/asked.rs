//! An answer to another request is no answer, whatever it says.

use serde_json::{Value, json};

use super::server::{Reply, Server, answer};
use super::{TIMEOUT, client, new_job};
use crate::beyond_identity::types::{AuthenticatorConfigPatch, NewAuthenticatorConfig};
use crate::beyond_identity::{Doubt, Error, RealmClient};

/// The reason of the unusable answer `body` to this call.
async fn unusable<T: std::fmt::Debug>(body: &Value, call: impl AsyncFnOnce(RealmClient) -> Result<T, Error>) -> String {
    match answered(body, call).await {
        Err(error @ Error::InDoubt { cause: Doubt::Unusable, status: Some(200), .. }) => error.to_string(),
        other => panic!("{body}: {other:?}"),
    }
}

async fn answered<T>(body: &Value, call: impl AsyncFnOnce(RealmClient) -> Result<T, Error>) -> Result<T, Error> {
    let server = Server::start([Reply::Send(answer("200 OK", &body.to_string()))]).await;
    call(client(server.address, TIMEOUT)).await
}

#[tokio::test]
async fn object_with_another_id_is_unusable() {
    let other = json!({"id": "other", "config": {"type": "hosted_web"}});
    let patch = AuthenticatorConfigPatch { display_name: Some("Name".to_owned()), config: None };
    let errors = [
        unusable(&other, async |client| client.identity("jane").await).await,
        unusable(&json!({"identity": other}), async |client| client.identity("jane").await).await,
        unusable(&other, async |client| client.job("jane", "job").await).await,
        unusable(&other, async |client| client.authenticator_config("config").await).await,
        unusable(&other, async |client| client.patch_authenticator_config("config", &patch).await).await,
    ];
    for error in errors {
        assert!(error.contains("it is about an object with another id"), "{error}");
        assert!(!error.contains("other\""), "{error}");
    }
}

#[tokio::test]
async fn object_of_another_realm_or_tenant_is_unusable() {
    let fields = json!({ "type": "hosted_web" }).as_object().unwrap().clone();
    let new = NewAuthenticatorConfig { display_name: None, config: fields };
    for (field, expected) in [("realm_id", "realm"), ("tenant_id", "tenant")] {
        let body = json!({"id": "jane", field: "other"});
        let list = |name: &str| json!({name: [body], "total_size": 1});
        let errors = [
            unusable(&body, async |client| client.identity("jane").await).await,
            unusable(&body, async |client| client.job("jane", "jane").await).await,
            unusable(&body, async |client| client.create_job("jane", &new_job(), TIMEOUT).await).await,
            unusable(&body, async |client| client.authenticator_config("jane").await).await,
            unusable(&body, async |client| client.create_authenticator_config(&new, TIMEOUT).await).await,
            unusable(&list("credential_binding_jobs"), async |client| client.list_jobs("jane").await).await,
            unusable(&list("identities"), async |client| client.identities_by_username("jane").await).await,
            unusable(&list("authenticator_configs"), async |client| client.list_authenticator_configs().await).await,
        ];
        for error in errors {
            assert!(error.contains("it is about another realm or tenant"), "{error}");
        }
        let own = json!({"id": "jane", field: expected});
        answered(&own, async |client| client.identity("jane").await).await.unwrap();
    }
}

#[tokio::test]
async fn job_of_another_identity_spoils_a_list_and_is_no_answer_to_a_create() {
    let job = json!({"id": "job", "identity_id": "other"});
    let list = json!({"credential_binding_jobs": [{"id": "own", "identity_id": "jane"}, job], "total_size": 2});
    for error in [
        unusable(&list, async |client| client.list_jobs("jane").await).await,
        unusable(&job, async |client| client.create_job("jane", &new_job(), TIMEOUT).await).await,
    ] {
        assert!(error.contains("it is about another identity"), "{error}");
    }
    // A field that the response omits is not another one.
    let bare = json!({"credential_binding_jobs": [{"id": "own"}], "total_size": 1});
    assert_eq!(answered(&bare, async |client| client.list_jobs("jane").await).await.unwrap().items.len(), 1);
}
