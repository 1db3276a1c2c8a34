//! One run: what there is at its beginning, who acts, and how it ends. A seed decides all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::faults::Hits;
use crate::lease::Candidate;
use crate::mutants::Mutant;
use crate::process::Process;
use crate::world::World;
use crate::{actors, invariants, start};

/// How long everything may take to be settled once nothing goes wrong any more.
const TO_SETTLE: Duration = Duration::from_secs(2 * 3600);

/// How long what is paused stays so when nothing goes wrong any more, and how long a policy goes on to refuse statuses.
const PAUSED: Duration = Duration::from_secs(1800);

/// How a run went.
pub struct Outcome {
    pub violation: Option<String>,
    pub trace: Vec<String>,
    pub hits: Hits,
    pub calls: u64,
    pub emails: u64,
    /// How often an object was paused in doubt.
    pub paused_in_doubt: u64,
    /// How often something was revoked or deleted by a token that was gone.
    pub by_the_last_token: u64,
}

/// Runs one schedule; where it breaks a promise, it is run once more to tell how it went.
pub fn run(seed: u64, mutant: Option<Mutant>) -> Outcome {
    let outcome = run_once(seed, mutant, false);
    if outcome.violation.is_some() { run_once(seed, mutant, true) } else { outcome }
}

/// Runs one schedule, and tells how it went where `traced`.
pub fn run_once(seed: u64, mutant: Option<Mutant>, traced: bool) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        // So that there is a time before the beginning.
        sleep(Duration::from_secs(24 * 3600)).await;
        let world = World::new(seed, mutant, traced);
        play(&world).await;
        let mut state = world.lock();
        Outcome {
            violation: state.record.violation.take(),
            trace: std::mem::take(&mut state.trace.lines),
            hits: std::mem::take(&mut state.faults.hits),
            calls: state.faults.calls,
            paused_in_doubt: state.record.paused_in_doubt,
            by_the_last_token: state.record.by_the_last_token,
            emails: state.record.announced.values().map(|it| it.jobs.len() as u64).sum(),
        }
    })
}

async fn play(world: &Arc<World>) {
    let (processes, storm) = {
        let mut state = world.lock();
        let minutes = state.chance.between(Duration::from_secs(120), Duration::from_secs(900));
        let processes = state.chance.pick(&[1, 1, 2]);
        state.alone = processes == 1;
        // Of two, one leads; or both act for a while, and nothing rests on it that one leads.
        state.elects = processes > 1 && state.chance.happens(0.5);
        (processes, minutes)
    };
    start::prepare(world, processes == 1);
    for number in 0..processes {
        tokio::spawn(slot(world.clone(), number));
    }
    let end = Instant::now() + storm;
    while Instant::now() < end {
        let pause = world.lock().chance.within(storm / 10);
        sleep(pause).await;
        actors::act(world);
        if world.lock().record.violation.is_some() {
            return;
        }
    }
    world.say("from here on nothing goes wrong any more");
    world.lock().faults.over = true;
    world.lock().over_since = Some(Instant::now());
    if processes > 1 {
        // Two at once are for a while only; and what an older one wrote last may be news to nobody.
        world.election.notify_waiters();
    }
    let paused = !world.lock().plans.paused.is_empty();
    let refuses = world.lock().cluster.policy_since.is_some();
    if paused || refuses {
        // Long enough to see whether somebody works on what is paused, and whether a deletion goes on without a status.
        sleep(PAUSED).await;
    }
    if refuses {
        invariants::deletions_went_on(world);
    }
    // What is let go after a while is so later by a clock that is behind.
    let behind = world.lock().clocks.unsigned_abs();
    let (end, mut quiet) = (Instant::now() + TO_SETTLE + behind, 0);
    while quiet < 12 {
        actors::tidy(world);
        sleep(Duration::from_secs(20)).await;
        let mut state = world.lock();
        let unsettled = invariants::unsettled(&state);
        quiet = if unsettled.is_none() { quiet + 1 } else { 0 };
        if let Some(what) = unsettled.filter(|_| Instant::now() > end) {
            state.violate(format!("two hours after the last fault {what}"));
        }
        if state.record.violation.is_some() {
            return;
        }
    }
    invariants::at_the_end(&mut world.lock());
}

/// A place where a process runs, and the next one after it.
async fn slot(world: Arc<World>, number: u32) {
    for life in 0.. {
        let name = format!("process {number}.{life}");
        let mut elected = None;
        if world.lock().elects {
            let mut candidate = Candidate::new(&world, &name);
            let until = candidate.campaign().await;
            elected = Some((candidate, until));
        }
        if number > 0 && world.lock().faults.over {
            world.lock().cluster.lease.release(&name);
            return;
        }
        let process = Process::start(&world, name, life > 0, elected);
        let (lifetime, graceful) = {
            let mut state = world.lock();
            let long = state.chance.happens(0.6);
            let most = Duration::from_secs(if long { 100_000 } else { 200 });
            (state.chance.within(most), state.chance.happens(0.5).then(|| state.chance.within(Duration::from_secs(30))))
        };
        tokio::select! {
            biased;
            () = process.death() => {}
            () = world.election.notified() => process.kill(),
            () = sleep(lifetime) => {
                if world.lock().faults.over {
                    std::future::pending::<()>().await;
                }
                if let Some(grace) = graceful {
                    world.say(format_args!("{} is asked to end", process.name));
                    process.ending.store(true, Ordering::SeqCst);
                    sleep(grace).await;
                    process.kill();
                    world.lock().cluster.lease.release(&process.name);
                }
                process.kill();
            }
        }
        let pause = world.lock().chance.within(Duration::from_secs(40));
        sleep(pause).await;
    }
}
