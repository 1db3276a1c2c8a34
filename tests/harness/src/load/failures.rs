//! The cost of a failure that all objects share: a revoked token, and an outage of the service.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::json;

use super::{Load, OPERATOR_NAMESPACE, TIMEOUT, row, wait};
use crate::simulator::Job;

impl Load {
    /// Revokes the token for `window` while as many new requests are created as there are, and then stores a new one.
    pub(super) fn revoke_token(&self, window: Duration) -> anyhow::Result<()> {
        println!("With a revoked token, and as many new requests:");
        self.realm.set_token("renewed");
        let added = self.requests;
        self.create("refused", added)?;
        self.count_calls(window)?;
        let (renewed, sent) = (Instant::now(), self.realm.emails_sent());
        ensure!(sent == self.requests, "emails were sent with a revoked token");
        self.store_token("renewed")?;
        self.wait_until_sent(sent + added, renewed)
    }

    /// Lets the service fail for `window` while as many new requests are created as there were at first.
    pub(super) fn fail(&self, window: Duration) -> anyhow::Result<()> {
        println!("In an outage, and as many new requests:");
        let sent = self.realm.emails_sent();
        self.realm.pause();
        let added = self.requests;
        self.create("outage", added)?;
        self.count_calls(window)?;
        self.realm.resume();
        let resumed = Instant::now();
        self.wait_until_sent(sent + added, resumed)?;
        // A link that was followed before the outage is followed again.
        let Some(Job { id, .. }) = self.realm.jobs().into_iter().find(|job| job.state.as_deref() == Some("LINK_SENT"))
        else {
            return Ok(());
        };
        self.realm.set_job_state(&id, "LINK_OPENED");
        wait(TIMEOUT.1 * 5, "the links are followed", || Ok(self.in_state("LINK_OPENED")? == 1))
    }

    /// Prints the calls within `window`, checks of the credentials included.
    fn count_calls(&self, window: Duration) -> anyhow::Result<()> {
        let before = self.realm.all_requests().len();
        thread::sleep(window);
        row("seconds", window.as_secs_f64());
        row("API calls", (self.realm.all_requests().len() - before) as f64);
        Ok(())
    }

    fn store_token(&self, token: &str) -> anyhow::Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": {"token": token},
            "metadata": {"name": "beyond-identity", "namespace": OPERATOR_NAMESPACE},
        });
        self.apply(&secret.to_string())
    }

    fn wait_until_sent(&self, emails: usize, since: Instant) -> anyhow::Result<()> {
        wait(TIMEOUT.1 * 5, "all emails are sent", || Ok(self.realm.emails_sent() >= emails))?;
        row("time until all emails are sent, s", since.elapsed().as_secs_f64());
        ensure!(self.realm.emails_sent() == emails, "not exactly one email for each request");
        Ok(())
    }
}
