//! A control plane with controllers, for tests that install the chart. One test uses it at a time.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness::chart;
use harness::control_plane::ControlPlane;
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;

use crate::support::{NAMESPACE, helm_in, namespace};

/// Selects the chart's objects, of any release.
const CHART_OBJECTS: [&str; 2] = ["--selector", "app.kubernetes.io/name=beyond-identity-operator"];

/// A control plane with controllers, without any object of the operator.
pub struct Cluster(pub MutexGuard<'static, ControlPlane>);

impl Cluster {
    /// Locks the cluster, and removes the objects of the previous test.
    pub fn empty() -> Self {
        static CLUSTER: OnceLock<Mutex<ControlPlane>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Mutex::new(ControlPlane::start_with_controllers().unwrap()));
        let cluster = Self(cluster.lock());
        let namespaced = "deployments,services,serviceaccounts,roles,rolebindings,pdb";
        cluster.kubectl(&["delete", "--ignore-not-found", "--timeout=300s", "--filename", &cluster_admin_file()]);
        for kinds in [namespaced, "clusterroles,clusterrolebindings"] {
            let all = ["delete", kinds, "--all-namespaces", CHART_OBJECTS[0], CHART_OBJECTS[1], "--timeout=300s"];
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

    /// Waits until the CustomResourceDefinitions are served, and creates an AuthenticatorConfig.
    pub fn create_config(&self) {
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crds",
            CHART_OBJECTS[0],
            CHART_OBJECTS[1],
            "--timeout=60s",
        ]);
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
        assert!(started.elapsed() < Duration::from_secs(60), "the condition did not become true within 60 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The path of the file with the CustomResourceDefinitions and the ClusterRoles that a cluster admin applies.
pub fn cluster_admin_file() -> String {
    chart::cluster_admin_file().to_str().unwrap().to_owned()
}

/// The path of the chart in this repository.
pub fn current_chart() -> String {
    chart::folder().to_str().unwrap().to_owned()
}
