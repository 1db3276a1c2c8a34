//! What is measured for as long as something is so.

use prometheus_client::metrics::gauge::Gauge;

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
