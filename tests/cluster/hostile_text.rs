//! Text that is written to mislead: ids that lead to another path, names that read other than they are, and text of any
//! length, in specs and in answers of the service.

use beyond_identity_operator::api::{AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest, ProviderConfig};
use futures::future::join_all;
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, conditions, log_about, message, object, poll_often, refusal, wait_for,
};

/// Values that a path or a query could take for something else than an id.
const NOT_IDS: [&str; 18] = [
    "", ".", "..", "../jane", "a/b", "/", "%2f", "..%2f", "a%2fb", "a?b=c", "?", "#", "a#b", "a\\b", "a;b", "a b",
    "a\n", "ä",
];

/// Characters that make a name read other than it is.
const MISLEADING: [char; 21] = [
    '\0',
    '\n',
    '\r',
    '\t',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{200d}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202e}',
    '\u{2066}',
    '\u{2069}',
    '\u{3164}',
    '\u{feff}',
    '\u{e0041}',
];

/// Tries each value in a field of a valid object. Returns the messages of the API server, in this order.
async fn refusals<K>(fixture: &Fixture, valid: &K, field: &str, values: &[String]) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let kind = ApiResource::erase::<K>(&());
    let is_cluster_scoped = kind.kind == "ClusterProviderConfig";
    let api: Api<DynamicObject> = if is_cluster_scoped {
        Api::all_with(fixture.client.clone(), &kind)
    } else {
        Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &kind)
    };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let valid = serde_json::to_value(valid).unwrap();
    assert!(api.create(&dry_run, &object(valid.clone())).await.is_ok(), "the object is valid without the value");
    join_all(values.iter().map(async |value| {
        let mut changed = valid.clone();
        *changed.pointer_mut(field).unwrap_or_else(|| panic!("no field {field} in {valid}")) = json!(value);
        refusal(api.create(&dry_run, &object(changed)).await)
    }))
    .await
}

/// Asserts that the API server refuses each value, and names the field.
async fn assert_refused<K>(fixture: &Fixture, valid: &K, fields: &[&str], values: &[String])
where
    K: Resource<DynamicType = ()> + Serialize,
{
    for field in fields {
        let named = field.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
        let refused = refusals(fixture, valid, field, values).await;
        for (value, message) in values.iter().zip(refused) {
            assert!(message.contains(&format!("{named}: ")), "{field} {value:?}: {message}");
        }
    }
}

/// An AuthenticatorConfig of another name with this spec.
fn config(spec: &Value) -> AuthenticatorConfig {
    object(json!({"metadata": {"name": "another"}, "spec": spec}))
}

fn request(fixture: &Fixture, identity: &Value) -> EnrollmentRequest {
    let mut request = serde_json::to_value(fixture.request(REQUEST, JANE)).unwrap();
    request["spec"]["identity"] = identity.clone();
    request["spec"]["postBindingRedirectURI"] = json!("https://app.example.com/");
    object(request)
}

/// The settings of each type.
fn configs() -> [(AuthenticatorConfig, &'static [&'static str], &'static [&'static str]); 4] {
    let idp = json!({"verificationMethod": {"type": "idp", "idpID": "idp"}});
    let roaming = json!({
        "enabled": true, "allowUnknownUser": true, "allowedUserIDs": ["jane"], "allowedUserGroupIDs": ["group"],
        "allowedSourceIPs": ["10.0.0.0/8"],
    });
    [
        (
            config(&json!({"resourceID": "id", "displayName": "name", "config": {"type": "hosted_web"}})),
            &["/spec/resourceID"],
            &["/spec/displayName"],
        ),
        (
            config(&json!({"config": {"type": "console", "onboardingConfiguration": idp}})),
            &["/spec/config/onboardingConfiguration/verificationMethod/idpID"],
            &[],
        ),
        (
            config(&json!({"config": {"type": "platform", "roamingAuthConfig": roaming}})),
            &[
                "/spec/config/roamingAuthConfig/allowedUserIDs/0",
                "/spec/config/roamingAuthConfig/allowedUserGroupIDs/0",
            ],
            &["/spec/config/roamingAuthConfig/allowedSourceIPs/0"],
        ),
        (
            config(&json!({"config": {
                "type": "embedded", "invokeURL": "https://app.example.com", "trustedOrigins": ["https://app.example.com"],
            }})),
            &[],
            &["/spec/config/invokeURL", "/spec/config/trustedOrigins/0"],
        ),
    ]
}

#[tokio::test]
async fn id_in_a_spec_is_one_segment_of_a_path() {
    let fixture = Fixture::new().await;
    let values = NOT_IDS.map(str::to_owned).to_vec();
    for (config, ids, _) in configs() {
        assert_refused(&fixture, &config, ids, &values).await;
    }
    assert_refused(&fixture, &request(&fixture, &json!({"id": "jane"})), &["/spec/identity/id"], &values).await;
    let application = json!({"clientCredentials": {
        "applicationID": "application", "realmID": "realm", "secretRef": {"name": "secret"},
    }});
    let ids = [
        "/spec/tenantID",
        "/spec/realmID",
        "/spec/credentials/clientCredentials/applicationID",
        "/spec/credentials/clientCredentials/realmID",
    ];
    let mut provider = fixture.own_provider();
    provider["spec"]["credentials"] = application.clone();
    assert_refused::<ProviderConfig>(&fixture, &object(provider), &ids, &values).await;
    let mut provider = fixture.provider();
    provider["metadata"]["name"] = json!("another");
    provider["spec"]["credentials"] = application;
    provider["spec"]["endpoint"]["auth"] = json!("https://auth.example.com");
    assert_refused::<ClusterProviderConfig>(&fixture, &object(provider), &ids, &values).await;
}

#[tokio::test]
async fn name_in_a_spec_is_visible_and_bounded() {
    let fixture = Fixture::new().await;
    let with_username = request(&fixture, &json!({"username": "jane"}));
    let fields = ["/spec/identity/username", "/spec/postBindingRedirectURI"];
    let values = |before: &str| {
        let misleading = MISLEADING.map(|character| format!("{before}{character}enaj"));
        let long = ['a', 'ä', '\u{200b}'].map(|character| format!("{before}{}", character.to_string().repeat(10_000)));
        misleading.into_iter().chain(long).collect::<Vec<_>>()
    };
    assert_refused(&fixture, &with_username, &fields, &values("https://app.example.com/")).await;
    for (config, ids, names) in configs() {
        assert_refused(&fixture, &config, names, &values("a")).await;
        assert_refused(&fixture, &config, ids, &values("a")).await;
    }
    let refused = refusals(&fixture, &with_username, fields[0], &["ja\u{202e}en".to_owned()]).await;
    let sentence =
        "must not contain control characters, or characters that are invisible or change the direction of text";
    assert!(refused[0].contains(sentence), "{}", refused[0]);
}

/// Whether no character of the text misleads, except for line breaks.
fn is_visible(text: &str) -> bool {
    !text.contains(|character| character != '\n' && MISLEADING.contains(&character))
}

/// Whether no string in it misleads.
fn is_visible_json(value: &Value) -> bool {
    match value {
        Value::String(text) => is_visible(text) && !text.contains('\n'),
        Value::Array(items) => items.iter().all(is_visible_json),
        Value::Object(fields) => fields.values().all(is_visible_json),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[tokio::test]
async fn text_of_the_service_is_shown_as_one_visible_line() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.show_service_messages = true;
    })
    .await;
    fixture.realm.allow_any_answer();
    let misleading = String::from_iter(MISLEADING);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.realm.set_identity_status(JANE, format!("sus{misleading}pended").as_str());
    let error = Reply::error(422, "no", &format!("{misleading}not\nnow{misleading}"));
    fixture.realm.fault(Rule::new(Effect::Answer(error)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    let request = history.first_with_reason("IdentityNotActive").await;
    assert!(is_visible(message(&request)) && !message(&request).contains('\n'), "{:?}", message(&request));
    fixture.realm.set_identity_status(JANE, "active");
    let request = history.first_with_reason("Refused").await;
    assert!(message(&request).contains("; the response says: not now"), "{:?}", message(&request));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    fixture.wait_for_request("LinkSent").await;

    // A state that reads like a known one is not taken for it.
    let job = fixture.mailed().remove(0);
    fixture.realm.edit_job(&job, |job| {
        job.state = Some("COMPLETE\u{200b}".to_owned());
        job.expire_time = Some(format!("2099{misleading}"));
    });
    let request = fixture.wait_for_request("UnknownState").await;
    assert_eq!(request.status.as_ref().unwrap().state.as_deref(), Some("[redacted]"));
    assert_eq!(request.status.as_ref().unwrap().expire_time, None);
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");

    // The type of a configuration, of any length.
    let id = fixture.realm.configs().remove(0).id;
    fixture.realm.edit_config(&id, |config| {
        config.config.insert("type".to_owned(), json!(format!("{}{misleading}", "hosted\u{202e}".repeat(2_000))));
    });
    fixture.change_config(json!({"displayName": "Hosted"})).await.unwrap();
    let config = wait_for(fixture.configs(), CONFIG, "is refused", |config: &AuthenticatorConfig| {
        conditions(config).starts_with("Stalled=True")
    })
    .await;
    assert!(message(&config).contains("[redacted]"), "{:?}", message(&config));

    fixture.wait_for_config_event("Warning TypeMismatch").await;
    for (kind, name) in [("EnrollmentRequest", REQUEST), ("AuthenticatorConfig", CONFIG)] {
        let events = fixture.events(kind, name).await;
        assert!(events.iter().all(|event| is_visible(&event.note) && !event.note.contains('\n')), "{events:?}");
    }
    let statuses: Vec<_> = history.versions().into_iter().filter_map(|version| version.status).collect();
    assert!(statuses.iter().all(|status| is_visible_json(&json!(status))), "{statuses:?}");
    let logged = log_about(&format!("namespace=\"{}\"", fixture.namespace));
    assert!(!logged.is_empty() && logged.iter().all(|line| is_visible(line)), "{logged:?}");
}
