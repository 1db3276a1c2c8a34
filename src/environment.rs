//! Time and chance as they are, and whether the process is ending.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use rand::RngExt;
use rand::distr::Alphanumeric;
use tokio::time::Instant;

use crate::reconcile::Environment;

/// The environment of this process.
#[derive(Debug, Default)]
pub struct SystemEnvironment {
    ending: AtomicBool,
}

impl SystemEnvironment {
    /// From now on no remote write may be started; those under way come to their end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }
}

impl Environment for SystemEnvironment {
    #[allow(clippy::disallowed_methods)] // the one place that reads the wall clock
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn nonce(&self) -> String {
        rand::rng().sample_iter(Alphanumeric).take(20).map(char::from).collect()
    }

    fn chance(&self) -> f64 {
        rand::rng().random()
    }

    fn may_write(&self) -> bool {
        !self.ending.load(Ordering::Acquire)
    }
}
