//! The real clocks and random source, and whether this process may write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use rand::distr::Alphanumeric;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::reconcile::Environment;
use crate::runtime::leader::Leadership;
use crate::runtime::warnings::{About, Warnings};

/// The environment of this process.
#[derive(Debug)]
pub struct SystemEnvironment {
    /// The start of this process, by both clocks.
    began: (Timestamp, Instant),
    leadership: Leadership,
    ending: AtomicBool,
    metrics: Arc<Metrics>,
    warnings: Arc<Warnings>,
}

impl SystemEnvironment {
    /// The environment of a process that may write while it is the leader.
    pub fn new(leadership: Leadership, metrics: Arc<Metrics>, warnings: Arc<Warnings>) -> Self {
        Self { began: (wall_clock(), Instant::now()), leadership, ending: AtomicBool::new(false), metrics, warnings }
    }

    /// Stops new remote writes, and warnings about the Kubernetes API. Writes in flight complete.
    pub fn end(&self) {
        self.warnings.end();
        self.ending.store(true, Ordering::Release);
    }
}

impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn monotonic_time(&self) -> Timestamp {
        let (wall, began) = self.began;
        wall.checked_add(began.elapsed()).unwrap_or(wall)
    }

    fn nonce(&self) -> String {
        nonce()
    }

    fn random(&self) -> f64 {
        rand::rng().random()
    }

    fn may_call_service(&self) -> bool {
        !self.ending.load(Ordering::Acquire) && self.leadership.is_held()
    }

    fn warns(&self, about: About) -> Option<u64> {
        self.warnings.next(about)
    }

    fn email_sent(&self, after: Option<Duration>) {
        self.metrics.email_sent(after);
    }

    fn enrolled(&self, after: Duration) {
        self.metrics.enrolled(after);
    }
}

/// The wall clock. It is displayed; safety never depends on it alone.
#[allow(clippy::disallowed_methods)] // the one place that reads it
pub fn wall_clock() -> Timestamp {
    Timestamp::now()
}

/// A fresh random identifier of 20 letters and digits.
pub fn nonce() -> String {
    rand::rng().sample_iter(Alphanumeric).take(20).map(char::from).collect()
}
