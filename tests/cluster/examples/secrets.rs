//! The Secret of a provider config in GitOps: written by another tool, later than what refers to it, and changed by it.

use std::collections::BTreeMap;

use harness::simulator::Identity;
use serde_json::{Value, json};

use super::support::{parsed, read};
use crate::fixture::{Fixture, JANE, REQUEST, cluster, conditions, reason, shared_simulator};

/// The Secret that External Secrets writes for an ExternalSecret, by these values of the store.
fn written(external: &Value, store: &BTreeMap<(&str, &str), &str>) -> Value {
    let spec = &external["spec"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut data = spec["target"]["template"]["data"].clone();
    for (_, template) in data.as_object_mut().unwrap() {
        for source in spec["data"].as_array().unwrap() {
            let remote = [&source["remoteRef"]["key"], &source["remoteRef"]["property"]].map(text);
            let value = store[&(&*remote[0], &*remote[1])];
            *template = json!(text(template).replace(&format!("{{{{ .{} }}}}", text(&source["secretKey"])), value));
        }
        assert!(!text(template).contains("{{"), "{template}");
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": spec["target"]["name"], "labels": {"reconcile.external-secrets.io/managed": "true"}},
        "type": spec["target"]["template"]["type"],
        "stringData": data,
    })
}

#[tokio::test]
async fn secret_of_an_external_secret_is_waited_for_and_rotated() {
    let fixture = Fixture::bare(shared_simulator()).await;
    // The reference is that of the example.
    let example = parsed(&read("examples/provider.yaml")).remove(0);
    fixture.create_provider(|provider| provider["spec"]["credentials"] = example["spec"]["credentials"].clone()).await;
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("SecretNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");

    let external = parsed(&read("examples/secrets/external-secret.yaml")).remove(0);
    assert_eq!(external["metadata"]["namespace"], "beyond-identity-system");
    let write = |token: &str| {
        let mut secret = written(&external, &[(("beyond-identity/production", "token"), token)].into());
        secret["metadata"]["namespace"] = json!(fixture.operator_namespace);
        cluster::control_plane().apply(&secret.to_string()).unwrap();
    };
    write(&fixture.token);
    fixture.wait_for_request("LinkSent").await;

    // A new token in the store, and then the end of the old one.
    let rotated = format!("{}-rotated", fixture.token);
    fixture.realm.set_token(&rotated);
    write(&rotated);
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
    assert_eq!(reason(&fixture.requests().get(REQUEST).await.unwrap()), "LinkSent");
    let mailed: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.identity_id).collect();
    assert_eq!(mailed, [JANE, "joe"]);
}

#[tokio::test]
async fn encrypted_and_sealed_manifests_make_the_secret_of_the_example() {
    let example = parsed(&read("examples/provider.yaml")).remove(0);
    let reference = &example["spec"]["credentials"]["apiToken"]["secretRef"];
    let secret = parsed(&read("examples/secrets/secret.yaml")).remove(0);
    let sealed = parsed(&read("examples/secrets/sealed-secret.yaml")).remove(0);
    let key = reference["key"].as_str().unwrap();
    assert_eq!(secret["metadata"], sealed["spec"]["template"]["metadata"]);
    assert_eq!(secret["metadata"]["name"], reference["name"]);
    assert!(secret["stringData"][key].is_string() && sealed["spec"]["encryptedData"][key].is_string());

    // As SOPS decrypts it, and with the line break that an editor adds.
    let fixture = Fixture::bare(shared_simulator()).await;
    fixture.create_provider(|_| {}).await;
    let _operator = fixture.start().await;
    let mut secret = secret;
    secret["metadata"]["namespace"] = json!(fixture.operator_namespace);
    let write = |token: &str| {
        let mut secret = secret.clone();
        secret["stringData"][key] = json!(token);
        cluster::control_plane().apply(&secret.to_string()).unwrap();
    };
    // Without decryption, the Secret has the encrypted text.
    write("ENC[AES256_GCM,data:p673w==,iv:YY=,tag:UQ=,type:str]");
    fixture.create_config().await;
    let config = fixture.wait_for_config("Unauthorized").await;
    println!("{}", crate::fixture::message(&config));
    write(&format!("{}\n", fixture.token));
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}
