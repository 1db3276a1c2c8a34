//! A control plane with its controllers, for what lives in a cluster: one test at a time.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness::chart;
use harness::control_plane::ControlPlane;
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;

use crate::support::{NAMESPACE, helm_in, namespace};

/// What the chart makes, whatever the release.
const OURS: [&str; 2] = ["--selector", "app.kubernetes.io/name=beyond-identity-operator"];

/// A control plane with controllers, in which there is nothing of the operator.
pub struct Cluster(pub MutexGuard<'static, ControlPlane>);

impl Cluster {
    /// Takes it, and removes what the test before has left.
    pub fn empty() -> Self {
        static CLUSTER: OnceLock<Mutex<ControlPlane>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Mutex::new(ControlPlane::start_with_controllers().unwrap()));
        let cluster = Self(cluster.lock());
        let namespaced = "deployments,services,serviceaccounts,roles,rolebindings,pdb";
        for kinds in [namespaced, "clusterroles,clusterrolebindings,crds"] {
            let all = ["delete", kinds, "--all-namespaces", OURS[0], OURS[1], "--timeout=300s"];
            cluster.kubectl(&all);
        }
        cluster.kubectl(&["delete", "secrets", "--all-namespaces", "--selector", "owner=helm"]);
        cluster.kubectl(&["delete", "namespaces", "--ignore-not-found", NAMESPACE, "identity"]);
        namespace(&cluster.0, NAMESPACE);
        cluster
    }

    pub fn kubectl(&self, args: &[&str]) -> String {
        self.0.run_kubectl(args).unwrap()
    }

    pub fn apply(&self, yaml: &str, how: &[&str]) -> String {
        self.0.run_kubectl_with(yaml, [&["apply", "--filename", "-"], how].concat()).unwrap()
    }

    pub fn helm(&self, args: &[&str]) -> Result<String, String> {
        helm_in(&self.0, &[args, &["--namespace", NAMESPACE]].concat())
    }

    /// Installs or upgrades a release from a chart.
    pub fn release(&self, how: &str, release: &str, chart: &str, more: &[&str]) -> Result<String, String> {
        self.helm(&[&[how, release, chart, "--set", "clusterName=test"], more].concat())
    }

    /// Waits until the definitions can be used, and makes an AuthenticatorConfig.
    pub fn make_config(&self) {
        self.kubectl(&["wait", "--for=condition=Established", "crds", OURS[0], OURS[1], "--timeout=60s"]);
        eventually(|| self.0.run_kubectl(["get", "authenticatorconfigs", "--all-namespaces"]).is_ok());
        let config = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": { "name": "mine" },
            "spec": { "config": { "type": "hosted_web" } },
        });
        self.apply(&config.to_string(), &["--namespace", "default"]);
    }

    pub fn config_uid(&self) -> String {
        let get = ["get", "authenticatorconfig/mine", "--namespace", "default", "--output", "jsonpath={.metadata.uid}"];
        self.kubectl(&get)
    }
}

pub fn eventually(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The chart as a path.
pub fn present() -> String {
    chart::folder().to_str().unwrap().to_owned()
}
