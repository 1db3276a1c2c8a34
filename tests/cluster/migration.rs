//! Requests that are pruned and created under another name, and a cluster that is rebuilt from Git.

use std::collections::BTreeMap;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::Identity;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, job_of, message, patch, reason, wait_for, wait_until_deleted};

const NEW_NAME: &str = "elsewhere";

/// Creates Jane's request under this name, with this deletion policy.
async fn create(fixture: &Fixture, name: &str, policy: &str) {
    fixture.create_request_with(name, json!({"deletionPolicy": policy})).await;
}

/// Deletes the request, and creates one of another name for the same identity, before or after the deletion.
async fn rename(fixture: &Fixture, create_first: bool) {
    if create_first {
        create(fixture, NEW_NAME, "Revoke").await;
        fixture.wait_for_request_named(NEW_NAME, "DuplicateRequest").await;
    }
    fixture.delete_request(REQUEST).await;
    if !create_first {
        create(fixture, NEW_NAME, "Revoke").await;
    }
}

#[tokio::test]
async fn renamed_request_revokes_its_link_and_sends_another() {
    for create_first in [false, true] {
        let (fixture, _operator) = Fixture::ready().await;
        create(&fixture, REQUEST, "Revoke").await;
        let first = job_of(&fixture.wait_for_request("LinkSent").await);
        rename(&fixture, create_first).await;
        let second = job_of(&fixture.wait_for_request_named(NEW_NAME, "LinkSent").await);
        assert_eq!(
            (fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()),
            ("REVOKED", "LINK_SENT")
        );
        assert_eq!((fixture.mailed(), fixture.revocations()), (vec![first.clone(), second], vec![first]));
    }
}

#[tokio::test]
async fn orphaned_request_is_renamed_without_an_email() {
    for create_first in [false, true] {
        let (fixture, _operator) = Fixture::ready().await;
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        // As the how-to guide says: Orphan first, then the move.
        fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
        rename(&fixture, create_first).await;
        let request = fixture.wait_for_request_named(NEW_NAME, "Adopted").await;
        assert!(message(&request).starts_with("Nothing was sent because an earlier link is still active"));
        assert_eq!((job_of(&request), fixture.remote_state(&job).as_str()), (job.clone(), "LINK_SENT"));
        assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job.clone()], 0));
        fixture.wait_for_event(REQUEST, "Normal RemoteResourceRetained").await;

        // The new request owns the link from now on.
        fixture.delete_request(NEW_NAME).await;
        wait_until_deleted(fixture.requests(), NEW_NAME).await;
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed().len()), ("REVOKED", 1));
    }
}

/// Names, the job states that the rebuild finds, and the reasons of the new requests.
const IDENTITIES: [(&str, &str, &str); 7] = [
    ("sent", "LINK_SENT", "Adopted"),
    ("opened", "LINK_OPENED", "Adopted"),
    ("delivered", "REQUEST_DELIVERED", "Adopted"),
    ("unheard-of", "SOMETHING_NEW", "Adopted"),
    ("bound", "COMPLETE", "Adopted"),
    ("expired", "EXPIRED", "LinkSent"),
    ("revoked", "REVOKED", "LinkSent"),
];

/// Deletes all objects of a namespace with their status, without an operator that cleans up.
async fn remove_all(fixture: &Fixture, requests: &[String]) {
    let bare = json!({"metadata": {"finalizers": null}});
    for request in requests {
        patch(&fixture.requests(), request, bare.clone()).await.unwrap();
        fixture.delete_request(request).await;
        wait_until_deleted(fixture.requests(), request).await;
    }
    patch(&fixture.configs(), CONFIG, bare).await.unwrap();
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), CONFIG).await;
}

/// Applies the manifests in an arbitrary order: requests before the configuration that they refer to.
async fn apply(fixture: &Fixture, requests: &BTreeMap<String, String>) {
    let gitops = PatchParams::apply("gitops");
    for (name, identity) in requests {
        fixture.requests().patch(name, &gitops, &Patch::Apply(fixture.request(name, identity))).await.unwrap();
    }
    fixture.configs().patch(CONFIG, &gitops, &Patch::Apply(fixture.config(CONFIG))).await.unwrap();
}

#[tokio::test]
async fn rebuilt_cluster_sends_no_email_for_active_links_and_passkeys() {
    let fixture = Fixture::new().await;
    let beside = fixture.other_namespace().await;
    let watch = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.watch_namespaces.push(beside.namespace.clone());
    };
    let operator = fixture.start_with(watch).await;
    let mut git: Vec<(&Fixture, BTreeMap<String, String>)> = Vec::new();
    for (fixture, prefix) in [(&fixture, "a"), (&beside, "b")] {
        let names = IDENTITIES.iter().map(|(name, ..)| *name).chain(["by-other-means"]);
        let identities: BTreeMap<_, _> = names.map(|name| (name.to_owned(), format!("{prefix}-{name}"))).collect();
        for identity in identities.values() {
            fixture.realm.add_identity(Identity::active(identity, &format!("{identity}@example.com")));
        }
        fixture.realm.edit_identity(&identities["by-other-means"], |edited| {
            edited.enrollment_status = Some("ENROLLED".to_owned())
        });
        apply(fixture, &identities).await;
        git.push((fixture, identities));
    }
    let mut before = BTreeMap::new();
    for (fixture, identities) in &git {
        fixture.wait_for_request_named("by-other-means", "AlreadyEnrolled").await;
        for (name, state, _) in IDENTITIES {
            let job = job_of(&fixture.wait_for_request_named(name, "LinkSent").await);
            fixture.realm.set_job_state(&job, state);
            before.insert(identities[name].clone(), job);
        }
    }
    let configs = fixture.realm.configs();
    assert_eq!((fixture.mailed().len(), configs.len()), (2 * IDENTITIES.len(), 2));

    operator.stop().await;
    for (fixture, identities) in &git {
        remove_all(fixture, &identities.keys().cloned().collect::<Vec<_>>()).await;
        apply(fixture, identities).await;
    }
    let _next = fixture.start_with(watch).await;
    for (fixture, identities) in &git {
        fixture.wait_for_request_named("by-other-means", "AlreadyEnrolled").await;
        for (name, state, expected) in IDENTITIES {
            let settled = |request: &EnrollmentRequest| ["Adopted", "LinkSent"].contains(&reason(request));
            let request = wait_for(fixture.requests(), name, "is settled", settled).await;
            assert_eq!(reason(&request), expected, "{name}");
            assert_eq!(job_of(&request) == before[&identities[name]], expected == "Adopted", "{name}: {state}");
        }
    }
    let inactive = IDENTITIES.iter().filter(|(_, _, expected)| *expected == "LinkSent").count();
    let again: Vec<Value> =
        fixture.realm.outbox().split_off(2 * IDENTITIES.len()).iter().map(|mail| json!(mail.identity_id)).collect();
    assert_eq!(again.len(), 2 * inactive, "{again:?}");
    assert_eq!(fixture.realm.configs(), configs, "configurations are neither recreated nor changed");
    assert_eq!(fixture.revocations().len(), 0);
    assert!(!again.contains(&json!(JANE)));
}
