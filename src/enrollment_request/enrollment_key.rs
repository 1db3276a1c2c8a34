//! The key of an enrolment: which identity, and which configuration. Pure.

/// Which identity of which realm is enrolled, and by which configuration. No two requests may have the same key.
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
