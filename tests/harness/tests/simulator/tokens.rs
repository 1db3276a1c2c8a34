//! The token endpoint.

use harness::simulator::{Application, Operation};
use serde_json::{Value, json};

use crate::{Api, parts};

/// An application in another realm of the tenant, for the realm of the test.
fn application(api: &Api) -> Application {
    let application = Application {
        realm: "admin".to_owned(),
        id: format!("application-of-{}", api.realm.realm()),
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned(),
        scopes: vec!["a:read".to_owned(), "b:read".to_owned()],
        lifetime: 3600,
    };
    api.realm.add_application(application.clone());
    application
}

/// The answer to a request for a token.
async fn request(api: &Api, id: &str, secret: &str, form: &str) -> (u16, Value) {
    let url = format!("{}/v1/tenants/tenant/realms/admin/applications/{id}/token", api.realm.url());
    let request = api.client.post(url).basic_auth("client", Some(secret));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    parts(request.send().await.unwrap()).await
}

#[tokio::test]
async fn issued_token_is_accepted_until_it_is_revoked_or_expires() {
    let mut api = Api::new();
    let application = application(&api);
    for (form, scope) in
        [("grant_type=client_credentials", "a:read b:read"), ("grant_type=client_credentials&scope=a%3Aread", "a:read")]
    {
        let (status, answer) = request(&api, &application.id, "secret", form).await;
        let token = api.realm.issued_tokens().pop().unwrap();
        let expected = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope});
        assert_eq!((status, answer), (200, expected));
        api.token = token;
        assert_eq!(api.get("authenticator-configs").await.0, 200);
    }
    api.realm.revoke_tokens();
    assert_eq!(api.get("authenticator-configs").await.0, 401);
    api.realm.add_application(Application { lifetime: 0, ..application.clone() });
    request(&api, &application.id, "secret", "grant_type=client_credentials").await;
    api.token = api.realm.issued_tokens().pop().unwrap();
    assert_eq!(api.get("authenticator-configs").await.0, 403, "expired");
    assert_eq!(api.realm.requests_of(Operation::RequestToken).len(), 3, "they belong to the realm of the tokens");
}

#[tokio::test]
async fn invalid_requests_for_a_token_are_refused() {
    let api = Api::new();
    let id = application(&api).id;
    for (id, secret, form, status, code) in [
        (&*id, "wrong", "grant_type=client_credentials", 401, "invalid_client"),
        (&id, "secret", "grant_type=password", 400, "unsupported_grant_type"),
        (&id, "secret", "", 400, "unsupported_grant_type"),
        (&id, "secret", "grant_type=client_credentials&scope=c%3Aread", 400, "invalid_scope"),
        (&id, "secret", "grant_type=client_credentials&client_secret=secret", 400, "invalid_request"),
        ("unknown", "secret", "grant_type=client_credentials", 404, "not_found"),
    ] {
        let (answered, body) = request(&api, id, secret, form).await;
        let code_of = body.get("error").or(body.get("code")).and_then(Value::as_str);
        assert_eq!((answered, code_of), (status, Some(code)), "{form}");
    }
    assert_eq!(api.realm.issued_tokens(), Vec::<String>::new());
}
