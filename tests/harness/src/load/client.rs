//! A plain client of the API server and of the simulator, with a fixed number of connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use reqwest::{Certificate, Client, Method, retry};
use serde_json::Value;
use tokio::{runtime::Builder, task::JoinSet};

use crate::{control_plane::ControlPlane, simulator::RealmHandle};

/// How many calls are in flight at the same time, each on a connection of its own.
pub(super) const IN_FLIGHT: usize = 32;

/// Longer than any call takes, so that a lost answer ends the measurement.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server, and the token that it accepts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    http: Client,
    url: String,
    token: String,
}

impl Server {
    /// The API server, with this token.
    pub(super) fn kubernetes(cluster: &ControlPlane, token: &str) -> anyhow::Result<Self> {
        let certificate = Certificate::from_pem(cluster.ca_pem().as_bytes())?;
        let client = Client::builder().tls_certs_only([certificate]);
        Self::new(client, cluster.server_url().to_owned(), token)
    }

    /// The realm in the simulator, with this token.
    pub(super) fn realm(realm: &RealmHandle, token: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/tenants/{}/realms/{}", realm.url(), realm.tenant(), realm.realm());
        Self::new(Client::builder(), url, token)
    }

    fn new(client: reqwest::ClientBuilder, url: String, token: &str) -> anyhow::Result<Self> {
        // One connection for each call in flight. With HTTP/2, all calls would share one.
        let client = client.http1_only().pool_max_idle_per_host(IN_FLIGHT).retry(retry::never());
        Ok(Self {
            http: client.no_proxy().user_agent("beyond-identity-operator/load").timeout(TIMEOUT).build()?,
            url,
            token: token.to_owned(),
        })
    }

    /// Posts `body`, and returns the body of the answer.
    pub(super) async fn create(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, "application/json", Some(body)).await
    }

    /// Replaces what is at `path`.
    pub(super) async fn replace(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, "application/json", Some(body)).await
    }

    /// Patches what is at `path` with a JSON merge patch.
    pub(super) async fn merge(&self, path: &str, patch: &Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, path, "application/merge-patch+json", Some(patch)).await
    }

    /// Reads what is at `path`.
    pub(super) fn read(&self, path: &str) -> anyhow::Result<Value> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.send(Method::GET, path, "application/json", None))
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        request = request.header("accept", "application/json");
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("no answer to {what}"))?;
        let (status, body) =
            (answer.status(), answer.bytes().await.with_context(|| format!("half an answer to {what}"))?);
        ensure!(status.is_success(), "{what} was answered with {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("the answer to {what} is not JSON"))
    }
}

/// Runs `run` for each number below `count`, [`IN_FLIGHT`] of them at the same time. Returns at the first error.
pub(super) fn concurrently<F>(count: usize, run: impl Fn(usize) -> F + Send + Sync + 'static) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (run, next) = (Arc::new(run), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let mut workers = JoinSet::new();
        for _ in 0..IN_FLIGHT.min(count) {
            let (run, next) = (Arc::clone(&run), Arc::clone(&next));
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(());
                    }
                    run(number).await?;
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use anyhow::bail;
    use parking_lot::Mutex;
    use tokio::sync::Barrier;

    use super::{IN_FLIGHT, concurrently};

    #[test]
    fn every_number_runs_once_and_as_many_are_in_flight_as_allowed() {
        let (seen, together) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(IN_FLIGHT)));
        let (all, count) = (Arc::clone(&seen), 2 * IN_FLIGHT);
        concurrently(count, move |number| {
            let (seen, together) = (Arc::clone(&seen), Arc::clone(&together));
            async move {
                seen.lock().push(number);
                // It opens when as many wait as may be in flight.
                together.wait().await;
                Ok(())
            }
        })
        .unwrap();
        let mut all = std::mem::take(&mut *all.lock());
        all.sort_unstable();
        assert_eq!(all, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let result = concurrently(usize::MAX, move |number| {
            begun.fetch_add(1, Ordering::Relaxed);
            async move {
                // As a call does, so that the others get their turns.
                tokio::task::yield_now().await;
                if number == 5 { bail!("the sixth fails") } else { Ok(()) }
            }
        });
        assert_eq!(result.unwrap_err().to_string(), "the sixth fails");
        assert!(counted.load(Ordering::Relaxed) > 5);
    }
}
