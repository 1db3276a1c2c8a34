//! Runs the program, with nothing of the environment of whoever runs the tests.

use std::path::Path;
use std::process::Command;

use harness::program::command;
use tempfile::TempDir;

/// What a run of the program that ended by itself came to.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What it complained of: on a wrong command line, clap adds how to call it, after a blank line.
    pub fn complaint(&self) -> &str {
        let (said, _) = self.stderr.split_once("\n\n").unwrap_or((&self.stderr, ""));
        let said = said.trim_end();
        assert!(said.starts_with("error: ") && !said.contains('\n'), "one sentence: {:?}", self.stderr);
        said
    }
}

/// The program with these arguments, whose home is this folder.
pub fn program(home: &Path, arguments: &[&str]) -> Command {
    command(env!("CARGO_BIN_EXE_beyond-identity-operator"), home, arguments)
}

/// Runs the program with these arguments and variables to its end.
pub fn end_of(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let home = TempDir::new().unwrap();
    let output = program(home.path(), arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
