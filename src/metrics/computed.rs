//! Gauges that are computed at each scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The label set of one value.
pub(super) type LabelSet = Vec<(&'static str, String)>;

/// Computes some of the values of a gauge.
type Source = Box<dyn Fn() -> Vec<(LabelSet, i64)> + Send>;

/// A gauge whose sources compute its values. Values with the same labels are summed.
#[derive(Clone)]
pub(super) struct Computed {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    sources: Arc<Mutex<Vec<Source>>>,
}

impl Computed {
    /// Registers a gauge without sources.
    pub(super) fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
    ) -> Self {
        let gauge = Self { name, help, unit, sources: Arc::default() };
        registry.register_collector(Box::new(gauge.clone()));
        gauge
    }

    /// Adds a source.
    pub(super) fn add(&self, source: impl Fn() -> Vec<(LabelSet, i64)> + Send + 'static) {
        self.sources.lock().push(Box::new(source));
    }
}

impl Collector for Computed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut values = BTreeMap::<LabelSet, i64>::new();
        for (labels, value) in self.sources.lock().iter().flat_map(|source| source()) {
            *values.entry(labels).or_default() += value;
        }
        if values.is_empty() {
            return Ok(());
        }
        let mut gauge = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in &values {
            ConstGauge::new(*value).encode(gauge.encode_family(labels)?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computed").field("name", &self.name).finish_non_exhaustive()
    }
}
