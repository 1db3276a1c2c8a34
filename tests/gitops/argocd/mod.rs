//! What Argo CD shows and does, by the packages that it consists of.

mod application;
mod drift;
mod scripts;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::control_plane::{ARGOCD, locate};
use harness::process::output_of;
use serde_json::Value;

/// The kinds that have scripts.
const KINDS: [&str; 4] = ["AuthenticatorConfig", "ClusterProviderConfig", "EnrollmentRequest", "ProviderConfig"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("argocd")
}

/// Asks the program with this ConfigMap. Returns an answer for each request.
fn ask(config_map: &str, kubeconfig: Option<&Path>, requests: &[Value]) -> Vec<Value> {
    let [program] = locate([&ARGOCD]).unwrap();
    let mut command = Command::new(program);
    command.arg(folder().join(config_map)).env_remove("KUBECONFIG");
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    let lines: Vec<_> = requests.iter().map(Value::to_string).collect();
    let output = output_of(command, &lines.join("\n")).unwrap();
    let answers: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), requests.len());
    answers
}
