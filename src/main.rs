//! Entry point: parse the command line, run, exit code.

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
    // Nothing waits for what the runtime cannot break off, such as a name being looked up.
    runtime.shutdown_background();
    result
}
