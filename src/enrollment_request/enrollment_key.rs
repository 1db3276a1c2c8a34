//! The key of an enrolment: an identity and an authenticator configuration. Pure.

/// The tenant, realm and identity of an enrolment, and its authenticator configuration. No two requests may hold the
/// same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnrollmentKey {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
    /// The identity's id.
    pub identity_id: String,
    /// The authenticator configuration's id.
    pub authenticator_config_id: String,
}
