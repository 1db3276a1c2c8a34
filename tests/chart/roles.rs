//! Aggregation of the operator's kinds into the roles view, edit and admin.

use serde_json::json;

use crate::cluster::{Cluster, current_chart, eventually};
use crate::support::RELEASE;

#[test]
fn edit_role_may_enroll_only_if_tenants_may_enroll() {
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
        // kubectl fails if the answer is no.
        cluster.0.run_kubectl(["auth", "can-i", verb, &kind, &subresource, &user, "--namespace=default"]).is_ok()
    };
    let writes = ["create", "update", "patch", "delete", "deletecollection"];
    let kinds = ["authenticatorconfigs", "enrollmentrequests"];
    let provider_configs = ["clusterproviderconfigs", "providerconfigs"];

    let warning = "have enrolment emails sent to every identity of its realm";
    let notes = cluster.release("install", RELEASE, &current_chart(), &[]).unwrap();
    assert!(!notes.contains(warning), "{notes}");
    cluster.create_config();
    for role in ["view", "edit", "admin"] {
        eventually(|| may(role, "get", "enrollmentrequests"));
        for kind in [kinds, provider_configs].concat() {
            assert!(["get", "list", "watch"].iter().all(|verb| may(role, verb, kind)), "{role} {kind}");
            assert!(!writes.iter().any(|verb| may(role, verb, kind)), "{role} {kind}");
        }
    }

    let enroll = ["--set", "rbac.tenantsMayEnroll=true"];
    let notes = cluster.release("upgrade", RELEASE, &current_chart(), &enroll).unwrap();
    assert!(notes.contains(warning), "{notes}");
    for role in ["edit", "admin"] {
        eventually(|| may(role, "create", "enrollmentrequests"));
        for kind in kinds {
            assert!(writes.iter().all(|verb| may(role, verb, kind)), "{role} {kind}");
            assert!(!writes.iter().any(|verb| may(role, verb, &format!("{kind}/status"))), "{role} {kind}");
        }
        for kind in provider_configs {
            assert!(!writes.iter().any(|verb| may(role, verb, kind)), "{role} {kind}");
        }
    }
    assert!(!kinds.iter().any(|kind| writes.iter().any(|verb| may("view", verb, kind))));
}
