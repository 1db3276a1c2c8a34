//! `cargo load`: measures the cost of many enrolments.

use std::{env, process::ExitCode};

use clap::Parser as _;
use harness::load::{self, Arguments};

fn main() -> ExitCode {
    // The alias ends in `--`, so a second one, as in `cargo load -- --requests 200`, is removed.
    let mut arguments: Vec<_> = env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "--") {
        arguments.remove(1);
    }
    match load::run(&Arguments::parse_from(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
