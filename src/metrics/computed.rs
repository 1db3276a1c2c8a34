//! Gauges that are computed at each scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The label set of one value.
pub(super) type LabelSet = Vec<(&'static str, String)>;

/// The value of a gauge that counts.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Computes some of the values of a gauge.
type Source = Box<dyn Fn() -> Vec<(LabelSet, i64)> + Send>;

/// Whether this process is the leader. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct IsLeader(Arc<AtomicBool>);

impl IsLeader {
    pub(super) fn set(&self, leads: bool) {
        self.0.store(leads, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A gauge whose sources compute its values. Values with the same labels are summed.
#[derive(Clone)]
pub(super) struct Computed {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    /// Set for a gauge that describes the cluster: only the leader reports it, so that a sum over all processes is true.
    leads: Option<IsLeader>,
    sources: Arc<Mutex<Vec<Source>>>,
}

impl Computed {
    /// Registers a gauge of this process, without sources.
    pub(super) fn register(registry: &mut Registry, name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None, leads: None, sources: Arc::default() }.registered(registry)
    }

    /// Registers a gauge of the cluster, without sources.
    pub(super) fn of_the_cluster(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        leads: &IsLeader,
    ) -> Self {
        Self { name, help, unit, leads: Some(leads.clone()), sources: Arc::default() }.registered(registry)
    }

    fn registered(self, registry: &mut Registry) -> Self {
        let gauge = self;
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
        if self.leads.as_ref().is_some_and(|leads| !leads.get()) {
            return Ok(());
        }
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
