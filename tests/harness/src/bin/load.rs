//! `cargo load`: what many enrolments cost.

use std::{env, process::ExitCode};

use clap::Parser as _;
use harness::load::{self, Arguments};

fn main() -> ExitCode {
    // `cargo load -- --requests 200` is what habit writes, and the alias has a `--` already.
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
