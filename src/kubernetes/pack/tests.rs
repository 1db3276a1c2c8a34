//! Packed requests come back as they were. Only requests are packed for which nothing is to be done.

use harness::statuses::objects_of_earlier_versions;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::*;
use crate::api::HasStatus;
use crate::api::conditions::conditions;
use crate::api::phase::why;
use crate::api::{Phase, Reason};

fn finished() -> EnrollmentRequest {
    let all = objects_of_earlier_versions("enrollment-request-complete").unwrap();
    serde_json::from_str(&all[0].text).unwrap()
}

/// The finished request with other values at these paths; null removes a field.
fn with(changes: &[(&str, Value)]) -> EnrollmentRequest {
    let mut object = serde_json::to_value(finished()).unwrap();
    for (path, value) in changes {
        let (parent, field) = path.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap();
        match parent {
            Value::Object(fields) if value.is_null() => _ = fields.remove(field),
            parent => parent[field] = value.clone(),
        }
    }
    serde_json::from_value(object).unwrap()
}

/// A finished request of another identity.
fn other(number: usize) -> EnrollmentRequest {
    let text = |what: &str| json!(format!("{what}-{number}"));
    let time = json!(format!("2026-02-03T04:05:{:02}Z", number % 60));
    let mut other = with(&[
        ("/metadata/name", text("name")),
        ("/metadata/uid", text("uid")),
        ("/metadata/resourceVersion", json!(number.to_string())),
        ("/metadata/creationTimestamp", time.clone()),
        ("/spec/identity", json!({"id": text("identity")})),
        ("/status/identityID", text("identity")),
        ("/status/jobID", text("job")),
        ("/status/credentialID", text("credential")),
        ("/status/createTime", time.clone()),
        ("/status/updateTime", time.clone()),
        ("/status/expireTime", time.clone()),
    ]);
    for condition in &mut other.status.as_mut().unwrap().conditions {
        condition.last_transition_time = Time(time.as_str().unwrap().parse().unwrap());
    }
    other
}

#[test]
fn only_complete_requests_of_all_states_are_finished() {
    let mut finished = Vec::new();
    for earlier in objects_of_earlier_versions("enrollment-request").unwrap() {
        let request: EnrollmentRequest = serde_json::from_str(&earlier.text).unwrap();
        finished.extend(request.is_finished().then_some(earlier.name));
    }
    assert!(!finished.is_empty() && finished.iter().all(|name| name == "enrollment-request-complete"), "{finished:?}");
}

#[test]
fn request_with_anything_left_is_not_finished() {
    assert!(finished().is_finished());
    assert!(with(&[("/metadata/annotations", json!({}))]).is_finished());
    for change in [
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/metadata/annotations", json!({"beyondidentity.dev/paused": "true"})),
        ("/metadata/generation", json!(2)),
        ("/spec/revoked", json!(true)),
        ("/spec/attempt", json!(2)),
        ("/status/attempt", json!(null)),
        ("/status/state", json!("LINK_SENT")),
        ("/status/jobID", json!(null)),
        ("/status/skipped", json!("AlreadyEnrolled")),
        ("/status/expired", json!(true)),
        ("/status/failingSince", json!("2026-01-01T00:00:00Z")),
        ("/status/previousJobs", json!([{"id": "job", "identityID": "jane"}])),
        ("/status/conditions", json!([])),
        ("/status/conditions/0/type", json!("Stalled")),
        ("/status/conditions/0/status", json!("False")),
        ("/status", json!(null)),
    ] {
        assert!(!with(std::slice::from_ref(&change)).is_finished(), "{change:?}");
    }
    let mut sending = finished();
    sending.status.as_mut().unwrap().send = Some(crate::enrollment_request::testing::send());
    assert!(!sending.is_finished());
    // As in any condition beside the two of a bound passkey.
    let mut refused = finished();
    let beside = [(crate::api::conditions::REVOKE_REFUSED, why(Reason::RevokeRefused, "refused"))];
    let phase = Phase::Complete(why(Reason::Complete, "complete"));
    let input = crate::api::conditions::ConditionInput { phase: &phase, overdue: false, beside: &beside };
    refused.set_conditions(conditions(input, 1, &[], Timestamp::UNIX_EPOCH), Some(1));
    assert!(!refused.is_finished());
}

#[test]
fn finished_requests_share_a_shape_and_come_back_as_they_were() {
    let mut shapes = Shapes::default();
    let all: Vec<_> = (0..100).map(other).collect();
    let packed: Vec<_> = all.iter().map(|request| shapes.pack(request).unwrap()).collect();
    assert_eq!(shapes.shapes.len(), 1);
    for (packed, request) in packed.iter().zip(&all) {
        assert_eq!(packed.unpacked(), *request);
        assert!(packed.own.len() < 400, "{}", packed.own.len());
    }
    let shape = packed[0].shape();
    assert_eq!((shape.name_any(), &shape.spec.identity.id), (String::new(), &Some(String::new())));
    let elsewhere = with(&[("/metadata/namespace", json!("elsewhere"))]);
    assert_eq!(shapes.pack(&elsewhere).unwrap().unpacked(), elsewhere);
    let username = with(&[("/spec/identity", json!({"username": "j\u{0}ürgen"}))]);
    assert_eq!(shapes.pack(&username).unwrap().unpacked(), username);
    assert_eq!(shapes.shapes.len(), 3);
}

#[test]
fn long_texts_are_not_packed() {
    let long = |length: usize| with(&[("/status/jobID", json!("x".repeat(length)))]);
    assert!(Shapes::default().pack(&long(65_536)).is_none());
    assert_eq!(Shapes::default().pack(&long(65_535)).unwrap().unpacked(), long(65_535));
}

#[test]
fn shapes_that_are_not_used_are_dropped() {
    let mut shapes = Shapes::default();
    let used = shapes.pack(&finished()).unwrap();
    for number in 0..10 * PRUNE_AT {
        let elsewhere = with(&[("/metadata/namespace", json!(format!("namespace-{number}")))]);
        assert!(shapes.pack(&elsewhere).is_some());
    }
    assert!(shapes.shapes.len() <= PRUNE_AT, "{}", shapes.shapes.len());
    assert_eq!(shapes.pack(&finished()).unwrap().shape().as_ref() as *const _, Arc::as_ptr(used.shape()));
}
