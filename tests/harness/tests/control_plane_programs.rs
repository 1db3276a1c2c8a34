//! Locating the programs of the control plane, and the errors if they are missing or fail.
//!
//! Shell scripts replace Go and the servers, so the tests need no build.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

#[test]
fn without_go_and_assets_the_error_names_both_remedies() {
    let environment = Environment::new();
    let output = environment.prepare().env("PATH", &environment.scripts).output().unwrap();
    let error = error_of(&output);
    assert!(error.contains("install Go"), "{error}");
    assert!(error.contains("set KUBEBUILDER_ASSETS"), "{error}");
}

#[test]
fn missing_assets_are_named() {
    let environment = Environment::new();
    environment.script("etcd", "");
    environment.script("kube-apiserver", "");
    let output = environment.prepare().env("KUBEBUILDER_ASSETS", &environment.scripts).output().unwrap();
    let error = error_of(&output);
    assert!(error.contains("where kubectl is missing"), "{error}");
    assert!(error.contains("setup-envtest"), "{error}");
}

#[test]
fn missing_program_without_go_is_named() {
    let environment = Environment::new();
    for name in ["etcd", "kube-apiserver", "kubectl"] {
        environment.script(name, "");
    }
    let mut command = environment.prepare();
    command.arg("--all").env("KUBEBUILDER_ASSETS", &environment.scripts).env("PATH", &environment.scripts);
    let error = error_of(&command.output().unwrap());
    assert!(error.contains("which has no kube-controller-manager"), "{error}");
    assert!(error.contains("install Go"), "{error}");
    for name in ["kube-controller-manager", "helm", "helm-docs", "kstatus"] {
        environment.script(name, "");
    }
    assert!(command.output().unwrap().status.success());
}

/// A Go command that appends each package to the file `built`, and writes a megabyte as the program.
const FAKE_GO: &str = r#"
[ "$1" = version ] && echo go version go1.0 fake/fake && exit
while [ $# -gt 1 ]; do [ "$1" = -o ] && output=$2; shift; done
echo "$1" >>"$HOME/built"
sleep 0.2
exec head -c 1000000 /dev/zero >"$output"
"#;

#[test]
fn failed_build_is_one_sentence_and_leaves_a_clean_cache() {
    let environment = Environment::new();
    environment.script("go", &format!("trap '' XFSZ\n{FAKE_GO}"));
    // Like a full disk: the limit is half of the size of the program.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1000; exec \"$0\" --prepare", env!("CARGO_BIN_EXE_control-plane")]);
    let output = environment.configure(&mut command).output().unwrap();
    let error = error_of(&output);
    assert!(error.contains("building etcd in "), "{error}");
    assert!(error.contains(environment.cache().to_str().unwrap()), "{error}");
    assert!(error.contains("its last output line: head: "), "{error}");
    assert_eq!(names_in(&environment.cache()), ["lock"]);
}

#[test]
fn concurrent_processes_build_once() {
    let environment = Environment::new();
    environment.script("go", FAKE_GO);
    let interrupted = environment.cache().join("building-interrupted");
    fs::create_dir_all(&interrupted).unwrap();

    let start = || environment.prepare().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let outputs = [start(), start()].map(|process| process.wait_with_output().unwrap());
    let paths = outputs.each_ref().map(|output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout.clone()).unwrap()
    });
    assert_eq!(paths[0], paths[1]);
    for path in paths[0].lines() {
        assert_eq!(fs::metadata(path).unwrap().len(), 1_000_000);
    }
    let built = fs::read_to_string(environment.home().join("built")).unwrap();
    assert_eq!(built.lines().count(), 3, "{built}");
    let stderr = outputs.map(|output| String::from_utf8(output.stderr).unwrap()).concat();
    assert!(stderr.contains("etcd: building with go1.0 fake/fake"), "{stderr}");
    assert!(stderr.contains("waiting for a build in another process"), "{stderr}");
    assert!(!interrupted.exists());
}

#[test]
fn log_of_an_exited_server_is_quoted() {
    let environment = Environment::new();
    environment.script("etcd", "exec sleep 600");
    environment.script("kube-apiserver", "echo no such flag; exit 1");
    environment.script("kubectl", "");
    let output = environment.start().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("kube-apiserver exited. Last log lines of kube-apiserver:\nno such flag"), "{error}");
    assert_eq!(names_in(environment.home()), ["scripts"]);
}

#[test]
fn start_is_retried_if_a_port_is_in_use() {
    let environment = Environment::new();
    environment.script("etcd", "echo >>../attempts; echo bind: address already in use; exit 1");
    environment.script("kube-apiserver", "exec sleep 600");
    environment.script("kubectl", "");
    let error = error_of(&environment.start().output().unwrap());
    assert!(error.contains("another process took the free port 5 times"), "{error}");
    assert_eq!(fs::read_to_string(environment.home().join("attempts")).unwrap(), "\n".repeat(5));
    assert_eq!(names_in(environment.home()), ["attempts", "scripts"]);
}

/// An empty home directory, and a folder with scripts that comes first in PATH.
struct Environment {
    home: tempfile::TempDir,
    scripts: PathBuf,
}

impl Environment {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let scripts = home.path().join("scripts");
        fs::create_dir(&scripts).unwrap();
        Self { home, scripts }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn cache(&self) -> PathBuf {
        self.home().join("cache/beyond-identity-operator/control-plane")
    }

    fn script(&self, name: &str, script: &str) {
        let path = self.scripts.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var("PATH").unwrap();
        command
            .env_remove("KUBEBUILDER_ASSETS")
            .env("PATH", format!("{}:{path}", self.scripts.display()))
            .env("HOME", self.home())
            .env("XDG_CACHE_HOME", self.home().join("cache"))
            .env("TMPDIR", self.home())
    }

    /// A command that locates or builds the programs.
    fn prepare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        self.configure(&mut command).arg("--prepare");
        command
    }

    /// A command that starts a control plane with the scripts as its programs.
    fn start(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        self.configure(&mut command).env("KUBEBUILDER_ASSETS", &self.scripts);
        command
    }
}

/// The error line of a failed run.
fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let errors: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("control plane: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    errors[0].strip_prefix("error: ").unwrap().to_owned()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
