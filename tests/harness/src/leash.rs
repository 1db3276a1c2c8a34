//! A child process that ends with this process, even if this process crashes or is killed.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running program. Dropping it sends TERM, and waits until the program has exited.
#[derive(Debug)]
pub struct Leashed {
    /// A shell that waits for the program, and for the end of its standard input.
    shell: Child,
}

impl Leashed {
    /// Starts a program with its output in `log`. Its standard input is empty.
    pub fn spawn(command: &Command, log: File) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", include_str!("leash.sh"), "leash"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own, so that Ctrl-C reaches only this process, which decides what ends first.
            .process_group(0)
            .spawn()
            .map(|shell| Self { shell })
    }

    /// The exit status, if the program has exited.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Sends KILL, and waits until the program has exited.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        if let Some(stdin) = &mut self.shell.stdin {
            // An error means that the shell has already exited.
            let _ = stdin.write_all(b"kill\n");
        }
        self.shell.wait()
    }

    /// Sends TERM, and waits until the program has exited.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        drop(self.shell.stdin.take());
        self.shell.wait()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // An error means that the shell was already waited for.
        let _ = self.shell.wait();
    }
}
