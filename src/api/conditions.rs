//! Maps a phase to conditions with one `match`, the same for all kinds.
//!
//! GitOps tools wait for health, and derive it from conditions by the rules of kstatus (sigs.k8s.io/cli-utils,
//! `pkg/kstatus`). The first of `Reconciling=True` (in progress) and `Stalled=True` (failed) decides, then `Ready`. So
//! `Ready` means that the API has accepted the spec, and `Succeeded` that a person has bound a passkey. A sync must not
//! wait for people.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::phase::{Phase, Why};
use super::text;

/// The API has accepted the spec.
pub const READY: &str = "Ready";
/// Work is in progress. Present only while True.
pub const RECONCILING: &str = "Reconciling";
/// Nothing changes until a person acts. Present only while True.
pub const STALLED: &str = "Stalled";
/// A person has bound a passkey.
pub const SUCCEEDED: &str = "Succeeded";

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

/// The service does not let the operator revoke a link that must be revoked. Present only while True.
pub const REVOKE_REFUSED: &str = "RevokeRefused";

/// A field was removed from the spec, and its last value is still in effect. Present only while True.
pub const FIELD_NOT_UNSET: &str = "FieldNotUnset";

/// A provider config lacks something that only removals need. Present only while True.
pub const DEGRADED: &str = "Degraded";

/// An annotation has stopped all work on the object. Present only while True.
pub const PAUSED: &str = "Paused";

/// All types of the operator's own conditions. It keeps a condition of any other type, which belongs to another controller.
const OWN: [&str; 8] = [READY, RECONCILING, STALLED, SUCCEEDED, REVOKE_REFUSED, FIELD_NOT_UNSET, DEGRADED, PAUSED];

/// The maximum number of conditions of an object, by the definitions.
const MOST: usize = 16;

/// The input for the conditions of an object.
#[derive(Clone, Copy, Debug)]
pub struct ConditionInput<'a> {
    /// The phase.
    pub phase: &'a Phase,
    /// Whether a recoverable problem has lasted longer than the grace period.
    pub overdue: bool,
    /// The conditions beside any phase: the type of each, and why it is True.
    pub beside: &'a [(&'static str, Why)],
}

impl<'a> From<&'a Phase> for ConditionInput<'a> {
    fn from(phase: &'a Phase) -> Self {
        Self { phase, overdue: false, beside: &[] }
    }
}

/// Returns the conditions for `input`, about a spec of generation `generation`. `previous` provides the transition times,
/// the conditions that a phase keeps, and those of other controllers.
pub fn conditions<'a>(
    input: impl Into<ConditionInput<'a>>,
    generation: i64,
    previous: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let input = input.into();
    let make = |type_, status, why: &Why| condition(type_, status, why, generation, previous, now);
    let why = input.phase.why();
    debug_assert!(input.beside.iter().all(|(type_, _)| OWN.contains(type_)), "it would never be removed: {input:?}");
    let (beside, ready, succeeded) = match input.phase {
        Phase::Progressing(_) => (Some(RECONCILING), FALSE, None),
        Phase::InDoubt(_) => (Some(RECONCILING), UNKNOWN, None),
        // The cause is elsewhere and may be fixed there, but not indefinitely.
        Phase::Blocked(_) if input.overdue => (Some(STALLED), FALSE, None),
        Phase::Blocked(_) => (Some(RECONCILING), FALSE, None),
        Phase::Refused(_) => (Some(STALLED), FALSE, None),
        Phase::Available(_) => (None, TRUE, None),
        Phase::Outstanding(_) => (None, TRUE, Some(UNKNOWN)),
        Phase::Complete(_) => (None, TRUE, Some(TRUE)),
        Phase::Expired(_) => (None, TRUE, Some(FALSE)),
        Phase::Revoked { .. } => (None, TRUE, Some(FALSE)),
        Phase::FailedToSend(_) => (Some(STALLED), FALSE, Some(FALSE)),
        Phase::JobNotFound(_) => (Some(STALLED), FALSE, Some(UNKNOWN)),
        Phase::Deleting { .. } => {
            // A deletion changes only the reason and message of `Ready`.
            let ready = previous.iter().find(|c| c.type_ == READY).map_or(UNKNOWN, |c| c.status.as_str());
            let mut kept = unpaused(previous);
            kept.retain(|c| is_own(c) && c.type_ != READY);
            kept.push(make(READY, ready, why));
            return with_others(kept, previous);
        }
    };
    let mut conditions: Vec<_> = beside.map(|type_| make(type_, TRUE, why)).into_iter().collect();
    conditions.push(make(READY, ready, why));
    conditions.extend(succeeded.map(|status| make(SUCCEEDED, status, why)));
    conditions.extend(input.beside.iter().map(|(type_, why)| make(type_, TRUE, why)));
    with_others(conditions, previous)
}

/// The operator's own conditions, and those of other controllers in `previous`, as many as there is room for. One without a
/// status or a reason, stored under an earlier definition, would have the whole status refused.
fn with_others(mut own: Vec<Condition>, previous: &[Condition]) -> Vec<Condition> {
    let is_complete = |condition: &&Condition| !condition.status.is_empty() && !condition.reason.is_empty();
    let others = previous.iter().filter(|condition| !is_own(condition)).filter(is_complete);
    own.extend(others.take(MOST.saturating_sub(own.len())).cloned());
    own
}

fn is_own(condition: &Condition) -> bool {
    OWN.contains(&condition.type_.as_str())
}

/// The conditions of an object on which all work has stopped. `why` says why. The previous conditions are kept.
pub fn paused(why: &Why, generation: i64, previous: &[Condition], now: Timestamp) -> Vec<Condition> {
    let make = |type_, status| condition(type_, status, why, generation, previous, now);
    let mut conditions = unpaused(previous);
    conditions.retain(is_own);
    if conditions.iter().all(|condition| condition.type_ != READY) {
        conditions.push(make(READY, UNKNOWN));
    }
    conditions.push(make(PAUSED, TRUE));
    with_others(conditions, previous)
}

/// The same conditions without `Paused`, for an object on which work continues.
pub fn unpaused(previous: &[Condition]) -> Vec<Condition> {
    previous.iter().filter(|condition| condition.type_ != PAUSED).cloned().collect()
}

/// Whether `conditions`, which are another object's, include `Ready=True`.
pub fn is_ready(conditions: &[Condition]) -> bool {
    is_true(conditions, READY)
}

/// Whether `conditions`, which are another object's, include `Stalled=True`.
pub fn is_stalled(conditions: &[Condition]) -> bool {
    is_true(conditions, STALLED)
}

/// Whether `conditions` include this type with the status True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == TRUE)
}

/// Builds one condition. Its transition time changes only with its status. Its message stays while it says the same about the
/// same generation, so that a request id of the service causes no write.
fn condition(
    type_: &str,
    status: &str,
    why: &Why,
    generation: i64,
    previous: &[Condition],
    now: Timestamp,
) -> Condition {
    let unchanged = previous.iter().find(|c| c.type_ == type_ && c.status == status);
    let reason = why.reason.to_string();
    let says_the_same = |c: &&Condition| {
        c.reason == reason && c.observed_generation == Some(generation) && text::same_meaning(&c.message, &why.message)
    };
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        message: unchanged.filter(says_the_same).map_or_else(|| why.message.clone(), |c| c.message.clone()),
        reason,
        observed_generation: Some(generation),
        last_transition_time: unchanged.map_or(Time(now), |c| c.last_transition_time.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::api::phase::why;

    fn some() -> Why {
        why(Reason::Sending, "text")
    }

    /// Every phase with its expected conditions, as `Type=Status`.
    fn table() -> Vec<(Phase, &'static str)> {
        vec![
            (Phase::Progressing(some()), "Reconciling=True Ready=False"),
            (Phase::InDoubt(some()), "Reconciling=True Ready=Unknown"),
            (Phase::Blocked(some()), "Reconciling=True Ready=False"),
            (Phase::Refused(some()), "Stalled=True Ready=False"),
            (Phase::Available(some()), "Ready=True"),
            (Phase::Outstanding(some()), "Ready=True Succeeded=Unknown"),
            (Phase::Complete(some()), "Ready=True Succeeded=True"),
            (Phase::Expired(some()), "Ready=True Succeeded=False"),
            (Phase::Revoked { why: some(), asked: true }, "Ready=True Succeeded=False"),
            (Phase::FailedToSend(some()), "Stalled=True Ready=False Succeeded=False"),
            (Phase::JobNotFound(some()), "Stalled=True Ready=False Succeeded=Unknown"),
            (Phase::Deleting { why: some(), blocked: true }, "Ready=Unknown"),
        ]
    }

    fn brief(conditions: &[Condition]) -> String {
        conditions.iter().map(|c| format!("{}={}", c.type_, c.status)).collect::<Vec<_>>().join(" ")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_phase_sets_its_conditions() {
        for (phase, row) in table() {
            assert_eq!(brief(&conditions(&phase, 1, &[], at(0))), row, "{phase:?}");
        }
    }

    #[test]
    fn only_blocked_phase_stalls_after_grace_period() {
        for (phase, row) in table() {
            let overdue = conditions(ConditionInput { overdue: true, ..ConditionInput::from(&phase) }, 1, &[], at(0));
            let row = if matches!(phase, Phase::Blocked(_)) { "Stalled=True Ready=False" } else { row };
            assert_eq!(brief(&overdue), row, "{phase:?}");
        }
    }

    #[test]
    fn own_condition_is_set_beside_others_only_while_it_is_true() {
        let complete = Phase::Complete(some());
        for type_ in [REVOKE_REFUSED, FIELD_NOT_UNSET, DEGRADED, PAUSED] {
            let set = [(type_, some())];
            let beside = conditions(ConditionInput { beside: &set, ..ConditionInput::from(&complete) }, 1, &[], at(0));
            assert_eq!(brief(&beside), format!("Ready=True Succeeded=True {type_}=True"));
            assert_eq!(brief(&conditions(&complete, 1, &beside, at(1))), "Ready=True Succeeded=True", "{type_}");
        }
    }

    #[test]
    fn reconciling_and_stalled_exclude_each_other_and_ready() {
        for (phase, _) in table() {
            let all = brief(&conditions(&phase, 1, &[], at(0)));
            let (reconciling, stalled) = (all.contains("Reconciling"), all.contains("Stalled"));
            assert!(!(reconciling && stalled), "{all}");
            assert!(!(all.contains("Ready=True") && (reconciling || stalled)), "{all}");
        }
    }

    #[test]
    fn transition_time_changes_only_with_condition_status() {
        let first = conditions(&Phase::Progressing(why(Reason::Sending, "a")), 1, &[], at(10));
        let same = conditions(&Phase::Blocked(why(Reason::SecretNotFound, "b")), 2, &first, at(20));
        assert!(same.iter().all(|c| c.last_transition_time == Time(at(10))), "only reason and message changed");
        assert!(same.iter().all(|c| c.observed_generation == Some(2) && c.message == "b"));
        let ready = conditions(&Phase::Outstanding(why(Reason::LinkSent, "c")), 2, &same, at(30));
        assert!(ready.iter().all(|c| c.last_transition_time == Time(at(30))));
    }

    #[test]
    fn message_stays_while_it_says_the_same() {
        let phase = |reason, id: &str| {
            Phase::Progressing(why(reason, format!("GET x failed (503): the response says: down ({id})")))
        };
        let first = conditions(&phase(Reason::ServiceUnavailable, "a1"), 1, &[], at(10));
        let after = |phase: &Phase, generation| conditions(phase, generation, &first, at(20));
        assert_eq!(after(&phase(Reason::ServiceUnavailable, "b2"), 1), first);
        for (phase, generation) in [(phase(Reason::ServiceUnavailable, "b2"), 2), (phase(Reason::Refused, "b2"), 1)] {
            assert!(after(&phase, generation).iter().all(|c| c.message.ends_with("(b2)")), "{phase:?}");
        }
    }

    #[test]
    fn pause_keeps_other_conditions_and_ends_with_next_phase() {
        let pause = why(Reason::Paused, "stopped");
        assert_eq!(brief(&paused(&pause, 1, &[], at(5))), "Ready=Unknown Paused=True", "never reconciled");
        let (complete, deleting) =
            (Phase::Complete(some()), Phase::Deleting { why: why(Reason::Deleting, "x"), blocked: false });
        let before = conditions(&complete, 1, &[], at(10));
        let with_pause = paused(&pause, 2, &before, at(20));
        assert_eq!(with_pause[..2], before);
        assert_eq!(brief(&with_pause), "Ready=True Succeeded=True Paused=True");
        assert_eq!(paused(&pause, 2, &with_pause, at(30)), with_pause, "set only once");
        assert_eq!(unpaused(&with_pause), before);
        assert_eq!(brief(&conditions(&deleting, 2, &with_pause, at(40))), "Succeeded=True Ready=True");
        assert_eq!(brief(&conditions(&complete, 2, &with_pause, at(40))), "Ready=True Succeeded=True");
    }

    #[test]
    fn conditions_of_other_controllers_stay() {
        let other = |number: usize| Condition {
            type_: format!("example.com/{number}"),
            status: TRUE.to_owned(),
            reason: "Audited".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at(number as i64)),
        };
        let others: Vec<_> = (0..MOST).map(other).collect();
        let pause = why(Reason::Paused, "stopped");
        for (phase, row) in table() {
            let first = conditions(&phase, 1, &others[..2], at(20));
            let (own, kept) = first.split_at(first.len() - 2);
            assert_eq!((brief(own).as_str(), kept), (row, &others[..2]), "{phase:?}");
            assert_eq!(conditions(&phase, 1, &first, at(30)), first, "{phase:?}: written once");
            assert!(paused(&pause, 1, &first, at(30)).ends_with(&others[..2]), "{phase:?}");
            for full in [conditions(&phase, 1, &others, at(20)), paused(&pause, 1, &others, at(20))] {
                assert_eq!(full.len(), MOST, "{phase:?}");
            }
        }
    }

    #[test]
    fn deletion_keeps_condition_status_and_reports_its_reason() {
        let before = conditions(&Phase::Complete(why(Reason::Complete, "a")), 1, &[], at(10));
        let deleting = Phase::Deleting { why: why(Reason::DeletionBlocked, "in use"), blocked: true };
        let after = conditions(&deleting, 2, &before, at(20));
        assert_eq!(brief(&after), "Succeeded=True Ready=True");
        let ready = after.iter().find(|c| c.type_ == READY).unwrap();
        assert_eq!((ready.reason.as_str(), ready.message.as_str()), ("DeletionBlocked", "in use"));
        assert_eq!(ready.last_transition_time, Time(at(10)));
    }

    #[test]
    fn condition_of_another_controller_is_kept_only_if_it_is_complete() {
        let other = |status: &str, reason: &str| Condition {
            status: status.to_owned(),
            reason: reason.to_owned(),
            ..make_other()
        };
        for (other, kept) in [(other(TRUE, "Synced"), 1), (other("", "Synced"), 0), (other(TRUE, ""), 0)] {
            let phase = Phase::Available(why(Reason::Available, "x"));
            let conditions = conditions(&phase, 1, &[other], Timestamp::UNIX_EPOCH);
            assert_eq!(conditions.iter().filter(|condition| condition.type_ == "Synced").count(), kept);
        }
    }

    fn make_other() -> Condition {
        let why = why(Reason::Available, "of another controller");
        condition("Synced", TRUE, &why, 1, &[], Timestamp::UNIX_EPOCH)
    }
}
