//! The request rate for a tenant: lower after a 429, and back within seconds. After a pause, one request finds out whether
//! the service responds again, before the others follow. Pure: time is an argument.
//!
//! A 429 alone says little: it may be due to this client, to another one, or to chance. So it lowers the rate a little, and
//! the rate [climbs](climb) back to what was borne before. Only a service that refuses calls for a while shows its quota:
//! then the rate becomes that of the requests that it [served](served) lately.

mod climb;
#[cfg(test)]
mod quotas;
mod served;

use std::time::Duration;

use tokio::time::Instant;

use climb::Climb;
use served::Served;

/// The lowest rate, in requests per second. If a service allows less, it asks for pauses, which are also honored.
const SLOWEST: f64 = 0.1;
/// The highest rate after the first 429, in requests per second.
const FIRST: f64 = 50.0;
/// Above this rate, in requests per second, nothing is limited any more.
const FASTEST: f64 = 200.0;

/// The factor for the rate at which a 429 came. From there it climbs back.
const CUT: f64 = 0.7;
/// If fewer responses came since the last reduction, the rate before was too high, and it climbs back to less.
const TOO_SOON: u32 = 22;
/// The factor for the rate in that case.
const LESS: f64 = 0.9;
/// The most that the rate before can have been above what the service served, as a factor.
const OVER: f64 = 2.0;
/// How long that must have been measured.
const MEASURED_FOR: Duration = Duration::from_secs(5);
/// The factor for the rate that the service served until it refused calls for a while.
const BELOW_MEASURED: f64 = 0.95;

/// The first pause if the service does not state one: the time of four requests, within these bounds. It doubles while every
/// response is 429.
const FIRST_PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));
/// The longest pause that is not stated.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A longer stated pause shows that the service refuses calls for a while.
const SHORT_PAUSE: Duration = Duration::from_secs(2);
/// How much of a stated pause counts as time in which the service served requests. A pause of an hour says nothing
/// about the rate after it.
const COUNTED_PAUSE: Duration = Duration::from_secs(25);

/// How long the first request after a pause may remain without a response before another one is made.
const PROBE: Duration = Duration::from_secs(30);
/// The longest time between two requests of an unlimited tenant that has work.
const IDLE: Duration = Duration::from_millis(100);

/// The request rate for one tenant.
#[derive(Debug, Default)]
pub(super) struct AdaptiveRate {
    /// The rate; `None`, which is no limit, until the service asks for fewer requests.
    climb: Option<Climb>,
    /// When the next request is due at that rate.
    due: Option<Instant>,
    /// The requests without a response that were made as soon as they were due. Only such responses raise the rate: a client
    /// with little to do does not learn what the service would bear (RFC 9438, section 5.8).
    limited: u32,
    pause: Pause,
    /// When the rate was last reduced.
    cut_at: Option<Instant>,
    /// 429s in a row, without a response in between. Those of one burst count once.
    cuts: u32,
    refusing: Refusing,
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

/// Whether the service refuses calls for a while, as one does whose quota is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Refusing {
    #[default]
    No,
    /// For a time that it stated.
    Stated,
    /// For a time that it did not state.
    Silent,
}

impl AdaptiveRate {
    /// A rate that rises with no response.
    #[cfg(test)]
    pub fn constant(rate: f64) -> Self {
        Self { climb: Some(Climb::constant(rate)), ..Self::default() }
    }

    /// Whether requests are neither spaced nor paused.
    pub fn is_unlimited(&self, now: Instant) -> bool {
        self.climb.is_none() && self.paused_for(now).is_zero()
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
        let due = self.due.filter(|_| self.climb.is_some());
        let due = due.map(|due| due.saturating_duration_since(now)).unwrap_or_default();
        due.max(self.paused_for(now))
    }

    /// Charges a request that is about to be made, so the next one is due later. Requests made before they are due
    /// create a debt, and later requests wait for it.
    pub fn charge(&mut self, now: Instant) {
        let spacing = self.calls_per_second().map(spacing);
        self.served.request(now, spacing.map_or(IDLE, |spacing| spacing * 2));
        if self.pause != Pause::None && self.paused_for(now).is_zero() {
            self.pause = Pause::Probe(now);
        }
        if let Some(spacing) = spacing {
            // A timer may be late by a few milliseconds.
            let late = spacing / 2 + Duration::from_millis(10);
            if self.due.is_some_and(|due| due + late >= now) {
                self.limited = self.limited.saturating_add(1);
            }
            self.due = Some(self.due.map_or(now, |due| due.max(now)) + spacing);
        }
    }

    /// Refunds a charged request that is not made. If it was the probe, another request is.
    pub fn refund(&mut self) {
        if let Pause::Probe(since) = self.pause {
            self.pause = Pause::Until(since);
        }
        self.limited = self.limited.saturating_sub(1);
        if let (Some(rate), Some(due)) = (self.calls_per_second(), self.due) {
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
            self.measure(now);
        }
        self.served.response();
        if self.cut_at.is_none_or(|cut| begun >= cut) {
            self.cuts = 0;
        }
        if self.limited > 0
            && let Some(climb) = &mut self.climb
        {
            self.limited -= 1;
            climb.rise();
        }
        self.climb = self.climb.filter(|climb| climb.rate() <= FASTEST);
        ends_pause
    }

    /// Records a 429 for a request that was started at `begun`. Requests in flight at the last reduction say nothing
    /// about the new rate. `after` is how long the service asked not to be called. Returns whether the rate was
    /// reduced.
    pub fn too_many(&mut self, begun: Instant, after: Option<Duration>, now: Instant) -> bool {
        let cuts = self.cut_at.is_none_or(|cut| begun >= cut);
        if !cuts {
            after.inspect(|after| self.pause_for(*after, now));
            return false;
        }
        self.cuts = self.cuts.saturating_add(1);
        self.cut_at = Some(now);
        self.pause_for(after.map_or_else(|| self.unstated_pause(), |after| self.stated_pause(after)), now);
        let pause = self.quiet_for(now);
        let served = self.served.rate_over(MEASURED_FOR);
        self.served.pause(now + pause, if after.is_some() { pause.min(COUNTED_PAUSE) } else { pause });
        match after {
            None if self.cuts > 1 => self.refusing = Refusing::Silent,
            // A client with little to do has measured nothing.
            Some(after)
                if (self.cuts > 1 || (after > SHORT_PAUSE && served.is_some())) && self.refusing == Refusing::No =>
            {
                self.refusing = Refusing::Stated;
            }
            _ => {}
        }
        if self.cuts == 1 {
            self.cut(served);
        }
        true
    }

    /// The pause after a 429 without one.
    fn unstated_pause(&self) -> Duration {
        let (shortest, longest) = FIRST_PAUSE;
        let first = (spacing(self.calls_per_second().unwrap_or(FIRST)) * 4).clamp(shortest, longest);
        first.saturating_mul(doublings(self.cuts - 1)).min(LONGEST_PAUSE)
    }

    /// The pause after a 429 that asks for `after`. If the one before was too short, it is longer than that.
    fn stated_pause(&self, after: Duration) -> Duration {
        let longer = after.saturating_mul(doublings(self.cuts.saturating_sub(2)));
        after.max(longer.min(LONGEST_PAUSE))
    }

    /// Reduces the rate, after the service bore `served` until now.
    fn cut(&mut self, served: Option<f64>) {
        let before = self.calls_per_second().unwrap_or(FIRST).min(FASTEST);
        let mut target = before;
        if self.climb.is_some_and(|climb| climb.responses() < TOO_SOON) {
            let lately = self.served.rate().unwrap_or_default();
            target = (before * LESS).max(lately.min(before));
        }
        if let Some(served) = served {
            target = target.min(served * OVER);
        }
        let target = target.max(SLOWEST);
        self.restart(Climb::back_to(target, (target * CUT).max(SLOWEST)), None);
    }

    /// After the service refused calls for a while, the rate is the one that it bore.
    fn measure(&mut self, now: Instant) {
        let refusing = std::mem::take(&mut self.refusing);
        let (Some(served), Some(climb)) = (self.served.rate(), self.climb) else { return };
        let to = match refusing {
            Refusing::No => return,
            Refusing::Stated => Climb::to_measured,
            Refusing::Silent => Climb::to_measured_slowly,
        };
        let target = served.min(climb.target()).max(SLOWEST);
        self.restart(to(target, target * BELOW_MEASURED), Some(now));
    }

    fn restart(&mut self, climb: Climb, due: Option<Instant>) {
        (self.climb, self.due, self.limited) = (Some(climb), due, 0);
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
        self.climb.map(|climb| climb.rate())
    }
}

fn spacing(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

fn doublings(times: u32) -> u32 {
    2_u32.saturating_pow(times)
}

#[cfg(test)]
mod tests;
