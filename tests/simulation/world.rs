//! The environment of the processes: its state, the planned actions, and a record of the run.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actors::Plans;
use crate::budget;
use crate::chance::Chance;
use crate::denied;
use crate::faults::Faults;
use crate::kubernetes::Cluster;
use crate::mutants::{self, Mutant};
use crate::observed;
use crate::provider;
use crate::proxy::Proxy;
use crate::record::Record;
use crate::remote::Remote;

/// The start of every run, by the wall clock.
const EPOCH: &str = "2026-01-01T12:00:00Z";

/// The environment of one run.
pub struct World {
    state: Mutex<State>,
    pub started: Instant,
    epoch: Timestamp,
    pub mutant: Option<Mutant>,
    /// Restarts one process, and ends all others.
    pub election: Notify,
}

/// The state of the environment.
pub struct State {
    pub chance: Chance,
    pub faults: Faults,
    pub cluster: Cluster,
    pub remote: Remote,
    pub plans: Plans,
    pub record: Record,
    pub trace: Trace,
    /// When the faults ended.
    pub faults_ended: Option<Instant>,
    /// When all disturbances were reverted.
    pub restored: Option<Instant>,
    /// The sum of the jumps of the processes' wall clocks.
    pub clock_jumps: SignedDuration,
    /// Whether only one process runs at a time.
    pub single_process: bool,
    /// Whether the processes elect a leader.
    pub elects_leader: bool,
    /// Whether requests share lists of the realm.
    pub shares_lists: bool,
    /// The number of delayed effects that are still pending.
    pub pending_effects: u32,
    counter: u64,
}

/// The log of a run, if enabled.
#[derive(Debug, Default)]
pub struct Trace {
    pub lines: Vec<String>,
    enabled: bool,
}

impl State {
    /// A new unique number.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Logs a detail of the last line.
    pub fn log_detail(&mut self, what: impl FnOnce() -> String) {
        if self.trace.enabled {
            self.trace.lines.push(format!("          {}", what()));
        }
    }

    /// Changes the provider config or its Secret.
    pub fn change_provider(&mut self, change: impl FnOnce(&mut Remote)) {
        change(&mut self.remote);
        self.remote.provider_changes += 1;
        self.cluster.changes.notify_waiters();
    }

    /// Records a violation, unless there is one already.
    pub fn violate(&mut self, what: String) {
        self.record.violation.get_or_insert(what);
    }
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, traced: bool) -> Arc<Self> {
        let mut chance = Chance::of(seed);
        let faults = Faults::draw(seed, &mut chance);
        let (observed, changes) = observed::draw(seed).unzip();
        let of_others = changes.into_iter().flatten().chain(denied::actions(seed));
        let actions = provider::actions(seed).into_iter().chain(of_others).collect();
        let mut state = State {
            chance,
            faults,
            cluster: Cluster::default(),
            remote: Remote { limits: budget::draw(seed), proxy: Proxy::draw(seed), observed, ..Remote::default() },
            plans: Plans { actions, ..Plans::default() },
            record: Record { mutated: mutant.is_some(), ..Record::default() },
            trace: Trace { enabled: traced, ..Trace::default() },
            faults_ended: None,
            restored: None,
            clock_jumps: SignedDuration::ZERO,
            single_process: true,
            elects_leader: false,
            // Drawn separately, so that it changes no other part of the schedule.
            shares_lists: Chance::of(seed.rotate_left(32)).happens(0.5),
            pending_effects: 0,
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

    /// When a process notes that it first sees a request: now.
    pub fn first_seen(&self) -> Instant {
        if self.mutant == Some(Mutant::BelievesListsFromBefore) { self.started } else { Instant::now() }
    }

    /// The true time.
    pub fn wall(&self) -> Timestamp {
        self.epoch.checked_add(self.started.elapsed()).expect("within the calendar")
    }

    /// Logs a line with the time.
    pub fn log(&self, what: impl std::fmt::Display) {
        let mut state = self.lock();
        if state.trace.enabled {
            let at = self.started.elapsed().as_secs_f64();
            state.trace.lines.push(format!("{at:9.3} {what}"));
        }
    }
}
