//! The limits of a provider config on the emails that are sent through it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config_policy::covers;

/// A host with an optional port. Nothing in which URL parsers could differ.
const HOST_PATTERN: &str = r"^[A-Za-z0-9._-]+(:[0-9]{1,5})?$";

/// Limits on the enrolment emails that are sent through a provider config.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentLimits {
    /// Number of links of other requests and of other clients at which an identity gets no further email. A link counts
    /// until it is used, revoked or expired.
    #[serde(default = "max_outstanding_per_identity")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_outstanding_per_identity: i32,
    /// The most jobs of an identity within an hour, whoever created them. No email is sent that would exceed it.
    #[serde(default = "max_sends_per_hour_per_identity")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_sends_per_hour_per_identity: i32,
    /// Hosts that `postBindingRedirectURI` may have, each with its port unless that is 443. If unset, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 259), regex(pattern = HOST_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_redirect_hosts: Option<Vec<String>>,
    /// The most emails within an hour through this provider config, evenly spaced. If unset, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_sends_per_hour: Option<i32>,
}

fn max_outstanding_per_identity() -> i32 {
    5
}

fn max_sends_per_hour_per_identity() -> i32 {
    3
}

impl Default for EnrollmentLimits {
    fn default() -> Self {
        Self {
            max_outstanding_per_identity: max_outstanding_per_identity(),
            max_sends_per_hour_per_identity: max_sends_per_hour_per_identity(),
            allowed_redirect_hosts: None,
            max_sends_per_hour: None,
        }
    }
}

impl EnrollmentLimits {
    /// Whether a user may be redirected to `uri` after the enrolment.
    pub fn allows_redirect(&self, uri: &str) -> bool {
        let Some(hosts) = &self.allowed_redirect_hosts else { return true };
        hosts.iter().any(|host| covers(&format!("https://{host}"), uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(hosts: &[&str]) -> EnrollmentLimits {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        EnrollmentLimits { allowed_redirect_hosts: Some(hosts), ..EnrollmentLimits::default() }
    }

    #[test]
    fn absent_fields_have_the_documented_defaults() {
        let limits: EnrollmentLimits = serde_json::from_str("{}").unwrap();
        assert_eq!(limits, EnrollmentLimits::default());
        assert_eq!((limits.max_outstanding_per_identity, limits.max_sends_per_hour_per_identity), (5, 3));
        assert_eq!((limits.allowed_redirect_hosts, limits.max_sends_per_hour), (None, None));
    }

    #[test]
    fn redirect_is_allowed_to_the_same_https_host_and_port_only() {
        let limits = allowing(&["App.example.com", "other.example.com:8443"]);
        for uri in [
            "https://app.example.com",
            "https://app.example.com/done?x=1#y",
            "https://APP.example.com:443/",
            "https://other.example.com:8443/done",
        ] {
            assert!(limits.allows_redirect(uri), "{uri}");
        }
        for uri in [
            "https://evil.example",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example/",
            "https://evil.example\\@app.example.com/",
            "https://sub.app.example.com",
            "https://app.example.com:8443",
            "https://other.example.com",
            "http://app.example.com",
            "app.example.com",
            "",
        ] {
            assert!(!limits.allows_redirect(uri), "{uri}");
        }
    }

    #[test]
    fn absent_list_allows_any_host_and_an_empty_list_none() {
        assert!(EnrollmentLimits::default().allows_redirect("https://any.example"));
        assert!(!allowing(&[]).allows_redirect("https://any.example"));
    }
}
