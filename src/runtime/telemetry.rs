//! Logs: text for people at a terminal, JSON for machines.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The Kubernetes client logs the whole of an answer that does not decode, Secrets and usernames included: never
/// that, whatever else is asked for. And each call that failed, as its watches do: that is said once, by who made it.
const KUBE: [&str; 2] = ["kube_client::client=off", "kube_runtime::watcher=off"];

/// How a log line is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Human-readable text.
    Text,
}

/// Whether `text` is a level, or directives as `RUST_LOG` has them.
pub fn directives(text: &str) -> Result<String, ParseError> {
    EnvFilter::builder().parse(text).map(|_| text.to_owned())
}

/// Starts logging to stderr. `RUST_LOG` is heard before `level`.
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
    // A second start, as in tests that share a process, changes nothing.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
    };
    Ok(())
}
