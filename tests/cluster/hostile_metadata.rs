//! Metadata that whoever may write an object chooses: no object stops the operator, or the others.

use beyond_identity_operator::api::{EnrollmentRequest, FINALIZER};
use kube::Resource;
use kube::api::PostParams;
use kube::core::Request;
use serde_json::{Value, json};

use crate::fixture::{Fixture, JANE, REQUEST, wait_for};

/// The object as the API server has it. Its metadata may not decode.
async fn raw(fixture: &Fixture, name: &str) -> Value {
    let url = EnrollmentRequest::url_path(&(), Some(&fixture.namespace));
    fixture.client.request(Request::new(url).get(name, &Default::default()).unwrap()).await.unwrap()
}

async fn replace(fixture: &Fixture, name: &str, object: &Value) {
    let url = EnrollmentRequest::url_path(&(), Some(&fixture.namespace));
    let request = Request::new(url).replace(name, &PostParams::default(), serde_json::to_vec(object).unwrap()).unwrap();
    let _: Value = fixture.client.request(request).await.unwrap();
}

/// A request of this name for this identity, with this metadata.
fn request(fixture: &Fixture, name: &str, identity: &str, metadata: Value) -> EnrollmentRequest {
    let mut object = serde_json::to_value(fixture.request(name, identity)).unwrap();
    object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    serde_json::from_value(object).unwrap()
}

fn own_finalizers(object: &Value) -> (usize, usize) {
    let all = object["metadata"]["finalizers"].as_array().unwrap();
    (all.len(), all.iter().filter(|finalizer| *finalizer == FINALIZER).count())
}

#[tokio::test]
async fn object_with_a_time_that_nobody_can_represent_stops_nothing() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request_of("poisoned", "nobody").await;
    fixture.wait_for_request_named("poisoned", "IdentityNotFound").await;
    operator.stop().await;
    let mut poisoned = raw(&fixture, "poisoned").await;
    poisoned["metadata"]["managedFields"][0]["time"] = json!("9999-12-31T23:59:59Z");
    replace(&fixture, "poisoned", &poisoned).await;
    assert!(raw(&fixture, "poisoned").await.to_string().contains("9999-12-31"));

    let _operator = fixture.start().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    // The object itself is reconciled too, and keeps its managers.
    fixture.realm.add_identity(harness::simulator::Identity::active("nobody", "nobody@example.com"));
    eventually_sent(&fixture, "poisoned").await;
    let managers = raw(&fixture, "poisoned").await["metadata"]["managedFields"].to_string();
    assert!(managers.contains("9999-12-31") && managers.contains("f:authenticatorConfigRef"), "{managers}");
}

/// Waits until the object, whose metadata the test cannot decode, has a job.
async fn eventually_sent(fixture: &Fixture, name: &str) {
    let started = std::time::Instant::now();
    while raw(fixture, name).await["status"]["jobID"].is_null() {
        assert!(started.elapsed().as_secs() < 90, "{}", raw(fixture, name).await["status"]);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn object_with_many_finalizers_keeps_them_all() {
    const MANY: usize = 20_000;
    let (fixture, operator) = Fixture::ready().await;
    let metadata = json!({"finalizers": vec!["a/b"; MANY]});
    let many = request(&fixture, REQUEST, JANE, metadata);
    fixture.requests().create(&PostParams::default(), &many).await.unwrap();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(own_finalizers(&raw(&fixture, REQUEST).await), (MANY + 1, 1));
    operator.stop().await;
    let _operator = fixture.start().await;
    fixture.delete_request(REQUEST).await;
    let is_released = |request: &EnrollmentRequest| {
        !request.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
    };
    wait_for(fixture.requests(), REQUEST, "has lost the finalizer", is_released).await;
    assert_eq!(own_finalizers(&raw(&fixture, REQUEST).await), (MANY, 0));
    assert_eq!(fixture.revocations().len(), 1);
    let mut released = raw(&fixture, REQUEST).await;
    released["metadata"]["finalizers"] = json!([]);
    replace(&fixture, REQUEST, &released).await;
}

/// Room for the finalizer, but for no record of a send.
const ROOM: usize = 120;

/// A request with about `size` bytes of metadata.
fn of_size(fixture: &Fixture, size: usize) -> EnrollmentRequest {
    let finalizer = format!("{}/{}", vec!["p".repeat(61); 4].join("."), "f".repeat(40));
    let count = (size - 4096) / (finalizer.len() + 3);
    let padding = size - count * (finalizer.len() + 3);
    let metadata = json!({
        "finalizers": vec![finalizer; count], "annotations": {"example.com/padding": "x".repeat(padding)},
    });
    request(fixture, "large", JANE, metadata)
}

/// etcd stores at most 1.5 MiB. An object of that size has no room for a status.
#[tokio::test]
async fn object_without_room_for_a_record_delays_no_other_request() {
    let (fixture, _operator) = Fixture::ready().await;
    let elsewhere = fixture.other_namespace().await;
    let (mut fits, mut exceeds) = (1_500_000, 1_600_000);
    while exceeds - fits > 1 {
        let size = usize::midpoint(fits, exceeds);
        // Nobody watches that namespace, and without its finalizers the object can be deleted at once.
        match elsewhere.requests().create(&PostParams::default(), &of_size(&elsewhere, size)).await {
            Ok(_) => {
                fits = size;
                let mut large = raw(&elsewhere, "large").await;
                large["metadata"]["finalizers"] = json!([]);
                replace(&elsewhere, "large", &large).await;
                elsewhere.delete_request("large").await;
            }
            Err(error) => {
                assert!(error.to_string().contains("too large"), "{error}");
                exceeds = size;
            }
        }
    }
    fixture.requests().create(&PostParams::default(), &of_size(&fixture, fits - ROOM)).await.unwrap();
    let is_held = |request: &EnrollmentRequest| {
        request.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
    };
    wait_for(fixture.requests(), "large", "has the finalizer", is_held).await;
    fixture.configs().create(&PostParams::default(), &fixture.config("other")).await.unwrap();
    let beside = json!({"authenticatorConfigRef": {"name": "other"}});
    fixture.create_request_with("beside", beside).await;
    fixture.wait_for_request_named("beside", "LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
    let mut large = raw(&fixture, "large").await;
    assert_eq!(large["status"], json!({"observedGeneration": -1}), "it has no room");
    large["metadata"]["finalizers"] = json!([]);
    replace(&fixture, "large", &large).await;
}
