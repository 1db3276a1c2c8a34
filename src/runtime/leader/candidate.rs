//! One process in the leader election: it waits for the lease, then renews it until it is lost.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::decide::{Decision, decide};
use super::lease::{Lease, LeaseError};
use super::{LeaderState, RENEW_DEADLINE, RETRY};
use crate::runtime::readiness::Report;

/// One process in the leader election.
pub(super) struct Candidate {
    pub(super) lease: Arc<Lease>,
    pub(super) report: Report,
    pub(super) standing: watch::Sender<LeaderState>,
    /// The record as it was last read, and when it was first read in this form.
    pub(super) observed: Option<(Option<LeaseSpec>, Instant)>,
}

/// The result of one round.
enum RoundResult {
    /// This process holds the lease until then.
    Ours(Instant),
    /// The lease was left unchanged.
    Left(Decision),
}

impl Candidate {
    /// Waits for the lease, and holds it until it is lost.
    pub(super) async fn run(mut self) {
        let until = self.campaign().await;
        tracing::info!(
            lease = %self.lease,
            holder = self.lease.holder,
            acquired_at = %(self.lease.clock)(),
            "Became the leader"
        );
        let why = self.hold(until).await;
        self.standing.send_replace(LeaderState::Lost(why));
    }

    async fn campaign(&mut self) -> Instant {
        let mut leader = None;
        loop {
            let pause = match self.round(|decision| !matches!(decision, Decision::Wait { .. })).await {
                Ok(RoundResult::Ours(until)) => return until,
                Ok(RoundResult::Left(Decision::Wait { holder, left })) => {
                    if leader.as_ref() != Some(&holder) {
                        tracing::info!(lease = %self.lease, holder, "Standing by: another process is the leader");
                        leader = Some(holder);
                    }
                    left.min(RETRY)
                }
                Ok(RoundResult::Left(Decision::Take | Decision::Renew)) | Err(_) => RETRY,
            };
            sleep(pause).await;
        }
    }

    /// Renews the lease until it is lost, and returns why.
    async fn hold(&mut self, mut until: Instant) -> String {
        loop {
            self.standing.send_replace(LeaderState::Until(until));
            sleep_until(until.min(Instant::now() + RETRY)).await;
            let failed = match timeout_at(until, self.round(|decision| *decision == Decision::Renew)).await {
                Ok(Ok(RoundResult::Ours(renewed))) if Instant::now() < until => {
                    until = renewed;
                    continue;
                }
                Ok(Ok(RoundResult::Left(decision))) => {
                    let by = if let Decision::Wait { holder, .. } = decision { holder } else { "nobody".to_owned() };
                    return format!("leader election lost: the {} is now held by {by}", self.lease);
                }
                Ok(Err(error)) => Some(error),
                Ok(Ok(RoundResult::Ours(_))) | Err(_) => None,
            };
            if Instant::now() >= until {
                let why = failed.unwrap_or(LeaseError::Late);
                let within = RENEW_DEADLINE.as_secs();
                return format!(
                    "leader election lost: the {} was not renewed within {within} s ({why}); another process may be the \
                     leader now",
                    self.lease
                );
            }
        }
    }

    /// Reads the lease, and acquires or renews it if the decision is `wanted`.
    async fn round(&mut self, wanted: impl Fn(&Decision) -> bool) -> Result<RoundResult, LeaseError> {
        let result = self.read_and_write(wanted).await;
        let untaken = format!("the {} cannot be read or written", self.lease);
        match &result {
            Ok(_) => self.report.ready(),
            // The next read shows who wrote it.
            Err(LeaseError::Conflict) => {}
            Err(error @ LeaseError::Forbidden { .. }) => self.report.denied(format!("{untaken}: {error}")),
            Err(error) => self.report.trouble(untaken, error.to_string()),
        }
        result
    }

    async fn read_and_write(&mut self, wanted: impl Fn(&Decision) -> bool) -> Result<RoundResult, LeaseError> {
        let read = self.lease.read().await?;
        let now = Instant::now();
        let record = read.as_ref().and_then(|lease| lease.spec.clone());
        let observed_at = match &self.observed {
            Some((observed, at)) if *observed == record => *at,
            _ => now,
        };
        let decision = decide(record.as_ref(), observed_at, now, &self.lease.holder);
        self.observed = Some((record, observed_at));
        if !wanted(&decision) {
            return Ok(RoundResult::Left(decision));
        }
        let asked = Instant::now();
        self.lease.hold(read).await?;
        Ok(RoundResult::Ours(asked + RENEW_DEADLINE))
    }
}
