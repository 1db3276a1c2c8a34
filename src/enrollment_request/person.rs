//! Who is enrolled, and by which configuration. Pure.

/// Who is enrolled, and by which configuration: no two requests may be about the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
    /// The identity's id.
    pub identity_id: String,
    /// The authenticator configuration's id.
    pub authenticator_config_id: String,
}
