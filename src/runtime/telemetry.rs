//! Logs: text for people at a terminal, JSON for machines.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::log_line::LogLine;

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
    // Audit lines are no matter of the level. They can be named in the directives, for example as `audit=off`.
    let is_named = filter.to_string().split(',').any(|directive| directive.starts_with("audit"));
    let filter = if is_named { filter } else { filter.add_directive("audit=info".parse()?) };
    let filter =
        KUBE.iter().try_fold(filter, |filter, quiet| Ok::<_, ParseError>(filter.add_directive(quiet.parse()?)))?;
    let format = format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let writer = || LogLine(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    // A second start changes nothing, for example in tests that share a process.
    if started.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Logs a panic as one line in the format of the log.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    tracing::error!(location, panic = panic.payload_as_str(), "Panicked (operator bug)");
}
