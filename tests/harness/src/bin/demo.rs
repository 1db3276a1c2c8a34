//! `cargo demo`: the operator at work, on a real API server and against a simulator of the Beyond Identity API.

use std::{env, process::ExitCode};

use clap::Parser as _;
use harness::demo::{self, Arguments};

fn main() -> ExitCode {
    // `cargo demo -- --stay` is what habit writes, and the alias has a `--` already.
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
