//! The lease by which one of several processes leads, and a process's part in its election, as the operator plays it.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::runtime::leader::decide::{Decision, decide, free, held};
use beyond_identity_operator::runtime::leader::{RENEW_DEADLINE, RETRY};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::kubernetes::Cluster;
use crate::process::Process;
use crate::world::{State, World};

/// How often a call about the lease gets no answer.
const UNANSWERED: f64 = 0.1;
/// How long it takes at most until a process that leads no more has heard of it everywhere.
const HEARD: Duration = Duration::from_secs(1);

/// The lease in the Kubernetes API.
#[derive(Debug, Default)]
pub struct Lease {
    record: Option<LeaseSpec>,
    /// Grows with each write.
    version: u64,
}

impl Lease {
    /// The process whose it is by the record.
    pub fn object_uid(&self) -> Option<&str> {
        self.record.as_ref()?.holder_identity.as_deref()
    }

    /// Makes it nobody's, where it is this process's.
    pub fn release(&mut self, name: &str) {
        if self.object_uid() == Some(name) {
            self.record = self.record.as_ref().map(free);
            self.version += 1;
        }
    }
}

/// A process in the election.
pub struct Candidate {
    world: Arc<World>,
    name: String,
    /// The record as it was last read, and when it was first read like that.
    observed: Option<(Option<LeaseSpec>, Instant)>,
}

/// How the lease stands after a look at it.
enum RoundResult {
    /// It is this process's, until then.
    Ours(Instant),
    Left(Decision),
    NoAnswer,
}

impl Candidate {
    pub fn new(world: &Arc<World>, name: &str) -> Self {
        Self { world: world.clone(), name: name.to_owned(), observed: None }
    }

    /// Waits for the lease, and says until when the process may act by it.
    pub async fn campaign(&mut self) -> Instant {
        loop {
            let pause = match self.round(|decision| !matches!(decision, Decision::Wait { .. })).await {
                RoundResult::Ours(until) => return until,
                RoundResult::Left(Decision::Wait { left, .. }) => left.min(RETRY),
                RoundResult::Left(_) | RoundResult::NoAnswer => RETRY,
            };
            sleep(pause).await;
        }
    }

    /// Renews the lease of a process, and ends it some time after the lease is lost.
    pub async fn hold(mut self, process: Arc<Process>, mut until: Instant) {
        loop {
            process.lead_until(until);
            sleep_until(until.min(Instant::now() + RETRY)).await;
            process.awake().await;
            let round = timeout_at(until, self.round(|decision| *decision == Decision::Renew)).await;
            process.awake().await;
            match round {
                Ok(RoundResult::Ours(renewed)) if Instant::now() < until => until = renewed,
                Ok(RoundResult::Left(_)) => break,
                Ok(RoundResult::Ours(_) | RoundResult::NoAnswer) | Err(_) if Instant::now() >= until => break,
                Ok(RoundResult::Ours(_) | RoundResult::NoAnswer) | Err(_) => {}
            }
        }
        let heard = self.world.lock().chance.within(HEARD);
        sleep(heard).await;
        self.world.say(format_args!("{} has lost the lease", self.name));
        process.kill();
    }

    /// Looks at the lease once, and makes it this process's where that is `wanted`.
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
        let ours = held(record.as_ref(), &self.name, self.world.wall());
        self.observed = Some((record, observed_at));
        if !wanted(&decision) {
            return RoundResult::Left(decision);
        }
        let write = |lease: &mut Lease| {
            let same = lease.version == version;
            if same {
                *lease = Lease { record: Some(ours), version: version + 1 };
            }
            same
        };
        match self.call(write).await {
            Some(true) => RoundResult::Ours(now + RENEW_DEADLINE),
            Some(false) | None => RoundResult::NoAnswer,
        }
    }

    /// Makes a call about the lease; `None`: nobody knows whether it has come through.
    async fn call<T>(&self, call: impl FnOnce(&mut Lease) -> T) -> Option<T> {
        let hop = || self.world.lock().chance.within(Duration::from_millis(20));
        sleep(hop()).await;
        let answer = {
            let State { cluster: Cluster { lease, .. }, chance, faults, .. } = &mut *self.world.lock();
            let lost = !faults.over && chance.happens(UNANSWERED);
            let arrives = !lost || chance.happens(0.5);
            arrives.then(|| call(lease)).filter(|_| !lost)
        };
        sleep(hop()).await;
        answer
    }
}
