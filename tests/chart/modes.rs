//! The permissions of the operator in each mode: the documented ones, and no more than its promises allow.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::permissions_page::{Permission, modes, page, permissions, secure_metrics};

#[test]
fn documented_permissions_are_those_of_the_chart() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/permissions.md");
    assert!(fs::read_to_string(path).unwrap() == page(), "docs/permissions.md is stale: run `cargo gen`");
}

#[test]
fn no_mode_grants_wildcards_unnamed_secrets_or_the_creation_of_objects() {
    let all = modes().map(|mode| permissions(&mode)).into_iter().chain([secure_metrics()]);
    for permissions in all {
        for permission in permissions {
            let Permission { namespace, resource, names, verbs } = &permission;
            let all = [&verbs[..], names, std::slice::from_ref(resource)].concat();
            assert!(!all.iter().any(|text| text.contains('*')), "{permission:?}");
            if resource == "secrets" {
                assert!(!namespace.is_empty() && !names.is_empty(), "{permission:?}");
                assert!(verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str())), "{permission:?}");
            }
            let created: BTreeSet<&str> = BTreeSet::from([
                "events.events.k8s.io",
                "leases.coordination.k8s.io",
                // The API server answers these, and does not store them.
                "tokenreviews.authentication.k8s.io",
                "subjectaccessreviews.authorization.k8s.io",
            ]);
            let creates = verbs.iter().any(|verb| verb == "create");
            assert!(!creates || created.contains(resource.as_str()), "{permission:?}");
            assert!(!verbs.iter().any(|verb| verb.starts_with("delete")), "{permission:?}");
        }
    }
}

#[test]
fn permissions_in_the_cluster_as_a_whole_shrink_with_each_mode() {
    let [everywhere, listed, none] = modes().map(|mode| {
        let all = permissions(&mode).into_iter();
        let whole = all.filter(|permission| permission.namespace.is_empty());
        whole.map(|Permission { resource, verbs, .. }| (resource, verbs.join(" "))).collect::<Vec<_>>()
    });
    let group = |resource: &str| match resource.split_once('/') {
        Some((kind, subresource)) => format!("{kind}.beyondidentity.dev/{subresource}"),
        None => format!("{resource}.beyondidentity.dev"),
    };
    let kinds = ["authenticatorconfigs", "enrollmentrequests", "providerconfigs"];
    let mut expected = vec![
        (group("clusterproviderconfigs"), "get list watch patch".to_owned()),
        (group("clusterproviderconfigs/status"), "update".to_owned()),
    ];
    expected.extend(kinds.map(|kind| (group(kind), "get list watch patch".to_owned())));
    expected.extend(kinds.map(|kind| (group(&format!("{kind}/status")), "update".to_owned())));
    expected.push(("events.events.k8s.io".to_owned(), "create patch".to_owned()));
    // For the labels of namespaces, by which a ClusterProviderConfig selects them.
    let labels = ("namespaces".to_owned(), "list watch".to_owned());
    expected.insert(0, labels.clone());
    assert_eq!(everywhere, expected);
    assert_eq!(listed, [labels, (group("clusterproviderconfigs"), "list watch".to_owned())]);
    assert_eq!(none, []);
}

#[test]
fn secure_metrics_add_only_the_two_reviews() {
    let added = secure_metrics().into_iter();
    let added: Vec<_> = added.map(|it| (it.namespace, it.resource, it.verbs.join(" "))).collect();
    let review = |resource: &str| (String::new(), resource.to_owned(), "create".to_owned());
    let reviews = ["tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"];
    assert_eq!(added, reviews.map(review));
}

#[test]
fn watched_namespaces_have_the_same_permissions_with_and_without_cluster_scoped_objects() {
    let [_, listed, none] = modes().map(|mode| {
        let all = permissions(&mode).into_iter();
        all.filter(|it| it.namespace == "team-a").map(|it| (it.resource, it.names, it.verbs)).collect::<BTreeSet<_>>()
    });
    assert!(!listed.is_empty());
    assert_eq!(listed, none, "install/cluster-admin.yaml differs from operator.rules");
}
