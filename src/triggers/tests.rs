//! Triggers: which objects a change enqueues.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::api::{AuthenticatorConfigStatus, EnrollmentRequestStatus, ProviderConfigKind};
use crate::authenticator_config::testing::object;
use crate::enrollment_request::testing::{self, concluded, send};
use crate::reconcile::testing::options;

/// An in-memory cache.
struct Objects {
    configs: Vec<AuthenticatorConfig>,
    requests: Vec<EnrollmentRequest>,
    options: Options,
}

impl Default for Objects {
    fn default() -> Self {
        Self { configs: Vec::new(), requests: Vec::new(), options: options() }
    }
}

impl Cache for Objects {
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>> {
        self.configs.iter().cloned().map(Arc::new).collect()
    }

    fn requests(&self) -> Vec<Arc<EnrollmentRequest>> {
        self.requests.iter().cloned().map(Arc::new).collect()
    }

    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool {
        self.requests.iter().any(|known| ObjectRef::from_obj(known) == *request)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// The enqueued objects, such as `config a` and `request a` of the namespace `identity`.
fn enqueued(Enqueue { configs, requests }: Enqueue) -> Vec<String> {
    let named = |kind: &str, namespace: Option<String>, name: &str| match namespace.as_deref() {
        Some("identity") => format!("{kind} {name}"),
        namespace => format!("{kind} {}/{name}", namespace.unwrap_or_default()),
    };
    let configs = configs.into_iter().map(|config| named("config", config.namespace, &config.name));
    let requests = requests.into_iter().map(|request| named("request", request.namespace, &request.name));
    configs.chain(requests).collect()
}

fn config(name: &str) -> AuthenticatorConfig {
    let mut config = object();
    (config.metadata.name, config.metadata.uid) = (Some(name.to_owned()), Some(name.to_owned()));
    config
}

/// A request with a pending email that refers to this configuration.
fn request(name: &str, config: &str) -> EnrollmentRequest {
    let mut request = testing::request(name, EnrollmentRequestStatus::default());
    config.clone_into(&mut request.spec.authenticator_config_ref.name);
    request
}

fn deleted<K: Resource>(mut object: K) -> K {
    object.meta_mut().deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
    object
}

fn within<K: Resource>(namespace: &str, mut object: K) -> K {
    object.meta_mut().namespace = Some(namespace.to_owned());
    object
}

fn with<K: Resource<DynamicType = ()> + Clone + serde::Serialize + serde::de::DeserializeOwned>(
    object: &K,
    field: &str,
    value: &Value,
) -> K {
    let mut changed = serde_json::to_value(object).unwrap();
    changed["metadata"][field] = value.clone();
    serde_json::from_value(changed).unwrap()
}

#[test]
fn fingerprint_ignores_status_labels_and_own_finalizer() {
    let plain = config("a");
    let kept = with(&plain, "finalizers", &json!([FINALIZER]));
    let before = Some(Fingerprint::of(&kept));
    assert!(!Fingerprint::of(&kept).differs_from(before));
    assert!(!Fingerprint::of(&with(&kept, "labels", &json!({"team": "identity"}))).differs_from(before));
    assert!(!Fingerprint::of(&with(&kept, "resourceVersion", &json!("2"))).differs_from(before), "a status write");
    assert!(!Fingerprint::of(&kept).differs_from(Some(Fingerprint::of(&plain))), "the operator's finalizer");
    for (field, value) in [
        ("uid", json!("another")),
        ("generation", json!(2)),
        ("annotations", json!({"beyondidentity.dev/paused": "true"})),
        ("deletionTimestamp", json!("2026-01-01T12:00:00Z")),
        ("finalizers", json!(["example.com/other"])),
    ] {
        assert!(Fingerprint::of(&with(&kept, field, &value)).differs_from(before), "{field}");
    }
    assert!(Fingerprint::of(&kept).differs_from(None), "a new object");
}

#[test]
fn changed_configuration_enqueues_itself_and_waiting_requests() {
    let settled = testing::request("settled", concluded());
    let failing = testing::request(
        "failing",
        EnrollmentRequestStatus { failing_since: Some("2026-01-01T12:00:00Z".to_owned()), ..concluded() },
    );
    let mut again = testing::request("again", concluded());
    again.spec.attempt = 2;
    let in_doubt = testing::request("in-doubt", EnrollmentRequestStatus { send: Some(send()), ..concluded() });
    let revoked_status = EnrollmentRequestStatus { state: Some("REVOKED".to_owned()), ..concluded() };
    let mut revoked = testing::request("revoked", revoked_status);
    revoked.spec.revoked = true;
    let elsewhere = within("other", request("elsewhere", "hosted-web"));
    let requests = [
        request("new", "hosted-web"),
        request("another", "embedded"),
        settled,
        failing,
        again,
        in_doubt,
        revoked,
        elsewhere,
    ];
    let cache = Objects { requests: requests.to_vec(), ..Objects::default() };
    let (config, waiting) = (config("hosted-web"), ["new", "failing", "again", "in-doubt", "revoked"]);
    let waiting: Vec<String> = waiting.iter().map(|name| format!("request {name}")).collect();
    let both = [&["config hosted-web".to_owned()], &waiting[..]].concat();
    let same = Some(Fingerprint::of(&config));
    assert_eq!(enqueued(config_applied(None, &config, false, &cache)), both);
    assert_eq!(enqueued(config_applied(same, &config, false, &cache)), waiting);
    assert_eq!(enqueued(config_applied(same, &config, true, &cache)), both);
    assert_eq!(enqueued(config_deleted(Some("identity"), "hosted-web", &cache)), waiting);
}

#[test]
fn request_enqueues_itself_and_configurations_in_deletion() {
    let terminating = |name| deleted(config(name));
    let configs = vec![config("there"), terminating("a"), terminating("b"), within("other", terminating("c"))];
    let cache = Objects { configs, ..Objects::default() };
    let of_a = request("jane", "a");
    let same = Some(Fingerprint::of(&of_a));
    assert_eq!(enqueued(request_applied(None, &of_a, false, &cache)), ["config b", "request jane"]);
    assert_eq!(enqueued(request_applied(same, &of_a, false, &cache)), [""; 0]);
    assert_eq!(enqueued(request_applied(same, &of_a, true, &cache)), ["request jane"]);
    let deleted_request = deleted(of_a);
    assert_eq!(
        enqueued(request_applied(same, &deleted_request, false, &cache)),
        ["config a", "config b", "request jane"]
    );
    assert_eq!(
        enqueued(request_applied(Some(Fingerprint::of(&deleted_request)), &deleted_request, false, &cache)),
        [""; 0]
    );
    assert_eq!(enqueued(request_deleted(Some("identity"), &cache)), ["config a", "config b"]);
}

#[test]
fn provider_config_enqueues_direct_and_indirect_referrers() {
    let key = |namespace: Option<&str>, name: &str| ProviderConfigKey {
        kind: ProviderConfigKind::ClusterProviderConfig,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    let mut through = config("embedded");
    "another".clone_into(&mut through.spec.provider_config_ref.name);
    let failing = EnrollmentRequestStatus { failing_since: Some("2026-01-01T12:00:00Z".to_owned()), ..concluded() };
    let mut in_doubt = request("in-doubt", "deleted");
    in_doubt.status.get_or_insert_default().send = Some(send());
    let cache = Objects {
        configs: vec![config("hosted-web"), through, within("other", config("beside"))],
        requests: vec![
            request("new", "hosted-web"),
            within("other", request("elsewhere", "hosted-web")),
            request("of-another", "embedded"),
            testing::request("settled", concluded()),
            {
                let mut concluded = testing::request("concluded", failing);
                "deleted".clone_into(&mut concluded.spec.authenticator_config_ref.name);
                concluded
            },
            in_doubt,
        ],
        ..Objects::default()
    };
    let changed = |key| enqueued(provider_config_changed(&key, &cache));
    assert_eq!(
        changed(key(None, "default")),
        ["config hosted-web", "config other/beside", "request new", "request concluded", "request in-doubt"]
    );
    assert_eq!(changed(key(None, "another")), ["config embedded", "request of-another"]);
    for namespace in ["identity", "other"] {
        assert_eq!(changed(key(Some(namespace), "default")), [""; 0], "another provider config of that name");
    }
    let relabeled = |keys: &[ProviderConfigKey], namespace: &str| {
        enqueued(namespaces_relabeled(keys, &BTreeSet::from([namespace.to_owned()]), &cache))
    };
    let both = [key(None, "default"), key(None, "another")];
    let there = ["config hosted-web", "request new", "request concluded", "request in-doubt"];
    assert_eq!(relabeled(&both[..1], "identity"), there);
    assert_eq!(relabeled(&both, "other"), ["config other/beside"]);
    assert_eq!(relabeled(&[], "identity"), [""; 0], "no provider config selects by labels");
}

#[test]
fn freed_reservation_enqueues_its_waiter_if_cached() {
    let cache = Objects { requests: vec![request("jane", "hosted-web")], ..Objects::default() };
    let holder = |namespace: &str| ObjectUid {
        uid: "jane".to_owned(),
        namespace: namespace.to_owned(),
        name: "jane".to_owned(),
    };
    assert_eq!(enqueued(reservation_freed(&holder("identity"), &cache)), ["request jane"]);
    assert_eq!(enqueued(reservation_freed(&holder("other"), &cache)), [""; 0]);
}

#[test]
fn only_objects_that_need_a_provider_config_to_clean_up_keep_it() {
    let held = |name: &str, id: Option<&str>, is_held: bool| {
        let mut config = config(name);
        config.status = Some(AuthenticatorConfigStatus { id: id.map(str::to_owned), ..Default::default() });
        config.metadata.finalizers = is_held.then(|| vec![FINALIZER.to_owned(), "example.com/other".to_owned()]);
        config
    };
    let sent = |name: &str, finalizer: &str| {
        let mut request = testing::request(name, concluded());
        request.metadata.finalizers = Some(vec![finalizer.to_owned()]);
        request
    };
    let cache = Objects {
        configs: vec![held("created", Some("id"), true), held("released", Some("id"), false), held("new", None, true)],
        requests: vec![sent("sent", FINALIZER), sent("released", "example.com/other"), request("new", "created")],
        ..Objects::default()
    };
    let kind = ProviderConfigKind::ClusterProviderConfig;
    let key = ProviderConfigKey { kind, namespace: None, name: "default".to_owned() };
    let namespace = config("x").metadata.namespace.unwrap();
    let expected = [format!("AuthenticatorConfig {namespace}/created"), format!("EnrollmentRequest {namespace}/sent")];
    assert_eq!(referrers_of(&key, &cache), expected);
}
