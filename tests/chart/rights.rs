//! The permissions of the operator's ServiceAccount: those that it needs, and no others.

use std::fs;
use std::path::Path;

use harness::chart;
use harness::control_plane::ControlPlane;
use serde_json::json;

use crate::support::{NAMESPACE, RELEASE, namespace};

/// All verbs that a role can grant on a resource.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// The ServiceAccount of an installed release.
struct Account<'a> {
    cluster: &'a ControlPlane,
    name: String,
}

impl<'a> Account<'a> {
    fn install(release: &str, operator: &str, watched: &[&str]) -> Self {
        let cluster = ControlPlane::shared().unwrap();
        for name in [&[operator], watched].concat() {
            namespace(cluster, name);
        }
        let values = json!({ "clusterName": "test", "watchNamespaces": watched, "crds": { "install": false } });
        let rendered = chart::render(release, operator, &values).unwrap();
        cluster.apply(&rendered).unwrap();
        let name = format!("system:serviceaccount:{operator}:{release}-beyond-identity-operator");
        Self { cluster, name }
    }

    /// The allowed verbs on a resource in a namespace, such as `enrollmentrequests.beyondidentity.dev/status`.
    fn verbs(&self, resource: &str, namespace: &str) -> Vec<&'static str> {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (resource, name) = resource.split_once(' ').unwrap_or((resource, ""));
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let review = |verb: &str| {
            json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "spec": { "user": self.name, "resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                    "namespace": namespace, "name": name,
                } },
            })
        };
        let reviews = json!({ "apiVersion": "v1", "kind": "List", "items": VERBS.map(review) });
        let create = ["create", "--filename", "-", "--output", "jsonpath={.status.allowed} "];
        let allowed = self.cluster.run_kubectl_with(&reviews.to_string(), create).unwrap();
        let allowed: Vec<&str> = allowed.split_whitespace().collect();
        assert_eq!(allowed.len(), VERBS.len());
        VERBS.into_iter().zip(allowed).filter(|(_, allowed)| *allowed == "true").map(|(verb, _)| verb).collect()
    }
}

const READ_AND_FINALIZE: [&str; 4] = ["get", "list", "watch", "patch"];

/// Checks the permissions in a watched namespace.
fn check_watched_namespace(account: &Account, namespace: &str) {
    for kind in ["authenticatorconfigs", "enrollmentrequests", "providerconfigs"] {
        assert_eq!(account.verbs(&format!("{kind}.beyondidentity.dev"), namespace), READ_AND_FINALIZE);
        assert_eq!(account.verbs(&format!("{kind}.beyondidentity.dev/status"), namespace), ["update"]);
    }
    assert_eq!(account.verbs("events.events.k8s.io", namespace), ["create", "patch"]);
    for secret in ["secrets", "secrets beyond-identity"] {
        assert_eq!(account.verbs(secret, namespace), [""; 0], "{secret}");
    }
}

/// Checks the permissions in the operator's namespace.
fn check_operator_namespace(account: &Account, operator: &str) {
    assert_eq!(account.verbs("secrets beyond-identity", operator), ["list", "watch"]);
    for other in ["secrets", "secrets another"] {
        assert_eq!(account.verbs(other, operator), [""; 0], "{other}");
    }
    assert_eq!(account.verbs("leases.coordination.k8s.io", operator), ["create"]);
    assert_eq!(
        account.verbs("leases.coordination.k8s.io beyond-identity-operator", operator),
        ["get", "create", "update"]
    );
    for resource in ["secrets", "pods", "customresourcedefinitions.apiextensions.k8s.io"] {
        assert_eq!(account.verbs(resource, ""), [""; 0], "{resource}");
    }
}

#[test]
fn without_a_list_every_namespace_is_allowed() {
    let account = Account::install("wide", "wide-operator", &[]);
    check_watched_namespace(&account, "anywhere");
    check_operator_namespace(&account, "wide-operator");
    assert_eq!(account.verbs("clusterproviderconfigs.beyondidentity.dev", ""), READ_AND_FINALIZE);
    assert_eq!(account.verbs("clusterproviderconfigs.beyondidentity.dev/status", ""), ["update"]);
    assert_eq!(account.verbs("namespaces", ""), ["list", "watch"]);
}

#[test]
fn without_names_no_secret_is_allowed() {
    let cluster = ControlPlane::shared().unwrap();
    namespace(cluster, "nameless");
    let values = json!({ "clusterName": "test", "crds": { "install": false }, "rbac": { "secretNames": [] } });
    cluster.apply(&chart::render("nameless", "nameless", &values).unwrap()).unwrap();
    let account =
        Account { cluster, name: "system:serviceaccount:nameless:nameless-beyond-identity-operator".to_owned() };
    assert_eq!(account.verbs("leases.coordination.k8s.io", "nameless"), ["create"]);
    for secret in ["secrets", "secrets beyond-identity"] {
        assert_eq!(account.verbs(secret, "nameless"), [""; 0]);
    }
}

#[test]
fn with_a_list_only_listed_namespaces_are_allowed() {
    let account = Account::install("listed", "listed-operator", &["listed-one", "listed-two"]);
    check_watched_namespace(&account, "listed-one");
    check_watched_namespace(&account, "listed-two");
    check_operator_namespace(&account, "listed-operator");
    assert_eq!(account.verbs("clusterproviderconfigs.beyondidentity.dev", ""), ["list", "watch"]);
    assert_eq!(account.verbs("clusterproviderconfigs.beyondidentity.dev/status", ""), [""; 0]);
    assert_eq!(account.verbs("namespaces listed-one", ""), ["list", "watch"]);
    for other in ["namespaces", "namespaces anywhere"] {
        assert_eq!(account.verbs(other, ""), [""; 0], "{other}");
    }
    for namespace in ["anywhere", "listed-operator", ""] {
        for kind in ["authenticatorconfigs", "enrollmentrequests", "providerconfigs"] {
            assert_eq!(account.verbs(&format!("{kind}.beyondidentity.dev"), namespace), [""; 0]);
            assert_eq!(account.verbs(&format!("{kind}.beyondidentity.dev/status"), namespace), [""; 0]);
        }
        assert_eq!(account.verbs("events.events.k8s.io", namespace), [""; 0]);
    }
}

#[test]
fn secrets_of_a_tenant_are_allowed_by_name() {
    let cluster = ControlPlane::shared().unwrap();
    for name in ["tenant-operator", "tenant-one", "tenant-two"] {
        namespace(cluster, name);
    }
    let values = json!({
        "clusterName": "test", "crds": { "install": false }, "rbac": { "tenantSecrets": { "tenant-one": ["theirs"] } },
    });
    cluster.apply(&chart::render("tenant", "tenant-operator", &values).unwrap()).unwrap();
    let name = "system:serviceaccount:tenant-operator:tenant-beyond-identity-operator".to_owned();
    let account = Account { cluster, name };
    assert_eq!(account.verbs("secrets theirs", "tenant-one"), ["get", "list", "watch"]);
    for (secret, namespace) in
        [("secrets", "tenant-one"), ("secrets beyond-identity", "tenant-one"), ("secrets theirs", "tenant-two")]
    {
        assert_eq!(account.verbs(secret, namespace), [""; 0], "{secret} {namespace}");
    }
    assert_eq!(account.verbs("secrets theirs", "tenant-operator"), [""; 0]);
}

#[test]
fn documented_role_for_another_tenant_allows_its_secret_only() {
    let cluster = ControlPlane::shared().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## Let a namespace bring its own tenant\n").unwrap();
    let role = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    namespace(cluster, "team-c");
    cluster.apply(role).unwrap();
    let name = format!("system:serviceaccount:{NAMESPACE}:{RELEASE}");
    let account = Account { cluster, name };
    assert_eq!(account.verbs("secrets beyond-identity", "team-c"), ["get", "list", "watch"]);
    for (secret, namespace) in
        [("secrets", "team-c"), ("secrets other", "team-c"), ("secrets beyond-identity", "team-d")]
    {
        assert_eq!(account.verbs(secret, namespace), [""; 0], "{secret} {namespace}");
    }
}
