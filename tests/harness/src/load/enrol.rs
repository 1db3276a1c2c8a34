//! Enrolments of many at once: creates the requests, and waits until the operator has sent all emails.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::{
    CONFIG, Load, NAMESPACE, TIMEOUT,
    client::{Server, concurrently},
    figures::{Figures, Per},
    row,
};
use crate::simulator::Identity;

/// The path of the requests.
pub(super) const REQUESTS: &str = "/apis/beyondidentity.dev/v1alpha1/namespaces/identity/enrollmentrequests";

/// The number of objects before a measurement.
const WARM_UP: usize = 500;

/// An EnrollmentRequest for the identity of this name.
pub(super) fn request(name: &str) -> Value {
    json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": name}},
    })
}

impl Load {
    /// Creates other objects, so that the API server has its connections and caches.
    pub(super) fn warm_up(&self) -> anyhow::Result<()> {
        let server = Server::kubernetes(&self.cluster, self.cluster.token())?;
        concurrently(WARM_UP, move |number| {
            let server = server.clone();
            async move {
                let meta = json!({"name": format!("warm-up-{number}"), "namespace": NAMESPACE});
                let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta});
                server.create(&format!("/api/v1/namespaces/{NAMESPACE}/configmaps"), &object).await.map(drop)
            }
        })
    }

    /// Creates all requests, and waits until all emails are sent. Returns the time until all emails were sent and recorded,
    /// and what that cost.
    pub(super) fn enrol(&self, floor: Option<Duration>) -> anyhow::Result<(Duration, Figures)> {
        let config = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig",
            "metadata": {"name": CONFIG, "namespace": NAMESPACE}, "spec": {"config": {"type": "hosted_web"}},
        });
        self.apply(&config.to_string())?;
        let (namespace, name) = (["--namespace", NAMESPACE], format!("authenticatorconfig/{CONFIG}"));
        let ready = ["wait", "--for=condition=Ready", "--timeout=120s", &name];
        self.cluster.run_kubectl([&ready[..], &namespace].concat())?;
        self.warm_up()?;
        let (elapsed, figures) = self.measure("While enrolling", Per::Request(self.requests), || {
            let started = Instant::now();
            self.create("person", self.requests)?;
            let ended = self.until_recorded(self.requests)?;
            let elapsed = ended.duration_since(started);
            row("time until all emails are sent, s", elapsed.as_secs_f64());
            if let Some(floor) = floor {
                row("the same without the operator, s", floor.as_secs_f64());
                row("ratio", elapsed.as_secs_f64() / floor.as_secs_f64());
            }
            Ok(elapsed)
        })?;
        let sent = self.realm.emails_sent();
        ensure!(sent == self.requests, "{sent} emails were sent, expected one per request");
        Ok((elapsed, figures))
    }

    /// Completes every second job, and waits until that shows, but at most for two minutes.
    pub(super) fn complete_half(&self) -> anyhow::Result<()> {
        self.complete(2)
    }

    /// Completes all jobs, in the same way.
    pub(super) fn complete_all(&self) -> anyhow::Result<()> {
        self.complete(1)
    }

    fn complete(&self, each: usize) -> anyhow::Result<()> {
        let complete: Vec<String> = self.realm.jobs().into_iter().map(|job| job.id).step_by(each).collect();
        for job in &complete {
            self.realm.set_job_state(job, "COMPLETE");
        }
        let (started, mut seen) = (Instant::now(), 0);
        while seen < complete.len() && started.elapsed() < TIMEOUT.1 {
            thread::sleep(Duration::from_secs(1));
            seen = self.in_state("COMPLETE")?;
        }
        // The poll budget may not suffice for so many changes at once. Then the rest begins before all of them show.
        row("COMPLETE jobs", complete.len() as f64);
        row("COMPLETE jobs that show before the rest", seen as f64);
        Ok(())
    }

    /// Creates the requests `PREFIX-NUMBER` with their identities, many at the same time.
    pub(super) fn create(&self, prefix: &str, count: usize) -> anyhow::Result<()> {
        self.add_identities(prefix, count);
        let (server, prefix) = (Server::kubernetes(&self.cluster, self.cluster.token())?, prefix.to_owned());
        concurrently(count, move |number| {
            let (server, object) = (server.clone(), request(&format!("{prefix}-{number}")));
            async move { server.create(REQUESTS, &object).await.map(drop) }
        })
    }

    /// Adds the identities `PREFIX-NUMBER`.
    pub(super) fn add_identities(&self, prefix: &str, count: usize) {
        for number in 0..count {
            let name = format!("{prefix}-{number}");
            self.realm.add_identity(Identity::active(&name, &format!("{name}@example.com")));
        }
    }

    /// Waits until this many emails are sent, and as many requests have recorded it. Returns the time of that.
    fn until_recorded(&self, count: usize) -> anyhow::Result<Instant> {
        let started = Instant::now();
        while started.elapsed() < self.patience() {
            // Counting emails costs nothing. The list costs the API server much, so it is read only at the end.
            let before = Instant::now();
            if self.realm.emails_sent() >= count && self.in_state("LINK_SENT")? >= count {
                return Ok(before);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("timed out waiting until all emails are sent")
    }

    /// The number of requests with this state in their status.
    pub(super) fn in_state(&self, state: &str) -> anyhow::Result<usize> {
        let server = Server::kubernetes(&self.cluster, self.cluster.token())?;
        let list = server.read(&format!("{REQUESTS}?resourceVersion=0"))?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items.filter(|item| item["status"]["state"] == state).count())
    }

    /// How long all requests may take.
    pub(super) fn patience(&self) -> Duration {
        TIMEOUT.0.saturating_mul(u32::try_from(self.requests).unwrap_or(u32::MAX)) + TIMEOUT.1
    }
}
