//! The control plane starts, answers, and leaves no files or processes.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::control_plane::ControlPlane;

#[test]
fn drop_removes_all_files_and_processes() {
    let control_plane = ControlPlane::start().unwrap();
    let folder = control_plane.folder().to_owned();

    let version = control_plane.run_kubectl(["version", "--output", "json"]).unwrap();
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["serverVersion"]["major"], "1");
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n";
    control_plane.run_kubectl_with(namespace, ["apply", "--filename", "-"]).unwrap();
    assert_eq!(control_plane.run_kubectl(["get", "ns/mine", "--output", "name"]).unwrap(), "namespace/mine\n");

    drop(control_plane);
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), Vec::<String>::new());
}

#[test]
fn controllers_run_and_end_with_the_control_plane() {
    let control_plane = ControlPlane::start_with_controllers().unwrap();
    let folder = control_plane.folder().to_owned();
    assert!(processes_of(&folder).iter().any(|process| process.contains("kube-controller-manager --kubeconfig")));

    control_plane.run_kubectl(["create", "namespace", "deleted"]).unwrap();
    control_plane.run_kubectl(["delete", "namespace", "deleted", "--timeout=60s"]).unwrap();

    drop(control_plane);
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), Vec::<String>::new());
}

#[test]
fn files_are_private_to_the_user() {
    let control_plane = ControlPlane::shared().unwrap();
    assert_eq!(fs::metadata(control_plane.folder()).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(fs::metadata(control_plane.kubeconfig()).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn error_contains_the_message_of_kubectl() {
    let error = ControlPlane::shared().unwrap().run_kubectl(["get", "ns/none"]).unwrap_err();
    assert_eq!(error.to_string(), "kubectl failed: Error from server (NotFound): namespaces \"none\" not found");
}

#[test]
fn shared_control_plane_is_started_once() {
    let first = ControlPlane::shared().unwrap();
    let second = thread::spawn(|| ControlPlane::shared().unwrap()).join().unwrap();
    assert!(std::ptr::eq(first, second));
}

#[test]
fn killed_owner_leaves_no_files_or_processes() {
    let mut owner =
        Command::new(env!("CARGO_BIN_EXE_control-plane")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let kubeconfig = line.trim().strip_prefix("export KUBECONFIG=").unwrap();
    let folder = Path::new(kubeconfig).parent().unwrap();
    let processes = processes_of(folder);
    for server in ["etcd --data-dir", "kube-apiserver --bind-address"] {
        assert!(processes.iter().any(|process| process.contains(server)), "{processes:?}");
    }

    owner.kill().unwrap(); // KILL, which no process can handle
    owner.wait().unwrap();

    let started = Instant::now();
    while folder.exists() || !processes_of(folder).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", processes_of(folder));
        thread::sleep(Duration::from_millis(20));
    }
}

/// The command lines of all processes that mention the folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let output = Command::new("ps").args(["-A", "-ww", "-o", "args"]).output().unwrap();
    let folder = folder.to_str().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}
