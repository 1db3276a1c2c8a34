//! How many requests there are, by the state of their jobs: counted in the stores when somebody asks.

use kube::runtime::reflector::Store;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Labels;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::beyond_identity::types::JobState;

/// Of a request that has no job.
const NONE: &str = "none";
/// Of a state that this version does not know. What the service says goes into no label.
const UNKNOWN: &str = "unknown";

/// Gauges of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    by_state: Family<Labels<1>, Gauge>,
    in_doubt: Gauge,
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "enrollment_requests",
            "EnrollmentRequests, by the state of their jobs",
            self.by_state.clone(),
        );
        let help = "EnrollmentRequests of which nobody knows yet whether an email was sent";
        registry.register("sends_in_doubt", help, self.in_doubt.clone());
    }

    pub(super) fn count(&self, stores: &[Store<EnrollmentRequest>]) {
        self.by_state.clear();
        let mut in_doubt = 0;
        for request in stores.iter().flat_map(Store::state) {
            let status = request.status.as_ref();
            self.by_state.get_or_create(&[("state", status.map_or(NONE, state))]).inc();
            in_doubt += i64::from(status.is_some_and(|status| status.send.is_some()));
        }
        self.in_doubt.set(in_doubt);
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
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn requests_are_counted_by_the_states_that_are_known() {
        let (store, mut writer) = reflector::store();
        let states = [None, Some("LINK_SENT"), Some("LINK_SENT"), Some("jane@example.com")];
        for (number, state) in states.into_iter().enumerate() {
            let request = serde_json::json!({
                "metadata": {"name": format!("request-{number}"), "namespace": "identity"},
                "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}},
                "status": {"state": state},
            });
            let request = serde_json::from_value(request).unwrap();
            writer.apply_watcher_event(&Event::Apply(request));
        }
        let (requests, mut registry) = (Requests::default(), Registry::default());
        requests.register(&mut registry);
        for _ in 0..2 {
            requests.count(std::slice::from_ref(&store));
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "enrollment_requests{state=\"none\"} 1",
            "enrollment_requests{state=\"LINK_SENT\"} 2",
            "enrollment_requests{state=\"unknown\"} 1",
            "sends_in_doubt 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("jane"));
    }
}
