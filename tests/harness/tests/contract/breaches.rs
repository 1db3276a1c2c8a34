//! A violation of the contract names its location, and contains no value of the request or the answer.

use axum::http::HeaderMap;
use harness::contract::{Answer, Request, contract};
use serde_json::{Value, json};

use super::{identity, job, with, without};

/// A request of the operator.
struct TestRequest {
    method: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl TestRequest {
    fn new(method: &'static str, path: &'static str, body: impl Into<String>) -> Self {
        let headers = vec![
            ("authorization", "Bearer Seeded-Token"),
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("user-agent", "beyond-identity-operator/0.1.0"),
        ];
        Self { method, path, query: None, headers, body: body.into() }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query: Some(query), ..self }
    }

    fn header(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    fn breaches(&self) -> Vec<String> {
        let Self { method, path, query, headers, body } = self;
        let path = format!("/v1/tenants/t/realms/r/{path}");
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let request = Request { method, path: &path, query: *query, headers: &headers, body: body.as_bytes() };
        contract().check_request(&request).iter().map(ToString::to_string).collect()
    }
}

const JOBS: &str = "identities/jane/credential-binding-jobs";
const FILTER: &str = "page_size=200&filter=traits.username%20eq%20%22jane%22";

#[test]
fn valid_requests_have_no_violations() {
    for request in [
        TestRequest::new("GET", "identities", "").query(FILTER),
        TestRequest::new("GET", "identities/jane%2Fdoe%3Arevoke", ""),
        TestRequest::new("GET", JOBS, "").query("page_size=200&page_token=200%2B%26%3D"),
        TestRequest::new("GET", "identities/jane/credential-binding-jobs/a%3Arevoke", ""),
        TestRequest::new("POST", "identities/jane/credential-binding-jobs/a%20b:revoke", "{}"),
        TestRequest::new("GET", "authenticator-configs", "").query("page_size=100").header("content-type", None),
        TestRequest::new("DELETE", "authenticator-configs/a", ""),
    ] {
        assert_eq!(request.breaches(), [""; 0], "{} {}", request.method, request.path);
    }
}

#[test]
fn invalid_requests_are_reported_without_their_values() {
    let create = |body: Value| TestRequest::new("POST", JOBS, body.to_string());
    let right = || create(json!({"job": {"delivery_method": "EMAIL", "authenticator_config_id": "secret-1"}}));
    let of_job = "CreateCredentialBindingJob, request";
    for (request, breach) in [
        (
            TestRequest::new("PUT", "identities/secret-2", ""),
            "request: the path: PUT of this path is not in the contract".to_owned(),
        ),
        (
            create(json!({"job": {"delivery_method": "secret-3", "authenticator_config_id": "c"}})),
            format!("{of_job}: /job/delivery_method: \"EMAIL\" was expected"),
        ),
        (
            create(json!({"job": {"delivery_method": "EMAIL", "authenticator_config_id": "c", "extra": "secret-4"}})),
            format!("{of_job}: /job: Additional properties are not allowed ('extra' was unexpected)"),
        ),
        (
            create(json!({"job": {"delivery_method": "EMAIL"}})),
            format!("{of_job}: /job: \"authenticator_config_id\" is a required property"),
        ),
        (TestRequest::new("POST", JOBS, "secret-5"), format!("{of_job}: the body: not valid JSON")),
        (
            right().query("dry_run=secret-6"),
            format!("{of_job}: the query: it has a parameter that is not in the contract"),
        ),
        (right().header("authorization", Some("Basic secret-7")), format!("{of_job}: Authorization: no bearer token")),
        (right().header("accept", None), format!("{of_job}: Accept: not application/json")),
        (right().header("content-type", Some("text/plain")), format!("{of_job}: Content-Type: not application/json")),
        (right().header("user-agent", None), format!("{of_job}: User-Agent: missing")),
        (
            TestRequest::new("GET", "authenticator-configs", "").query("page_size=200"),
            "ListAuthenticatorConfigs, request: query parameter page_size: value is greater than the maximum of 100"
                .to_owned(),
        ),
        (
            TestRequest::new("GET", JOBS, "").query("page_token=secret+8"),
            "ListCredentialBindingJobs, request: query parameter page_token: value is not percent-encoded".to_owned(),
        ),
        (
            TestRequest::new("GET", JOBS, "").query("page_size=1&page_size=1"),
            "ListCredentialBindingJobs, request: query parameter page_size: given twice".to_owned(),
        ),
        (
            TestRequest::new("GET", "identities/jane", "secret-9"),
            "GetIdentity, request: the body: must be empty".to_owned(),
        ),
        (
            TestRequest::new("GET", "identities/jane@secret", ""),
            "GetIdentity, request: path parameter identity_id: value is not percent-encoded".to_owned(),
        ),
    ] {
        assert_eq!(request.breaches(), [breach]);
        assert!(!request.breaches()[0].to_lowercase().contains("secret"));
    }
}

#[test]
fn invalid_answers_are_reported_without_their_values() {
    const ONE: &str = "identities/jane/credential-binding-jobs/one";
    let violations = |method: &str, path: &str, status: u16, content_type: &str, body: &str| {
        let answer = Answer { status, content_type: Some(content_type), body: body.as_bytes() };
        let breaches = contract().check_answer(method, &format!("/v1/tenants/t/realms/r/{path}"), &answer);
        breaches.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let json = "application/json";
    let error = json!({"code": "conflict", "message": "secret"}).to_string();
    assert_eq!(violations("GET", ONE, 200, json, &job().to_string()), [""; 0]);
    assert_eq!(violations("DELETE", "authenticator-configs/a", 200, json, ""), [""; 0]);
    let nameless =
        json!({"identities": [without(with(identity(), "display_name", json!("secret/")), "id")], "total_size": 1});
    // All fields are missing, and there is an unknown one.
    let enveloped = json!({"credential_binding_job": job()}).to_string();
    assert_eq!(violations("GET", ONE, 200, json, &enveloped).len(), 11);
    assert_eq!(violations("GET", ONE, 200, "text/html", "<p>").len(), 2);
    assert_eq!(
        violations("GET", "identities", 200, json, &nameless.to_string()),
        [
            "ListIdentities, answer 200: /identities/0: \"id\" is a required property",
            "ListIdentities, answer 200: /identities/0/display_name: value does not match \"^[^{}\\[\\]<>;:?\\\\/|*^%$#=~`!]*$\"",
        ]
    );
    assert_eq!(
        violations("GET", ONE, 409, json, &error),
        ["GetCredentialBindingJob, answer 409: the status: not in the contract of this operation"]
    );
    assert_eq!(
        violations("DELETE", "authenticator-configs/a", 200, json, &error),
        ["DeleteAuthenticatorConfig, answer 200: the body: must be empty"]
    );
}
