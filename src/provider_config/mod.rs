//! The controllers of the provider configs. They check the credentials, so that what fails because of a provider config
//! fails there, once, and not for each object that uses it.

mod controller;
mod plan;

pub(crate) use controller::{ControlledProvider, ProviderController};
