//! The number of EnrollmentRequests by the state of their jobs, computed from the stores at each scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::computed::Computed;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::beyond_identity::types::JobState;

/// The label value of a request without a job.
const NONE: &str = "none";
/// The label value of a state that this version does not know. Text from the service is never used as a label.
const UNKNOWN: &str = "unknown";

/// Gauges of EnrollmentRequests.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    by_state: Computed,
    in_doubt: Computed,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let by_state = "EnrollmentRequests, by state of their job";
        let in_doubt = "EnrollmentRequests with a send whose outcome is not yet known";
        Self {
            by_state: Computed::register(registry, "enrollment_requests", by_state, None),
            in_doubt: Computed::register(registry, "sends_in_doubt", in_doubt, None),
        }
    }

    /// Counts the requests that `requests` returns at each scrape.
    pub(super) fn count(&self, requests: impl Fn() -> Vec<Arc<EnrollmentRequest>> + Send + Sync + 'static) {
        let requests = Arc::new(requests);
        let of_all = requests.clone();
        self.by_state.add(move || {
            let mut counts = BTreeMap::<&str, i64>::new();
            for request in of_all() {
                *counts.entry(request.status.as_ref().map_or(NONE, state)).or_default() += 1;
            }
            counts.into_iter().map(|(state, count)| (vec![("state", state.to_owned())], count)).collect()
        });
        self.in_doubt.add(move || {
            let is_in_doubt =
                |request: &Arc<EnrollmentRequest>| request.status.as_ref().is_some_and(|status| status.send.is_some());
            let count = requests().iter().filter(|request| is_in_doubt(request)).count();
            vec![(Vec::new(), i64::try_from(count).unwrap_or(i64::MAX))]
        });
    }
}

fn state(status: &EnrollmentRequestStatus) -> &'static str {
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
        let states = [None, Some("LINK_SENT"), Some("LINK_SENT"), Some("jane@example.com"), None];
        let request = |state: Option<&str>| {
            let request = serde_json::json!({
                "metadata": {"name": "jane", "namespace": "identity"},
                "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}},
                "status": {"state": state},
            });
            Arc::new(serde_json::from_value(request).unwrap())
        };
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        requests.count(move || states.map(request).to_vec());
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let text = scrape();
        assert_eq!(scrape(), text, "a second scrape has the same values");
        for line in [
            "enrollment_requests{state=\"none\"} 2",
            "enrollment_requests{state=\"LINK_SENT\"} 2",
            "enrollment_requests{state=\"unknown\"} 1",
            "sends_in_doubt 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("jane"));
    }
}
