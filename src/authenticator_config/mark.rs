//! The ownership mark: the end of a remote configuration's display name, which identifies the owner. It lets the
//! operator find a configuration again when the response to its create is lost. A rebuilt cluster adopts its
//! configurations the same way. Pure.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The maximum length of a display name.
const DISPLAY_NAME: usize = 64;
/// The length of the hash in a mark: 100 bits, so that nobody finds another name with the same mark.
const HASH: usize = 20;
/// The length of the hash in the marks of earlier builds. It is the start of the longer one.
const EARLIER_HASH: usize = 12;

/// `(CLUSTER HASH)`, without the space before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnershipMark(String);

impl OwnershipMark {
    /// The mark of the AuthenticatorConfig `name` in `namespace` of the cluster `cluster`.
    ///
    /// The hash is the start of the base32 encoding (RFC 4648, in lower case) of a SHA-256. The SHA-256 covers the
    /// three names, each written as its length in bytes, a colon, and itself.
    pub fn of(cluster: &str, namespace: &str, name: &str) -> Self {
        let mut sha = Sha256::new();
        for part in [cluster, namespace, name] {
            sha.update(format!("{}:{part}", part.len()));
        }
        let mut hash = BASE32_NOPAD.encode(&sha.finalize()).to_lowercase();
        hash.truncate(HASH);
        Self(format!("({cluster} {hash})"))
    }

    /// The display name to send: the name from the spec, truncated so that the mark fits behind it.
    pub fn behind(&self, display_name: Option<&str>) -> String {
        let room = DISPLAY_NAME.saturating_sub(self.0.chars().count() + 1);
        let kept: String = display_name.unwrap_or_default().chars().take(room).collect();
        match kept.trim_end() {
            "" => self.0.clone(),
            kept => format!("{kept} {self}"),
        }
    }

    /// The cluster in this mark.
    pub fn cluster(&self) -> &str {
        cluster_in(&self.0).unwrap_or_default()
    }

    /// Whether a remote display name ends in this mark, of this or an earlier build.
    pub fn is_in(&self, display_name: &str) -> bool {
        written_on(display_name).is_some_and(|mark| self.is(mark))
    }

    /// The mark on a remote display name, if it is a different mark.
    pub fn foreign_mark_in<'a>(&self, display_name: &'a str) -> Option<&'a str> {
        written_on(display_name).filter(|mark| !self.is(mark))
    }

    /// Whether `mark`, as it is written on a remote display name, is this one.
    fn is(&self, mark: &str) -> bool {
        mark.strip_suffix(')').is_some_and(|start| self.0.starts_with(start))
    }
}

impl fmt::Display for OwnershipMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The cluster in the mark at the end of a display name. Anybody who may edit display names can write a mark, so it is no
/// proof that the cluster exists.
pub fn cluster_in(display_name: &str) -> Option<&str> {
    written_on(display_name)?.strip_prefix('(')?.split(' ').next()
}

/// A display name without the mark at its end.
pub fn without_mark(display_name: &str) -> &str {
    let mark = written_on(display_name).unwrap_or_default();
    display_name.strip_suffix(mark).unwrap_or(display_name).trim_end()
}

/// The mark at the end of a display name, regardless of its owner.
fn written_on(display_name: &str) -> Option<&str> {
    let start = display_name.rfind('(')?;
    let mark = &display_name[start..];
    let (cluster, hash) = mark.strip_prefix('(')?.strip_suffix(')')?.split_once(' ')?;
    let is_label = (1..=32).contains(&cluster.len())
        && cluster.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_hash =
        [HASH, EARLIER_HASH].contains(&hash.len()) && hash.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    let stands_alone = start == 0 || display_name[..start].ends_with(' ');
    (is_label && is_hash && stands_alone).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> OwnershipMark {
        OwnershipMark::of("demo", "identity", "hosted-web")
    }

    #[test]
    fn mark_hash_is_stable() {
        // From: printf '4:demo8:identity10:hosted-web' | sha256sum | xxd -r -p | base32 | head -c 20
        assert_eq!(mark().to_string(), "(demo s7sb6lg3ycgws5j4rf6m)");
    }

    #[test]
    fn ambiguous_concatenations_have_different_marks() {
        assert_ne!(OwnershipMark::of("a", "bc", "d"), OwnershipMark::of("a", "b", "cd"));
        assert_ne!(OwnershipMark::of("a", "b", "c"), OwnershipMark::of("a2", "b", "c"));
    }

    #[test]
    fn display_name_ends_in_mark_within_64_characters() {
        assert_eq!(mark().behind(None), mark().to_string(), "no name and no space");
        assert_eq!(mark().behind(Some("Hosted web")), format!("Hosted web {}", mark()));
        let longest = OwnershipMark::of(&"c".repeat(32), "ns", "n");
        let sent = longest.behind(Some(&"ä".repeat(64)));
        assert_eq!(sent.chars().count(), 64);
        assert!(longest.is_in(&sent));
    }

    #[test]
    fn cluster_and_name_are_read_from_a_marked_name() {
        assert_eq!(mark().cluster(), "demo");
        let other = OwnershipMark::of("east-1", "identity", "hosted-web");
        for (name, kept) in [(None, ""), (Some("Hosted web"), "Hosted web"), (Some("Two (names)"), "Two (names)")] {
            let sent = other.behind(name);
            assert_eq!((cluster_in(&sent), without_mark(&sent)), (Some("east-1"), kept), "{sent}");
        }
    }

    #[test]
    fn mark_of_an_earlier_build_is_found() {
        let (earlier, other) = ("Hosted web (demo s7sb6lg3ycgw)", OwnershipMark::of("demo", "identity", "other"));
        assert!(mark().is_in(earlier) && !other.is_in(earlier));
        assert_eq!(mark().foreign_mark_in(earlier), None);
        assert_eq!(other.foreign_mark_in(earlier), Some("(demo s7sb6lg3ycgw)"));
        assert_eq!((cluster_in(earlier), without_mark(earlier)), (Some("demo"), "Hosted web"));
        // The same start, and another end.
        let lookalike = format!("{}aaaaaaaa)", earlier.trim_end_matches(')'));
        assert!(!mark().is_in(&lookalike));
        assert!(!mark().is_in("Hosted web (demo s7sb6lg3ycgws)"), "no length of a hash");
    }

    #[test]
    fn own_mark_and_foreign_mark_are_recognized() {
        let sent = mark().behind(Some("Hosted web"));
        assert!(mark().is_in(&sent));
        assert_eq!(mark().foreign_mark_in(&sent), None);
        let other = OwnershipMark::of("demo", "identity", "other");
        assert_eq!(other.foreign_mark_in(&sent), Some(mark().to_string().as_str()));
        assert!(!other.is_in(&sent));
        for none in ["", "Hosted web", "Hosted (web)", "(demo)", "x(demo abcdefghijkl)", "(Demo abcdefghijkl)", "(ä b"]
        {
            assert_eq!((cluster_in(none), without_mark(none)), (None, none));
            assert_eq!(mark().foreign_mark_in(none), None, "{none}");
            assert!(!mark().is_in(none), "{none}");
        }
    }
}
