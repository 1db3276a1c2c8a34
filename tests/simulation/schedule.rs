//! One run: its initial state, its processes and actions, and its end. The seed decides all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::faults::Hits;
use crate::lease::Candidate;
use crate::mutants::Mutant;
use crate::process::Process;
use crate::world::World;
use crate::{actors, invariants, observed, provider, start};

/// The maximum time until all objects are settled after the last fault.
const TO_SETTLE: Duration = Duration::from_secs(2 * 3600);

/// The maximum time until the limits of the provider config permit the last email.
const TO_SEND: Duration = Duration::from_secs(4 * 3600);

/// How long pauses and the admission policy last after the last fault.
const PAUSED: Duration = Duration::from_secs(1800);

/// The result of a run.
pub struct Outcome {
    pub violation: Option<String>,
    pub trace: Vec<String>,
    pub hits: Hits,
    pub calls: u64,
    pub emails: u64,
    /// The number of pauses of an object with a call in doubt.
    pub paused_in_doubt: u64,
    /// The number of revocations and deletions with the last known token.
    pub with_last_token: u64,
    /// How often a process seeded its reservations from a namespace that it could not read at its start.
    pub seeded_late: u64,
    /// How often a provider config held back an object or a call.
    pub held_back: u64,
}

/// Runs one schedule. If it breaks a promise, runs it again with a trace.
pub fn run(seed: u64, mutant: Option<Mutant>) -> Outcome {
    let outcome = run_once(seed, mutant, false);
    if outcome.violation.is_some() { run_once(seed, mutant, true) } else { outcome }
}

/// Runs one schedule, with a trace if `traced`.
pub fn run_once(seed: u64, mutant: Option<Mutant>, traced: bool) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        // So that times before the start of the run exist.
        sleep(Duration::from_secs(24 * 3600)).await;
        let world = World::new(seed, mutant, traced);
        simulate(&world).await;
        let mut state = world.lock();
        Outcome {
            violation: state.record.violation.take(),
            trace: std::mem::take(&mut state.trace.lines),
            hits: std::mem::take(&mut state.faults.hits),
            calls: state.faults.calls,
            paused_in_doubt: state.record.paused_in_doubt,
            with_last_token: state.record.with_last_token,
            seeded_late: state.record.seeded_late,
            held_back: state.record.held_back,
            emails: state.record.announced.values().map(|it| it.jobs.len() as u64).sum(),
        }
    })
}

async fn simulate(world: &Arc<World>) {
    let (processes, fault_duration) = {
        let mut state = world.lock();
        let minutes = state.chance.between(Duration::from_secs(120), Duration::from_secs(900));
        let processes = state.chance.pick(&[1, 1, 2]);
        state.single_process = processes == 1;
        // Two processes elect a leader, or both act, since safety must not depend on the election.
        state.elects_leader = processes > 1 && state.chance.happens(0.5);
        (processes, minutes)
    };
    start::prepare(world, processes == 1);
    for number in 0..processes {
        tokio::spawn(replica(world.clone(), number));
    }
    let end = Instant::now() + fault_duration;
    while Instant::now() < end {
        let delay = world.lock().chance.within(fault_duration / 10);
        sleep(delay).await;
        actors::apply_one(world);
        if world.lock().record.violation.is_some() {
            return;
        }
    }
    world.log("faults end");
    world.lock().faults.ended = true;
    world.lock().allow_all();
    world.lock().faults_ended = Some(Instant::now());
    if processes > 1 {
        // Two processes are temporary. The last write of an ended one may trigger nothing, so one process restarts.
        world.election.notify_waiters();
    }
    let paused = {
        let state = world.lock();
        !state.plans.paused.is_empty() || state.remote.paused_since.is_some() || state.remote.refuses_token()
    };
    let refuses = world.lock().cluster.policy_since.is_some();
    if paused || refuses {
        // Long enough to detect work on paused objects, and deletions that wait for a status.
        sleep(PAUSED).await;
    }
    if refuses {
        invariants::check_deletions(world);
    }
    // A clock that is behind delays the end of grace periods.
    let clock_delay = world.lock().clock_jumps.unsigned_abs();
    let (end, mut settled_polls) = (Instant::now() + TO_SETTLE + TO_SEND + clock_delay, 0);
    while settled_polls < 12 {
        actors::revert_disturbances(world);
        sleep(Duration::from_secs(20)).await;
        let mut state = world.lock();
        let unsettled = invariants::unsettled(&state);
        settled_polls = if unsettled.is_none() { settled_polls + 1 } else { 0 };
        provider::check_resumed(&mut state);
        if let Some(what) = unsettled.filter(|_| Instant::now() > end) {
            state.violate(format!("six hours after the last fault: {what}"));
        }
        if state.record.violation.is_some() {
            return;
        }
    }
    invariants::check_final_state(&mut world.lock());
    observed::check_deletions(world).await;
}

/// A replica: runs a process, and restarts it after its end.
async fn replica(world: Arc<World>, number: u32) {
    for generation in 0.. {
        let name = format!("process {number}.{generation}");
        let mut elected = None;
        if world.lock().elects_leader {
            let mut candidate = Candidate::new(&world, &name);
            let until = candidate.campaign().await;
            elected = Some((candidate, until));
        }
        if number > 0 && world.lock().faults.ended {
            world.lock().cluster.lease.release(&name);
            return;
        }
        let process = Process::start(&world, name, generation > 0, elected);
        let (lifetime, graceful) = {
            let mut state = world.lock();
            let long = state.chance.happens(0.6);
            let most = Duration::from_secs(if long { 100_000 } else { 200 });
            (state.chance.within(most), state.chance.happens(0.5).then(|| state.chance.within(Duration::from_secs(30))))
        };
        tokio::select! {
            biased;
            () = process.wait_until_killed() => {}
            () = world.election.notified() => process.kill(),
            () = sleep(lifetime) => {
                if world.lock().faults.ended {
                    std::future::pending::<()>().await;
                }
                if let Some(grace) = graceful {
                    world.log(format_args!("{} gets TERM", process.name));
                    process.ending.store(true, Ordering::SeqCst);
                    sleep(grace).await;
                    process.kill();
                    world.lock().cluster.lease.release(&process.name);
                }
                process.kill();
            }
        }
        let delay = world.lock().chance.within(Duration::from_secs(40));
        sleep(delay).await;
    }
}
