//! `docs/permissions.md`: the permissions that the chart grants in each mode, from its rendered roles and bindings.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use harness::chart::{cluster_admin_file, render};
use serde_json::{Value, json};

const RELEASE: &str = "beyond-identity-operator";
const NAMESPACE: &str = "beyond-identity-system";

/// What the page says before the tables.
const HEAD: &str = "\
# Permissions

These tables list every permission of the operator's ServiceAccount. `cargo gen` renders the chart, and writes them. The release
is in namespace `beyond-identity-system`, and `rbac.secretNames` has its default. The rows with the Secrets of `team-a` and
`team-b` come from `rbac.tenantSecrets`. See [Install](install.md) for the values.

The operator writes no Secret, and reads none in the cluster as a whole. The `patch` of its kinds is for the finalizer. The API
server answers the two reviews of the last table, and stores neither. With `rbac.clusterScoped: false`, a cluster admin grants
them. See [Operations](operations.md#metrics-over-tls).
";

/// The heading of what the value for secure metrics adds.
const SECURE_METRICS: &str = "In addition with `metrics.secure.enabled: true`";

/// A way to install the chart.
pub struct Mode {
    /// The heading of its table.
    pub title: &'static str,
    /// The values.
    pub values: Value,
}

/// The three ways to install the chart.
pub fn modes() -> [Mode; 3] {
    [
        Mode {
            title: "All namespaces (the default)",
            values: json!({ "rbac": { "tenantSecrets": { "team-a": ["beyond-identity"] } } }),
        },
        Mode {
            title: "`watchNamespaces: [team-a, team-b]`",
            values: json!({
                "watchNamespaces": ["team-a", "team-b"],
                "rbac": { "tenantSecrets": { "team-a": ["beyond-identity"] } },
            }),
        },
        Mode {
            title: "`watchNamespaces: [team-a, team-b]` and `rbac.clusterScoped: false`",
            values: json!({
                "watchNamespaces": ["team-a", "team-b"],
                "rbac": {
                    "clusterScoped": false,
                    "tenantSecrets": { "team-a": ["beyond-identity"], "team-b": ["beyond-identity"] },
                },
            }),
        },
    ]
}

/// What `metrics.secure.enabled` adds to each mode with cluster-scoped objects.
pub fn secure_metrics() -> Vec<Permission> {
    let [default, ..] = modes().map(|mode| mode.values);
    let mut values = default.clone();
    values["metrics"] = json!({ "secure": { "enabled": true } });
    let of = |values| permissions(&Mode { title: "", values });
    let without = of(default);
    of(values).into_iter().filter(|permission| !without.contains(permission)).collect()
}

/// A permission: the namespaces, empty for the whole cluster; the resource, with its group; the names, empty for all; and
/// the verbs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub namespace: String,
    pub resource: String,
    pub names: Vec<String>,
    pub verbs: Vec<String>,
}

/// The permissions of the operator's ServiceAccount in a mode, in the order of the rendered rules.
pub fn permissions(mode: &Mode) -> Vec<Permission> {
    let mut values = mode.values.clone();
    values["clusterName"] = "test".into();
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&render(RELEASE, NAMESPACE, &values).unwrap()).unwrap();
    let applied: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(cluster_admin_file()).unwrap()).unwrap();
    objects.extend(applied.into_iter().filter(|object| object["kind"] == "ClusterRole"));
    let bindings =
        objects.iter().filter(|object| object["kind"] == "ClusterRoleBinding" || object["kind"] == "RoleBinding");
    bindings.flat_map(|binding| granted(binding, &objects)).collect()
}

/// What a binding grants.
fn granted(binding: &Value, objects: &[Value]) -> Vec<Permission> {
    let (namespace, reference) = (&binding["metadata"]["namespace"], &binding["roleRef"]);
    let operator = json!([{ "kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE }]);
    assert_eq!(binding["subjects"], operator, "the chart grants permissions to its ServiceAccount only");
    let is_bound = |object: &&Value| {
        object["kind"] == reference["kind"]
            && object["metadata"]["name"] == reference["name"]
            && (object["kind"] == "ClusterRole" || object["metadata"]["namespace"] == *namespace)
    };
    let role = objects.iter().find(is_bound).unwrap();
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        serde_json::from_value(rule.get(field).cloned().unwrap_or_else(|| json!([]))).unwrap()
    };
    let mut permissions = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let (kind, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
                let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                let subresource = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                permissions.push(Permission {
                    namespace: namespace.as_str().unwrap_or_default().to_owned(),
                    resource: format!("{kind}{group}{subresource}"),
                    names: texts(rule, "resourceNames"),
                    verbs: texts(rule, "verbs"),
                });
            }
        }
    }
    permissions
}

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let modes = modes().map(|mode| (mode.title, permissions(&mode)));
    for (title, permissions) in modes.into_iter().chain([(SECURE_METRICS, secure_metrics())]) {
        // One row for all namespaces with the same permission.
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        let mut row_of = BTreeMap::new();
        for Permission { namespace, resource, names, verbs } in permissions {
            let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let only = if names.is_empty() { String::new() } else { format!(", only {names}") };
            let what = format!("`{resource}`{only} | {}", verbs.join(", "));
            let place = if namespace.is_empty() { "the whole cluster".to_owned() } else { format!("`{namespace}`") };
            let row = *row_of.entry((namespace.is_empty(), what.clone())).or_insert_with(|| {
                rows.push((what, Vec::new()));
                rows.len() - 1
            });
            rows[row].1.push(place);
        }
        write!(page, "\n## {}\n\n| Namespace | Resource | Verbs |\n|---|---|---|\n", title).unwrap();
        for (what, places) in rows {
            writeln!(page, "| {} | {what} |", places.join(", ")).unwrap();
        }
    }
    page
}
