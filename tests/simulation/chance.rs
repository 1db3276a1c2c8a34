//! A seeded random source. A seed gives the same numbers in all versions of all libraries.

use std::time::Duration;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The random source of a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A random number of at least 0 and below 1.
    pub fn part(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1_u64 << 32) as f64
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.part() < probability
    }

    /// A random duration of at least `from` and below `to`.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let room = to.saturating_sub(from).as_millis();
        from + Duration::from_millis(self.below(u64::try_from(room).unwrap_or(u64::MAX)))
    }

    /// A random duration below `end`.
    pub fn within(&mut self, end: Duration) -> Duration {
        self.between(Duration::ZERO, end)
    }

    /// A random number of seconds from -`most` to `most`.
    pub fn skew(&mut self, most: i64) -> jiff::SignedDuration {
        let milliseconds = self.below(2_000 * most.unsigned_abs()) as i64 - 1_000 * most;
        jiff::SignedDuration::from_millis(milliseconds)
    }

    /// A random element.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }
}
