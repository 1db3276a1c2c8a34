//! How fast a tenant may be called: slower after each 429, faster again with each answer. Pure; time comes in.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest pace, in calls a second. A service that allows less asks for pauses, which are kept besides.
const SLOWEST: f64 = 0.2;
/// Beyond this pace nothing is held back any more.
const FASTEST: f64 = 50.0;
/// By how much each answer raises the pace.
const RAISE: f64 = 0.01;
/// What is left of the pace that the service did not bear.
const CUT: f64 = 0.5;
/// The first pause where the service does not say how long; it doubles while nothing but 429 comes back.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of these.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pace of the calls to one tenant.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Calls a second; `None` until the service asks for fewer: then nothing is held back.
    rate: Option<f64>,
    /// When the next call is due at that rate.
    due: Option<Instant>,
    /// Until when the service asked to be left alone.
    quiet_until: Option<Instant>,
    /// When the pace was cut last.
    cut_at: Option<Instant>,
    /// Cuts in a row, with no answer in between.
    cuts: u32,
    served: Served,
}

impl Pace {
    /// Whether calls are neither spaced nor held back.
    pub fn is_unlimited(&self, now: Instant) -> bool {
        self.rate.is_none() && self.quiet_for(now).is_zero()
    }

    /// For how long the service asked to be left alone.
    pub fn quiet_for(&self, now: Instant) -> Duration {
        left(self.quiet_until, now)
    }

    /// How long until the next call is due.
    pub fn wait(&self, now: Instant) -> Duration {
        let due = if self.rate.is_some() { left(self.due, now) } else { Duration::ZERO };
        due.max(self.quiet_for(now))
    }

    /// A call is about to be made: the next one is due that much later. Calls that are made before they are due are a
    /// debt, which the ones after them wait for.
    pub fn charge(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            self.due = Some(self.due.map_or(now, |due| due.max(now)) + spacing(rate));
        }
    }

    /// A call that was charged is not made after all.
    pub fn refund(&mut self) {
        if let (Some(rate), Some(due)) = (self.rate, self.due) {
            self.due = due.checked_sub(spacing(rate));
        }
    }

    /// A call that was begun at `begun` was answered.
    pub fn answered(&mut self, begun: Instant, now: Instant) {
        self.served.count(now);
        if self.cut_at.is_none_or(|cut| begun >= cut) {
            self.cuts = 0;
        }
        self.rate = self.rate.map(|rate| rate + RAISE).filter(|rate| *rate <= FASTEST);
    }

    /// A call that was begun at `begun` was one too many. Those that were under way when the pace was cut say nothing of
    /// the new one. `after` is how long the service asked to be left alone. Answers whether the pace was cut.
    pub fn too_many(&mut self, begun: Instant, after: Option<Duration>, now: Instant) -> bool {
        let cuts = self.cut_at.is_none_or(|cut| begun >= cut);
        if cuts {
            self.cuts = self.cuts.saturating_add(1);
        }
        match after {
            Some(after) => self.leave_alone(after, now),
            None if cuts => {
                let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.cuts - 1));
                self.leave_alone(doubled.min(LONGEST_PAUSE), now);
            }
            None => {}
        }
        if cuts {
            self.cut_at = Some(now);
            // What the service bore, with the pause that it asks for: of a quota for each minute that is the quota.
            let served = self.served.rate(now, now + self.quiet_for(now));
            let before = self.rate.unwrap_or(FASTEST);
            let rate = (served.map_or(before, |served| served.min(before)) * CUT).max(SLOWEST);
            self.rate = Some(rate);
            self.due = None;
        }
        cuts
    }

    /// The service asked to be left alone for that long.
    pub fn leave_alone(&mut self, pause: Duration, now: Instant) {
        let until = now + pause;
        self.quiet_until = Some(self.quiet_until.map_or(until, |before| before.max(until)));
    }

    /// Calls a second; `None` where nothing is held back.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }
}

fn spacing(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

fn left(until: Option<Instant>, now: Instant) -> Duration {
    until.map(|until| until.saturating_duration_since(now)).unwrap_or_default()
}

/// How many calls were served lately.
#[derive(Debug, Default)]
struct Served {
    now: Option<Span>,
    before: Option<Span>,
}

/// The calls of a span of time, from the first of them on.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Instant,
    calls: u32,
}

impl Served {
    /// How long a span is. What is older than two of them is not lately any more.
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

    /// The calls a second from the first one of lately until `until`; `None` where there were none.
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
