//! Flux's real controllers, with a Git repository, the operator and the simulator. They apply the examples of `docs/flux.md`.

mod annotations;
mod controllers;
mod health;
mod order;
mod pruning;
mod refusals;
mod replacing;

use std::fs;
use std::panic::Location;
use std::path::Path;
use std::time::{Duration, Instant};

use beyond_identity_operator::operator::Settings;
use harness::git::{BRANCH, Repository};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::fixture::{Fixture, JANE, Operator, annotate, object, poll_often, shared_simulator};

/// The Kustomization with the provider config and the AuthenticatorConfig.
const CONFIGURATION: &str = "configuration";
/// The Kustomization with the requests.
const ENROLMENTS: &str = "enrolments";
/// The annotation that requests a reconcile.
const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Long enough for two health checks in a row, each of which can take the shortest timeout that Flux has, 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The grace period of the operator.
const GRACE: Duration = Duration::from_secs(2);

/// A namespace with an operator, a Git repository, and a GitRepository for it.
struct Flux {
    fixture: Fixture,
    repository: Repository,
    operator: Option<Operator>,
}

impl Flux {
    /// Without Kustomizations. The repository has the provider config and the AuthenticatorConfig.
    async fn start() -> Self {
        tokio::task::spawn_blocking(controllers::start).await.unwrap();
        let fixture = Fixture::bare(shared_simulator()).await;
        fixture.create_secret(&fixture.token).await;
        let operator = fixture
            .start_with(|settings: &mut Settings| {
                poll_often(settings);
                settings.grace_period = GRACE;
                settings.resync_interval = Duration::from_secs(1);
            })
            .await;
        let flux = Self { fixture, repository: Repository::start().unwrap(), operator: Some(operator) };
        let [provider, config] = [flux.provider(), flux.config()].map(|manifest| manifest.to_string());
        flux.repository
            .commit(&[
                ("configuration/provider.yaml", Some(&provider)),
                ("configuration/authenticator-config.yaml", Some(&config)),
            ])
            .unwrap();
        let [mut source] = example("flux/source.yaml").try_into().unwrap();
        source["spec"]["url"] = flux.repository.url().into();
        flux.apply(source).await;
        flux
    }

    /// With both Kustomizations, and a request of Jane, whose email was sent.
    async fn with_an_email() -> Self {
        Self::with_an_email_and(|_| {}, |_| {}).await
    }

    /// The same after a change of the Kustomization `enrolments` and of the request.
    async fn with_an_email_and(edit: impl Fn(&mut Value), request: impl Fn(&mut Value)) -> Self {
        let flux = Self::start().await;
        let mut jane = flux.request("jane", JANE);
        request(&mut jane);
        let revision = flux.commit(&[("enrolments/jane.yaml", Some(jane))]).await;
        flux.apply_kustomizations("flux/kustomizations.yaml", |kustomization| {
            if kustomization["metadata"]["name"] == ENROLMENTS {
                edit(kustomization);
            }
        })
        .await;
        flux.wait_until_ready(ENROLMENTS, &revision).await;
        assert_eq!(flux.fixture.mailed().len(), 1);
        flux
    }

    /// The provider config of the examples, for the simulator.
    fn provider(&self) -> Value {
        let [mut provider] = example("provider.yaml").try_into().unwrap();
        provider["metadata"]["name"] = (*self.fixture.provider).into();
        provider["spec"]["tenantID"] = self.fixture.realm.tenant().into();
        provider["spec"]["realmID"] = self.fixture.realm.realm().into();
        provider["spec"]["allowedNamespaces"]["names"] = json!([self.fixture.namespace]);
        provider
    }

    /// The AuthenticatorConfig of the examples.
    fn config(&self) -> Value {
        let [mut config] = example("authenticator-config.yaml").try_into().unwrap();
        config["metadata"]["namespace"] = (*self.fixture.namespace).into();
        config["spec"]["providerConfigRef"] = json!({"name": self.fixture.provider});
        config
    }

    /// The request of the examples, with this name and for the identity with this id.
    fn request(&self, name: &str, identity: &str) -> Value {
        let [mut request] = example("enrollment-request.yaml").try_into().unwrap();
        request["metadata"]["name"] = name.into();
        request["metadata"]["namespace"] = (*self.fixture.namespace).into();
        request["spec"]["identity"] = json!({"id": identity});
        request
    }

    /// Commits these files, has Flux fetch them, and returns the revision. `None` removes a file.
    async fn commit(&self, files: &[(&str, Option<Value>)]) -> String {
        let texts: Vec<_> =
            files.iter().map(|(name, manifest)| (*name, manifest.as_ref().map(Value::to_string))).collect();
        let files: Vec<_> = texts.iter().map(|(name, text)| (*name, text.as_deref())).collect();
        let commit = self.repository.commit(&files).unwrap();
        annotate(&self.of_kind("GitRepository"), "identity", REQUESTED_AT, &*commit).await;
        let revision = format!("{BRANCH}@sha1:{commit}");
        let fetched = revision.clone();
        self.wait_for("GitRepository", "identity", "is fetched", move |source| {
            source["status"]["artifact"]["revision"] == *fetched
        })
        .await;
        revision
    }

    /// Applies the Kustomizations of an example, after `edit`.
    async fn apply_kustomizations(&self, name: &str, edit: impl Fn(&mut Value)) {
        for mut kustomization in example(name) {
            kustomization["spec"]["retryInterval"] = "3s".into(); // long enough to see a failure in between
            edit(&mut kustomization);
            self.apply(kustomization).await;
        }
    }

    /// Applies an object of Flux in the namespace.
    async fn apply(&self, mut manifest: Value) {
        manifest["metadata"]["namespace"] = (*self.fixture.namespace).into();
        let (kind, name) = (manifest["kind"].as_str().unwrap(), manifest["metadata"]["name"].as_str().unwrap());
        let (api, name) = (self.of_kind(kind), name.to_owned());
        let parameters = PatchParams::apply("test").force();
        api.patch(&name, &parameters, &Patch::Apply(object::<DynamicObject>(manifest))).await.unwrap();
    }

    /// The objects of a kind of Flux.
    fn of_kind(&self, kind: &str) -> Api<DynamicObject> {
        let group = if kind == "Kustomization" { "kustomize" } else { "source" };
        let kind = GroupVersionKind::gvk(&format!("{group}.toolkit.fluxcd.io"), "v1", kind);
        Api::namespaced_with(self.fixture.client.clone(), &self.fixture.namespace, &ApiResource::from_gvk(&kind))
    }

    /// Waits until `fits` accepts an object of Flux, and returns it. A timeout prints the object and the logs of the
    /// controllers.
    #[track_caller]
    fn wait_for(
        &self,
        kind: &str,
        name: &str,
        what: impl Into<String>,
        fits: impl Fn(&Value) -> bool,
    ) -> impl Future<Output = Value> {
        let (caller, api, name, what) = (Location::caller(), self.of_kind(kind), name.to_owned(), what.into());
        async move {
            let started = Instant::now();
            loop {
                let found = json!(api.get(&name).await.unwrap());
                if fits(&found) {
                    return found;
                }
                assert!(
                    started.elapsed() < TIMEOUT,
                    "{caller}: timed out waiting until {name} {what}; its status is {:#}\n{}",
                    found["status"],
                    controllers::last_lines()
                );
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    }

    /// Waits until the Kustomization is Ready with this revision.
    #[track_caller]
    fn wait_until_ready(&self, name: &str, revision: &str) -> impl Future<Output = Value> {
        let revision = revision.to_owned();
        self.wait_for("Kustomization", name, "is ready", move |kustomization| {
            let (status, _) = ready(kustomization);
            status == "True" && kustomization["status"]["lastAppliedRevision"] == *revision
        })
    }

    /// Waits until the Kustomization is not Ready for this reason with this revision. Returns the message.
    #[track_caller]
    fn wait_until_failed(&self, name: &str, revision: &str, reason: &str) -> impl Future<Output = String> {
        let (revision, reason) = (revision.to_owned(), reason.to_owned());
        let failed = self.wait_for("Kustomization", name, format!("is {reason}"), move |kustomization| {
            let (status, condition) = ready(kustomization);
            status == "False"
                && condition["reason"] == *reason
                && kustomization["status"]["lastAttemptedRevision"] == *revision
        });
        async move { ready(&failed.await).1["message"].as_str().unwrap().to_owned() }
    }

    /// Waits until the Ready condition of the Kustomization has this reason. Returns the message.
    #[track_caller]
    fn wait_for_reason(&self, name: &str, reason: &str) -> impl Future<Output = String> {
        let reason = reason.to_owned();
        let failed = self.wait_for("Kustomization", name, format!("is {reason}"), move |kustomization| {
            ready(kustomization).1["reason"] == *reason
        });
        async move { ready(&failed.await).1["message"].as_str().unwrap().to_owned() }
    }

    /// Has Flux reconcile the Kustomization, and waits until it has.
    async fn reconcile(&self, name: &str) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let token = format!("request-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        annotate(&self.of_kind("Kustomization"), name, REQUESTED_AT, &*token).await;
        self.wait_for("Kustomization", name, "is reconciled", move |kustomization| {
            kustomization["status"]["lastHandledReconcileAt"] == *token && ready(kustomization).0 == "True"
        })
        .await;
    }
}

/// The status of the Ready condition, empty if it is of an earlier spec, and the condition.
fn ready(kustomization: &Value) -> (&str, &Value) {
    let ready = condition(kustomization, "Ready");
    let is_of_its_spec = ready["observedGeneration"] == kustomization["metadata"]["generation"];
    (ready["status"].as_str().filter(|_| is_of_its_spec).unwrap_or_default(), ready)
}

/// The condition of this type, or null.
fn condition<'a>(kustomization: &'a Value, type_: &str) -> &'a Value {
    let conditions = kustomization["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

/// The objects of a file in `examples`.
fn example(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}
