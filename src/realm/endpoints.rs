//! The endpoints of a provider config: the fixed hosts of its region, or free endpoints where they may be called.

use std::collections::BTreeMap;

use super::provider_config::ProviderConfig;
use crate::api::Reason;
use crate::api::cluster_provider_config::Region as RegionSpec;
use crate::beyond_identity::{Endpoint, Region};
use crate::reconcile::Failure;

/// Which endpoints may be called. The default is the hosts of the regions, and any https endpoint.
#[derive(Clone, Debug, Default)]
pub struct EndpointRules {
    /// Whether an endpoint may be plain http on a loopback address.
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
            (None, Some(endpoint)) => Endpoint::parse(&endpoint.api, self.allow_loopback)
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
            (None, Some(Some(auth))) => Endpoint::parse(auth, self.allow_loopback)
                .map_err(|error| invalid(format!("{key} has an invalid spec.endpoint.auth: {error}"))),
            (None, Some(None)) => Err(invalid(format!(
                "{key} has no spec.endpoint.auth, which spec.credentials.clientCredentials needs; set it to the URL that \
                 issues tokens"
            ))),
            (Some(_), Some(_)) | (None, None) => {
                Err(invalid(format!("{key} must set exactly one of spec.region and spec.endpoint")))
            }
        }
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
