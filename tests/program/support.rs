//! Runs the program with a clean environment.

use std::path::Path;
use std::process::Command;

use harness::program::command;
use tempfile::TempDir;

/// The result of a run that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The error. For an invalid command line, clap adds the usage after a blank line.
    pub fn error(&self) -> &str {
        let (error, _) = self.stderr.split_once("\n\n").unwrap_or((&self.stderr, ""));
        let error = error.trim_end();
        assert!(error.starts_with("error: ") && !error.contains('\n'), "not one sentence: {:?}", self.stderr);
        error
    }
}

/// The program with these arguments and this home directory.
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
