//! What can be done for an AuthenticatorConfig, one thing at a time. Pure.

use super::change::Change;
use crate::api::authenticator_config::CreateRecord;
use crate::api::{Phase, ProviderConfigRef};
use crate::beyond_identity::types::AuthenticatorConfigPatch;
use crate::reconcile::{Left, Wait};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the object from the API server: what the watch cache says may be behind.
    Refresh,
    /// Learn something from outside.
    Learn(Question),
    /// Add the finalizer.
    AddFinalizer,
    /// Take the finalizer off, and let the object go.
    Release {
        /// What is left on the remote side.
        left: Option<Left>,
    },
    /// Write ahead that a configuration is about to be made.
    WriteAhead(CreateRecord, Phase),
    /// Make the configuration, with the ticket in hand.
    Create,
    /// Change the configuration of this id.
    Patch(String, Box<AuthenticatorConfigPatch>),
    /// Delete the configuration of this id.
    Delete(String),
    /// Write down what has come out, and what it means.
    Record(Change, Option<Phase>),
    /// Nothing more to do now.
    Wait(Wait),
}

/// What can be asked of the world outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Who refers to the object.
    Users,
    /// The realm behind this provider config, and its credentials.
    Realm(ProviderConfigRef),
    /// All configurations of the realm.
    Configs,
    /// The configuration of this id.
    Config(String),
}
