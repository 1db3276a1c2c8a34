//! Stores copies of a finished request in etcd, in the form in which the API server stored it. Through the API server, that
//! many would take a quarter of an hour.

use anyhow::{Context as _, ensure};
use data_encoding::BASE64;
use reqwest::Client;
use serde_json::{Value, json};

use super::NAMESPACE;

/// How many copies one transaction stores. etcd allows 128 operations.
const AT_ONCE: usize = 100;

/// Stores `count - 1` copies of the request `person-0`, each with its own identity, job and credential.
pub(super) fn copies(etcd_url: &str, count: usize) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let etcd = Etcd { client: Client::builder().no_proxy().build()?, url: etcd_url.to_owned() };
        let first = etcd.get("person-0").await?;
        let numbers: Vec<usize> = (1..count).collect();
        for numbers in numbers.chunks(AT_ONCE) {
            etcd.put(numbers.iter().map(|number| copy(&first, *number))).await?;
        }
        Ok(())
    })
}

/// The name of a copy, and the copy.
fn copy(first: &Value, number: usize) -> (String, Value) {
    let (mut object, name) = (first.clone(), format!("person-{number}"));
    object["metadata"]["name"] = json!(name);
    object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{number:012x}"));
    object["spec"]["identity"] = json!({"id": format!("{number:016x}")});
    object["status"]["identityID"] = json!(format!("{number:016x}"));
    object["status"]["jobID"] = json!(format!("{number:016x}-job"));
    object["status"]["credentialID"] = json!(format!("{number:016x}-credential"));
    (name, object)
}

/// etcd, with JSON over HTTP.
struct Etcd {
    client: Client,
    url: String,
}

impl Etcd {
    async fn get(&self, name: &str) -> anyhow::Result<Value> {
        let answer = self.call("range", &json!({"key": key(name)})).await?;
        let value = answer["kvs"][0]["value"].as_str().context("etcd does not have the first request")?;
        Ok(serde_json::from_slice(&BASE64.decode(value.as_bytes())?)?)
    }

    async fn put(&self, objects: impl Iterator<Item = (String, Value)>) -> anyhow::Result<()> {
        let put = |(name, object): (String, Value)| json!({"requestPut": {"key": key(&name), "value": BASE64.encode(object.to_string().as_bytes())}});
        let answer = self.call("txn", &json!({"success": objects.map(put).collect::<Vec<_>>()})).await?;
        ensure!(answer["succeeded"] == true, "etcd answered {answer}");
        Ok(())
    }

    async fn call(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}/v3/kv/{what}", self.url)).body(body.to_string());
        let response = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }
}

fn key(name: &str) -> String {
    BASE64.encode(format!("/registry/beyondidentity.dev/enrollmentrequests/{NAMESPACE}/{name}").as_bytes())
}
