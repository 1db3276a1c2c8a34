//! One look at an object: plan a step, carry it out, until there is only to wait.

use std::future::Future;
use std::time::Duration;

use super::held::{InHand, Interrupted};
use super::memory::{Memories, Memory};
use super::ports::Environment;
use super::wait::{Until, pause};

/// More steps than any look takes: a guard against a plan that goes round in circles. The longest look revokes as many jobs
/// as a status holds, in three steps each.
const MOST_STEPS: usize = 256;

/// When an object is looked at again whose plan went round in circles.
const AFTER_A_BUG: Duration = Duration::from_secs(60);

/// The first pause after somebody else wrote first, in which the watch cache catches up. It doubles while that
/// goes on.
const OVERTAKEN: Duration = Duration::from_millis(100);
/// The longest one.
const LONG_OVERTAKEN: Duration = Duration::from_secs(30);

/// When what could not be said is tried again.
const UNSAID: Duration = Duration::from_secs(60);

/// A look at an object of some kind.
pub trait Look: Send {
    /// One thing to do.
    type Step: Send;

    /// What to do next, from what is known by now.
    fn plan(&self) -> Self::Step;

    /// Carries a step out. `Some` is the end of the look.
    fn execute(&mut self, step: Self::Step) -> impl Future<Output = Result<Option<Until>, Interrupted>> + Send;

    /// The object in hand.
    fn held(&mut self) -> &mut impl InHand;

    /// What is remembered of it.
    fn memory(&mut self) -> &mut Memory;

    /// What is to be remembered.
    fn into_memory(self) -> Memory;
}

/// How a look has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// In a word.
    pub ended: Ended,
    /// After how long to look again; `None`: when something changes.
    pub again: Option<Duration>,
}

/// How a look has ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is to be done until something changes.
    Done,
    /// It is to be looked at again after a while.
    Again,
    /// Somebody else wrote first.
    Overtaken,
    /// Something failed, and is tried again.
    Failed,
}

/// Looks at the object `uid`, and keeps what is to be remembered of it, as long as the cache has it: `is_there` says
/// so.
pub async fn run(
    mut look: impl Look,
    uid: &str,
    memories: &Memories,
    is_there: impl FnOnce() -> bool,
    environment: &dyn Environment,
) -> Looked {
    let ended = to_the_end(&mut look).await;
    let ended = unwritable(&mut look, ended, environment).await;
    let mut memory = look.into_memory();
    let until = match ended {
        Ok(until) => until,
        Err(Interrupted::Overtaken) => {
            memory.overtaken = memory.overtaken.saturating_add(1);
            let doubled = OVERTAKEN.saturating_mul(2_u32.saturating_pow(memory.overtaken - 1));
            let pause = pause(Until::After(doubled.min(LONG_OVERTAKEN)), 0, environment.chance());
            memories.keep(uid, memory, is_there);
            return Looked { ended: Ended::Overtaken, again: pause };
        }
        Err(Interrupted::Gone) => {
            memories.forget(uid);
            return Looked { ended: Ended::Done, again: None };
        }
        Err(Interrupted::Unsaid { until, .. }) => until.or_sooner(Until::After(UNSAID)),
        Err(Interrupted::Refused(_) | Interrupted::NotStored(_)) => Until::Backoff(None),
        Err(Interrupted::Failed(why)) => {
            tracing::warn!(uid, "a look was broken off, and will be made again: {why}");
            Until::Backoff(None)
        }
    };
    memory.overtaken = 0;
    memory.failures = match until {
        Until::Backoff(_) => memory.failures.saturating_add(1),
        Until::Change | Until::After(_) | Until::Turn(_) => 0,
    };
    let ended = match until {
        Until::Change => Ended::Done,
        Until::After(_) | Until::Turn(_) => Ended::Again,
        Until::Backoff(_) => Ended::Failed,
    };
    let again = pause(until, memory.failures, environment.chance());
    memories.keep(uid, memory, is_there);
    Looked { ended, again }
}

/// Says, and remembers, that a write of the operator's did not come through. It must never be silent, and a deletion goes on
/// without it.
async fn unwritable<T>(
    look: &mut impl Look,
    ended: Result<T, Interrupted>,
    environment: &dyn Environment,
) -> Result<T, Interrupted> {
    if let Err(Interrupted::Refused(why) | Interrupted::NotStored(why) | Interrupted::Unsaid { why, .. }) = &ended {
        let not_stored = matches!(ended, Err(Interrupted::NotStored(_)));
        let is_news = look.memory().write_refused(why, not_stored, environment.monotonic());
        look.held().say_unwritable(why, is_news).await;
    }
    ended
}

async fn to_the_end(look: &mut impl Look) -> Result<Until, Interrupted> {
    for _ in 0..MOST_STEPS {
        // Before each step, since any of them may have brought a newer version. Nothing of what is remembered goes:
        // whatever is in doubt or under way is known as long as before when work goes on.
        if look.held().is_paused() {
            look.held().say_paused().await?;
            return Ok(Until::Change);
        }
        let step = look.plan();
        if let Some(until) = look.execute(step).await? {
            return Ok(until);
        }
    }
    let what = "the operator does not come to an end with this object, which is a bug in it: report it, with its log";
    tracing::error!("{what}");
    look.held().say_bug(what).await?;
    Ok(Until::After(AFTER_A_BUG))
}
