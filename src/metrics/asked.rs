//! What is measured only when somebody asks, and for as long as something is so.

use std::fmt;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;

/// What is to be measured when somebody asks.
#[derive(Default)]
pub(super) struct Asked(Mutex<Vec<Box<dyn Fn() + Send>>>);

impl Asked {
    pub(super) fn add(&self, measure: impl Fn() + Send + 'static) {
        self.0.lock().push(Box::new(measure));
    }

    pub(super) fn ask(&self) {
        for measure in self.0.lock().iter() {
            measure();
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

/// One more is counted for as long as this lives.
#[derive(Debug)]
pub struct AtWork(Gauge);

impl AtWork {
    pub(super) fn begin(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.dec();
    }
}
