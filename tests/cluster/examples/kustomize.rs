//! Overlays in `examples/kustomize`: renames with their references, patches, and a Secret of a generator. Emails after a
//! rename are counted.

use std::fs;
use std::process::Command;

use harness::simulator::Identity;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{in_repository, kustomize, names, read};
use crate::fixture::{Fixture, OWN, cluster, message, poll_often, shared_simulator, wait_until_deleted};

const PEOPLE: [&str; 3] = ["employee-1001", "employee-1002", "employee-1003"];

fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

/// Creates the identities of the requests.
fn add_identities(fixture: &Fixture, objects: &[Value]) {
    for request in of_kind(objects, "EnrollmentRequest") {
        let id = request["spec"]["identity"]["id"].as_str().unwrap();
        fixture.realm.add_identity(Identity::active(id, &format!("{id}@example.com")));
    }
}

/// A copy of the examples that a test can change.
struct Examples(TempDir);

impl Examples {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let [from, to] = [in_repository("examples"), folder.path().join("examples")];
        assert!(Command::new("cp").arg("-R").args([from, to]).status().unwrap().success());
        Self(folder)
    }

    /// Replaces a text in a file that has it.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.0.path().join("examples").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} does not contain {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join("examples").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn render(&self, folder: &str) -> Vec<Value> {
        kustomize(&self.0.path().join("examples").join(folder))
    }
}

#[tokio::test]
async fn overlay_renames_objects_and_their_references() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    let examples = Examples::new();
    let objects = examples.render("kustomize/staging");
    add_identities(&fixture, &objects);
    fixture.apply(&objects);
    for name in PEOPLE {
        let request = fixture.wait_for_request_named(&format!("staging-{name}"), "LinkSent").await;
        assert_eq!(request.spec.authenticator_config_ref.name, "staging-hosted-web");
        assert_eq!(request.metadata.labels.unwrap()["example.com/stage"], "staging");
    }
    let config = fixture.wait_for_config_named("staging-hosted-web", "Available").await;
    assert_eq!(json!(config.spec)["config"]["trustedOrigins"], json!(["https://app.staging.example.com"]));
    assert_eq!(fixture.mailed().len(), 3);

    // Without the component the requests refer to a name that no object has.
    examples.edit("kustomize/staging/kustomization.yaml", "components:\n  - ../name-reference\n", "");
    examples.edit("kustomize/staging/kustomization.yaml", "namePrefix: staging-", "namePrefix: other-");
    fixture.apply(&examples.render("kustomize/staging"));
    let request = fixture.wait_for_request_named("other-employee-1001", "AuthenticatorConfigNotFound").await;
    assert!(message(&request).contains("hosted-web"), "{}", message(&request));
    assert_eq!(fixture.mailed().len(), 3);
}

#[tokio::test]
async fn changed_prefix_sends_to_everybody_without_a_passkey_again() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let examples = Examples::new();
    let objects = examples.render("kustomize/staging");
    add_identities(&fixture, &objects);
    fixture.apply(&objects);
    for name in PEOPLE {
        fixture.wait_for_request_named(&format!("staging-{name}"), "LinkSent").await;
    }
    let jobs = fixture.mailed();
    let enrolled = fixture.requests().get("staging-employee-1001").await.unwrap().status.unwrap().job_id.unwrap();
    fixture.realm.set_job_state(&enrolled, "COMPLETE");
    let identity = fixture.realm.job(&enrolled).unwrap().identity_id;
    fixture.realm.edit_identity(&identity, |identity| identity.enrollment_status = Some("ENROLLED".to_owned()));
    fixture.wait_for_request_named("staging-employee-1001", "Complete").await;

    examples.edit("kustomize/staging/kustomization.yaml", "namePrefix: staging-", "namePrefix: stage-");
    let renamed = examples.render("kustomize/staging");
    fixture.apply(&renamed);
    fixture.wait_for_request_named("stage-employee-1001", "AlreadyEnrolled").await;
    for name in &PEOPLE[1..] {
        fixture.wait_for_request_named(&format!("stage-{name}"), "LinkSent").await;
    }
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (5, 0));
    assert_eq!(fixture.sync(&renamed).await.len(), 3);
    fixture.configs().delete("staging-hosted-web", &DeleteParams::default()).await.unwrap();
    for name in PEOPLE {
        wait_until_deleted(fixture.requests(), &format!("staging-{name}")).await;
    }
    wait_until_deleted(fixture.configs(), "staging-hosted-web").await;
    assert_eq!(fixture.mailed().len(), 5);
    let states: Vec<_> = jobs.iter().map(|job| fixture.remote_state(job)).collect();
    let count = |state: &str| states.iter().filter(|found| *found == state).count();
    assert_eq!((count("COMPLETE"), count("REVOKED")), (1, 2));
}

#[tokio::test]
async fn requests_renamed_without_their_configuration_send_again_unless_orphaned() {
    let (fixture, _operator) = Fixture::ready().await;
    let examples = Examples::new();
    let orphan = json!({"op": "add", "path": "/spec/deletionPolicy", "value": "Orphan"});
    let renamed = |prefix: &str| {
        let patches = json!([{"target": {"name": "employee-1001"}, "patch": json!([orphan]).to_string()}]);
        let resources = ["../../many-people/generator"];
        let overlay = json!({"namePrefix": prefix, "resources": resources, "patches": patches});
        examples.write("kustomize/renamed/kustomization.yaml", &overlay.to_string());
        examples.render("kustomize/renamed")
    };
    let before = renamed("a-");
    for request in &before {
        let username = request["spec"]["identity"]["username"].as_str().unwrap();
        fixture.realm.add_identity(Identity::active(username.split('@').next().unwrap(), username).username(username));
    }
    fixture.apply(&before);
    for name in PEOPLE {
        fixture.wait_for_request_named(&format!("a-{name}"), "LinkSent").await;
    }
    let after = renamed("b-");
    fixture.apply(&after);
    for name in PEOPLE {
        fixture.wait_for_request_named(&format!("b-{name}"), "DuplicateRequest").await;
    }
    assert_eq!(fixture.mailed().len(), 3);
    assert_eq!(fixture.sync(&after).await.len(), 3);
    fixture.wait_for_request_named("b-employee-1001", "Adopted").await;
    for name in &PEOPLE[1..] {
        fixture.wait_for_request_named(&format!("b-{name}"), "LinkSent").await;
    }
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (5, 2));
}

#[tokio::test]
async fn json_patch_adds_an_origin_and_a_replacement_names_the_configuration() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    let examples = Examples::new();
    examples.edit("three-people/employee-1001.yaml", "    name: hosted-web\n", "    name: of-another-time\n");
    let objects = examples.render("kustomize/production");
    add_identities(&fixture, &objects);
    fixture.apply(&objects);
    for name in PEOPLE {
        fixture.wait_for_request_named(name, "LinkSent").await;
    }
    let config = fixture.wait_for_config_named("hosted-web", "Available").await;
    let origins = json!(["https://app.example.com", "https://www.example.com"]);
    assert_eq!(json!(config.spec)["config"]["trustedOrigins"], origins);
    assert_eq!(fixture.mailed().len(), 3);
}

#[tokio::test]
async fn generated_secret_is_read_by_its_name_and_not_with_a_hash() {
    let fixture = Fixture::bare(shared_simulator()).await;
    fixture.create_own_provider().await; // and the right to read its Secret
    fixture.own_providers().delete(OWN, &DeleteParams::default()).await.unwrap();
    let _operator = fixture.start().await;
    let provider = in_repository("examples/kustomize/provider");
    let examples = Examples::new();
    examples.edit("kustomize/provider/provider-config.yaml", "00010f21d92c5114", fixture.realm.tenant());
    examples.edit("kustomize/provider/provider-config.yaml", "1893ca3144993842", fixture.realm.realm());
    examples.edit("kustomize/provider/provider-config.yaml", "name: default", &format!("name: {OWN}"));
    assert!(!provider.join("token").exists(), "the token is not in Git");

    for token in ["of-another-time", &fixture.token] {
        examples.write("kustomize/provider/token", &format!("{token}\n"));
        let objects = examples.render("kustomize/provider");
        assert_eq!(names(&of_kind(&objects, "Secret")), ["beyond-identity"]);
        fixture.apply(&objects);
        let reason = if token == fixture.token { "CredentialsAccepted" } else { "Unauthorized" };
        fixture.wait_for_own_provider(reason).await;
    }
    fixture.create_own_config("hosted-web").await;
    fixture.wait_for_config("Available").await;

    // With a hash and the component, the reference follows the name, and no Role permits to read it.
    examples.edit(
        "kustomize/provider/kustomization.yaml",
        "generatorOptions:\n  disableNameSuffixHash: true\n",
        "components:\n  - ../name-reference\n",
    );
    let objects = examples.render("kustomize/provider");
    let hashed = names(&of_kind(&objects, "Secret"))[0].to_owned();
    assert!(hashed.starts_with("beyond-identity-"), "{hashed}");
    fixture.apply(&objects);
    let provider = fixture.wait_for_own_provider("Forbidden").await;
    assert!(message(&provider).contains(&hashed), "{}", message(&provider));
}

/// kustomize does not know that a ClusterProviderConfig has no namespace, and gives it one.
#[tokio::test]
async fn namespace_of_an_overlay_is_ignored_for_a_cluster_provider_config() {
    let fixture = Fixture::new().await;
    let folder = TempDir::new().unwrap();
    let mut provider = fixture.provider();
    provider["spec"]["allowedNamespaces"]["names"] = json!(["identity"]);
    fs::write(folder.path().join("provider.yaml"), provider.to_string()).unwrap();
    let overlay = json!({"namespace": "team", "resources": ["provider.yaml"]});
    fs::write(folder.path().join("kustomization.yaml"), overlay.to_string()).unwrap();
    let rendered = kustomize(folder.path()).remove(0);
    assert_eq!(rendered["metadata"]["namespace"], "team");
    for how in [&["--server-side", "--force-conflicts"][..], &[]] {
        let args = [&["apply", "--dry-run=server", "--filename", "-"], how].concat();
        let applied = cluster::control_plane().run_kubectl_with(&rendered.to_string(), args).unwrap();
        assert!(applied.contains(&fixture.provider), "{applied}");
    }
}

/// Every field that refers to another object by name, in both forms of credentials.
#[test]
fn component_knows_every_reference() {
    let folder = TempDir::new().unwrap();
    let component = folder.path().join("name-reference");
    fs::create_dir(&component).unwrap();
    for file in ["kustomization.yaml", "name-reference.yaml"] {
        fs::write(component.join(file), read(&format!("examples/kustomize/name-reference/{file}"))).unwrap();
    }
    let object = |kind: &str, name: &str, spec: Value| {
        let api = if kind == "Secret" { "v1" } else { "beyondidentity.dev/v1alpha1" };
        json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
    };
    let token = json!({"credentials": {"apiToken": {"secretRef": {"name": "credentials", "key": "token"}}}});
    let client = json!({"credentials": {"clientCredentials": {"secretRef": {"name": "credentials"}}}});
    let objects = [
        object("Secret", "credentials", Value::Null),
        object("ProviderConfig", "own-token", token.clone()),
        object("ProviderConfig", "own-client", client.clone()),
        object("ClusterProviderConfig", "token", token),
        object("ClusterProviderConfig", "client", client),
        object(
            "AuthenticatorConfig",
            "of-own",
            json!({"providerConfigRef": {"kind": "ProviderConfig", "name": "own-token"}}),
        ),
        object("AuthenticatorConfig", "of-cluster", json!({"providerConfigRef": {"name": "client"}})),
        object("EnrollmentRequest", "request", json!({"authenticatorConfigRef": {"name": "of-own"}})),
    ];
    fs::write(folder.path().join("objects.yaml"), objects.join("\n---\n")).unwrap();
    let overlay = json!({
        "namePrefix": "a-", "nameSuffix": "-z", "resources": ["objects.yaml"], "components": ["name-reference"],
    });
    fs::write(folder.path().join("kustomization.yaml"), overlay.to_string()).unwrap();
    let rendered = kustomize(folder.path());
    let find = |name: &str| &rendered.iter().find(|object| object["metadata"]["name"] == name).unwrap()["spec"];
    for provider in ["a-own-token-z", "a-token-z"] {
        assert_eq!(find(provider)["credentials"]["apiToken"]["secretRef"]["name"], "a-credentials-z");
    }
    for provider in ["a-own-client-z", "a-client-z"] {
        assert_eq!(find(provider)["credentials"]["clientCredentials"]["secretRef"]["name"], "a-credentials-z");
    }
    assert_eq!(find("a-of-own-z")["providerConfigRef"]["name"], "a-own-token-z");
    assert_eq!(find("a-of-cluster-z")["providerConfigRef"]["name"], "a-client-z");
    assert_eq!(find("a-request-z")["authenticatorConfigRef"]["name"], "a-of-own-z");
}
