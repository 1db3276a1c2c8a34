//! Wrappers in which people store a token by mistake. The service would refuse the whole without naming the cause. Pure.

use data_encoding::BASE64;
use serde::de::IgnoredAny;

/// What is around a token or a client secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrapper {
    /// A byte order mark, which some editors write in front of a text.
    #[error("it begins with a byte order mark; save it as UTF-8 without one")]
    ByteOrderMark,
    /// A JSON document.
    #[error("it is JSON; store only the value itself")]
    Json,
    /// Quotes.
    #[error("it is in quotes; store it without them")]
    Quotes,
    /// A line of an environment file.
    #[error("it has the form NAME=VALUE; store only the value")]
    Assignment,
    /// Base64 of the token, so that the Secret has it encoded twice.
    #[error("it is encoded in base64 twice; encode it once in `data`, or write it as it is in `stringData`")]
    Base64,
}

impl Wrapper {
    /// The wrapper of a token.
    pub(super) fn of_token(bytes: &[u8]) -> Option<Self> {
        // RFC 6750, section 2.1: `=` stands at the end of a bearer token only.
        let is_assignment = || {
            let (name, value) = split(bytes)?;
            (is_name(name) && value.iter().any(|byte| *byte != b'=')).then_some(Self::Assignment)
        };
        Self::of_any(bytes).or_else(is_assignment).or_else(|| is_encoded_jwt(bytes).then_some(Self::Base64))
    }

    /// The wrapper of a client id or a client secret, which may contain any character.
    pub(super) fn of_client_word(bytes: &[u8]) -> Option<Self> {
        let is_assignment = || {
            let (name, value) = split(bytes)?;
            let is_variable = name.starts_with(b"CLIENT_") && is_name(name) && !value.is_empty();
            is_variable.then_some(Self::Assignment)
        };
        Self::of_any(bytes).or_else(is_assignment)
    }

    fn of_any(bytes: &[u8]) -> Option<Self> {
        const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"];
        if MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Some(Self::ByteOrderMark);
        }
        match bytes {
            [b'{' | b'[', ..] if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => Some(Self::Json),
            [first @ (b'"' | b'\'' | b'`'), .., last] if first == last => Some(Self::Quotes),
            _ => None,
        }
    }
}

/// Both sides of the first `=`.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Whether this is the name of an environment variable.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Whether this is the base64 of a JWT, which begins with `{"` in base64.
fn is_encoded_jwt(bytes: &[u8]) -> bool {
    // The command `base64` breaks its lines.
    let joined: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let decoded = BASE64.decode(&joined).unwrap_or_default();
    decoded.starts_with(b"eyJ") && decoded.iter().filter(|byte| **byte == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl";

    #[test]
    fn wrapper_of_a_token_is_named() {
        let twice = BASE64.encode(JWT.as_bytes());
        let cases = [
            (format!("\u{feff}{JWT}"), Wrapper::ByteOrderMark),
            (format!("\"{JWT}\""), Wrapper::Quotes),
            ("'opaque'".to_owned(), Wrapper::Quotes),
            ("`opaque`".to_owned(), Wrapper::Quotes),
            (format!("{{\"token\": \"{JWT}\"}}"), Wrapper::Json),
            (format!("{{\n  \"token\": \"{JWT}\"\n}}"), Wrapper::Json),
            ("[]".to_owned(), Wrapper::Json),
            (format!("BEYOND_IDENTITY_TOKEN={JWT}"), Wrapper::Assignment),
            ("token=opaque".to_owned(), Wrapper::Assignment),
            ("TOKEN=\"opaque\"".to_owned(), Wrapper::Assignment),
            (format!("{}\n{}", &twice[..40], &twice[40..]), Wrapper::Base64),
            (twice, Wrapper::Base64),
        ];
        for (text, wrapper) in cases {
            assert_eq!(Wrapper::of_token(text.as_bytes()), Some(wrapper), "{text}");
        }
        assert_eq!(Wrapper::of_token(b"\xff\xfeh\0"), Some(Wrapper::ByteOrderMark));
    }

    #[test]
    fn token_without_a_wrapper_is_none() {
        for text in
            [JWT, "", "a", "\"", "opaque-token_1.2~+/==", "abc=", "abc==", "ZXlKaGJHY2lPaUo=", "{", "{opaque", "-=-"]
        {
            assert_eq!(Wrapper::of_token(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn client_secret_may_contain_any_character() {
        for text in ["s3cret=with=signs", "TOKEN=a", "{not json", "\"one quote", "CLIENT_=", JWT] {
            assert_eq!(Wrapper::of_client_word(text.as_bytes()), None, "{text}");
        }
        for (text, wrapper) in [
            ("CLIENT_SECRET=abc", Wrapper::Assignment),
            ("\"abc\"", Wrapper::Quotes),
            ("{\"client_secret\": \"abc\"}", Wrapper::Json),
            ("\u{feff}abc", Wrapper::ByteOrderMark),
        ] {
            assert_eq!(Wrapper::of_client_word(text.as_bytes()), Some(wrapper), "{text}");
        }
    }
}
