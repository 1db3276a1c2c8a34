//! Entry point: parses the command line, runs the command, and returns the exit code.

use std::process::ExitCode;

use beyond_identity_operator::cli::{Cli, Error};
use clap::Parser;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let runtime = Runtime::new().map_err(Error::Runtime)?;
    let result = runtime.block_on(cli.execute());
    // Does not wait for work that the runtime cannot cancel, such as a DNS lookup.
    runtime.shutdown_background();
    result
}
