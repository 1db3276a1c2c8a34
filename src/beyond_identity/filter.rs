//! The only filter that the API supports for identities, in the grammar of SCIM (RFC 7644).

use crate::harmless::is_invisible;

/// The filter for a username. The error says what is wrong, without quoting the username.
///
/// The grammar allows an escaped quote, but it is unknown whether the service honors that. A second clause could match
/// another identity, so usernames that need an escape are refused.
pub(super) fn by_username(username: &str) -> Result<String, &'static str> {
    if username.trim().is_empty() {
        return Err("the username is empty");
    }
    if username.contains(['"', '\\']) {
        return Err(
            "the username contains a quotation mark or a backslash, which a filter cannot express; use the id of the \
             identity instead",
        );
    }
    if username.contains(|c: char| c.is_control() || is_invisible(c)) {
        return Err("the username contains a control character, such as a newline, or an invisible one; remove it");
    }
    Ok(format!("traits.username eq \"{username}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn username_is_quoted_in_the_filter() {
        for username in ["jane", "jane@example.com", "Jane Doe", "o'neil", "a eq b and c", "ä/?#&=%20+"] {
            assert_eq!(by_username(username).unwrap(), format!("traits.username eq \"{username}\""));
        }
    }

    #[test]
    fn username_that_needs_escaping_is_refused_and_redacted() {
        for username in [
            "",
            " ",
            "\"",
            "jane\" or traits.username pr or traits.username eq \"",
            "jane\\",
            "jane\n",
            "ja\tne",
            "jane\0",
            "jane\u{7f}",
            "jane\u{85}",
            "jane\u{200b}",
            "\u{202e}enaj",
        ] {
            let why = by_username(username).unwrap_err();
            assert!(!why.contains("jane") && !why.contains("traits"), "{username:?}: {why}");
        }
    }
}
