//! Where the control plane's programs come from, and what it says when they do not come or do not run.
//!
//! Shell scripts stand in for Go and for the servers, so that this costs nothing on a machine that has built nothing yet.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

#[test]
fn names_both_ways_out_without_go_and_without_assets() {
    let place = Place::new();
    let output = place.prepare().env("PATH", &place.scripts).output().unwrap();
    let error = the_error(&output);
    assert!(error.contains("install Go"), "{error}");
    assert!(error.contains("set KUBEBUILDER_ASSETS"), "{error}");
}

#[test]
fn names_what_the_assets_lack() {
    let place = Place::new();
    place.script("etcd", "");
    place.script("kube-apiserver", "");
    let output = place.prepare().env("KUBEBUILDER_ASSETS", &place.scripts).output().unwrap();
    let error = the_error(&output);
    assert!(error.contains("where kubectl is missing"), "{error}");
    assert!(error.contains("setup-envtest"), "{error}");
}

#[test]
fn names_what_it_would_build_that_the_assets_lack() {
    let place = Place::new();
    for brought in ["etcd", "kube-apiserver", "kubectl"] {
        place.script(brought, "");
    }
    let mut command = place.prepare();
    command.arg("--all").env("KUBEBUILDER_ASSETS", &place.scripts).env("PATH", &place.scripts);
    let error = the_error(&command.output().unwrap());
    assert!(error.contains("which has no kube-controller-manager"), "{error}");
    assert!(error.contains("install Go"), "{error}");
    place.script("kube-controller-manager", "");
    place.script("helm", "");
    place.script("helm-docs", "");
    assert!(command.output().unwrap().status.success());
}

/// A Go command that notes what it builds in the file `built`, and writes a megabyte.
const FAKE_GO: &str = r#"
[ "$1" = version ] && echo go version go1.0 fake/fake && exit
while [ $# -gt 1 ]; do [ "$1" = -o ] && output=$2; shift; done
echo "$1" >>"$HOME/built"
sleep 0.2
exec head -c 1000000 /dev/zero >"$output"
"#;

#[test]
fn a_build_that_breaks_off_is_one_sentence_and_leaves_a_clean_cache() {
    let place = Place::new();
    place.script("go", &format!("trap '' XFSZ\n{FAKE_GO}"));
    // As on a full disk: no file may grow over half of that.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1000; exec \"$0\" --prepare", env!("CARGO_BIN_EXE_control-plane")]);
    let output = place.own(&mut command).output().unwrap();
    let error = the_error(&output);
    assert!(error.contains("building etcd in "), "{error}");
    assert!(error.contains(place.cache().to_str().unwrap()), "{error}");
    assert!(error.contains("its last output line: head: "), "{error}");
    assert_eq!(names_in(&place.cache()), ["lock"]);
}

#[test]
fn processes_that_start_at_once_build_once() {
    let place = Place::new();
    place.script("go", FAKE_GO);
    let rubbish = place.cache().join("building-that-was-killed");
    fs::create_dir_all(&rubbish).unwrap();

    let start = || place.prepare().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let outputs = [start(), start()].map(|process| process.wait_with_output().unwrap());
    let paths = outputs.each_ref().map(|output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout.clone()).unwrap()
    });
    assert_eq!(paths[0], paths[1]);
    for path in paths[0].lines() {
        assert_eq!(fs::metadata(path).unwrap().len(), 1_000_000);
    }
    let built = fs::read_to_string(place.home().join("built")).unwrap();
    assert_eq!(built.lines().count(), 3, "{built}");
    let said = outputs.map(|output| String::from_utf8(output.stderr).unwrap()).concat();
    assert!(said.contains("etcd: building with go1.0 fake/fake"), "{said}");
    assert!(said.contains("waiting for a build in another process"), "{said}");
    assert!(!rubbish.exists());
}

#[test]
fn a_server_that_ends_is_quoted() {
    let place = Place::new();
    place.script("etcd", "exec sleep 600");
    place.script("kube-apiserver", "echo no such flag; exit 1");
    place.script("kubectl", "");
    let output = place.start().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("kube-apiserver exited. Last log lines of kube-apiserver:\nno such flag"), "{error}");
    assert_eq!(names_in(place.home()), ["scripts"]);
}

#[test]
fn a_taken_port_is_tried_again() {
    let place = Place::new();
    place.script("etcd", "echo >>../attempts; echo bind: address already in use; exit 1");
    place.script("kube-apiserver", "exec sleep 600");
    place.script("kubectl", "");
    let error = the_error(&place.start().output().unwrap());
    assert!(error.contains("another process took the free port 5 times"), "{error}");
    assert_eq!(fs::read_to_string(place.home().join("attempts")).unwrap(), "\n".repeat(5));
    assert_eq!(names_in(place.home()), ["attempts", "scripts"]);
}

/// A home folder with nothing of this machine's own settings, and scripts that are found before other programs.
struct Place {
    home: tempfile::TempDir,
    scripts: PathBuf,
}

impl Place {
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

    fn own<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var("PATH").unwrap();
        command
            .env_remove("KUBEBUILDER_ASSETS")
            .env("PATH", format!("{}:{path}", self.scripts.display()))
            .env("HOME", self.home())
            .env("XDG_CACHE_HOME", self.home().join("cache"))
            .env("TMPDIR", self.home())
    }

    /// Finds or builds the programs.
    fn prepare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        self.own(&mut command).arg("--prepare");
        command
    }

    /// Starts a control plane of which the scripts are the programs.
    fn start(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        self.own(&mut command).env("KUBEBUILDER_ASSETS", &self.scripts);
        command
    }
}

/// The one line that a failed run ends with.
fn the_error(output: &Output) -> String {
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
