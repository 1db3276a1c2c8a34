//! A client for the Beyond Identity REST API: identities, credential binding jobs, authenticator configurations.
//!
//! It makes each call exactly once: it never retries and follows no redirect, because creating a job sends an email to a
//! person. What may be done after a failure is in [`Error`]. Tokens, email addresses, usernames and binding links appear
//! in no error, `Debug` output or log line.
//!
//! Paths, field names and error bodies are those of the vendor's OpenAPI document, version 1.7.0. What is sent follows it
//! strictly; what is read is taken leniently (see [`types`]).

mod ca_bundle;
mod client;
mod decode;
mod endpoint;
mod error;
mod error_body;
mod fields;
mod filter;
mod foreign;
mod gate;
mod headers;
mod listing;
mod open_enum;
mod operation;
mod outcome;
mod requests;
#[cfg(test)]
mod tests;
mod token;
mod trace;
pub mod types;

pub use ca_bundle::{CaBundle, CaBundleError};
pub use client::{BuildError, HttpClient};
pub use endpoint::{Endpoint, EndpointError, Region, is_loopback};
pub use error::{Doubt, Error, Refusal, Unsent};
pub use gate::Gate;
pub use listing::Listing;
pub use operation::{CREATE_JOB, Operation};
pub use requests::{Answer, RealmClient};
pub use token::{ApiToken, TokenError};
pub use trace::TraceId;
