//! Runs the operator's planners and reconcilers through seeded schedules on a virtual clock, with models of the API
//! server and of the service. It searches for a schedule that breaks a promise.
//!
//! `SEED=n cargo test --test simulation the_promise_holds` replays one seed; `SEEDS=n` runs that many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod actors;
mod budget;
mod calls;
mod chance;
mod controller;
mod denied;
mod faults;
mod injected_failure;
mod invariants;
mod kinds;
mod kubernetes;
mod lease;
mod mutants;
mod observed;
mod points;
mod ports;
mod process;
mod provider;
mod proxy;
mod reconciles;
mod record;
mod remote;
mod schedule;
mod service;
mod specs;
mod start;
mod turns;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use faults::{Hits, all};
use parking_lot::Mutex;

/// The number of seeds of a run without variables.
const SEEDS: u64 = 2_000;

/// The sum over all runs.
#[derive(Default)]
struct Total {
    hits: Hits,
    calls: u64,
    emails: u64,
    /// The number of pauses of an object with a call in doubt.
    paused_in_doubt: u64,
    /// The number of revocations and deletions with the last known token.
    with_last_token: u64,
    /// How often a process seeded its reservations from a namespace that it could not read at its start.
    seeded_late: u64,
    /// How often a provider config held back an object or a call.
    held_back: u64,
    /// The lowest seed that failed.
    failed: Option<(u64, schedule::Outcome)>,
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn the_promise_holds_in_every_schedule() {
    let only = number_in("SEED");
    let seeds = only.map_or(0..number_in("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let next = AtomicU64::new(seeds.start);
    let total: Mutex<Total> = Mutex::default();
    let started = std::time::Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let failed = total.lock().failed.as_ref().is_some_and(|(first, _)| *first < seed);
            if seed >= seeds.end || failed {
                return;
            }
            let outcome = if only.is_some() { schedule::run_once(seed, None, true) } else { schedule::run(seed, None) };
            let mut total = total.lock();
            outcome.hits.iter().for_each(|(hit, times)| *total.hits.entry(*hit).or_default() += times);
            total.calls += outcome.calls;
            total.emails += outcome.emails;
            total.paused_in_doubt += outcome.paused_in_doubt;
            total.with_last_token += outcome.with_last_token;
            total.seeded_late += outcome.seeded_late;
            total.held_back += outcome.held_back;
            let first = total.failed.as_ref().is_none_or(|(first, _)| seed < *first);
            if first && (outcome.violation.is_some() || only.is_some()) {
                total.failed = Some((seed, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let total = total.into_inner();
    let Total { hits, calls, emails, paused_in_doubt, with_last_token, seeded_late, held_back, failed } = total;
    if let Some((seed, schedule::Outcome { violation, trace, .. })) = failed {
        println!("{}", trace.join("\n"));
        assert!(violation.is_none(), "SEED={seed}: {}", violation.unwrap_or_default());
        return;
    }
    println!(
        "{} schedules, {calls} calls, {emails} emails, {paused_in_doubt} pauses in doubt, {with_last_token} reconciles with the last known token, {seeded_late} namespaces seeded late, {held_back} held back by the provider config, in {:?}",
        seeds.end,
        started.elapsed()
    );
    if seeds.end >= SEEDS {
        assert!(paused_in_doubt > 0, "no object was paused in doubt");
        assert!(with_last_token > 0, "nothing was revoked or deleted with the last known token");
        assert!(seeded_late > 0, "no process seeded its reservations from a namespace later");
        assert!(held_back > 0, "no provider config held back anything");
        assert_all_faults_occurred(hits);
    }
}

/// Asserts that each possible fault occurred at each point of a call. Rare faults get more seeds that aim at them.
fn assert_all_faults_occurred(mut hits: Hits) {
    let all = all();
    for (number, hit) in all.iter().enumerate() {
        let aimed = (SEEDS..).filter(|seed| *seed % all.len() as u64 == number as u64);
        for seed in aimed.take(100) {
            if hits.contains_key(hit) {
                break;
            }
            let outcome = schedule::run(seed, None);
            assert_eq!(outcome.violation, None, "SEED={seed}");
            outcome.hits.iter().for_each(|(hit, times)| *hits.entry(*hit).or_default() += times);
        }
    }
    let never: Vec<_> = all.iter().filter(|hit| !hits.contains_key(hit)).collect();
    println!("{} faults at points of calls, {} in all", all.len(), hits.values().sum::<u64>());
    assert!(never.is_empty(), "faults that never occurred: {never:?}");
}

/// A seed gives the same run each time, so that it can be replayed.
#[test]
fn seed_determines_the_schedule() {
    for seed in 0..60 {
        let (first, second) = (schedule::run_once(seed, None, true).trace, schedule::run_once(seed, None, true).trace);
        if let Some((a, b)) = first.iter().zip(&second).find(|(a, b)| a != b) {
            panic!("seed {seed} gave two schedules:\n{a}\n{b}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed} gave two schedules");
    }
}
