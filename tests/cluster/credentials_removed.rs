//! What a request goes through is gone first: its links are followed, revoked and left by its status alone, and by the
//! credentials that were seen last. Nothing is sent or made by them.

use beyond_identity_operator::api::{ClusterProviderConfig, EnrollmentRequest};
use harness::control_plane::ControlPlane;
use harness::simulator::{Identity, Operation};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::json;

use crate::fixture::{
    Access, CONFIG, Fixture, Operator, REQUEST, cluster, conditions, eventually, following, job_of, message, patch,
    reason, shared_simulator, wait_for, wait_until_gone,
};

/// A request in each state that matters, and their jobs.
async fn enrolled(fixture: &Fixture, names: &[&str]) -> Vec<String> {
    let mut jobs = Vec::new();
    for name in names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
        jobs.push(job_of(&fixture.named_request_says(name, "LinkSent").await));
    }
    jobs
}

/// The Secret goes, or the provider config, and in the end both.
#[derive(Clone, Copy, Debug)]
enum Goes {
    Secret,
    Provider,
    Both,
}

impl Goes {
    const ALL: [Self; 3] = [Self::Secret, Self::Provider, Self::Both];

    async fn away(self, fixture: &Fixture) {
        if matches!(self, Self::Provider | Self::Both) {
            fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
            wait_until_gone::<ClusterProviderConfig>(fixture.providers(), &fixture.provider).await;
        }
        if matches!(self, Self::Secret | Self::Both) {
            fixture.delete_secret().await;
        }
    }

    fn says(self) -> &'static str {
        if matches!(self, Self::Secret) { "SecretNotFound" } else { "ProviderConfigNotFound" }
    }
}

/// Waits until the operator says of something new that the way is gone, so that it knows. Nobody has this id.
async fn known_to_be_gone(fixture: &Fixture, goes: Goes) {
    for number in 0..1000 {
        let name = format!("probe-{number}");
        fixture.create_request_of(&name, "nobody").await;
        let request = wait_for(fixture.requests(), &name, "is said something of", |request: &EnrollmentRequest| {
            !message(request).is_empty()
        })
        .await;
        fixture.delete_request(&name).await;
        wait_until_gone(fixture.requests(), &name).await;
        if reason(&request) == goes.says() {
            return;
        }
    }
    panic!("it never says {}", goes.says());
}

#[tokio::test]
async fn links_are_revoked_by_the_credentials_seen_last_and_nothing_is_sent_by_them() {
    futures::future::join_all(Goes::ALL.map(|goes| async move {
        let (fixture, _operator) = Fixture::ready().await;
        let names = ["deleted", "revoked", "named", "raised"];
        let jobs = enrolled(&fixture, &names).await;
        goes.away(&fixture).await;
        known_to_be_gone(&fixture, goes).await;

        fixture.delete_request("deleted").await;
        patch(&fixture.requests(), "revoked", json!({"spec": {"revoked": true}})).await.unwrap();
        let named = json!({"metadata": {"annotations": {"beyondidentity.dev/revoke": jobs[2]}}});
        patch(&fixture.requests(), "named", named).await.unwrap();
        wait_until_gone(fixture.requests(), "deleted").await;
        fixture.named_request_says("revoked", "Revoked").await;
        fixture.named_request_says("named", "Revoked").await;
        let states: Vec<_> = jobs.iter().map(|job| fixture.remote_state(job)).collect();
        assert_eq!(states, ["REVOKED", "REVOKED", "REVOKED", "LINK_SENT"], "{goes:?}");

        // What has something to revoke and something to send: the one is done, and the other is not.
        let both = json!({
            "metadata": {"annotations": {"beyondidentity.dev/revoke": jobs[3]}},
            "spec": {"attempt": 2},
        });
        patch(&fixture.requests(), "raised", both).await.unwrap();
        let request = fixture.named_request_says("raised", goes.says()).await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        eventually("it is revoked", || fixture.remote_state(&jobs[3]) == "REVOKED").await;
        let request = wait_for(fixture.requests(), "raised", "shows it", |request: &EnrollmentRequest| {
            request.status.as_ref().unwrap().state.as_deref() == Some("REVOKED")
        })
        .await;
        assert_eq!(request.status.unwrap().attempt, Some(1));
        assert_eq!(fixture.calls(Operation::CreateJob), names.len());
    }))
    .await;
}

#[tokio::test]
async fn a_configuration_goes_by_the_credentials_seen_last_too() {
    futures::future::join_all(Goes::ALL.map(|goes| async move {
        let (fixture, _operator) = Fixture::ready().await;
        goes.away(&fixture).await;
        known_to_be_gone(&fixture, goes).await;
        let id = fixture.configs().get(CONFIG).await.unwrap().status.unwrap().id.unwrap();
        fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
        wait_until_gone(fixture.configs(), CONFIG).await;
        let deleted = fixture.realm.requests_of(Operation::DeleteConfig);
        assert!(deleted.len() == 1 && deleted[0].path.ends_with(&id), "{goes:?}: {deleted:?}");
        // And what is new is not made.
        fixture.create_config().await;
        fixture.config_says(goes.says()).await;
        assert_eq!(fixture.calls(Operation::CreateConfig), 1);
    }))
    .await;
}

#[tokio::test]
async fn what_is_only_followed_waits_until_the_way_is_there_again() {
    let (fixture, _operator): (Fixture, Operator) = Fixture::ready_with(following).await;
    let jobs = enrolled(&fixture, &[REQUEST]).await;
    Goes::Secret.away(&fixture).await;
    known_to_be_gone(&fixture, Goes::Secret).await;
    let reads = || fixture.calls(Operation::GetJob);
    let before = reads();
    fixture.realm.set_job_state(&jobs[0], "LINK_OPENED");
    let asked = json!({
        "metadata": {"annotations": {"beyondidentity.dev/reconcile-requested-at": "now"}},
        "spec": {"deletionPolicy": "Orphan"},
    });
    patch(&fixture.requests(), REQUEST, asked).await.unwrap();
    let request = fixture.request_is_looked_at().await;
    assert_eq!((reason(&request), reads()), ("LinkSent", before), "it keeps its row, and calls nobody");
    fixture.create_secret(&fixture.token).await;
    fixture.request_says("LinkOpened").await;
}

#[tokio::test]
async fn a_link_is_followed_and_revoked_when_its_configuration_went_first() {
    let (fixture, _operator) = Fixture::ready_with(following).await;
    let jobs = enrolled(&fixture, &[REQUEST]).await;
    fixture.let_config_go().await;
    fixture.realm.set_job_state(&jobs[0], "LINK_OPENED");
    fixture.request_says("LinkOpened").await;
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&jobs[0]).as_str(), fixture.mailed()), ("REVOKED", jobs));
}

/// A namespace with a configuration and requests, one of which has nothing yet, is deleted whole; what is outside goes
/// before, after, or was never known to the process.
#[tokio::test]
async fn a_namespace_that_is_deleted_whole_goes_and_takes_its_links_with_it() {
    let control_plane = ControlPlane::start_with_controllers().unwrap();
    cluster::install(&control_plane);
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let first = Fixture::bare_at(client, shared_simulator()).await;
    first.create_secret(&first.token).await;
    first.create_provider(|_| {}).await;
    let second = first.beside().await;
    let third = second.beside().await;
    let allowed: Vec<_> = [&first, &second, &third].iter().map(|fixture| fixture.namespace.clone()).collect();
    let allowed = json!({"spec": {"allowedNamespaces": {"names": allowed}}});
    patch(&first.providers(), &first.provider, allowed).await.unwrap();
    let access = Access::to(&control_plane).everywhere();
    let process = first.spawn(&access, &[]).await;

    let mut jobs = Vec::new();
    for fixture in [&first, &second, &third] {
        fixture.create_config().await;
        let names = ["a", "b", "c"].map(|name| format!("{}-{name}", fixture.namespace));
        jobs.push(enrolled(fixture, &names.each_ref().map(String::as_str)).await);
        fixture.create_request_of("never-sent", "nobody").await;
        fixture.named_request_says("never-sent", "IdentityNotFound").await;
    }
    let third_names = ["a", "b", "c"].map(|name| format!("{}-{name}", third.namespace));
    let states = |number: usize| -> Vec<_> { jobs[number].iter().map(|job| first.remote_state(job)).collect() };
    let namespaces: Api<Namespace> = Api::all(first.client.clone());
    let goes = async |fixture: &Fixture| {
        namespaces.delete(&fixture.namespace, &DeleteParams::default()).await.unwrap();
        wait_until_gone(namespaces.clone(), &fixture.namespace).await;
    };

    goes(&first).await;
    assert_eq!(states(0), ["REVOKED"; 3]);

    Goes::Both.away(&first).await;
    goes(&second).await;
    assert_eq!(states(1), ["REVOKED"; 3]);
    assert_eq!(first.realm.requests_of(Operation::DeleteConfig).len(), 2);

    assert_eq!(process.said("using the last known token").len(), 1, "it is told once, and not of each object");

    // The next process has never seen the credentials.
    assert_eq!(process.stop().0, Some(0));
    let next = first.spawn(&access, &["--grace-period", "0s"]).await;
    namespaces.delete(&third.namespace, &DeleteParams::default()).await.unwrap();
    for name in &third_names {
        wait_until_gone(third.requests(), name).await;
    }
    wait_until_gone(namespaces.clone(), &third.namespace).await;
    assert_eq!(states(2), ["LINK_SENT"; 3]);
    for job in &jobs[2] {
        let sentence = format!(
            "Finalizer removed after the grace period, but the link of credential binding job {job} is not revoked: \
             ClusterProviderConfig {} does not exist",
            first.provider
        );
        assert_eq!(next.said(&sentence).len(), 1, "no event can say it in a namespace that is being deleted");
    }
    assert_eq!(first.mailed().len(), 9);
}
