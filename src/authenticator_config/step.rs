//! What can be fetched for an AuthenticatorConfig, and what only AuthenticatorConfigs do. Pure.

use crate::beyond_identity::types::AuthenticatorConfigPatch;

/// What can be fetched from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Who refers to the object.
    Referrers,
    /// All configurations of the realm.
    Configs,
    /// The configuration of this id.
    Config(String),
}

/// What only AuthenticatorConfigs do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Change the configuration of this id.
    Patch(String, Box<AuthenticatorConfigPatch>),
    /// Delete the configuration of this id.
    Delete(String),
}
