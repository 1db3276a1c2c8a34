//! The world that the processes live in: what there is, what is to happen, and a record of what did.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actors::Plans;
use crate::chance::Chance;
use crate::faults::Faults;
use crate::kubernetes::Cluster;
use crate::mutants::{self, Mutant};
use crate::record::Record;
use crate::remote::Remote;

/// When every run begins, by the wall clock.
const EPOCH: &str = "2026-01-01T12:00:00Z";

/// A world.
pub struct World {
    state: Mutex<State>,
    pub started: Instant,
    epoch: Timestamp,
    pub mutant: Option<Mutant>,
    /// One process is elected, and starts anew; all others end.
    pub election: Notify,
}

/// All that there is.
pub struct State {
    pub chance: Chance,
    pub faults: Faults,
    pub cluster: Cluster,
    pub remote: Remote,
    pub plans: Plans,
    pub record: Record,
    pub trace: Trace,
    /// Since when nothing goes wrong any more.
    pub over_since: Option<Instant>,
    /// How far the clocks of the machines that processes run on have jumped.
    pub clocks: SignedDuration,
    /// Whether there is one process at a time.
    pub alone: bool,
    /// Whether one of several is elected to act.
    pub elects: bool,
    /// Effects that are still to come.
    pub late: u32,
    counter: u64,
}

/// What happened, in words, where anybody wants to know.
#[derive(Debug, Default)]
pub struct Trace {
    pub lines: Vec<String>,
    wanted: bool,
}

impl State {
    /// A number that was not given out before.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Adds to what happened last.
    pub fn add(&mut self, what: impl FnOnce() -> String) {
        if self.trace.wanted {
            self.trace.lines.push(format!("          {}", what()));
        }
    }

    /// Changes the provider config, or its Secret.
    pub fn change_provider(&mut self, change: impl FnOnce(&mut Remote)) {
        change(&mut self.remote);
        self.remote.provider_changes += 1;
        self.cluster.changes.notify_waiters();
    }

    /// Something happened that must not.
    pub fn violate(&mut self, what: String) {
        self.record.violation.get_or_insert(what);
    }
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, traced: bool) -> Arc<Self> {
        let mut chance = Chance::of(seed);
        let faults = Faults::draw(seed, &mut chance);
        let mut state = State {
            chance,
            faults,
            cluster: Cluster::default(),
            remote: Remote::default(),
            plans: Plans::default(),
            record: Record { mutated: mutant.is_some(), ..Record::default() },
            trace: Trace { wanted: traced, ..Trace::default() },
            over_since: None,
            clocks: SignedDuration::ZERO,
            alone: true,
            elects: false,
            late: 0,
            counter: 0,
        };
        if let Some(mutant) = mutant {
            mutants::aim(mutant, &mut state);
        }
        let epoch = EPOCH.parse().expect("a time");
        Arc::new(Self { state: Mutex::new(state), started: Instant::now(), epoch, mutant, election: Notify::new() })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The true time.
    pub fn wall(&self) -> Timestamp {
        self.epoch.checked_add(self.started.elapsed()).expect("within the calendar")
    }

    /// Notes what happened.
    pub fn say(&self, what: impl std::fmt::Display) {
        let mut state = self.lock();
        if state.trace.wanted {
            let at = self.started.elapsed().as_secs_f64();
            state.trace.lines.push(format!("{at:9.3} {what}"));
        }
    }
}
