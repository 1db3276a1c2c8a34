//! Limits for external text, before it is stored in a status or a message: its length, and the characters in it.

use super::STATUS_TEXT;
use crate::harmless::harmless;

/// The longest message of a condition, in characters. The API server's own limit is 32768.
const MESSAGE: usize = 1024;

/// Cuts a value from the Beyond Identity API to the limit of a status field.
pub fn status_text(text: &str) -> String {
    cut(text, STATUS_TEXT as usize)
}

/// Cuts the message of a condition to its limit.
pub fn message(text: &str) -> String {
    cut(text, MESSAGE)
}

/// Cuts the note of an event to its limit of 1024 bytes.
pub fn event_note(text: &str) -> String {
    let mut note = cut(text, 1000);
    while note.len() > 1024 {
        note.pop();
    }
    note
}

/// What introduces a text from outside in a message: of the service, of a connection, or of the Kubernetes API.
const FROM_OUTSIDE: [&str; 8] = [
    "the response says: ",
    "no connection was made",
    "lost the connection (",
    "cannot be read: ",
    "Cannot list ",
    "Cannot read ",
    "Cannot write ",
    "lacks permission: ",
];

/// Whether two messages say the same. They may differ in words with digits, like request ids and times, but only in a text
/// from outside: in the operator's own words, an id or a time is what the message is about.
pub fn same_meaning(one: &str, other: &str) -> bool {
    let (one, other) = (halves(one), halves(other));
    let is_volatile = |word: &str| word.contains(|c: char| c.is_ascii_digit()) || word.ends_with('…');
    let is_same = |(one, other): (&str, &str)| one == other || (is_volatile(one) && is_volatile(other));
    let words = |text: &'_ str| text.split_whitespace().count();
    one.0 == other.0
        && words(one.1) == words(other.1)
        && one.1.split_whitespace().zip(other.1.split_whitespace()).all(is_same)
}

/// The operator's own words, and the rest from the first text from outside on.
fn halves(message: &str) -> (&str, &str) {
    let start = FROM_OUTSIDE.iter().filter_map(|introduction| message.find(introduction)).min();
    message.split_at(start.unwrap_or(message.len()))
}

/// Cuts `text` to at most `max` characters. If it is cut, the last one is an ellipsis. The result is one visible line.
fn cut(text: &str, max: usize) -> String {
    let mut cut = harmless(text);
    if let Some((end, _)) = cut.char_indices().nth(max) {
        cut.truncate(end);
        cut.pop();
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_by_characters() {
        let long = "ä".repeat(STATUS_TEXT as usize + 1);
        assert_eq!(status_text(&long).chars().count(), STATUS_TEXT as usize);
        assert!(status_text(&long).ends_with("ä…"));
        assert_eq!(status_text("short"), "short");
    }

    #[test]
    fn ids_and_times_of_a_text_from_outside_do_not_count() {
        const ONE: &str = "GET x failed (503): the response says: down (request 7f3c, 12:00:01Z, 5 s)";
        for same in [
            ONE.to_owned(),
            ONE.replace("7f3c", "91ab-0"),
            ONE.replace("12:00:01Z", "2026-01-01T12:00:02Z"),
            ONE.replace("5 s)", "17 s)"),
        ] {
            assert!(same_meaning(ONE, &same) && same_meaning(&same, ONE), "{same}");
        }
        for other in [
            ONE.replace("down", "overloaded"),
            ONE.replace("503", "500"),
            ONE.replace("GET x", "GET y1"),
            ONE.replace("5 s)", "5 s) again"),
            ONE.replace("7f3c,", "unknown,"),
            "GET x failed (503)".to_owned(),
        ] {
            assert!(!same_meaning(ONE, &other) && !same_meaning(&other, ONE), "{other}");
        }
        for (one, other) in [
            ("The link expires at 2026-01-01T12:00:01Z", "The link expires at 2026-01-01T12:00:02Z"),
            ("Configuration a1 has the mark (demo s7)", "Configuration a1 has the mark (demo s8)"),
        ] {
            assert!(!same_meaning(one, other), "an id or a time of ours is what the message is about: {one}");
        }
        let (one, other) = ("Cannot write X: denied by policy, uid 0c1d", "Cannot write X: denied by policy, uid 9f00");
        assert!(same_meaning(one, other));
    }

    #[test]
    fn stored_text_is_one_visible_line() {
        let hostile = "LINK\u{202e}\u{200b}_SENT\n";
        for shown in [status_text(hostile), message(hostile), event_note(hostile)] {
            assert_eq!(shown, "LINK\u{fffd}\u{fffd}_SENT ");
        }
    }
}
