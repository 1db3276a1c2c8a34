//! Redacts external text before it is shown in a log, an event or a condition.

use crate::harmless::is_invisible;

/// The most characters of an external text that are shown.
const LIMIT: usize = 300;

/// The length from which an unbroken run of letters and digits counts as a secret. A UUID has 36 characters.
const OPAQUE: usize = 40;

const REDACTED: &str = "[redacted]";

/// Returns the text on one line, without control characters. It redacts the token and anything that looks like an email
/// address, the path or query of a link, or a secret. Then it cuts the text to [`LIMIT`] characters.
pub(super) fn redact(text: &str, token: &str) -> String {
    let text = visible(text);
    // A very short token would match ordinary words. Real ones have hundreds of characters.
    let text = if token.len() >= 8 { text.replace(token, REDACTED) } else { text };
    let mut words = Vec::new();
    let mut after_bearer = false;
    for word in text.split_whitespace() {
        words.push(if after_bearer { REDACTED.to_owned() } else { redacted(word) });
        after_bearer = word.trim_end_matches(':').eq_ignore_ascii_case("bearer");
    }
    let line = words.join(" ");
    if line.chars().count() <= LIMIT {
        return line;
    }
    line.chars().take(LIMIT - 1).chain(['…']).collect()
}

/// The text without invisible characters, which could split a secret, and with blanks for control characters.
pub(super) fn visible(text: &str) -> String {
    let is_break = |c: char| c.is_control() || c.is_whitespace();
    text.chars().filter(|&c| is_break(c) || !is_invisible(c)).map(|c| if is_break(c) { ' ' } else { c }).collect()
}

fn redacted(word: &str) -> String {
    let at = |mark: &str| word.len() > mark.len() && word.contains(mark);
    if at("@") || at("%40") || at("\u{ff20}") || is_opaque(word) {
        return REDACTED.to_owned();
    }
    if let Some((before, link)) = word.split_once("://") {
        // The host helps to understand the message. A path may be as secret as a query: binding links are.
        let host = link.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let rest = link.get(host.len()..).unwrap_or_default();
        let rest = if rest.is_empty() { "" } else { "/[redacted]" };
        return format!("{before}://{host}{rest}");
    }
    match word.split_once('?') {
        Some((path, query)) if query.contains('=') => format!("{path}?{REDACTED}"),
        _ => word.to_owned(),
    }
}

/// Whether the word contains a long run with both letters and digits, as keys and tokens do and field names do not.
fn is_opaque(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.~+=".contains(c)).any(|run| {
        run.len() >= OPAQUE
            && run.contains(|c: char| c.is_ascii_digit())
            && run.contains(|c: char| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "secret-token-1";

    fn shown(text: &str) -> String {
        redact(text, TOKEN)
    }

    #[test]
    fn addresses_are_redacted() {
        for text in [
            "jane.doe@example.com",
            "<jane@example.com>,",
            "{\"email\":\"jane@example.com\"}",
            "jane%40example.com",
            "jane\u{200b}@example.com",
            "jane＠example.com",
            "mailto:jane@example.com",
            "https://jane@example.com/",
        ] {
            let line = shown(&format!("identity {text} is unknown"));
            assert_eq!(line, "identity [redacted] is unknown");
        }
        assert_eq!(shown("meet @ noon"), "meet @ noon");
    }

    #[test]
    fn link_is_reduced_to_its_host() {
        assert_eq!(
            shown("see https://user.example.com/v1/jobs/1:invokeAuthenticator?token=abc now"),
            "see https://user.example.com/[redacted] now"
        );
        assert_eq!(shown("origin http://localhost:8092 is refused"), "origin http://localhost:8092 is refused");
        assert_eq!(shown("at /jobs/1:invoke?token=abc."), "at /jobs/1:invoke?[redacted]");
        assert_eq!(shown("really?yes"), "really?yes");
    }

    #[test]
    fn tokens_are_redacted() {
        assert_eq!(shown("token secret-token-1, bad"), "token [redacted], bad");
        assert_eq!(shown("token secret-\u{200b}to\u{2060}ken-1, bad"), "token [redacted], bad");
        assert_eq!(shown("header Authorization: Bearer abc x"), "header Authorization: Bearer [redacted] x");
        let opaque = "1St9IKIIrYyQ8sOSeuk5UkbLKnBJhuD4I7nWIqt-BNANDEFS";
        assert_eq!(shown(&format!("key=\"{opaque}\" is bad")), "[redacted] is bad");
        for plain in ["credential_binding_job.post_binding_redirect_uri", "4e129fc8-29eb-440a-9c43-5e6bd419e416"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn redacted_text_is_one_bounded_line() {
        assert_eq!(shown("a\nb\u{1b}[31m\u{202e}c\0"), "a b [31mc");
        assert_eq!(shown("a\u{2028}b\u{61c}\u{2069}c\u{2029}d"), "a bc d");
        let long = shown(&"ä ".repeat(100_000));
        assert_eq!(long.chars().count(), LIMIT);
        assert!(long.ends_with('…'));
        // Truncation comes after redaction. Otherwise half an address could remain.
        let late = shown(&format!("{} jane@example.com", "x ".repeat(145)));
        assert!(!late.contains("jane"));
    }
}
