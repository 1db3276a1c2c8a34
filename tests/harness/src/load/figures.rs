//! What a phase costs: calls by operation, writes, CPU and memory.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Load,
    processes::{Cpu, NAMES, memory_of, pid_of, reset_peak},
    row,
};
use crate::simulator::Operation;

/// What counts are divided by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Per {
    Request(usize),
    Minute,
}

/// What a phase cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub elapsed: Duration,
    pub counts: Counts,
    pub cpu: Cpu,
    /// The memory of the operator in megabytes: the peak during the phase, and at its end.
    pub peak: f64,
    pub rss: f64,
}

/// The calls and writes so far, or those of a phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// Calls to the Beyond Identity API, by operation.
    pub calls: BTreeMap<String, usize>,
    /// Reads of jobs that are COMPLETE.
    pub complete: usize,
    /// Writes of objects other than events and Leases.
    pub writes: usize,
    pub events: usize,
    pub leases: usize,
}

impl Counts {
    /// All calls.
    pub(super) fn total(&self) -> usize {
        self.calls.values().sum()
    }

    pub(super) fn since(self, before: &Self) -> Self {
        let calls = self.calls.into_iter().filter_map(|(operation, count)| {
            let count = count - before.calls.get(&operation).copied().unwrap_or_default();
            (count > 0).then_some((operation, count))
        });
        Self {
            calls: calls.collect(),
            complete: self.complete - before.complete,
            writes: self.writes - before.writes,
            events: self.events - before.events,
            leases: self.leases - before.leases,
        }
    }
}

impl Load {
    /// Prints what `run` costs. The operator runs at its end, but not necessarily at its start.
    pub(super) fn measure<T>(
        &self,
        when: &str,
        per: Per,
        run: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Figures)> {
        println!("{when}:");
        let before = self.counts()?;
        if let Ok(pid) = pid_of(self.home.path()) {
            reset_peak(pid)?;
        }
        let (cpu, started) = (self.cpu()?, Instant::now());
        let result = run()?;
        // In this order, because counting takes long after many calls.
        let (elapsed, cpu) = (started.elapsed(), self.cpu()?.since(cpu));
        let pid = pid_of(self.home.path())?;
        let (peak, rss) = (memory_of(pid, "VmHWM:")?, memory_of(pid, "VmRSS:")?);
        let figures = Figures { elapsed, counts: self.counts()?.since(&before), cpu, peak, rss };
        figures.print(per);
        Ok((result, figures))
    }

    pub(super) fn counts(&self) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        let complete = |path: &str| {
            let job = path.rsplit('/').next().and_then(|id| self.realm.job(id));
            job.is_some_and(|job| job.state.as_deref() == Some("COMPLETE"))
        };
        for call in self.realm.all_requests() {
            *counts.calls.entry(format!("{:?}", call.operation)).or_default() += 1;
            counts.complete += usize::from(call.operation == Operation::GetJob && complete(&call.path));
        }
        for call in self.cluster.audit_log()? {
            if matches!(call["verb"].as_str(), Some("create" | "update" | "patch" | "delete")) {
                *match call["objectRef"]["resource"].as_str() {
                    Some("events") => &mut counts.events,
                    Some("leases") => &mut counts.leases,
                    _ => &mut counts.writes,
                } += 1;
            }
        }
        Ok(counts)
    }
}

impl Figures {
    fn print(&self, per: Per) {
        let Self { elapsed, counts, cpu, peak, rss } = self;
        let (unit, divisor) = match per {
            Per::Request(requests) => ("request", requests.max(1) as f64),
            Per::Minute => ("minute", elapsed.as_secs_f64() / 60.0),
        };
        let each = |what: &str, count: usize| row(&format!("{what} per {unit}"), count as f64 / divisor);
        each("API calls", counts.total());
        for (operation, count) in &counts.calls {
            each(&format!("- {operation}"), *count);
        }
        if matches!(per, Per::Minute) {
            each("API calls for COMPLETE jobs", counts.complete);
            each("Lease writes", counts.leases);
            row("writes", counts.writes as f64);
        } else {
            each("writes", counts.writes);
            each("events", counts.events);
        }
        for (name, used) in NAMES.into_iter().zip(cpu.0) {
            row(&format!("CPU of {name}, s"), used);
            row(&format!("CPU of {name}, % of a core"), used * 100.0 / elapsed.as_secs_f64());
        }
        row("peak RSS of the operator, MB", *peak);
        row("RSS of the operator, MB", *rss);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Counts;

    #[test]
    fn only_what_came_since_counts() {
        let counts = |get: usize, create: usize| Counts {
            calls: BTreeMap::from([("GetJob".to_owned(), get), ("CreateJob".to_owned(), create)]),
            writes: get,
            ..Counts::default()
        };
        let since = counts(5, 2).since(&counts(1, 2));
        let expected = Counts { calls: BTreeMap::from([("GetJob".to_owned(), 4)]), writes: 4, ..Counts::default() };
        assert_eq!(since, expected);
        assert_eq!(since.total(), 4);
    }
}
