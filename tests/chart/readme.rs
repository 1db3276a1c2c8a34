//! The installation commands of the README.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use harness::chart;
use harness::process::output_of;
use tempfile::TempDir;

use crate::cluster::{Cluster, eventually};

#[test]
fn readme_installation_commands_work() {
    let cluster = Cluster::empty();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Install\n").unwrap();
    let block = section.split("```").nth(1).unwrap().strip_prefix("console\n").unwrap();
    let lines: Vec<&str> = block.lines().map(|line| line.strip_prefix("$ ").unwrap()).collect();
    assert_eq!(lines.len(), 4);

    let folder = TempDir::new().unwrap();
    for shared in ["charts", "examples"] {
        symlink(root.join(shared), folder.path().join(shared)).unwrap();
    }
    fs::write(folder.path().join("token"), "a token").unwrap();
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let helm = chart::helm_in(&cluster.0, [""; 0]).unwrap();
    for program in [&helm, &cluster.0.kubectl([""; 0])] {
        let program = Path::new(program.get_program());
        symlink(program, programs.join(program.file_name().unwrap())).unwrap();
    }
    for line in lines {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &line.replace("NAME", "test")]).current_dir(&folder);
        for (name, value) in helm.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            shell.env(name, value);
        }
        shell.env("PATH", &programs);
        // A CustomResourceDefinition that is Established may still have no storage for a moment.
        eventually(|| {
            cluster.0.run_kubectl(["get", "beyondidentity", "--all-namespaces"]).is_ok() || line.starts_with("helm")
        });
        output_of(shell, "").unwrap();
    }
    let created = cluster.kubectl(&["get", "er,authenticatorconfigs", "--namespace", "identity", "--output", "name"]);
    assert_eq!(created.lines().count(), 2, "{created}");
}
