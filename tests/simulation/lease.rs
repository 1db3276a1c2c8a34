//! The Lease of the leader election, and a candidate that uses the operator's own decisions.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::runtime::leader::decide::{Decision, decide, free, held};
use beyond_identity_operator::runtime::leader::{RENEW_DEADLINE, RETRY};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::kubernetes::Cluster;
use crate::process::Process;
use crate::world::{State, World};

/// The probability that a call about the Lease gets no answer.
const UNANSWERED: f64 = 0.1;
/// The maximum time from the loss of the Lease to the end of the process.
const MAX_END_DELAY: Duration = Duration::from_secs(1);

/// The Lease in the Kubernetes API.
#[derive(Debug, Default)]
pub struct Lease {
    record: Option<LeaseSpec>,
    /// Grows with each write.
    version: u64,
}

impl Lease {
    /// The process that holds the Lease.
    pub fn holder(&self) -> Option<&str> {
        self.record.as_ref()?.holder_identity.as_deref()
    }

    /// Releases the Lease if this process holds it.
    pub fn release(&mut self, name: &str) {
        if self.holder() == Some(name) {
            self.record = self.record.as_ref().map(free);
            self.version += 1;
        }
    }
}

/// A process in the election.
pub struct Candidate {
    world: Arc<World>,
    name: String,
    /// The last observed record, and when this version was first observed.
    observed: Option<(Option<LeaseSpec>, Instant)>,
}

/// The result of one round.
enum RoundResult {
    /// The process holds the Lease until this time.
    Acquired(Instant),
    NotAcquired(Decision),
    NoAnswer,
}

impl Candidate {
    pub fn new(world: &Arc<World>, name: &str) -> Self {
        Self { world: world.clone(), name: name.to_owned(), observed: None }
    }

    /// Waits for the Lease. Returns until when the process may act as leader.
    pub async fn campaign(&mut self) -> Instant {
        loop {
            let delay = match self.round(|decision| !matches!(decision, Decision::Wait { .. })).await {
                RoundResult::Acquired(until) => return until,
                RoundResult::NotAcquired(Decision::Wait { left, .. }) => left.min(RETRY),
                RoundResult::NotAcquired(_) | RoundResult::NoAnswer => RETRY,
            };
            sleep(delay).await;
        }
    }

    /// Renews the Lease of a process. Kills the process some time after the Lease is lost.
    pub async fn renew_until_lost(mut self, process: Arc<Process>, mut until: Instant) {
        loop {
            process.extend_leadership(until);
            sleep_until(until.min(Instant::now() + RETRY)).await;
            process.wait_while_suspended().await;
            let round = timeout_at(until, self.round(|decision| *decision == Decision::Renew)).await;
            process.wait_while_suspended().await;
            match round {
                Ok(RoundResult::Acquired(renewed)) if Instant::now() < until => until = renewed,
                Ok(RoundResult::NotAcquired(_)) => break,
                Ok(RoundResult::Acquired(_) | RoundResult::NoAnswer) | Err(_) if Instant::now() >= until => break,
                Ok(RoundResult::Acquired(_) | RoundResult::NoAnswer) | Err(_) => {}
            }
        }
        let delay = self.world.lock().chance.within(MAX_END_DELAY);
        sleep(delay).await;
        self.world.log(format_args!("{} has lost the Lease", self.name));
        process.kill();
    }

    /// Reads the Lease once, and acquires it if the decision is `wanted`.
    async fn round(&mut self, wanted: impl Fn(&Decision) -> bool) -> RoundResult {
        let Some((record, version)) = self.call(|lease| (lease.record.clone(), lease.version)).await else {
            return RoundResult::NoAnswer;
        };
        let now = Instant::now();
        let observed_at = match &self.observed {
            Some((observed, at)) if *observed == record => *at,
            _ => now,
        };
        let decision = decide(record.as_ref(), observed_at, now, &self.name);
        let acquired = held(record.as_ref(), &self.name, self.world.wall());
        self.observed = Some((record, observed_at));
        if !wanted(&decision) {
            return RoundResult::NotAcquired(decision);
        }
        let write = |lease: &mut Lease| {
            let same = lease.version == version;
            if same {
                *lease = Lease { record: Some(acquired), version: version + 1 };
            }
            same
        };
        match self.call(write).await {
            Some(true) => RoundResult::Acquired(now + RENEW_DEADLINE),
            Some(false) | None => RoundResult::NoAnswer,
        }
    }

    /// Makes a call about the Lease. `None` means that its outcome is unknown.
    async fn call<T>(&self, call: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        let network_delay = || self.world.lock().chance.within(Duration::from_millis(20));
        sleep(network_delay()).await;
        let answer = {
            let State { cluster: Cluster { lease, .. }, chance, faults, .. } = &mut *self.world.lock();
            let lost = !faults.ended && chance.happens(UNANSWERED);
            let arrives = !lost || chance.happens(0.5);
            arrives.then(|| call(lease)).filter(|_| !lost)
        };
        sleep(network_delay()).await;
        answer
    }
}
