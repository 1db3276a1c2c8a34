//! Limits warnings about failed requests to the Kubernetes API: a missing permission or an outage concerns each object.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The period of the limit, and the number of warnings of one kind in it.
const PERIOD: Duration = Duration::from_secs(60);
const IN_PERIOD: u64 = 3;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// An object that could not be read, or whose write got no answer.
    Request,
    /// A write of an object that was refused.
    RefusedWrite,
    /// An event that was not published.
    Event,
}

/// The warnings of a process.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ending: bool,
    periods: HashMap<About, Count>,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    count: u64,
}

impl Warnings {
    /// The process ends. The next one retries what fails from now on, and warns of it.
    pub fn end(&self) {
        self.0.lock().ending = true;
    }

    /// Whether the next warning is logged as one. `Some`: with the number of those that were left out before it.
    pub fn next(&self, about: About) -> Option<u64> {
        let (now, mut state) = (Instant::now(), self.0.lock());
        if state.ending {
            return None;
        }
        let period = state.periods.entry(about).or_insert(Count { since: now, count: 0 });
        let mut left_out = 0;
        if now.saturating_duration_since(period.since) >= PERIOD {
            left_out = period.count.saturating_sub(IN_PERIOD);
            *period = Count { since: now, count: 0 };
        }
        period.count += 1;
        (period.count <= IN_PERIOD).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_warnings_of_each_kind_are_logged_and_none_at_the_end() {
        let warnings = Warnings::default();
        let next = |count: usize| (0..count).map(|_| warnings.next(About::Event)).collect::<Vec<_>>();
        assert_eq!(next(5), [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(warnings.next(About::Request), Some(0));
        tokio::time::advance(PERIOD).await;
        assert_eq!(next(4), [Some(2), Some(0), Some(0), None]);
        warnings.end();
        assert_eq!(warnings.next(About::RefusedWrite), None);
    }
}
