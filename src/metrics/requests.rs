//! How many requests there are, by the state of their jobs: counted in the stores when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use super::computed::Computed;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::beyond_identity::types::JobState;
use crate::kubernetes::stores::Stores;

/// Of a request that has no job.
const NONE: &str = "none";
/// Of a state that this version does not know. What the service says goes into no label.
const UNKNOWN: &str = "unknown";

/// Gauges of requests.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    by_state: Computed,
    in_doubt: Computed,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let by_state = "EnrollmentRequests, by the state of their jobs";
        let in_doubt = "EnrollmentRequests of which nobody knows yet whether an email was sent";
        Self {
            by_state: Computed::register(registry, "enrollment_requests", by_state, None),
            in_doubt: Computed::register(registry, "sends_in_doubt", in_doubt, None),
        }
    }

    /// Counts the requests of these stores from now on.
    pub(super) fn count(&self, stores: &Stores<EnrollmentRequest>) {
        let requests = stores.clone();
        self.by_state.add(move || {
            let mut counts = BTreeMap::<&str, i64>::new();
            for request in requests.state() {
                *counts.entry(request.status.as_ref().map_or(NONE, state)).or_default() += 1;
            }
            counts.into_iter().map(|(state, count)| (vec![("state", state.to_owned())], count)).collect()
        });
        let requests = stores.clone();
        self.in_doubt.add(move || {
            let is_in_doubt =
                |request: &Arc<EnrollmentRequest>| request.status.as_ref().is_some_and(|status| status.send.is_some());
            let count = requests.state().iter().filter(|request| is_in_doubt(request)).count();
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
    use kube::runtime::watcher::Event;
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn requests_are_counted_by_the_states_that_are_known() {
        let (stores, mut writers) = Stores::new(&[Some("a".to_owned()), Some("b".to_owned())]);
        let states = [None, Some("LINK_SENT"), Some("LINK_SENT"), Some("jane@example.com"), None];
        for (number, state) in states.into_iter().enumerate() {
            let request = serde_json::json!({
                "metadata": {"name": format!("request-{number}"), "namespace": "identity"},
                "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}},
                "status": {"state": state},
            });
            // In two namespaces.
            writers[number % 2].apply_watcher_event(&Event::Apply(serde_json::from_value(request).unwrap()));
        }
        let mut registry = Registry::default();
        let requests = Requests::register(&mut registry);
        requests.count(&stores);
        let scrape = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let text = scrape();
        assert_eq!(scrape(), text, "a scrape leaves nothing behind");
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
