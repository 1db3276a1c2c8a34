//! Runs a program to its end, and quotes its standard error if it fails.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, bail};

/// Runs a program with `input` on its standard input. Returns its standard output, or an error with its standard error.
pub fn output_of(mut command: Command, input: &str) -> anyhow::Result<String> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        // On a thread of its own, since a program may wait until its output is read.
        scope.spawn(|| {
            // A program that exits early explains itself on standard error. That is more useful than the broken pipe.
            stdin.map(|mut stdin| stdin.write_all(input.as_bytes()))
        });
        child.wait_with_output()
    });
    let output = output.with_context(|| format!("cannot wait for {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
