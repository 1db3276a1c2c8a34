//! An application, for the packages of Argo CD: its manifests and settings.

use std::sync::OnceLock;

use harness::control_plane::ControlPlane;
use kube::Client;
use serde_json::{Value, json};

use super::ask;
use crate::fixture::{Fixture, cluster};

/// A control plane for these tests: only an operator that watches all namespaces writes the status of a
/// ClusterProviderConfig.
pub async fn control_plane() -> (&'static ControlPlane, Client) {
    static STARTED: OnceLock<ControlPlane> = OnceLock::new();
    let control_plane = STARTED.get_or_init(|| {
        let control_plane = ControlPlane::start().unwrap();
        cluster::install(&control_plane);
        control_plane
    });
    (control_plane, Client::try_from(cluster::config_of(control_plane).await).unwrap())
}

/// What an Application has in its spec and in Git.
#[derive(Clone)]
pub struct Application {
    pub control_plane: &'static ControlPlane,
    pub name: String,
    pub namespace: String,
    pub manifests: Vec<Value>,
    pub options: Vec<&'static str>,
    pub prune: bool,
    pub force: bool,
    pub server_side_diff: bool,
    /// How long a sync may wait for health.
    pub seconds: u32,
}

/// How a sync ended.
#[derive(Debug)]
pub struct Synced {
    pub phase: String,
    #[expect(dead_code, reason = "a failed assertion prints it")]
    pub message: String,
    /// For each object: its name, whether it was synced, and what was done.
    pub results: Vec<String>,
}

impl Application {
    pub fn new(control_plane: &'static ControlPlane, fixture: &Fixture, manifests: Vec<Value>) -> Self {
        Self {
            control_plane,
            name: format!("application-of-{}", fixture.namespace),
            namespace: fixture.namespace.clone(),
            manifests,
            options: Vec::new(),
            prune: false,
            force: false,
            server_side_diff: false,
            seconds: 60,
        }
    }

    /// The same with these sync options.
    pub fn with_options(&self, options: &[&'static str]) -> Self {
        Self { options: options.to_vec(), ..self.clone() }
    }

    fn ask(&self, what: &str) -> Value {
        let request = json!({what: {
            "name": self.name,
            "namespace": self.namespace,
            "manifests": self.manifests,
            "options": self.options,
            "prune": self.prune,
            "force": self.force,
            "serverSideDiff": self.server_side_diff,
            "seconds": self.seconds,
        }});
        ask("argocd-cm.yaml", Some(&self.control_plane.kubeconfig()), &[request]).remove(0)
    }

    /// `Kind name: sync status, health` of each object, and the difference if there is one.
    pub fn status(&self) -> Vec<String> {
        let all = self.ask("status");
        let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let line = |object: &Value| {
            let [kind, name, sync, health] = ["kind", "name", "sync", "health"].map(|field| text(object, field));
            let difference = if sync == "Synced" {
                String::new()
            } else {
                format!(" live {} predicted {}", object["live"], object["predicted"])
            };
            format!("{kind} {name}: {sync}, {health}{difference}")
        };
        all.as_array().unwrap_or_else(|| panic!("{all}")).iter().map(line).collect()
    }

    /// Why the objects cannot be compared.
    pub fn error(&self) -> String {
        let status = self.ask("status");
        status["error"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    /// Syncs, as after a click on Sync or as self-heal does.
    pub fn sync(&self) -> Synced {
        let synced = self.ask("sync");
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{synced}")).to_owned();
        let results = synced["results"].as_array().unwrap_or_else(|| panic!("{synced}"));
        let result =
            |it: &Value| format!("{}: {}: {}", text(&it["name"]), text(&it["status"]), text(&it["message"]).trim());
        Synced {
            phase: text(&synced["phase"]),
            message: text(&synced["message"]),
            results: results.iter().map(result).collect(),
        }
    }
}
