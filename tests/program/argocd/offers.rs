//! An action is offered exactly if the operator's rules act on its result.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::enrollment_request::plan::{pending::is_send_pending, to_revoke};
use beyond_identity_operator::reconcile::annotations::{is_paused, reconcile_requested};
use beyond_identity_operator::reconcile::rules::judge;
use beyond_identity_operator::reconcile::{Options, Times};
use harness::argocd::{act, offered};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::{option, sample};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::properties::config;
use super::script;

const FINAL: [&str; 3] = ["EXPIRED", "FAILED_TO_SEND", "REVOKED"];

fn request() -> impl Strategy<Value = Value> {
    let state = sample::select(vec![
        "LINK_SENT",
        "LINK_OPENED",
        "REQUEST_DELIVERED",
        "SOMETHING_NEW",
        "COMPLETE",
        "EXPIRED",
        "FAILED_TO_SEND",
        "REVOKED",
    ]);
    let job = sample::select(vec!["one", "a/b"]);
    let resend =
        sample::select(vec!["one/EXPIRED", "one/REVOKED", "a/b/FAILED_TO_SEND", "a/b/EXPIRED", "two/EXPIRED", "one"]);
    let status = (
        option::weighted(0.9, job),
        option::weighted(0.9, state),
        option::of(any::<bool>()),
        option::weighted(0.9, 1..3_i64),
        option::weighted(0.9, Just("jane")),
        prop::bool::weighted(0.1),
    );
    let metadata = (
        option::of(resend),
        option::of(sample::select(vec!["one", "a/b", "two"])),
        option::weighted(0.3, sample::select(vec!["true", "false"])),
        prop::bool::weighted(0.1),
    );
    (status, metadata, 1..3_i64, prop::bool::weighted(0.2)).prop_map(|(status, metadata, wanted, revoked)| {
        let (job, state, expired, attempt, identity, is_sending) = status;
        let (resend, revoke, paused, is_deleting) = metadata;
        let mut object = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1",
            "kind": "EnrollmentRequest",
            "metadata": {"name": "jane", "namespace": "identity", "generation": 2, "resourceVersion": "7"},
            "spec": {
                "authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}, "attempt": wanted, "revoked": revoked,
            },
            "status": {"observedGeneration": 2, "conditions": []},
        });
        let annotations = [("resend", resend), ("revoke", revoke), ("paused", paused)];
        for (name, value) in annotations.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            object["metadata"]["annotations"][format!("beyondidentity.dev/{name}")] = json!(value);
        }
        let fields = [
            ("jobID", job.map(Value::from)),
            ("state", state.map(Value::from)),
            ("expired", expired.map(Value::from)),
            ("attempt", attempt.map(Value::from)),
            ("identityID", identity.map(Value::from)),
        ];
        for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            object["status"][name] = value;
        }
        if is_sending {
            object["status"]["send"] = send();
        }
        if is_deleting {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        object
    })
}

/// A write-ahead record.
fn send() -> Value {
    json!({
        "id": "a", "attempt": 2, "providerConfigRef": {"kind": "ClusterProviderConfig", "name": "beyond-identity"},
        "tenantID": "t", "realmID": "r", "identityID": "jane", "authenticatorConfigID": "c", "deliveryMethod": "EMAIL",
        "notBefore": "2026-01-01T00:00:00Z", "existingJobIDs": [], "timeoutSeconds": 20,
    })
}

fn typed<K: DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(object.clone()).map_err(|error| (object, error)).unwrap()
}

fn options() -> Options {
    let long = Duration::from_secs(60);
    let times = Times {
        request_timeout: long,
        settle: long,
        job_poll_min: long,
        job_poll_max: long,
        resync: long,
        grace: long,
    };
    Options { cluster: "demo".to_owned(), orphan_on_delete: false, audit_job_ids: false, times }
}

/// Whether the operator would send, and whether it would revoke the current job.
fn pending(object: &Value) -> (bool, bool) {
    let request: EnrollmentRequest = typed(object);
    judge(&request, &options(), Timestamp::UNIX_EPOCH, |input| {
        let revokes = to_revoke(input).iter().any(|job| Some(&job.job_id) == input.status.job_id.as_ref());
        (is_send_pending(input), revokes)
    })
}

fn annotated(object: &Value, name: &str, value: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["annotations"][format!("beyondidentity.dev/{name}")] = json!(value);
    object
}

/// Whether some value of the annotation would act now that does not act yet.
fn would_act(object: &Value, action: &str) -> bool {
    let is_still = object["metadata"]["deletionTimestamp"].is_null()
        && !is_paused(&typed::<EnrollmentRequest>(object))
        && object["status"]["send"].is_null();
    let Some(job) = object["status"]["jobID"].as_str().filter(|_| is_still) else { return false };
    let (sends, revokes) = pending(object);
    if action == "revoke" {
        return !revokes && pending(&annotated(object, "revoke", job)).1;
    }
    !sends && FINAL.iter().any(|state| pending(&annotated(object, "resend", &format!("{job}/{state}"))).0)
}

/// The object after an action.
fn after(object: &Value, action: &str) -> Result<Value, String> {
    let kind = object["kind"].as_str().unwrap();
    act(&script(kind, &format!("actions/{action}/action.lua")), object).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn resend_and_revoke_are_offered_exactly_if_they_would_act(object in request()) {
        let offered = offered(&script("EnrollmentRequest", "actions/discovery.lua"), &object).unwrap();
        for action in ["resend", "revoke"] {
            let is_offered = offered.iter().any(|name| name == action);
            prop_assert_eq!(is_offered, would_act(&object, action), "{} {}", action, object);
            let result = after(&object, action);
            prop_assert_eq!(result.is_ok(), is_offered, "{:?}", result);
            if let Ok(changed) = result {
                let (sends, revokes) = pending(&changed);
                prop_assert!(if action == "resend" { sends } else { revokes }, "{}", changed);
                prop_assert!(!would_act(&changed, action), "not offered twice: {}", changed);
                let mut annotations = changed["metadata"]["annotations"].clone();
                annotations.as_object_mut().unwrap().remove(&format!("beyondidentity.dev/{action}"));
                let mut restored = changed;
                restored["metadata"]["annotations"] = annotations;
                let mut before = annotated(&object, action, "");
                before["metadata"]["annotations"].as_object_mut().unwrap().remove(&format!("beyondidentity.dev/{action}"));
                prop_assert_eq!(restored, before, "nothing else changes");
            }
        }
    }

    #[test]
    fn pause_resume_and_reconcile_are_offered_exactly_if_they_would_act(
        kind in sample::select(vec!["AuthenticatorConfig", "EnrollmentRequest", "ClusterProviderConfig", "ProviderConfig"]),
        mut object in request(),
        requested in option::of(sample::select(vec!["resourceVersion-7", "resourceVersion-7+", "noon"])),
        handled in option::of(sample::select(vec!["resourceVersion-7", "resourceVersion-7++", "noon"])),
    ) {
        object["kind"] = json!(kind);
        if let Some(requested) = requested {
            object = annotated(&object, "reconcile-requested-at", requested);
        }
        if let Some(handled) = handled {
            object["status"]["lastHandledReconcileAt"] = json!(handled);
        }
        let offered = offered(&script(kind, "actions/discovery.lua"), &object).unwrap();
        let has = |name: &str| offered.iter().any(|offered| offered == name);
        let paused = |object: &Value| is_paused(&typed::<EnrollmentRequest>(object));
        let is_provider = kind.ends_with("ProviderConfig");
        prop_assert_eq!(has("pause"), !paused(&object));
        prop_assert_eq!(has("resume"), paused(&object));
        prop_assert_eq!(has("reconcile"), is_provider || !paused(&object));
        for (action, pauses) in [("pause", true), ("resume", false)] {
            match after(&object, action) {
                Ok(changed) => prop_assert!(has(action) && paused(&changed) == pauses, "{}", changed),
                Err(_) => prop_assert!(!has(action)),
            }
        }
        if let Ok(changed) = after(&object, "reconcile") {
            let before = reconcile_requested(&typed::<EnrollmentRequest>(&object));
            let now = reconcile_requested(&typed::<EnrollmentRequest>(&changed));
            prop_assert!(now.is_some() && now != before, "{:?} after {:?}", now, before);
        } else {
            prop_assert!(!has("reconcile"));
        }
    }
}
