//! The rate that the service bore, in the time in which requests were made or held back. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How much busy time counts. Older requests count less and less.
const HORIZON: Duration = Duration::from_secs(240);

/// The served requests, and the time that they took. Time without work does not count, so that an idle tenant is not taken
/// for a slow one.
#[derive(Debug, Default)]
pub(super) struct Served {
    requests: f64,
    busy: Duration,
    /// Until when the time is counted.
    until: Option<Instant>,
}

impl Served {
    /// Counts the time until a request that is made now: `most` of it, since there was no work for longer.
    pub fn request(&mut self, now: Instant, most: Duration) {
        let since = self.until.map(|until| now.saturating_duration_since(until)).unwrap_or_default();
        self.spend(since.min(most));
        self.until = self.until.max(Some(now));
    }

    /// Counts `counted` of a pause that ends at `until`.
    pub fn pause(&mut self, until: Instant, counted: Duration) {
        self.spend(counted);
        self.until = self.until.max(Some(until));
    }

    /// Counts a response that is no 429.
    pub fn response(&mut self) {
        self.requests += 1.0;
    }

    /// Requests per second; `None` if there was no time to speak of.
    pub fn rate(&self) -> Option<f64> {
        (self.busy >= Duration::from_millis(50)).then(|| self.requests / self.busy.as_secs_f64())
    }

    /// The same, if it was measured for `time`.
    pub fn rate_over(&self, time: Duration) -> Option<f64> {
        self.rate().filter(|_| self.busy >= time)
    }

    fn spend(&mut self, time: Duration) {
        self.busy += time;
        if self.busy > HORIZON {
            self.requests *= HORIZON.as_secs_f64() / self.busy.as_secs_f64();
            self.busy = HORIZON;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_without_work_does_not_count() {
        let (mut served, start) = (Served::default(), Instant::now());
        assert_eq!(served.rate(), None);
        for minute in 0..10 {
            served.request(start + s(60 * minute), s(1));
            served.response();
        }
        assert_eq!(served.rate(), Some(10.0 / 9.0));
        assert_eq!(served.rate_over(s(9)), served.rate());
        assert_eq!(served.rate_over(s(10)), None);
    }

    #[test]
    fn as_much_of_a_pause_counts_as_was_said() {
        let (mut served, start) = (Served::default(), Instant::now());
        (0..30).for_each(|_| served.response());
        served.pause(start + s(3600), s(60));
        assert_eq!(served.rate(), Some(0.5));
        served.request(start + s(3601), s(5));
        assert_eq!(served.rate(), Some(30.0 / 61.0), "the pause is counted once");
    }

    #[test]
    fn requests_from_before_the_horizon_fade() {
        let (mut served, start) = (Served::default(), Instant::now());
        let mut run = |per_second: u64, seconds: std::ops::Range<u64>| {
            for second in seconds {
                served.request(start + s(second), s(1));
                (0..per_second).for_each(|_| served.response());
            }
            served.rate().unwrap_or_default()
        };
        assert!((run(10, 0..1000) - 10.0).abs() < 0.1);
        let soon = run(1, 1000..1240);
        assert!((3.0..5.0).contains(&soon), "{soon}");
        let later = run(1, 1240..3000);
        assert!((1.0..1.1).contains(&later), "{later}");
    }
}
