//! The poll budget of a realm: a number of calls a minute. What is not spent accrues for a minute. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The calls that a realm may still make to follow its links.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: u32,
    /// Below zero after calls that could not wait.
    left: f64,
    at: Instant,
}

impl Budget {
    /// The budget of a minute, unspent.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self { per_minute, left: f64::from(per_minute), at: now }
    }

    /// Spends a call, if there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        self.accrue(now);
        // The sum of many parts of a call may be a little below one.
        let has_one = self.left >= 1.0 - 1e-6;
        if has_one {
            self.left -= 1.0;
        }
        has_one
    }

    /// Spends a call that did not wait for the budget. At most the budget of a minute is owed.
    pub fn owe(&mut self, now: Instant) {
        self.accrue(now);
        self.left = (self.left - 1.0).max(-f64::from(self.per_minute));
    }

    /// Gives back a call that was not made.
    pub fn give_back(&mut self) {
        self.left += 1.0;
    }

    /// Whether nothing of a minute is spent.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.accrue(now);
        self.left >= f64::from(self.per_minute)
    }

    /// When the next call is left.
    pub fn next_at(&self) -> Instant {
        let missing = (1.0 - self.left).max(0.0) / self.per_second();
        self.at + Duration::from_secs_f64(missing) + Duration::from_millis(1)
    }

    fn per_second(&self) -> f64 {
        f64::from(self.per_minute.max(1)) / 60.0
    }

    fn accrue(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second()).min(f64::from(self.per_minute));
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_accrues_for_a_minute() {
        let start = Instant::now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(10, start);
        let mut calls = |now: Instant| std::iter::from_fn(|| budget.take(now).then_some(())).count();
        assert_eq!((calls(start), calls(after(5)), calls(after(6)), calls(after(7))), (10, 0, 1, 0));
        assert_eq!((calls(after(66)), calls(after(3600))), (10, 10), "at most the calls of a minute");
        assert!(budget.next_at() <= after(3607));
    }

    #[test]
    fn call_that_cannot_wait_is_owed() {
        let start = Instant::now();
        let mut budget = Budget::new(60, start);
        (0..61).for_each(|_| budget.owe(start));
        assert!(!budget.take(start + Duration::from_millis(1900)));
        assert!(budget.take(start + Duration::from_millis(2100)));
        (0..1000).for_each(|_| budget.owe(start + Duration::from_secs(3)));
        assert!(budget.take(start + Duration::from_secs(65)), "but no more than a minute's calls");
    }

    #[test]
    fn call_that_was_not_made_is_given_back() {
        let start = Instant::now();
        let mut budget = Budget::new(1, start);
        assert!(budget.take(start) && !budget.take(start));
        budget.give_back();
        assert!(budget.take(start));
    }
}
