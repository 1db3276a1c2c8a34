//! Which usernames are the same: those that differ only in case, and in how accented letters are composed (Unicode NFC).
//! Never more than that, because the email would go to another person.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::harmless::is_invisible;

/// The forms in which the service may store this username. It is unknown whether its filter compares bytes or letters, so
/// each of them is looked for. Of plain ASCII there is one.
pub(super) fn forms(username: &str) -> Vec<String> {
    let mut forms = vec![composed(username)];
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(username).into_owned();
    for form in [username.to_owned(), decomposed, compatible(username)] {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// Whether both are the same username.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let comparable = |username| composed(&composed(username).to_lowercase());
    comparable(one) == comparable(other)
}

/// Whether people may take one username for the other: they differ in case, blanks, invisible characters, or in variants of
/// letters such as full-width ones.
pub(super) fn is_similar(one: &str, other: &str) -> bool {
    let visible = |username| -> String {
        let lower = compatible(username).to_lowercase();
        lower.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !is_invisible(*c)).collect()
    };
    visible(one) == visible(other)
}

fn composed(username: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(username).into_owned()
}

fn compatible(username: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(username).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        for (one, other) in
            [("jane", "JANE"), ("Jan\u{e9}", "jane\u{301}"), ("\u{c9}a", "e\u{301}A"), ("\u{1e69}", "s\u{307}\u{323}")]
        {
            assert!(is_same(one, other) && is_similar(one, other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn similar_usernames_are_not_the_same() {
        for (one, other) in [
            ("jane", "jane "),
            ("jane doe", "jane\u{a0}doe"),
            ("jane doe", "janedoe"),
            ("jane", "ja\u{200b}ne"),
            ("jane", "\u{ff4a}ane"),
            ("ﬁnn", "finn"),
        ] {
            assert!(!is_same(one, other) && is_similar(one, other), "{one:?} and {other:?}");
        }
        for (one, other) in [("jane", "jan\u{e9}"), ("jane", "j\u{430}ne"), ("strasse", "straße"), ("jane", "janet")] {
            assert!(!is_same(one, other) && !is_similar(one, other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn ascii_has_one_form() {
        assert_eq!(forms("Jane+Doe@example.com"), ["Jane+Doe@example.com"]);
        assert_eq!(forms("jan\u{e9}"), ["jan\u{e9}", "jane\u{301}"]);
        assert_eq!(forms("jane\u{301}"), ["jan\u{e9}", "jane\u{301}"]);
        assert_eq!(forms("\u{ff4a}ane"), ["\u{ff4a}ane", "jane"]);
    }
}
