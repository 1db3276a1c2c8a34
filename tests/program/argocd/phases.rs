//! Every phase of the operator has its health in Argo CD.

use beyond_identity_operator::api::conditions::{ConditionInput, conditions, paused};
use beyond_identity_operator::api::phase::why;
use beyond_identity_operator::api::{Phase, Reason};
use harness::argocd::health;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::health_script;
use crate::generated::argocd::wait_for_people;

const MESSAGE: &str = "a message";

fn phases() -> Vec<Phase> {
    let because = || why(Reason::Sending, MESSAGE);
    vec![
        Phase::Progressing(because()),
        Phase::InDoubt(because()),
        Phase::Blocked(because()),
        Phase::Refused(because()),
        Phase::Available(because()),
        Phase::Outstanding(because()),
        Phase::Complete(because()),
        Phase::Expired(because()),
        Phase::Revoked { why: why(Reason::Revoked, MESSAGE), asked: true },
        Phase::Revoked { why: why(Reason::Revoked, MESSAGE), asked: false },
        Phase::FailedToSend(because()),
        Phase::JobNotFound(because()),
        Phase::Deleting { why: because(), blocked: true },
        Phase::Deleting { why: because(), blocked: false },
    ]
}

/// The health of an object in this phase, and the health for those who wait for people. A new phase needs a line here.
fn expected(phase: &Phase, overdue: bool) -> [&'static str; 2] {
    match phase {
        Phase::Progressing(_) | Phase::InDoubt(_) | Phase::Deleting { .. } => ["Progressing"; 2],
        Phase::Blocked(_) if overdue => ["Degraded"; 2],
        Phase::Blocked(_) => ["Progressing"; 2],
        Phase::Refused(_) | Phase::FailedToSend(_) | Phase::JobNotFound(_) => ["Degraded"; 2],
        // Only requests wait for people.
        Phase::Available(_) => ["Healthy", "Progressing"],
        Phase::Outstanding(_) => ["Healthy", "Progressing"],
        Phase::Complete(_) | Phase::Revoked { .. } => ["Healthy"; 2],
        Phase::Expired(_) => ["Healthy", "Degraded"],
    }
}

/// An object of generation 1 in this phase.
fn object(phase: &Phase, overdue: bool) -> Value {
    let input = ConditionInput { phase, overdue, beside: &[] };
    let mut object = json!({
        "metadata": {"generation": 1, "annotations": {}},
        "status": {"observedGeneration": 1, "conditions": conditions(input, 1, &[], Timestamp::UNIX_EPOCH)},
    });
    if matches!(phase, Phase::Deleting { .. }) {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    object
}

fn healths(object: &Value) -> [(String, String); 2] {
    [health_script(), wait_for_people()].map(|script| {
        let health = health(&script, object).unwrap();
        (health.status, health.message)
    })
}

#[test]
fn each_phase_has_its_health_and_the_message_of_its_condition() {
    for phase in phases() {
        for overdue in [false, true] {
            let expected = expected(&phase, overdue).map(|status| (status.to_owned(), MESSAGE.to_owned()));
            assert_eq!(healths(&object(&phase, overdue)), expected, "{phase:?} {overdue}");
        }
    }
}

#[test]
fn change_that_is_not_reconciled_is_progressing() {
    for mut object in phases().iter().map(|phase| object(phase, true)) {
        object["metadata"]["generation"] = json!(2);
        assert_eq!(healths(&object).map(|health| health.0), ["Progressing"; 2], "{object}");
    }
    let new = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}});
    let message = "Waiting until the operator has reconciled the latest change".to_owned();
    assert_eq!(healths(&new)[0], ("Progressing".to_owned(), message));
}

#[test]
fn paused_object_is_suspended_once_the_operator_says_so() {
    for phase in phases() {
        let running = object(&phase, true);
        let because = why(Reason::Paused, "is paused");
        let of_phase = conditions(&phase, 1, &[], Timestamp::UNIX_EPOCH);
        let mut stopped = running.clone();
        stopped["status"]["conditions"] = json!(paused(&because, 1, &of_phase, Timestamp::UNIX_EPOCH));
        let annotated = |object: &Value| {
            let mut object = object.clone();
            object["metadata"]["annotations"]["beyondidentity.dev/paused"] = json!("true");
            object
        };
        let is_deleting = matches!(phase, Phase::Deleting { .. });
        let expected = if is_deleting { "Progressing" } else { "Suspended" };
        let [health, _] = healths(&annotated(&stopped));
        assert_eq!(health, (expected.to_owned(), "is paused".to_owned()), "{phase:?}");
        for changing in [annotated(&running), stopped] {
            assert_eq!(healths(&changing).map(|health| health.0), ["Progressing"; 2], "{changing}");
        }
    }
}

#[test]
fn healthy_object_shows_what_is_wrong_beside_it() {
    let phase = Phase::Complete(why(Reason::Complete, "The user has bound a passkey"));
    let refused = [("RevokeRefused", why(Reason::RevokeRefused, "The link cannot be revoked"))];
    let input = ConditionInput { phase: &phase, overdue: false, beside: &refused };
    let object = json!({
        "metadata": {"generation": 1},
        "status": {"observedGeneration": 1, "conditions": conditions(input, 1, &[], Timestamp::UNIX_EPOCH)},
    });
    let message = "The user has bound a passkey; The link cannot be revoked".to_owned();
    assert_eq!(healths(&object)[0], ("Healthy".to_owned(), message));
}
