//! Metrics over TLS: who may read them, and the certificate.

use std::fs;
use std::time::Duration;

use harness::tls::Authority;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::PostParams;
use reqwest::{Certificate, Client};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Access, Fixture, Process, eventually, object};

/// The ServiceAccount of the tests' Prometheus, in the namespace of the operator.
const READER: &str = "prometheus";

/// Status and body of the metrics for this token. An error is one of the connection.
async fn read(process: &Process, client: &Client, token: Option<&str>) -> reqwest::Result<(u16, String)> {
    let mut request = client.get(format!("https://{}/metrics", process.address_of("/metrics")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Reads until the status is this one, and returns the body.
async fn until(process: &Process, client: &Client, token: Option<&str>, status: u16) -> String {
    let reads = async {
        loop {
            match read(process, client, token).await {
                Ok((found, body)) if found == status => return body,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(60), reads).await;
    read.unwrap_or_else(|_| panic!("timed out waiting for status {status}"))
}

/// A client that trusts this authority only; `None`: every certificate.
fn client(authority: Option<&Authority>) -> Client {
    let builder = Client::builder().no_proxy();
    let builder = match authority {
        Some(authority) => builder.tls_certs_only([Certificate::from_pem(authority.pem().as_bytes()).unwrap()]),
        None => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build().unwrap()
}

/// Creates the ServiceAccount of the reader, and returns a token of it.
async fn create_reader(fixture: &Fixture) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    let account = json!({"metadata": {"name": READER}});
    accounts.create(&PostParams::default(), &object(account)).await.unwrap();
    let spec = TokenRequestSpec { audiences: Vec::new(), expiration_seconds: Some(3600), bound_object_ref: None };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    accounts.create_token_request(READER, &PostParams::default(), &request).await.unwrap().status.unwrap().token
}

/// Binds the chart's ClusterRole for readers to the reader.
async fn bind_reader(fixture: &Fixture) {
    let bindings: Api<ClusterRoleBinding> = Api::all(fixture.client.clone());
    let namespace = &fixture.operator_namespace;
    let binding = json!({
        "metadata": {"name": format!("{namespace}-reader")},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": format!("{namespace}-beyond-identity-operator-metrics-reader"),
        },
        "subjects": [{"kind": "ServiceAccount", "name": READER, "namespace": namespace}],
    });
    bindings.create(&PostParams::default(), &object(binding)).await.unwrap();
}

#[tokio::test]
async fn metrics_are_served_to_authorized_tokens_only() {
    let fixture = Fixture::new().await;
    let token = create_reader(&fixture).await;
    // The chart grants the permission to check tokens only with the value, which these settings lack.
    let process = fixture.spawn(&Access::shared(), &["--metrics-secure"]).await;
    let client = client(None);
    let (status, body) = read(&process, &client, Some(&token)).await.unwrap();
    assert_eq!(
        (status, body.as_str()),
        (503, "Unavailable: the Kubernetes API cannot check the token at the moment.\n")
    );
    let missing = "the operator cannot check who reads the metrics: grant it create on tokenreviews.authentication.k8s.io in a \
                   ClusterRole";
    eventually("the log names the missing permission", || process.logged(missing).len() == 1).await;

    fixture.grant_secure_metrics().await;
    let body = until(&process, &client, Some(&token), 403).await;
    assert_eq!(body, "Forbidden: the user of this token may not get /metrics.\n");
    for wrong in [None, Some("wrong"), Some("")] {
        let (status, body) = read(&process, &client, wrong).await.unwrap();
        let sentence = "Unauthorized: send a token of this cluster in the header Authorization.\n";
        assert_eq!((status, body.as_str()), (401, sentence), "{wrong:?}");
    }
    bind_reader(&fixture).await;
    let metrics = until(&process, &client, Some(&token), 200).await;
    assert!(metrics.contains("leader_election_master_status"), "{metrics}");
    // An allowed token is not checked again at each read, and it is no help to another one.
    assert_eq!(read(&process, &client, Some(&token)).await.unwrap().0, 200);
    assert_eq!(read(&process, &client, None).await.unwrap().0, 401);
    assert_eq!(process.get("/healthz").0, 200, "the probes need no token");
    let log = process.stop().1;
    assert!(!log.contains(&token), "{log}");
}

#[tokio::test]
async fn changed_certificate_is_served_without_a_restart() {
    let [first, second] = [(); 2].map(|()| Authority::new().unwrap());
    let folder = TempDir::new().unwrap();
    let write = |[certificate, key]: [String; 2]| {
        fs::write(folder.path().join("tls.crt"), certificate).unwrap();
        fs::write(folder.path().join("tls.key"), key).unwrap();
    };
    write(first.issue("127.0.0.1").unwrap());
    let fixture = Fixture::new().await;
    let arguments = ["--metrics-secure", "--metrics-cert-path", folder.path().to_str().unwrap()];
    let process = fixture.spawn(&Access::shared(), &arguments).await;
    let [trusts_first, trusts_second] = [&first, &second].map(|authority| client(Some(authority)));
    assert_eq!(read(&process, &trusts_first, None).await.unwrap().0, 401);
    assert!(read(&process, &trusts_second, None).await.is_err());

    write(["no certificate".to_owned(), "no key".to_owned()]);
    eventually("the log names the file", || !process.logged("not reloaded: tls.key: no private key").is_empty()).await;
    assert_eq!(read(&process, &trusts_first, None).await.unwrap().0, 401, "the previous certificate is still used");

    write(second.issue("127.0.0.1").unwrap());
    until(&process, &trusts_second, None, 401).await;
    assert!(read(&process, &trusts_first, None).await.is_err());
}
