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
    fn stored_text_is_one_visible_line() {
        let hostile = "LINK\u{202e}\u{200b}_SENT\n";
        for shown in [status_text(hostile), message(hostile), event_note(hostile)] {
            assert_eq!(shown, "LINK\u{fffd}\u{fffd}_SENT ");
        }
    }
}
