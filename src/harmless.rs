//! Characters that make a line read other than it is: control characters, invisible ones, and those that reorder text.
//! Text from outside is shown without them.

/// The text with a blank for each line break and tab, and U+FFFD for each other character that is not visible. Two texts
/// that differ only in such characters from an expected value stay different from it.
pub fn harmless(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() || is_invisible(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Whether the character has no width, changes the direction of text, or looks like a blank and is none.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_one_visible_line() {
        for (text, expected) in [
            ("größer – 日本語 🔑 <a href='x'>", "größer – 日本語 🔑 <a href='x'>"),
            ("a\nb\r\n\tc\u{2028}d\u{2029}e\u{85}", "a b   c d e "),
            ("a\0\u{1b}[31mb\u{7f}\u{9b}", "a\u{fffd}\u{fffd}[31mb\u{fffd}\u{fffd}"),
            ("COMPLETE\u{200b}", "COMPLETE\u{fffd}"),
            ("\u{202e}TNES_KNIL\u{2066}\u{61c}\u{feff}\u{e0041}", "\u{fffd}TNES_KNIL\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(harmless(text), expected, "{text:?}");
            assert_eq!(harmless(expected), expected);
        }
    }
}
