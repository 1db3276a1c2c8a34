//! Logs: text for people at a terminal, JSON for machines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Targets that are always off. The client logs an undecodable response in full, Secrets and usernames included. The
/// client and its watches also log each failed request, which the caller already logs once.
const KUBE: [&str; 2] = ["kube_client::client=off", "kube_runtime::watcher=off"];

/// How a log line is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Human-readable text.
    Text,
}

/// Validates that `text` is a level, or directives in the format of `RUST_LOG`.
pub fn directives(text: &str) -> Result<String, ParseError> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned())
}

/// Starts logging to stderr. `RUST_LOG` takes precedence over `level`.
pub fn start(format: Option<LogFormat>, level: &str) -> Result<(), ParseError> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(filter) if !filter.is_empty() => EnvFilter::builder().parse(filter)?,
        _ => EnvFilter::builder().parse(level)?,
    };
    let filter =
        KUBE.iter().try_fold(filter, |filter, quiet| Ok::<_, ParseError>(filter.add_directive(quiet.parse()?)))?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start changes nothing, for example in tests that share a process.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
    };
    Ok(())
}
