//! Queries for an AuthenticatorConfig, and actions that only AuthenticatorConfigs have. Pure.

use crate::beyond_identity::types::AuthenticatorConfigPatch;

/// A query for a fact that the plan needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// The EnrollmentRequests that refer to the object.
    Referrers,
    /// All configurations of the realm.
    Configs,
    /// The configuration with this id.
    Config(String),
}

/// An action that only AuthenticatorConfigs have.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Patch the configuration with this id.
    Patch(String, Box<AuthenticatorConfigPatch>),
    /// Delete the configuration with this id.
    Delete(String),
}
