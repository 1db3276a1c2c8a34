//! Bounds for text that comes from outside, before it goes into a status or a message.

use super::STATUS_TEXT;

/// The longest message of a condition. The API server's own bound is 32768.
const MESSAGE: usize = 1024;

/// A value of the remote side, cut to what a status may hold.
pub fn status_text(text: &str) -> String {
    cut(text, STATUS_TEXT as usize)
}

/// A message for a condition, cut to its bound.
pub fn message(text: &str) -> String {
    cut(text, MESSAGE)
}

/// The note of an event, cut to its bound: 1024 bytes.
pub fn event_note(text: &str) -> String {
    let mut note = cut(text, 1000);
    while note.len() > 1024 {
        note.pop();
    }
    note
}

/// `text`, cut to at most `max` characters, the last of which is an ellipsis where something was cut.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_by_characters_not_by_bytes() {
        let long = "ä".repeat(STATUS_TEXT as usize + 1);
        assert_eq!(status_text(&long).chars().count(), STATUS_TEXT as usize);
        assert!(status_text(&long).ends_with("ä…"));
        assert_eq!(status_text("short"), "short");
    }
}
