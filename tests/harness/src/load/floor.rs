//! The floor: how long this machine takes for the same objects, writes and POSTs without an operator.
//!
//! It has a control plane and a simulator of its own, which end before the operator starts. So the operator finds neither
//! its objects nor its load, and both begin with an empty etcd. The writes use the ServiceAccount of the operator, so
//! that the API server authorizes and audits them in the same way.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::{
    Load, NAMESPACE, OPERATOR_NAMESPACE, RELEASE,
    client::{Server, concurrently},
    enrol::{REQUESTS, request},
};
use crate::simulator::Config;

/// A request as the operator writes it before the POST, and after it.
const SENDING: &str = include_str!("../../../fixtures/status/0.1.0/enrollment-request-sending.json");
const LINK_SENT: &str = include_str!("../../../fixtures/status/0.1.0/enrollment-request-link-sent.json");

/// How long the same objects, writes and POSTs take for this many requests.
pub(super) fn measure(requests: usize) -> anyhow::Result<Duration> {
    let load = Load::new(requests)?;
    load.install()?;
    let config = Config::of_type("hosted_web");
    load.realm.add_config(config.clone());
    load.add_identities("person", requests);
    let enrolment = Enrolment {
        admin: Server::kubernetes(&load.cluster, load.cluster.token())?,
        operator: Server::kubernetes(&load.cluster, load.operator_token()?.trim())?,
        realm: Server::realm(&load.realm, "token")?,
        config: config.id,
        sending: status_of(SENDING)?,
        link_sent: status_of(LINK_SENT)?,
    };
    load.warm_up()?;
    let started = Instant::now();
    concurrently(requests, move |number| {
        let enrolment = enrolment.clone();
        async move { enrolment.run(&format!("person-{number}")).await }
    })?;
    let elapsed = started.elapsed();
    let sent = load.realm.emails_sent();
    ensure!(sent == requests, "the floor sent {sent} emails for {requests} requests");
    Ok(elapsed)
}

fn status_of(text: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str::<Value>(text)?["status"].take())
}

/// What happens for each request, and with what.
#[derive(Clone)]
struct Enrolment {
    admin: Server,
    operator: Server,
    realm: Server,
    config: String,
    sending: Value,
    link_sent: Value,
}

impl Enrolment {
    async fn run(&self, name: &str) -> anyhow::Result<()> {
        let created = self.admin.create(REQUESTS, &request(name)).await?;
        let path = format!("{REQUESTS}/{name}");
        let meta = &created["metadata"];
        let finalizer = json!({"metadata": {
            "uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "finalizers": ["beyondidentity.dev/finalizer"],
        }});
        let mut object = self.operator.merge(&path, &finalizer).await?;
        // As the operator does. Otherwise the API server would compare them.
        object["metadata"]["managedFields"] = Value::Null;
        object["status"] = self.sending.clone();
        let mut object = self.operator.replace(&format!("{path}/status"), &object).await?;
        let job = json!({"job": {"delivery_method": "EMAIL", "authenticator_config_id": self.config}});
        object["metadata"]["managedFields"] = Value::Null;
        self.realm.create(&format!("/identities/{name}/credential-binding-jobs"), &job).await?;
        object["status"] = self.link_sent.clone();
        let object = self.operator.replace(&format!("{path}/status"), &object).await?;
        self.operator.create(&format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"), &event(&object)).await?;
        Ok(())
    }
}

/// An event about this object, as the operator creates one for each email.
fn event(object: &Value) -> Value {
    let (meta, condition) = (&object["metadata"], &object["status"]["conditions"][0]);
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("{}.sent", meta["name"].as_str().unwrap_or_default()), "namespace": NAMESPACE},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "action": "Reconcile", "type": "Normal", "reason": condition["reason"], "note": condition["message"],
        "reportingController": RELEASE, "reportingInstance": OPERATOR_NAMESPACE,
        "regarding": {
            "apiVersion": object["apiVersion"], "kind": object["kind"], "name": meta["name"],
            "namespace": NAMESPACE, "uid": meta["uid"],
        },
    })
}
