//! What is pruned in one place and made again in another, and a cluster that is built anew from Git.

use std::collections::BTreeMap;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::Identity;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, job_of, message, patch, reason, wait_for, wait_until_gone};

const ELSEWHERE: &str = "elsewhere";

/// Jane's request under this name, with this deletion policy.
async fn make(fixture: &Fixture, name: &str, policy: &str) {
    fixture.create_request_with(name, json!({"deletionPolicy": policy})).await;
}

/// Deletes the request, and makes one of another name for the same person: that first, or last.
async fn move_elsewhere(fixture: &Fixture, made_first: bool) {
    if made_first {
        make(fixture, ELSEWHERE, "Revoke").await;
        fixture.named_request_says(ELSEWHERE, "DuplicateRequest").await;
    }
    fixture.delete_request(REQUEST).await;
    if !made_first {
        make(fixture, ELSEWHERE, "Revoke").await;
    }
}

#[tokio::test]
async fn a_request_that_moves_revokes_its_link_and_sends_another() {
    for made_first in [false, true] {
        let (fixture, _operator) = Fixture::ready().await;
        make(&fixture, REQUEST, "Revoke").await;
        let first = job_of(&fixture.request_says("LinkSent").await);
        move_elsewhere(&fixture, made_first).await;
        let second = job_of(&fixture.named_request_says(ELSEWHERE, "LinkSent").await);
        assert_eq!(
            (fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()),
            ("REVOKED", "LINK_SENT")
        );
        assert_eq!((fixture.mailed(), fixture.revocations()), (vec![first.clone(), second], vec![first]));
    }
}

#[tokio::test]
async fn a_request_that_is_orphaned_first_moves_without_an_email() {
    for made_first in [false, true] {
        let (fixture, _operator) = Fixture::ready().await;
        fixture.create_request().await;
        let job = job_of(&fixture.request_says("LinkSent").await);
        // What a person does who wants to move it: first this, and then the move.
        fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
        move_elsewhere(&fixture, made_first).await;
        let request = fixture.named_request_says(ELSEWHERE, "Adopted").await;
        assert!(message(&request).starts_with("Nothing was sent because an earlier link is still valid"));
        assert_eq!((job_of(&request), fixture.remote_state(&job).as_str()), (job.clone(), "LINK_SENT"));
        assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job.clone()], 0));
        fixture.told(REQUEST, "Normal RemoteResourceRetained").await;

        // It is the new one's from here on.
        fixture.delete_request(ELSEWHERE).await;
        wait_until_gone(fixture.requests(), ELSEWHERE).await;
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed().len()), ("REVOKED", 1));
    }
}

/// The states in which the rebuild finds the jobs, and what the new requests say then.
const PEOPLE: [(&str, &str, &str); 7] = [
    ("sent", "LINK_SENT", "Adopted"),
    ("opened", "LINK_OPENED", "Adopted"),
    ("delivered", "REQUEST_DELIVERED", "Adopted"),
    ("unheard-of", "SOMETHING_NEW", "Adopted"),
    ("bound", "COMPLETE", "Adopted"),
    ("expired", "EXPIRED", "LinkSent"),
    ("revoked", "REVOKED", "LinkSent"),
];

/// Everything of a namespace goes, with its status, and nobody is there to tidy up.
async fn lose(fixture: &Fixture, requests: &[String]) {
    let bare = json!({"metadata": {"finalizers": null}});
    for request in requests {
        patch(&fixture.requests(), request, bare.clone()).await.unwrap();
        fixture.delete_request(request).await;
        wait_until_gone(fixture.requests(), request).await;
    }
    patch(&fixture.configs(), CONFIG, bare).await.unwrap();
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_gone(fixture.configs(), CONFIG).await;
}

/// What stands in Git, applied in an order that nobody chose: requests before what they refer to.
async fn apply(fixture: &Fixture, requests: &BTreeMap<String, String>) {
    let gitops = PatchParams::apply("gitops");
    for (name, identity) in requests {
        fixture.requests().patch(name, &gitops, &Patch::Apply(fixture.request(name, identity))).await.unwrap();
    }
    fixture.configs().patch(CONFIG, &gitops, &Patch::Apply(fixture.config(CONFIG))).await.unwrap();
}

#[tokio::test]
async fn a_cluster_built_anew_from_git_mails_nobody_who_has_a_live_link_or_a_passkey() {
    let fixture = Fixture::new().await;
    let beside = fixture.beside().await;
    let watch = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.watch_namespaces.push(beside.namespace.clone());
    };
    let operator = fixture.start_with(watch).await;
    let mut git: Vec<(&Fixture, BTreeMap<String, String>)> = Vec::new();
    for (fixture, prefix) in [(&fixture, "a"), (&beside, "b")] {
        let names = PEOPLE.iter().map(|(name, ..)| *name).chain(["by-other-means"]);
        let people: BTreeMap<_, _> = names.map(|name| (name.to_owned(), format!("{prefix}-{name}"))).collect();
        for identity in people.values() {
            fixture.realm.add_identity(Identity::active(identity, &format!("{identity}@example.com")));
        }
        fixture
            .realm
            .edit_identity(&people["by-other-means"], |who| who.enrollment_status = Some("ENROLLED".to_owned()));
        apply(fixture, &people).await;
        git.push((fixture, people));
    }
    let mut before = BTreeMap::new();
    for (fixture, people) in &git {
        fixture.named_request_says("by-other-means", "AlreadyEnrolled").await;
        for (name, state, _) in PEOPLE {
            let job = job_of(&fixture.named_request_says(name, "LinkSent").await);
            fixture.realm.set_job_state(&job, state);
            before.insert(people[name].clone(), job);
        }
    }
    let configs = fixture.realm.configs();
    assert_eq!((fixture.mailed().len(), configs.len()), (2 * PEOPLE.len(), 2));

    operator.stop().await;
    for (fixture, people) in &git {
        lose(fixture, &people.keys().cloned().collect::<Vec<_>>()).await;
        apply(fixture, people).await;
    }
    let _next = fixture.start_with(watch).await;
    for (fixture, people) in &git {
        fixture.named_request_says("by-other-means", "AlreadyEnrolled").await;
        for (name, state, says) in PEOPLE {
            let settled = |request: &EnrollmentRequest| ["Adopted", "LinkSent"].contains(&reason(request));
            let request = wait_for(fixture.requests(), name, "is settled", settled).await;
            assert_eq!(reason(&request), says, "{name}");
            assert_eq!(job_of(&request) == before[&people[name]], says == "Adopted", "{name}: {state}");
        }
    }
    let dead = PEOPLE.iter().filter(|(_, _, says)| *says == "LinkSent").count();
    let again: Vec<Value> =
        fixture.realm.outbox().split_off(2 * PEOPLE.len()).iter().map(|mail| json!(mail.identity_id)).collect();
    assert_eq!(again.len(), 2 * dead, "{again:?}");
    assert_eq!(fixture.realm.configs(), configs, "neither made again nor changed");
    assert_eq!(fixture.revocations().len(), 0);
    assert!(!again.contains(&json!(JANE)));
}
