//! Durations on the command line: how they are read, and which values each flag accepts.

use std::time::Duration;

/// The values that a flag accepts: from the first to the second one, as a person writes them.
type Bounds = [(&'static str, Duration); 2];

const SECOND: (&str, Duration) = ("1s", Duration::from_secs(1));
const DAY: (&str, Duration) = ("24h", Duration::from_hours(24));

/// An interval that never keeps the operator busy, and never makes it look dead.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    within([SECOND, DAY], text)
}

/// A settle time. Without one, a send in doubt is repeated before a list can show the first.
pub(super) fn settle_time(text: &str) -> Result<Duration, String> {
    within([SECOND, ("1h", Duration::from_hours(1))], text)
}

/// A grace period: none, or up to a week.
pub(super) fn grace_period(text: &str) -> Result<Duration, String> {
    within([("0s", Duration::ZERO), ("168h", Duration::from_hours(168))], text)
}

/// A request timeout that a write-ahead record can hold.
pub(super) fn request_timeout(text: &str) -> Result<Duration, String> {
    within([SECOND, ("30m", Duration::from_mins(30))], text)
}

fn within([(least, at_least), (most, at_most)]: Bounds, text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if (at_least..=at_most).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("must be between {least} and {most}"))
    }
}

/// Reads a duration as Kubernetes writes it, such as 90s or 1h30m. One that is too long to be counted is as long as
/// can be. Kube's own parser panics at that, so it is not used here.
fn parse(text: &str) -> Result<Duration, String> {
    let malformed = || "must be a duration, such as 90s or 10m".to_owned();
    if text.starts_with('-') {
        return Err("must not be negative".to_owned());
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    loop {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
        let (number, unit) = rest.split_at(number_end);
        let unit_end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let seconds = match &unit[..unit_end] {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(malformed()),
        };
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let part = Duration::try_from_secs_f64(number * seconds).unwrap_or(Duration::MAX);
        total = total.saturating_add(part);
        rest = &unit[unit_end..];
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_durations_are_parsed() {
        for (text, millis) in [
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("500ms", 500),
            ("2000us", 2),
            ("2000\u{b5}s", 2),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_text_is_an_error_and_does_not_panic() {
        for text in [
            "",
            "0",
            "5",
            "s",
            ".",
            ".s",
            "1..5s",
            "1e9h",
            "5x",
            "+5s",
            "5s ",
            "5s5",
            "s5",
            "infs",
            "NaNs",
            "5\u{301}s",
        ] {
            assert!(parse(text).is_err_and(|why| why.contains("such as 90s or 10m")), "{text}");
        }
        for text in ["-1s", "-", "-1e9h"] {
            assert_eq!(parse(text), Err("must not be negative".to_owned()), "{text}");
        }
        let endless = format!("{}h", "9".repeat(400));
        for text in
            ["5124095576030431h", "99999999999999999999h", "18446744073709551615s18446744073709551615s", &endless]
        {
            assert!(parse(text).is_ok_and(|duration| duration > Duration::from_hours(1_000_000)), "{text}");
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        type Read = fn(&str) -> Result<Duration, String>;
        for (read, least, most, short, long) in [
            (interval as Read, "1s", "24h", "999ms", "24h1ms"),
            (settle_time, "1s", "1h", "0s", "61m"),
            (request_timeout, "1s", "30m", "500ms", "31m"),
        ] {
            assert!(read(least).is_ok() && read(most).is_ok(), "{least} {most}");
            for beyond in [short, long, "5124095576030431h"] {
                assert_eq!(read(beyond), Err(format!("must be between {least} and {most}")), "{beyond}");
            }
        }
        assert_eq!(grace_period("0s"), Ok(Duration::ZERO));
        assert_eq!(grace_period("169h"), Err("must be between 0s and 168h".to_owned()));
    }
}
