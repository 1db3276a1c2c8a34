//! Three people: plain manifests in a kustomization.

use harness::simulator::Identity;
use serde_json::Value;

use super::support::{in_repository, kustomize, names};
use crate::fixture::Fixture;

#[tokio::test]
async fn three_people_get_one_email_each() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    let objects = kustomize(&in_repository("examples/three-people"));
    let is_request = |object: &&Value| object["kind"] == "EnrollmentRequest";
    let requests: Vec<Value> = objects.iter().filter(is_request).cloned().collect();
    assert_eq!(names(&requests), ["employee-1001", "employee-1002", "employee-1003"]);
    for request in &requests {
        let id = request["spec"]["identity"]["id"].as_str().unwrap();
        fixture.realm.add_identity(Identity::active(id, &format!("{id}@example.com")));
    }
    for _ in 0..2 {
        fixture.apply(&objects);
        for name in names(&requests) {
            fixture.wait_for_request_named(name, "LinkSent").await;
        }
    }
    assert_eq!(fixture.mailed().len(), 3);
}
