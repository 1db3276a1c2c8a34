//! A client for the Beyond Identity REST API: identities, credential binding jobs, authenticator configurations.
//!
//! It sends each request exactly once, without retries or redirects, because creating a job sends an email to a person.
//! [`Error`] says what the caller may do after a failure. Tokens, email addresses, usernames and binding links never
//! appear in errors, `Debug` output or log lines.
//!
//! Paths, field names and error bodies are those of the vendor's OpenAPI document, version 1.7.0. Requests follow it
//! strictly; responses are decoded leniently (see [`types`]).

mod asked;
mod authorization;
mod ca_bundle;
mod check;
mod client;
mod client_credentials;
mod decode;
mod endpoint;
mod endpoint_host;
mod error;
mod error_body;
mod error_fields;
pub(crate) mod fields;
mod filter;
mod gate;
mod headers;
mod listing;
mod open_enum;
pub mod operation;
mod outcome;
pub(crate) mod redaction;
mod requests;
mod secret;
#[cfg(test)]
mod tests;
mod token;
mod token_answer;
mod token_request;
mod trace;
pub mod types;
mod username;
mod wrapper;

pub use ca_bundle::{CaBundle, CaBundleError};
pub use check::RealmCheck;
pub use client::{BuildError, HttpClient};
pub use client_credentials::ClientCredentials;
pub use endpoint::{Endpoint, EndpointError, Region, is_loopback};
pub use endpoint_host::EndpointHost;
pub use error::{Doubt, Error, NotSent, Refusal};
pub use gate::{Gate, Held};
pub use listing::{Listing, union_by_id};
pub use operation::{CREATE_CONFIG, CREATE_JOB, LIST_ALL_JOBS, Operation, REQUEST_TOKEN};
pub use outcome::MAY_HAVE_TAKEN_EFFECT;
pub use requests::{Answer, JobsPage, RealmClient, RealmPage};
pub use token::{ApiToken, TokenError};
pub use token_answer::IssuedToken;
pub use token_request::TokenEndpoint;
pub use trace::TraceId;
