//! A call in doubt: when to list its effect, and when its absence is certain.

use std::time::Duration;

/// What to do when a list does not show the effect, requested at a certain age of the write-ahead record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The effect may still appear: list again after this delay.
    ListAgainIn(Duration),
    /// The call was not carried out, and never will be.
    Never,
}

/// Judges a list that shows no effect. `age` is how long this process had known the record when it requested the list.
/// The call can run for `timeout` after the write of the record. `settle` is the longest delay of an effect, or of a
/// list behind it.
pub fn absent(age: Duration, timeout: Duration, settle: Duration) -> Absent {
    let settled = timeout.saturating_add(settle);
    if age >= settled {
        Absent::Never
    } else if age < timeout {
        Absent::ListAgainIn(timeout - age)
    } else {
        Absent::ListAgainIn(settled - age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_effect_is_polled_at_timeout_and_settle_time() {
        let s = Duration::from_secs;
        let at = |age| absent(s(age), s(31), s(60));
        assert_eq!(at(0), Absent::ListAgainIn(s(31)));
        assert_eq!(at(30), Absent::ListAgainIn(s(1)));
        assert_eq!(at(31), Absent::ListAgainIn(s(60)));
        assert_eq!(at(90), Absent::ListAgainIn(s(1)));
        assert_eq!(at(91), Absent::Never);
        assert_eq!(absent(s(1), Duration::MAX, Duration::MAX), Absent::ListAgainIn(Duration::MAX - s(1)));
    }
}
