//! The number of EnrollmentRequests by the state of their jobs, computed from the stores at each scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::registry::{Registry, Unit};

use super::computed::{Computed, IsLeader, LabelSet, number};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, HasStatus, Reason};
use crate::beyond_identity::types::JobState;

/// The label value of a request without a job.
const NONE: &str = "none";
/// The label value of a request whose link has expired.
const EXPIRED: &str = "EXPIRED";
/// The label value of a state that this version does not know. Text from the service is never used as a label.
const UNKNOWN: &str = "unknown";

/// Gauges of EnrollmentRequests.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    by_state: Computed,
    in_doubt: Computed,
    over_budget: Computed,
    oldest_send: Computed,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry, leads: &IsLeader) -> Self {
        let by_state = "EnrollmentRequests, by state of their job";
        let in_doubt = "EnrollmentRequests with a send whose outcome is not yet known";
        let oldest_send = "Begin of the oldest send whose outcome is not yet known, as Unix time";
        let over_budget = "EnrollmentRequests that wait because of a limit of their provider config on emails";
        Self {
            by_state: Computed::of_the_cluster(registry, "enrollment_requests", by_state, None, leads),
            in_doubt: Computed::of_the_cluster(registry, "sends_in_doubt", in_doubt, None, leads),
            over_budget: Computed::of_the_cluster(registry, "sends_over_budget", over_budget, None, leads),
            oldest_send: Computed::of_the_cluster(
                registry,
                "oldest_send_timestamp",
                oldest_send,
                Some(Unit::Seconds),
                leads,
            ),
        }
    }

    /// Counts the requests that `requests` returns at each scrape, each with how many of its kind there are.
    pub(super) fn count(&self, requests: impl Fn() -> Vec<(Arc<EnrollmentRequest>, usize)> + Send + Sync + 'static) {
        let requests = Arc::new(requests);
        let of_all = requests.clone();
        self.by_state.add(move || {
            let mut counts = BTreeMap::<&str, i64>::new();
            for (request, count) in of_all() {
                *counts.entry(request.status.as_ref().map_or(NONE, state)).or_default() += number(count);
            }
            counts.into_iter().map(|(state, count)| (vec![("state", state.to_owned())], count)).collect()
        });
        let of_all = requests.clone();
        self.in_doubt.add(move || {
            counted(&of_all(), |request| request.status.as_ref().is_some_and(|status| status.send.is_some()))
        });
        let of_all = requests.clone();
        self.oldest_send.add(move || {
            let oldest = of_all().iter().filter_map(|(request, _)| send_began(request)).min();
            oldest.into_iter().map(|began| (Vec::new(), began.as_second())).collect()
        });
        self.over_budget.add(move || {
            let reason = Reason::SendBudgetExceeded.to_string();
            counted(&requests(), |request| request.conditions().iter().any(|it| it.reason == reason))
        });
    }
}

/// A gauge without labels: how many of `requests` are `wanted`.
fn counted(
    requests: &[(Arc<EnrollmentRequest>, usize)],
    wanted: impl Fn(&EnrollmentRequest) -> bool,
) -> Vec<(LabelSet, i64)> {
    let wanted = requests.iter().filter(|(request, _)| wanted(request));
    vec![(Vec::new(), wanted.map(|(_, count)| number(*count)).sum())]
}

/// When a send began whose outcome is not yet known. It is the time of the list before the send, by the clock of the API.
fn send_began(request: &EnrollmentRequest) -> Option<Timestamp> {
    request.status.as_ref()?.send.as_ref()?.not_before.parse().ok()
}

/// The label of a status. An expired link counts as `EXPIRED`, even while the API shows another state.
fn state(status: &EnrollmentRequestStatus) -> &'static str {
    if status.expired == Some(true) {
        return EXPIRED;
    }
    match status.state.as_deref().map(JobState::from) {
        None => NONE,
        Some(state) => state.known().unwrap_or(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn requests_are_counted_by_known_states() {
        let states = [None, Some("LINK_SENT"), Some("LINK_SENT"), Some("jane@example.com"), None, Some("LINK_OPENED")];
        let conditions = |state: Option<&str>| {
            let waits = state == Some("jane@example.com");
            let reason = if waits { "SendBudgetExceeded" } else { "LinkSent" };
            ["Reconciling", "Ready"].map(|type_| {
                serde_json::json!({
                    "type": type_, "status": "True", "reason": reason, "message": "",
                    "lastTransitionTime": "2026-01-01T12:00:00Z",
                })
            })
        };
        let send = |state: &str| {
            let since = if state == "LINK_SENT" { "2026-01-01T12:00:00Z" } else { "2026-01-01T13:00:00Z" };
            serde_json::json!({
                "id": "nonce", "attempt": 1, "tenantID": "t", "realmID": "r", "identityID": "jane",
                "authenticatorConfigID": "a", "deliveryMethod": "EMAIL", "timeoutSeconds": 30, "notBefore": since,
                "providerConfigRef": {"kind": "ClusterProviderConfig", "name": "default"},
            })
        };
        let request = move |state: Option<&str>| {
            let request = serde_json::json!({
                "metadata": {"name": "jane", "namespace": "identity"},
                "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}},
                "status": {
                    "state": state, "conditions": conditions(state),
                    "expired": (state == Some("LINK_OPENED")).then_some(true),
                    "send": state.map_or(serde_json::Value::Null, send),
                },
            });
            Arc::new(serde_json::from_value(request).unwrap())
        };
        let mut registry = Registry::default();
        let leads = IsLeader::default();
        let requests = Requests::register(&mut registry, &leads);
        requests.count(move || states.map(|state| (request(state), 1)).to_vec());
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        assert_eq!(scrape(), "# EOF\n", "a standby describes nothing");
        leads.set(true);
        let text = scrape();
        assert_eq!(scrape(), text, "a second scrape has the same values");
        for line in [
            "enrollment_requests{state=\"none\"} 2",
            "enrollment_requests{state=\"LINK_SENT\"} 2",
            "enrollment_requests{state=\"unknown\"} 1",
            "enrollment_requests{state=\"EXPIRED\"} 1",
            "sends_in_doubt 4",
            "oldest_send_timestamp_seconds 1767268800",
            "sends_over_budget 1",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("jane"));
    }
}
