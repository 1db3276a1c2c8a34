//! A program that ends when this process does, also when this one crashes or is killed.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running program. Dropping this asks it to end (TERM), and waits until it has.
#[derive(Debug)]
pub struct Leashed {
    /// A shell that waits for the program, and for the end of the pipe that we hold.
    shell: Child,
}

impl Leashed {
    /// Starts a program, with what it prints in `log`. Its standard input is empty.
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
            // Out of reach of Ctrl-C, which is for us: what ends first is not the terminal's to say.
            .process_group(0)
            .spawn()
            .map(|shell| Self { shell })
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Kills it (KILL) and waits until it is gone.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        if let Some(stdin) = &mut self.shell.stdin {
            // A shell that is gone already does not listen.
            let _ = stdin.write_all(b"kill\n");
        }
        self.shell.wait()
    }

    /// Asks it to end (TERM) and waits until it has.
    pub fn stop(mut self) -> io::Result<ExitStatus> {
        drop(self.shell.stdin.take());
        self.shell.wait()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It cannot be waited for when somebody has waited already.
        let _ = self.shell.wait();
    }
}
