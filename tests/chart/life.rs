//! How a release lives: applied twice, installed, upgraded, uninstalled and installed again, and what the roles of
//! Kubernetes learn of it. On one control plane with its controllers, one test at a time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use harness::chart::{self, render};
use harness::control_plane::ControlPlane;
use harness::process::output_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{NAMESPACE, RELEASE, copy, helm_in, namespace};

/// A control plane with controllers, in which there is nothing of the operator.
struct Cluster(MutexGuard<'static, ControlPlane>);

impl Cluster {
    fn empty() -> Self {
        static CLUSTER: OnceLock<Mutex<ControlPlane>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Mutex::new(ControlPlane::start_with_controllers().unwrap()));
        // What a test that failed left behind goes as well.
        let cluster = Self(cluster.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for kinds in
            ["deployments,services,serviceaccounts,roles,rolebindings,pdb", "clusterroles,clusterrolebindings,crds"]
        {
            cluster.kubectl(&[
                "delete",
                kinds,
                "--all-namespaces",
                "--selector",
                "app.kubernetes.io/name",
                "--timeout=60s",
            ]);
        }
        cluster.kubectl(&["delete", "secrets", "--all-namespaces", "--selector", "owner=helm"]);
        cluster.kubectl(&["delete", "namespaces", "--ignore-not-found", NAMESPACE, "identity"]);
        namespace(&cluster.0, NAMESPACE);
        cluster
    }

    fn kubectl(&self, args: &[&str]) -> String {
        self.0.run_kubectl(args).unwrap()
    }

    fn apply(&self, yaml: &str, how: &[&str]) -> String {
        self.0.run_kubectl_with(yaml, [&["apply", "--filename", "-"], how].concat()).unwrap()
    }

    fn helm(&self, args: &[&str]) -> Result<String, String> {
        helm_in(&self.0, &[args, &["--namespace", NAMESPACE]].concat())
    }

    /// Installs or upgrades a release from a chart.
    fn release(&self, how: &str, release: &str, chart: &str, more: &[&str]) -> Result<String, String> {
        self.helm(&[&[how, release, chart, "--set", "clusterName=test"], more].concat())
    }

    /// Waits until the definitions can be used, and makes an AuthenticatorConfig.
    fn make_config(&self) {
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crds",
            "--selector",
            "app.kubernetes.io/name",
            "--timeout=60s",
        ]);
        eventually(|| self.0.run_kubectl(["get", "authenticatorconfigs", "--all-namespaces"]).is_ok());
        let config = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": { "name": "mine" },
            "spec": { "config": { "type": "hosted_web" } },
        });
        self.apply(&config.to_string(), &["--namespace", "default"]);
    }

    fn config_uid(&self) -> String {
        let get = ["get", "authenticatorconfig/mine", "--namespace", "default", "--output", "jsonpath={.metadata.uid}"];
        self.kubectl(&get)
    }
}

fn eventually(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The chart as a path.
fn present() -> String {
    chart::folder().to_str().unwrap().to_owned()
}

#[test]
fn applying_it_twice_changes_nothing() {
    let rendered =
        render(RELEASE, NAMESPACE, &json!({ "clusterName": "test", "rbac": { "tenantsMayEnroll": true } })).unwrap();
    for how in [&["--server-side=false"][..], &["--server-side"]] {
        let cluster = Cluster::empty();
        let written = || {
            let list = cluster.0.run_kubectl_with(&rendered, ["get", "--filename", "-", "--output", "json"]).unwrap();
            let mut list: Value = serde_json::from_str(&list).unwrap();
            list["items"].as_array_mut().unwrap().iter_mut().for_each(take_out_what_controllers_write);
            list
        };
        cluster.apply(&rendered, how);
        let before = written();
        cluster.apply(&rendered, how);
        assert!(written() == before, "{before}\n{}", written());
    }
}

/// Of what has a generation that is the status, which moves the resourceVersion; nothing else is written by anybody else.
fn take_out_what_controllers_write(object: &mut Value) {
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    if metadata.contains_key("generation") {
        metadata.remove("resourceVersion");
    }
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove("deployment.kubernetes.io/revision");
    }
}

#[test]
fn an_upgrade_brings_new_fields_and_an_uninstall_keeps_what_people_made() {
    let cluster = Cluster::empty();
    let folder = TempDir::new().unwrap();
    copy(&chart::folder(), folder.path());
    let older = folder.path().join("beyond-identity-operator");
    let file = older.join("files/crds/beyondidentity.dev_enrollmentrequests.yaml");
    let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    assert!(definition.pointer_mut(fields).unwrap().as_object_mut().unwrap().remove("deletionPolicy").is_some());
    fs::write(&file, definition.to_string()).unwrap();
    let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.deletionPolicy.type}";
    let field = || cluster.kubectl(&["get", "crd/enrollmentrequests.beyondidentity.dev", "--output", path]);

    cluster.release("install", "first", older.to_str().unwrap(), &[]).unwrap();
    assert_eq!(field(), "");
    cluster.make_config();
    let uid = cluster.config_uid();

    let notes = cluster.release("upgrade", "first", &present(), &[]).unwrap();
    assert!(
        notes.contains("kubectl create secret generic beyond-identity")
            && notes.contains("kind: ClusterProviderConfig")
    );
    assert_eq!(field(), "string");
    assert_eq!(cluster.config_uid(), uid);

    // Turning the definitions off is no way to lose them either.
    cluster.release("upgrade", "first", &present(), &["--set", "crds.install=false"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);

    cluster.helm(&["uninstall", "first", "--wait"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);
    let ours = [
        "get",
        "deployments,replicasets,pods,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,pdb",
    ];
    let select = ["--all-namespaces", "--selector", "app.kubernetes.io/instance=first", "--output", "name"];
    eventually(|| cluster.kubectl(&[&ours[..], &select].concat()).is_empty());

    // Under the same name they are its own again; under another one somebody has to say so.
    cluster.release("install", "first", &present(), &[]).unwrap();
    cluster.helm(&["uninstall", "first", "--wait"]).unwrap();
    let refusal = cluster.release("install", "second", &present(), &[]).unwrap_err();
    assert!(refusal.contains("invalid ownership metadata"), "{refusal}");
    cluster.release("install", "second", &present(), &["--take-ownership"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);
}

#[test]
fn view_and_edit_may_read_and_edit_may_enroll_only_where_a_value_says_so() {
    let cluster = Cluster::empty();
    let grant = |user: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": user, "namespace": "default" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
        })
    };
    for role in ["view", "edit", "admin"] {
        cluster.apply(&grant(&format!("the-{role}er"), role).to_string(), &[]);
    }
    let may = |role: &str, verb: &str, kind: &str| {
        let (kind, subresource) = kind.split_once('/').unwrap_or((kind, ""));
        let (kind, subresource) = (format!("{kind}.beyondidentity.dev"), format!("--subresource={subresource}"));
        let user = format!("--as=the-{role}er");
        // It fails where the answer is no.
        cluster.0.run_kubectl(["auth", "can-i", verb, &kind, &subresource, &user, "--namespace=default"]).is_ok()
    };
    let writes = ["create", "update", "patch", "delete", "deletecollection"];
    let kinds = ["authenticatorconfigs", "enrollmentrequests"];

    cluster.release("install", RELEASE, &present(), &[]).unwrap();
    cluster.make_config();
    for role in ["view", "edit", "admin"] {
        eventually(|| may(role, "get", "enrollmentrequests"));
        for kind in kinds {
            assert!(["get", "list", "watch"].iter().all(|verb| may(role, verb, kind)), "{role} {kind}");
            assert!(!writes.iter().any(|verb| may(role, verb, kind)), "{role} {kind}");
        }
    }

    cluster.release("upgrade", RELEASE, &present(), &["--set", "rbac.tenantsMayEnroll=true"]).unwrap();
    for role in ["edit", "admin"] {
        eventually(|| may(role, "create", "enrollmentrequests"));
        for kind in kinds {
            assert!(writes.iter().all(|verb| may(role, verb, kind)), "{role} {kind}");
            assert!(!writes.iter().any(|verb| may(role, verb, &format!("{kind}/status"))), "{role} {kind}");
        }
        assert!(!writes.iter().any(|verb| may(role, verb, "clusterproviderconfigs")), "{role}");
    }
    assert!(!kinds.iter().any(|kind| writes.iter().any(|verb| may("view", verb, kind))));
}

#[test]
fn what_the_readme_says_to_type_works() {
    let cluster = Cluster::empty();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Installing it").unwrap();
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
        // A definition that is Established may still be without its storage for a moment.
        eventually(|| {
            cluster.0.run_kubectl(["get", "beyondidentity", "--all-namespaces"]).is_ok() || line.starts_with("helm")
        });
        output_of(shell, "").unwrap();
    }
    let made = cluster.kubectl(&["get", "er,authenticatorconfigs", "--namespace", "identity", "--output", "name"]);
    assert_eq!(made.lines().count(), 2, "{made}");
}
