//! Recognisable credentials, a link, an address and a username go through every operation and every error, at the most
//! talkative level of the log. Then everything that the operator wrote is searched for them.

use std::time::{Duration, Instant};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use harness::simulator::{Effect, Identity, Operation, Reply, Rule, RuleId};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::fixture::{Access, Fixture, Process, annotate, patch};

const ADDRESS: &str = "canary.address@mail.example";
/// Its `+` is in no id, which is the only text that is written as it is.
const USERNAME: &str = "canary.user+7f3a";
const LINK: &str = "https://canary-link.example/jobs/1:invokeAuthenticator?token=canary-link-token";
const PHONE: &str = "+49-151-canary";

/// The statuses of errors. Each operation gets some of them, and all operations together get each. A refused token stops
/// all calls for a while, so two operations get these statuses too.
const STATUSES: [u16; 8] = [400, 409, 422, 404, 500, 429, 503, 302];

/// The errors of each operation.
const ERRORS: usize = 2;

/// The identities, which are enrolled by id, and by username.
const BY_ID: usize = 5;
const BY_USERNAME: usize = 2;

/// What must not be written, in lower case.
struct Canaries(Vec<String>);

impl Canaries {
    fn of(fixture: &Fixture, secrets: &[String]) -> Self {
        let public = [ADDRESS, USERNAME, "canary-link-token", "invokeauthenticator", PHONE];
        let mut all: Vec<String> = public.map(str::to_owned).to_vec();
        all.extend(secrets.iter().cloned());
        all.extend(fixture.realm.issued_tokens());
        let encoded = |text: &String| [BASE64.encode(text.as_bytes()), BASE64URL_NOPAD.encode(text.as_bytes())];
        let escaped = |text: &String| text.replace('@', "%40").replace('+', "%2b");
        let forms = all.iter().flat_map(|text| [encoded(text).to_vec(), vec![text.clone(), escaped(text)]].concat());
        Self(forms.map(|text| text.to_lowercase()).collect())
    }

    fn assert_absent(&self, place: &str, text: &str) {
        let text = text.to_lowercase();
        for canary in &self.0 {
            if let Some(at) = text.find(canary.as_str()) {
                let around = text.get(at.saturating_sub(200)..at + canary.len()).unwrap_or(canary);
                panic!("{canary} is in {place}: …{around}");
            }
        }
    }
}

/// An answer with `value` in every text and every header.
fn echo(status: u16, value: &str) -> Reply {
    let detail = json!({
        "type": value, "resource_type": value, "id": value, "description": value,
        "field_violations": [{"field": value, "description": value}, {"field": format!("job.{value}"), "description": value}],
    });
    let body = json!({
        "code": value, "message": value, "description": value, "error": value, "error_description": value,
        "resource_type": value, "id": value, "details": [detail],
    });
    with_headers(Reply::json(status, &body), value)
}

fn with_headers(reply: Reply, value: &str) -> Reply {
    let names =
        ["retry-after", "location", "ratelimit-reset", "www-authenticate", "traceparent", "x-request-id", "server"];
    names.into_iter().fold(reply, |reply, name| reply.header(name, value))
}

/// A success whose ids are usable, with `value` in every other text.
fn success(value: &str) -> Reply {
    let identity = json!({
        "id": "forged", "status": value, "enrollment_status": value, "display_name": value,
        "traits": {"username": value, "primary_email_address": value},
    });
    let job = json!({
        "id": "forged", "state": value, "delivery_method": value, "post_binding_redirect_uri": value,
        "expire_time": value, "create_time": value, "update_time": value,
    });
    let config = json!({"id": "forged", "display_name": value, "config": {"type": value, "later": value}});
    let body = json!({
        "identity": identity, "credential_binding_job": job, "authenticator_config": config, "credential_binding_link": value,
        "identities": [identity], "credential_binding_jobs": [job], "authenticator_configs": [config],
        "access_token": format!("{value} "), "token_type": value, "scope": value, "expires_in": value,
    });
    with_headers(Reply::json(200, &body), value)
}

/// The hostile answers to an operation: errors and each kind of success, with one secret each.
fn hostile(operation: Operation, values: &[String]) -> Vec<Rule> {
    let first = operation as usize * ERRORS;
    let mut values = values.iter().cycle().skip(first);
    let mut value = || values.next().unwrap().as_str();
    let statuses = STATUSES.iter().cycle().skip(first).take(ERRORS);
    let mut replies: Vec<Reply> = statuses.map(|&status| echo(status, value())).collect();
    match operation {
        Operation::GetJob => replies.push(echo(401, value())),
        Operation::RevokeJob => replies.push(echo(403, value())),
        _ => {}
    }
    // One that has the form of the service, and one that spoils the answer with an id.
    replies.push(Reply::error(400, "bad_request", &format!("no {} and {}", value(), value())));
    replies.push(echo(200, value()));
    let is_read = matches!(operation, Operation::GetIdentity | Operation::GetJob | Operation::GetConfig);
    if is_read || operation == Operation::RequestToken {
        replies.push(success(value()));
    }
    replies.into_iter().map(|reply| Rule::new(Effect::Answer(reply)).on(operation).once()).collect()
}

async fn objects(fixture: &Fixture) -> Vec<Value> {
    let mut all = Vec::new();
    for (kind, is_namespaced) in
        [("EnrollmentRequest", true), ("AuthenticatorConfig", true), ("ClusterProviderConfig", false)]
    {
        let plural = format!("{}s", kind.to_lowercase());
        let resource = ApiResource {
            group: "beyondidentity.dev".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "beyondidentity.dev/v1alpha1".to_owned(),
            kind: kind.to_owned(),
            plural,
        };
        let api: Api<DynamicObject> = if is_namespaced {
            Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &resource)
        } else {
            Api::all_with(fixture.client.clone(), &resource)
        };
        for object in api.list(&ListParams::default()).await.unwrap().items {
            if is_namespaced || object.metadata.name.as_deref() == Some(&fixture.provider) {
                all.push(json!(object));
            }
        }
    }
    all
}

/// Asserts that nothing that the operator wrote so far has a canary. The spec is what the user wrote.
async fn assert_clean(fixture: &Fixture, process: &Process, canaries: &Canaries) {
    let mut objects = objects(fixture).await;
    for object in &mut objects {
        object.as_object_mut().unwrap().remove("spec");
        canaries.assert_absent("an object", &object.to_string());
    }
    let events: Api<Event> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    canaries.assert_absent("events", &json!(events.list(&ListParams::default()).await.unwrap().items).to_string());
    let leases: Api<Lease> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    canaries.assert_absent("leases", &json!(leases.list(&ListParams::default()).await.unwrap().items).to_string());
    for path in ["/metrics", "/readyz", "/healthz"] {
        canaries.assert_absent(path, &process.get(path).1);
    }
    for call in fixture.realm.requests() {
        canaries.assert_absent("a trace header", &format!("{:?} {:?}", call.traceparent, call.user_agent));
    }
    for line in process.text().lines() {
        canaries.assert_absent("the log", line);
    }
}

/// Has all objects reconciled until this is so.
async fn until(fixture: &Fixture, what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(180), "timed out waiting until {what}");
        let now = format!("{:?}", since.elapsed());
        for object in objects(fixture).await {
            let name = object["metadata"]["name"].as_str().unwrap();
            let (asked, now) = ("beyondidentity.dev/reconcile-requested-at", Some(now.as_str()));
            match object["kind"].as_str().unwrap() {
                "EnrollmentRequest" => annotate(&fixture.requests(), name, asked, now).await,
                "AuthenticatorConfig" => annotate(&fixture.configs(), name, asked, now).await,
                _ => annotate(&fixture.providers(), name, asked, now).await,
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until each of these rules has applied.
async fn all_fired(fixture: &Fixture, what: &str, rules: &[RuleId]) {
    until(fixture, what, || rules.iter().all(|&rule| fixture.realm.fired(rule) > 0)).await;
}

/// Adds the hostile answers to these operations.
fn add(fixture: &Fixture, operations: &[Operation], values: &[String]) -> Vec<RuleId> {
    operations.iter().flat_map(|&operation| hostile(operation, values)).map(|rule| fixture.realm.fault(rule)).collect()
}

/// Creates objects, with hostile answers to each operation, and then with honest ones.
async fn create(fixture: &Fixture, values: &[String]) {
    let realm = &fixture.realm;
    for number in 0..BY_ID {
        realm.add_identity(Identity::active(&format!("identity-{number}"), ADDRESS));
    }
    for number in 0..BY_USERNAME {
        let identity = Identity::active(&format!("named-{number}"), ADDRESS);
        realm.add_identity(identity.username(&format!("{USERNAME}-{number}")));
    }

    let rules = add(fixture, &[Operation::Check, Operation::ListConfigs, Operation::CreateConfig], values);
    fixture.create_config().await;
    fixture.create_config_named("another").await;
    all_fired(fixture, "creates of configurations are answered", &rules).await;
    fixture.wait_for_config("Available").await;

    let sends = [Operation::GetIdentity, Operation::ListIdentities, Operation::ListJobs, Operation::CreateJob];
    let rules = add(fixture, &sends, values);
    for number in 0..BY_ID {
        let id = format!("identity-{number}");
        fixture.create_request_of(&id, &id).await;
    }
    for number in 0..BY_USERNAME {
        let identity = json!({"identity": {"id": null, "username": format!("{USERNAME}-{number}")}});
        fixture.create_request_with(&format!("named-{number}"), identity).await;
    }
    all_fired(fixture, "sends are answered", &rules).await;
}

/// Changes these objects, with hostile answers to each operation, and then with honest ones.
async fn change(fixture: &Fixture, values: &[String]) {
    let realm = &fixture.realm;
    until(fixture, "all emails are sent", || realm.outbox().len() >= BY_ID + BY_USERNAME).await;

    // The jobs themselves have hostile texts, one each.
    for (email, value) in realm.outbox().iter().zip(values.iter().cycle()) {
        realm.edit_job(&email.job_id, |job| {
            job.state = Some(value.clone());
            (job.expire_time, job.create_time, job.update_time) =
                (Some(value.clone()), Some(value.clone()), Some(value.clone()));
        });
    }
    for number in 0..BY_ID {
        fixture.wait_for_request_named(&format!("identity-{number}"), "UnknownState").await;
    }
    for email in realm.outbox() {
        realm.set_job_state(&email.job_id, "LINK_SENT");
    }
    let rules = add(fixture, &[Operation::GetJob], values);
    all_fired(fixture, "polls are answered", &rules).await;
    let rules = add(fixture, &[Operation::GetConfig, Operation::UpdateConfig], values);
    fixture.change_config(json!({"displayName": "Another"})).await.unwrap();
    all_fired(fixture, "changes of configurations are answered", &rules).await;
    fixture.wait_for_config("Available").await;

    let rules = add(fixture, &[Operation::RevokeJob], values);
    for number in 0..BY_ID {
        let name = format!("identity-{number}");
        patch(&fixture.requests(), &name, json!({"spec": {"revoked": true}})).await.unwrap();
    }
    all_fired(fixture, "revocations are answered", &rules).await;
    for number in 0..BY_ID {
        fixture.wait_for_request_named(&format!("identity-{number}"), "Revoked").await;
    }
}

const ARGUMENTS: [&str; 12] = [
    "--poll-budget",
    "6000",
    "--job-poll-min",
    "1s",
    "--job-poll-max",
    "1s",
    "--resync-interval",
    "1s",
    "--grace-period",
    "1h",
    "--log-level",
    "trace",
];

/// The credentials and the personal data that the service echoes.
fn values(secrets: &[String]) -> Vec<String> {
    let mut values = secrets.to_vec();
    values.extend([ADDRESS, USERNAME, LINK, PHONE].map(str::to_owned));
    values.extend(secrets.iter().map(|secret| BASE64.encode(secret.as_bytes())));
    values.push(format!("2026-01-01T00:00:00Z ERROR forged {}", secrets.concat()));
    values
}

#[tokio::test]
async fn no_canary_is_written_with_an_api_token() {
    let fixture = Fixture::bare(crate::fixture::shared_simulator()).await;
    let token = "canary-api-token-0123456789".to_owned();
    fixture.realm.allow_any_answer();
    fixture.realm.set_token(&token);
    fixture.create_secret(&token).await;
    fixture.create_provider(|_| {}).await;
    let process = fixture.spawn(&Access::shared(), &ARGUMENTS).await;
    let secrets = [token];
    let values = values(&secrets);
    create(&fixture, &values).await;
    change(&fixture, &values).await;
    assert_clean(&fixture, &process, &Canaries::of(&fixture, &secrets)).await;
    assert!(process.log().len() > 1_000, "the log is at its most talkative");
}

#[tokio::test]
async fn no_canary_is_written_with_client_credentials_in_text_format() {
    let fixture = Fixture::with_client_credentials().await;
    fixture.realm.allow_any_answer();
    let client_secret = fixture.application().client_secret;
    let values = values(std::slice::from_ref(&client_secret));
    let rules = add(&fixture, &[Operation::RequestToken], &values);
    let arguments = [&ARGUMENTS[..], &["--log-format", "text"]].concat();
    let process = fixture.spawn(&Access::shared(), &arguments).await;
    all_fired(&fixture, "requests for a token are answered", &rules).await;
    until(&fixture, "a token is issued", || !fixture.realm.issued_tokens().is_empty()).await;
    // The service also echoes the access token.
    let values = [values, fixture.realm.issued_tokens()].concat();
    create(&fixture, &values).await;
    let secrets = [client_secret];
    let canaries = Canaries::of(&fixture, &secrets);
    assert_clean(&fixture, &process, &canaries).await;
    for line in process.text().lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00Z ERROR"), "a forged line: {line}");
    }
}
