//! How the rate rises after a reduction, as in CUBIC (RFC 9438): fast towards the rate before, slowly around it, and then
//! faster and faster. It rises with responses instead of time, so that at the quota about one call in 23 is answered
//! with 429, whatever the quota is. Pure.

/// By how much the rate exceeds the target after twice the responses that reach it.
const BEYOND: f64 = 0.3;
/// The responses after which the rate is the target, and those after a measured quota without and with a stated pause.
const QUICK: f64 = 18.0;
const MEASURED: f64 = 24.0;
const SLOW: f64 = 60.0;

/// A rising rate, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Climb {
    /// The rate that it starts from.
    start: f64,
    /// The rate that was borne before, or that the service is known to bear.
    target: f64,
    /// The number of responses that raise the rate to the target.
    length: f64,
    /// The responses since the reduction.
    responses: u32,
}

impl Climb {
    /// Back to `target`, which was too fast once.
    pub fn back_to(target: f64, start: f64) -> Self {
        Self { start, target, length: QUICK, responses: 0 }
    }

    /// To a rate that the service bore, after it refused calls for a stated time.
    pub fn to_measured(target: f64, start: f64) -> Self {
        Self { start, target, length: MEASURED, responses: 0 }
    }

    /// To a rate that the service bore, after it refused calls for a time that it did not state. Each excess costs many
    /// refused calls, so the climb takes a minute at least.
    pub fn to_measured_slowly(target: f64, start: f64) -> Self {
        Self { start, target, length: SLOW.max(SLOW * target), responses: 0 }
    }

    /// A rate that never changes.
    #[cfg(test)]
    pub fn constant(rate: f64) -> Self {
        Self { start: rate, target: rate, length: f64::INFINITY, responses: u32::MAX }
    }

    /// The rate now.
    pub fn rate(&self) -> f64 {
        let way = f64::from(self.responses) / self.length - 1.0;
        let height = if way < 0.0 { self.target - self.start } else { self.target * BEYOND };
        self.target + height * way.powi(3)
    }

    /// Records a response to a request that was made at this rate.
    pub fn rise(&mut self) {
        self.responses = self.responses.saturating_add(1);
    }

    /// The rate that was borne before.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// The responses since the reduction.
    pub fn responses(&self) -> u32 {
        self.responses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut climb: Climb, responses: u32) -> f64 {
        (0..responses).for_each(|_| climb.rise());
        climb.rate()
    }

    #[test]
    fn climb_is_fast_then_flat_then_ever_faster() {
        let climb = Climb::back_to(10.0, 7.0);
        assert_eq!((climb.rate(), after(climb, 18)), (7.0, 10.0));
        assert!(after(climb, 9) > 9.6, "almost there at half of the way");
        assert!((after(climb, 36) - 13.0).abs() < 1e-9);
        assert!(after(climb, 72) > 90.0, "a quota that was raised is found soon");
        let all: Vec<_> = (0..200).map(|responses| after(climb, responses)).collect();
        assert!(all.is_sorted());
    }

    #[test]
    fn silent_quota_is_approached_for_a_minute_at_least() {
        for target in [0.1, 0.5, 10.0, 100.0] {
            let climb = Climb::to_measured_slowly(target, target);
            assert!(climb.length / target >= 60.0 && climb.length >= 60.0, "{climb:?}");
        }
    }
}
