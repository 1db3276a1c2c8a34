//! The request rate for a tenant: lower after each 429, higher with each response. After a pause, one request finds out
//! whether the service responds again, before the others follow. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The lowest rate, in requests per second. If a service allows less, it asks for pauses, which are also honored.
const SLOWEST: f64 = 0.2;
/// Above this rate, in requests per second, nothing is limited any more.
const FASTEST: f64 = 50.0;
/// By how much each response raises the rate, in requests per second.
const RAISE: f64 = 0.01;
/// The factor for the rate that the service did not sustain.
const CUT: f64 = 0.5;
/// The first pause if the service does not state one. It doubles while every response is 429.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long the first request after a pause may remain without a response before another one is made.
const PROBE: Duration = Duration::from_secs(30);

/// The request rate for one tenant.
#[derive(Debug, Default)]
pub(super) struct AdaptiveRate {
    /// Requests per second; `None`, which is no limit, until the service asks for fewer.
    rate: Option<f64>,
    /// When the next request is due at that rate.
    due: Option<Instant>,
    pause: Pause,
    /// When the rate was last reduced.
    cut_at: Option<Instant>,
    /// Reductions in a row, without a response in between.
    cuts: u32,
    served: Served,
}

/// A pause that the service asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pause {
    #[default]
    None,
    /// Nothing is called until then. The first request after that is a probe.
    Until(Instant),
    /// The only request, charged at that time. Its response ends the pause.
    Probe(Instant),
}

impl AdaptiveRate {
    /// Whether requests are neither spaced nor paused.
    pub fn is_unlimited(&self, now: Instant) -> bool {
        self.rate.is_none() && self.paused_for(now).is_zero()
    }

    /// How long the service asked not to be called.
    pub fn quiet_for(&self, now: Instant) -> Duration {
        match self.pause {
            Pause::Until(until) => until.saturating_duration_since(now),
            Pause::None | Pause::Probe(_) => Duration::ZERO,
        }
    }

    /// The same, and how long the probe after it may take.
    pub fn paused_for(&self, now: Instant) -> Duration {
        match self.pause {
            Pause::Probe(since) => (since + PROBE).saturating_duration_since(now),
            Pause::None | Pause::Until(_) => self.quiet_for(now),
        }
    }

    /// How long until the next request is due.
    pub fn wait(&self, now: Instant) -> Duration {
        let due = self.due.filter(|_| self.rate.is_some());
        let due = due.map(|due| due.saturating_duration_since(now)).unwrap_or_default();
        due.max(self.paused_for(now))
    }

    /// Charges a request that is about to be made, so the next one is due later. Requests made before they are due
    /// create a debt, and later requests wait for it.
    pub fn charge(&mut self, now: Instant) {
        if self.pause != Pause::None && self.paused_for(now).is_zero() {
            self.pause = Pause::Probe(now);
        }
        if let Some(rate) = self.rate {
            self.due = Some(self.due.map_or(now, |due| due.max(now)) + spacing(rate));
        }
    }

    /// Refunds a charged request that is not made. If it was the probe, another request is.
    pub fn refund(&mut self) {
        if let Pause::Probe(since) = self.pause {
            self.pause = Pause::Until(since);
        }
        if let (Some(rate), Some(due)) = (self.rate, self.due) {
            self.due = due.checked_sub(spacing(rate));
        }
    }

    /// Records that a request that was started at `begun` got no response that says whether the service works. If it was
    /// the probe, another request is.
    pub fn unanswered(&mut self, begun: Instant) {
        if self.is_probe(begun) {
            self.pause = Pause::Until(begun);
        }
    }

    /// Whether a request that was started at `begun` may be the probe.
    fn is_probe(&self, begun: Instant) -> bool {
        matches!(self.pause, Pause::Probe(since) if since <= begun)
    }

    /// Records the response to a request that was started at `begun`. Returns whether it ended a pause.
    pub fn answered(&mut self, begun: Instant, now: Instant) -> bool {
        let ends_pause = self.is_probe(begun);
        if ends_pause {
            self.pause = Pause::None;
        }
        self.served.count(now);
        if self.cut_at.is_none_or(|cut| begun >= cut) {
            self.cuts = 0;
        }
        self.rate = self.rate.map(|rate| rate + RAISE).filter(|rate| *rate <= FASTEST);
        ends_pause
    }

    /// Records a 429 for a request that was started at `begun`. Requests in flight at the last reduction say nothing
    /// about the new rate. `after` is how long the service asked not to be called. Returns whether the rate was
    /// reduced.
    pub fn too_many(&mut self, begun: Instant, after: Option<Duration>, now: Instant) -> bool {
        let cuts = self.cut_at.is_none_or(|cut| begun >= cut);
        if cuts {
            self.cuts = self.cuts.saturating_add(1);
        }
        match after {
            Some(after) => self.pause_for(after, now),
            None if cuts => {
                let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.cuts - 1));
                self.pause_for(doubled.min(LONGEST_PAUSE), now);
            }
            None => {}
        }
        if cuts {
            self.cut_at = Some(now);
            // Counts the requested pause as time, so a quota per minute results in that quota.
            let served = self.served.rate(now, now + self.quiet_for(now));
            let before = self.rate.unwrap_or(FASTEST);
            let rate = (served.map_or(before, |served| served.min(before)) * CUT).max(SLOWEST);
            self.rate = Some(rate);
            self.due = None;
        }
        cuts
    }

    /// Records that the service asked not to be called for `pause`.
    pub fn pause_for(&mut self, pause: Duration, now: Instant) {
        let until = now + pause;
        self.pause = match self.pause {
            Pause::Until(before) => Pause::Until(before.max(until)),
            Pause::None | Pause::Probe(_) => Pause::Until(until),
        };
    }

    /// Requests per second; `None` if there is no limit.
    pub fn calls_per_second(&self) -> Option<f64> {
        self.rate
    }
}

fn spacing(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

/// Counts the recently served requests.
#[derive(Debug, Default)]
struct Served {
    now: Option<Span>,
    before: Option<Span>,
}

/// The requests of a time span, which starts with the first of them.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Instant,
    calls: u32,
}

impl Served {
    /// The length of a span. Requests older than two spans are not recent.
    const SPAN: Duration = Duration::from_secs(30);

    fn count(&mut self, now: Instant) {
        let is_over = |span: &Span| now.saturating_duration_since(span.since) >= Self::SPAN;
        if self.now.as_ref().is_none_or(is_over) {
            self.before = self.now.replace(Span { since: now, calls: 0 });
        }
        if let Some(span) = &mut self.now {
            span.calls = span.calls.saturating_add(1);
        }
    }

    /// The requests per second from the first recent one until `until`; `None` if there were none.
    fn rate(&self, now: Instant, until: Instant) -> Option<f64> {
        let lately = |span: &&Span| now.saturating_duration_since(span.since) < 2 * Self::SPAN;
        let spans = || self.before.iter().chain(&self.now).filter(lately);
        let since = spans().map(|span| span.since).min()?;
        let calls: u32 = spans().map(|span| span.calls).sum();
        let seconds = until.saturating_duration_since(since).as_secs_f64();
        Some(f64::from(calls) / seconds.max(0.001))
    }
}

#[cfg(test)]
mod tests;
