//! The endpoints of a provider config: the fixed hosts of its region, or free endpoints where they may be called.

use std::collections::BTreeMap;

use super::provider_config::ProviderConfig;
use crate::api::Reason;
use crate::api::cluster_provider_config::Region as RegionSpec;
use crate::beyond_identity::{Endpoint, EndpointError, EndpointHost, Region};
use crate::reconcile::Failure;

/// Which endpoints may be called. The default is the hosts of the regions. Whoever writes a provider config chooses the
/// address that gets its token.
#[derive(Clone, Debug, Default)]
pub struct EndpointRules {
    /// The hosts that a free endpoint may name.
    pub allowed_hosts: Vec<EndpointHost>,
    /// Whether a free endpoint may be on a loopback address, and plain http there.
    pub allow_loopback: bool,
    /// Regions that stand for an endpoint on a loopback address: for tests and the demo.
    pub loopback_regions: BTreeMap<Region, Endpoint>,
}

impl EndpointRules {
    /// The endpoint of `provider`, or why there is none that may be called.
    pub(super) fn of(&self, provider: &ProviderConfig) -> Result<Endpoint, Failure> {
        let (key, invalid) = (&provider.key, |what: String| Failure::blocked(Reason::InvalidEndpoint, what));
        match (provider.region, &provider.endpoint) {
            (Some(region), None) => Ok(self.region(region, Endpoint::from)),
            (None, Some(endpoint)) => self
                .free(&endpoint.api)
                .map_err(|error| invalid(format!("{key} has an invalid spec.endpoint.api: {error}"))),
            (Some(_), Some(_)) | (None, None) => {
                Err(invalid(format!("{key} must set exactly one of spec.region and spec.endpoint")))
            }
        }
    }

    /// The token endpoint of `provider`, or why there is none that may be called.
    pub(super) fn of_tokens(&self, provider: &ProviderConfig) -> Result<Endpoint, Failure> {
        let (key, invalid) = (&provider.key, |what: String| Failure::blocked(Reason::InvalidEndpoint, what));
        match (provider.region, provider.endpoint.as_ref().map(|endpoint| &endpoint.auth)) {
            (Some(region), None) => Ok(self.region(region, Endpoint::of_tokens)),
            (None, Some(Some(auth))) => {
                self.free(auth).map_err(|error| invalid(format!("{key} has an invalid spec.endpoint.auth: {error}")))
            }
            (None, Some(None)) => Err(invalid(format!(
                "{key} has no spec.endpoint.auth, which spec.credentials.clientCredentials needs; set it to the URL that \
                 issues tokens"
            ))),
            (Some(_), Some(_)) | (None, None) => {
                Err(invalid(format!("{key} must set exactly one of spec.region and spec.endpoint")))
            }
        }
    }

    /// A free endpoint, if it is allowed.
    fn free(&self, text: &str) -> Result<Endpoint, EndpointError> {
        let endpoint = Endpoint::parse(text, self.allow_loopback)?;
        let is_allowed = self.allow_loopback && endpoint.is_loopback()
            || self.allowed_hosts.iter().any(|host| host.is_of(&endpoint));
        if is_allowed { Ok(endpoint) } else { Err(EndpointError::HostNotAllowed) }
    }

    fn region(&self, region: RegionSpec, host: fn(Region) -> Endpoint) -> Endpoint {
        let region = match region {
            RegionSpec::US => Region::US,
            RegionSpec::EU => Region::EU,
            RegionSpec::USFedRAMP => Region::USFedRAMP,
        };
        self.loopback_regions.get(&region).cloned().unwrap_or_else(|| host(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &[&str], allow_loopback: bool) -> EndpointRules {
        let allowed_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        EndpointRules { allowed_hosts, allow_loopback, ..EndpointRules::default() }
    }

    #[test]
    fn no_endpoint_is_allowed_by_default() {
        for text in ["https://api.example.com", "https://127.0.0.1:8443", "https://api-us.beyondidentity.com"] {
            assert_eq!(EndpointRules::default().free(text), Err(EndpointError::HostNotAllowed), "{text}");
        }
        let refused = EndpointRules::default().free("http://127.0.0.1:8080");
        assert_eq!(refused, Err(EndpointError::LoopbackNotAllowed));
    }

    #[test]
    fn exactly_the_listed_hosts_and_ports_are_allowed() {
        let allowed = allowed(&["api.example.com", "Proxy.example.com:8443", "[2001:db8::1]", "127.0.0.1:9443"], false);
        for text in [
            "https://api.example.com",
            "https://API.example.com:443/",
            "https://proxy.example.com:8443",
            "https://[2001:DB8:0::1]",
            "https://127.0.0.1:9443",
        ] {
            assert!(allowed.free(text).is_ok(), "{text}");
        }
        for text in [
            "https://api.example.com:8443",
            "https://proxy.example.com",
            "https://api.example.com.evil.example",
            "https://evil.api.example.com",
            "https://example.com",
            "https://api.example.com.",
            "https://[2001:db8::1]:8443",
            "https://127.0.0.1",
        ] {
            assert_eq!(allowed.free(text), Err(EndpointError::HostNotAllowed), "{text}");
        }
        assert_eq!(allowed.free("http://api.example.com"), Err(EndpointError::PlainHttp));
        assert_eq!(allowed.free("https://api.example.com@evil.example"), Err(EndpointError::UserInfo));
    }

    #[test]
    fn loopback_is_allowed_with_its_flag_only() {
        let loopback = allowed(&[], true);
        for text in ["http://127.0.0.1:8080", "https://localhost:8443", "http://[::1]:1"] {
            assert!(loopback.free(text).is_ok(), "{text}");
        }
        assert_eq!(loopback.free("https://api.example.com"), Err(EndpointError::HostNotAllowed));
    }
}
