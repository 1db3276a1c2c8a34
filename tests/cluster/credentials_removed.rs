//! The configuration, the provider config or the Secret is deleted before the request. Links are then revoked with the
//! recorded status and the last known credentials, which send and create nothing.

use beyond_identity_operator::api::{ClusterProviderConfig, EnrollmentRequest};
use harness::control_plane::ControlPlane;
use harness::simulator::{Identity, Operation};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, Client};
use serde_json::json;

use crate::fixture::{
    Access, CONFIG, Fixture, Operator, REQUEST, cluster, conditions, eventually, job_of, message, patch, poll_often,
    reason, shared_simulator, wait_for, wait_until_deleted,
};

/// Creates an identity and a request for each name, and waits for the emails. Returns the jobs.
async fn enrolled(fixture: &Fixture, names: &[&str]) -> Vec<String> {
    let mut jobs = Vec::new();
    for name in names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
        jobs.push(job_of(&fixture.wait_for_request_named(name, "LinkSent").await));
    }
    jobs
}

/// The objects that are deleted.
#[derive(Clone, Copy, Debug)]
enum Removed {
    Secret,
    Provider,
    Both,
}

impl Removed {
    const ALL: [Self; 3] = [Self::Secret, Self::Provider, Self::Both];

    async fn delete(self, fixture: &Fixture) {
        if matches!(self, Self::Provider | Self::Both) {
            fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
            // It is in use. An administrator, or an operator without rights on it, does not wait for that.
            let forced = json!({"metadata": {"finalizers": null}});
            if let Err(error) = patch(&fixture.providers(), &fixture.provider, forced).await {
                assert!(matches!(&error, kube::Error::Api(status) if status.is_not_found()), "{error}");
            }
            wait_until_deleted::<ClusterProviderConfig>(fixture.providers(), &fixture.provider).await;
        }
        if matches!(self, Self::Secret | Self::Both) {
            fixture.delete_secret().await;
        }
    }

    fn reason(self) -> &'static str {
        if matches!(self, Self::Secret) { "SecretNotFound" } else { "ProviderConfigNotFound" }
    }
}

/// Waits until the operator has observed the removal: it reports it for a new request. No identity has this id.
async fn wait_until_observed(fixture: &Fixture, removed: Removed) {
    for number in 0..1000 {
        let name = format!("probe-{number}");
        fixture.create_request_of(&name, "nobody").await;
        let request = wait_for(fixture.requests(), &name, "has a message", |request: &EnrollmentRequest| {
            !message(request).is_empty()
        })
        .await;
        fixture.delete_request(&name).await;
        wait_until_deleted(fixture.requests(), &name).await;
        if reason(&request) == removed.reason() {
            return;
        }
    }
    panic!("the operator does not report {}", removed.reason());
}

#[tokio::test]
async fn last_known_credentials_revoke_links_but_do_not_send() {
    futures::future::join_all(Removed::ALL.map(|removed| async move {
        let (fixture, _operator) = Fixture::ready().await;
        let names = ["deleted", "revoked", "named", "raised"];
        let jobs = enrolled(&fixture, &names).await;
        removed.delete(&fixture).await;
        wait_until_observed(&fixture, removed).await;

        fixture.delete_request("deleted").await;
        patch(&fixture.requests(), "revoked", json!({"spec": {"revoked": true}})).await.unwrap();
        let named = json!({"metadata": {"annotations": {"beyondidentity.dev/revoke": jobs[2]}}});
        patch(&fixture.requests(), "named", named).await.unwrap();
        wait_until_deleted(fixture.requests(), "deleted").await;
        fixture.wait_for_request_named("revoked", "Revoked").await;
        fixture.wait_for_request_named("named", "Revoked").await;
        let states: Vec<_> = jobs.iter().map(|job| fixture.remote_state(job)).collect();
        assert_eq!(states, ["REVOKED", "REVOKED", "REVOKED", "LINK_SENT"], "{removed:?}");

        // One request with a pending revocation and a pending send: only the revocation is made.
        let both = json!({
            "metadata": {"annotations": {"beyondidentity.dev/revoke": jobs[3]}},
            "spec": {"attempt": 2},
        });
        patch(&fixture.requests(), "raised", both).await.unwrap();
        let request = fixture.wait_for_request_named("raised", removed.reason()).await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        eventually("the link is revoked", || fixture.remote_state(&jobs[3]) == "REVOKED").await;
        let request =
            wait_for(fixture.requests(), "raised", "reports the revocation", |request: &EnrollmentRequest| {
                request.status.as_ref().unwrap().state.as_deref() == Some("REVOKED")
            })
            .await;
        assert_eq!(request.status.unwrap().attempt, Some(1));
        assert_eq!(fixture.calls(Operation::CreateJob), names.len());
    }))
    .await;
}

#[tokio::test]
async fn last_known_credentials_delete_configs_but_do_not_create() {
    futures::future::join_all(Removed::ALL.map(|removed| async move {
        let (fixture, _operator) = Fixture::ready().await;
        removed.delete(&fixture).await;
        wait_until_observed(&fixture, removed).await;
        let id = fixture.configs().get(CONFIG).await.unwrap().status.unwrap().id.unwrap();
        fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
        wait_until_deleted(fixture.configs(), CONFIG).await;
        let deleted = fixture.realm.requests_of(Operation::DeleteConfig);
        assert!(deleted.len() == 1 && deleted[0].path.ends_with(&id), "{removed:?}: {deleted:?}");
        // A new configuration is not created.
        fixture.create_config().await;
        fixture.wait_for_config(removed.reason()).await;
        assert_eq!(fixture.calls(Operation::CreateConfig), 1);
    }))
    .await;
}

#[tokio::test]
async fn polling_waits_until_credentials_are_restored() {
    let (fixture, _operator): (Fixture, Operator) = Fixture::ready_with(poll_often).await;
    let jobs = enrolled(&fixture, &[REQUEST]).await;
    Removed::Secret.delete(&fixture).await;
    wait_until_observed(&fixture, Removed::Secret).await;
    let reads = || fixture.calls(Operation::GetJob);
    let before = reads();
    fixture.realm.set_job_state(&jobs[0], "LINK_OPENED");
    let change = json!({
        "metadata": {"annotations": {"beyondidentity.dev/reconcile-requested-at": "now"}},
        "spec": {"deletionPolicy": "Orphan"},
    });
    patch(&fixture.requests(), REQUEST, change).await.unwrap();
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!((reason(&request), reads()), ("LinkSent", before), "the conditions are kept, and the API is not called");
    fixture.create_secret(&fixture.token).await;
    fixture.wait_for_request("LinkOpened").await;
}

#[tokio::test]
async fn link_is_polled_and_revoked_after_its_config_is_deleted() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let jobs = enrolled(&fixture, &[REQUEST]).await;
    fixture.orphan_config().await;
    fixture.realm.set_job_state(&jobs[0], "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&jobs[0]).as_str(), fixture.mailed()), ("REVOKED", jobs));
}

/// Each namespace has a configuration, and requests with and without a link. The credentials exist, are deleted before
/// the namespace, or were never known to the process.
#[tokio::test]
async fn namespace_deletion_completes_with_or_without_credentials() {
    let control_plane = ControlPlane::start_with_controllers().unwrap();
    cluster::install(&control_plane);
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let first = Fixture::bare_at(client, shared_simulator()).await;
    first.create_secret(&first.token).await;
    first.create_provider(|_| {}).await;
    let second = first.other_namespace().await;
    let third = second.other_namespace().await;
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
        fixture.wait_for_request_named("never-sent", "IdentityNotFound").await;
    }
    let third_names = ["a", "b", "c"].map(|name| format!("{}-{name}", third.namespace));
    let states = |number: usize| -> Vec<_> { jobs[number].iter().map(|job| first.remote_state(job)).collect() };
    let namespaces: Api<Namespace> = Api::all(first.client.clone());
    let delete = async |fixture: &Fixture| {
        namespaces.delete(&fixture.namespace, &DeleteParams::default()).await.unwrap();
        wait_until_deleted(namespaces.clone(), &fixture.namespace).await;
    };

    delete(&first).await;
    assert_eq!(states(0), ["REVOKED"; 3]);

    Removed::Both.delete(&first).await;
    delete(&second).await;
    assert_eq!(states(1), ["REVOKED"; 3]);
    assert_eq!(first.realm.requests_of(Operation::DeleteConfig).len(), 2);

    assert_eq!(process.logged("using the last known token").len(), 1, "logged once, and not for each object");

    // The next process has never seen the credentials.
    assert_eq!(process.stop().0, Some(0));
    let next = first.spawn(&access, &["--grace-period", "0s"]).await;
    namespaces.delete(&third.namespace, &DeleteParams::default()).await.unwrap();
    for name in &third_names {
        wait_until_deleted(third.requests(), name).await;
    }
    wait_until_deleted(namespaces.clone(), &third.namespace).await;
    assert_eq!(states(2), ["LINK_SENT"; 3]);
    for job in &jobs[2] {
        let sentence = format!(
            "Finalizer removed after the grace period, but the link of credential binding job {job} is not revoked. \
             ClusterProviderConfig {} does not exist",
            first.provider
        );
        assert_eq!(
            next.logged(&sentence).len(),
            1,
            "logged, since a namespace that is being deleted accepts no events"
        );
    }
    assert_eq!(first.mailed().len(), 9);
}
