//! What a provider config permits an object to do. Pure.

use super::failure::Failure;
use super::realm_rules::RealmRules;
use crate::api::config_policy::ConfigPolicy;
use crate::api::enrollment_limits::EnrollmentLimits;

/// What a provider config permits an object to do. The default permits what no rule restricts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions {
    /// Why nothing may be created or sent: the namespace is not allowed, the provider config or its Secret is deleted, or
    /// another cluster uses the realm. Existing remote resources are still polled, revoked and deleted.
    pub not_allowed: Option<Failure>,
    /// Why no configuration may be adopted by its id; `None` if adoption is allowed.
    pub no_resource_ids: Option<Failure>,
    /// Why no link may be revoked that was adopted through an observed configuration; `None` if that is allowed.
    pub no_revoking_adopted: Option<Failure>,
    /// Which configurations may be created or changed; `None`: all.
    pub config_policy: Option<ConfigPolicy>,
    /// How many emails may be sent, and where they may lead.
    pub enrollment: EnrollmentLimits,
    /// Which clusters may have configurations in the realm, and whose count as those of this cluster.
    pub realm: RealmRules,
}
