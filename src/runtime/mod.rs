//! The process runtime: health, leader election, logs and signals. It does not depend on what the controllers do.

pub mod access;
pub mod ca_bundle_file;
mod followed_files;
pub mod health;
pub mod leader;
pub mod listen;
mod log_line;
pub mod readiness;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod warnings;

use std::error::Error;

/// Returns the root cause of an error in one line, without the intermediate messages, which only help library authors.
pub fn cause(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
