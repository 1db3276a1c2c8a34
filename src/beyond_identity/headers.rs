//! The response headers about time: the service's clock, and how long to wait.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that is returned. A service or a proxy that asks for more is asked again then, so that a wrong value
/// does not stop revocations for long.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The service's own time, from the `Date` header.
pub(super) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text.trim()).ok()
}

/// How long a cache has kept the response, in seconds. A response that was not cached has no `Age`, or 0.
pub(super) fn cached_for(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(AGE)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for u64 is a long time, not none.
    digits.then(|| text.parse().unwrap_or(u64::MAX)).filter(|age| *age > 0)
}

/// A `RateLimit-Reset` from this value on is a Unix time, as some gateways send it, not a number of seconds to wait.
const SINCE_1970: Duration = Duration::from_secs(1_000_000_000);

/// How long the service asks to wait: `Retry-After` in seconds or as a date, else `RateLimit-Reset` in seconds. A date
/// is compared with the `Date` of the same response, so that this machine's clock does not matter. Without `Date`, it
/// is ignored.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let seconds = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for u64 is a long time, not none.
        digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    };
    let until = |time: Timestamp| {
        let wait = time.duration_since(server_time(headers)?);
        Some(Duration::try_from(wait).unwrap_or_default())
    };
    let reset = |text: &str| match seconds(text)? {
        time if time >= SINCE_1970 => until(Timestamp::from_second(time.as_secs().try_into().ok()?).ok()?),
        wait => Some(wait),
    };
    let asked = text(RETRY_AFTER.as_str()).and_then(|text| seconds(text).or_else(|| until(http_date(text)?)));
    asked.or_else(|| text("ratelimit-reset").and_then(reset)).map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn server_time_is_read_from_the_date_header() {
        let time = |text| server_time(&headers(&[("date", text)])).map(|time| time.to_string());
        assert_eq!(time("Sun, 06 Nov 1994 08:49:37 GMT").as_deref(), Some("1994-11-06T08:49:37Z"));
        // A wrong weekday is ignored.
        assert_eq!(time("Mon, 06 Nov 1994 08:49:37 GMT").as_deref(), Some("1994-11-06T08:49:37Z"));
        for useless in ["", "now", "784111777", "Sun, 99 Nov 1994 08:49:37 GMT", "\u{e9}"] {
            assert_eq!(time(useless), None, "{useless}");
        }
        assert_eq!(server_time(&HeaderMap::new()), None);
    }

    #[test]
    fn age_says_whether_a_cache_answered() {
        for (age, kept) in
            [("7", Some(7)), (" 7 ", Some(7)), ("0", None), ("", None), ("-1", None), ("7.5", None), ("soon", None)]
        {
            assert_eq!(cached_for(&headers(&[("age", age)])), kept, "{age}");
        }
        assert_eq!(cached_for(&headers(&[("age", "99999999999999999999999")])), Some(u64::MAX));
        assert_eq!(cached_for(&HeaderMap::new()), None);
    }

    #[test]
    fn wait_is_read_from_rate_limit_headers() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let hour = 60 * 60;
        for (lines, wait_seconds) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (vec![("retry-after", "7"), ("ratelimit-reset", "9")], Some(7)),
            (vec![("ratelimit-reset", "9")], Some(9)),
            (vec![("retry-after", "soon"), ("ratelimit-reset", "9")], Some(9)),
            (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30)),
            // A date in the past means no wait.
            (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            // Without a Date header there is no reference time.
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
            // Overflowing and excessive waits are capped at one hour.
            (vec![("retry-after", "18446744073709551615")], Some(hour)),
            (vec![("retry-after", "99999999999999999999999")], Some(hour)),
            (vec![date, ("retry-after", "Wed, 29 Dec 9999 23:59:59 GMT")], Some(hour)),
            (vec![("ratelimit-reset", "999999999")], Some(hour)),
            // A Unix timestamp, not a duration in seconds.
            (vec![("date", "Sat, 25 Jul 2026 17:19:30 GMT"), ("ratelimit-reset", "1785000000")], Some(30)),
            (vec![("date", "Sat, 25 Jul 2026 17:20:30 GMT"), ("ratelimit-reset", "1785000000")], Some(0)),
            (vec![("ratelimit-reset", "1785000000")], None),
            (vec![date, ("ratelimit-reset", "99999999999999999999999")], None),
            (vec![("retry-after", "-1")], None),
            (vec![("retry-after", "1.5")], None),
            (vec![("retry-after", "")], None),
            (vec![("retry-after", "\u{e9}")], None),
            (vec![], None),
        ] {
            assert_eq!(wait(&headers(&lines)), wait_seconds.map(Duration::from_secs), "{lines:?}");
        }
    }
}
