//! `cargo demo`: runs the operator on a real API server and a simulator of the Beyond Identity API.

use std::{env, process::ExitCode};

use clap::Parser as _;
use harness::demo::{self, Arguments};

fn main() -> ExitCode {
    // The alias ends in `--`, so a second one, as in `cargo demo -- --stay`, is removed.
    let mut arguments: Vec<_> = env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "--") {
        arguments.remove(1);
    }
    match demo::run(Arguments::parse_from(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
