//! The API token: read from a file, a Secret or a response, and never shown.

use std::hash::{Hash, Hasher};

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::secret::Secret;
use super::wrapper::Wrapper;

/// A bearer token. Clones share it. `Debug` hides it, and its memory is wiped with the last clone. The buffers of the HTTP
/// client that sent it are not.
#[derive(Debug, Clone)]
pub struct ApiToken(Secret);

/// The longest token that is accepted, in bytes. A JWT is much shorter.
const MAX_LENGTH: usize = 16 * 1024;

/// The claims that are read from a JWT (RFC 7519).
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    bi_t: Option<String>,
}

/// Why the bytes are not a token, a client id or a client secret. The message never quotes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Empty, or only newlines.
    #[error("it is empty")]
    Empty,
    /// Longer than any token.
    #[error("it is longer than {MAX_LENGTH} bytes; store only the value itself")]
    TooLong,
    /// A newline that is not at the end.
    #[error("it contains a newline; store only the value itself, on one line")]
    Newline,
    /// A blank or a tab.
    #[error("it contains whitespace; store only the value itself")]
    Blank,
    /// A control character, or one outside ASCII.
    #[error("it contains a control character or a character outside ASCII; store only the value itself")]
    Character,
    /// Something is around it.
    #[error(transparent)]
    Wrapped(#[from] Wrapper),
}

impl ApiToken {
    /// Parses a token. Trailing newlines are removed, because editors and `echo` add them, and so is a prefix `Bearer`.
    ///
    /// # Errors
    /// For anything that cannot be a token. The service would refuse it with a less helpful message.
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        let bytes = without_newlines(bytes);
        let bytes = without_scheme(bytes).unwrap_or(bytes);
        match Wrapper::of_token(bytes) {
            Some(wrapper) => Err(wrapper.into()),
            None => Ok(Self(Secret::new(one_word(bytes)?))),
        }
    }

    /// The expiration time, if this is a JWT with one. It is not verified: it is for people only.
    pub fn expires_at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.claims()?.exp? as i64).ok()
    }

    /// The tenant that the token belongs to, if it says so itself. It is not verified.
    pub fn tenant_id(&self) -> Option<String> {
        self.claims()?.bi_t
    }

    fn claims(&self) -> Option<Claims> {
        let claims = self.expose().split('.').nth(1)?;
        serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()
    }

    /// The value of the `Authorization` header, marked as sensitive, so that it is not printed or stored in HTTP/2
    /// tables.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Adds the token to a hash, by which two tokens are told apart in memory.
    pub fn hash_into(&self, hasher: &mut impl Hasher) {
        self.expose().hash(hasher);
    }

    fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The token itself, to redact it from texts.
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

/// The one word of visible ASCII characters that the bytes consist of, without trailing newlines.
pub(super) fn one_word(bytes: &[u8]) -> Result<&str, TokenError> {
    let bytes = without_newlines(bytes);
    if bytes.is_empty() {
        return Err(TokenError::Empty);
    }
    if bytes.len() > MAX_LENGTH {
        return Err(TokenError::TooLong);
    }
    for byte in bytes {
        match byte {
            b'\n' | b'\r' => return Err(TokenError::Newline),
            b' ' | b'\t' => return Err(TokenError::Blank),
            0x21..=0x7e => {}
            _ => return Err(TokenError::Character),
        }
    }
    std::str::from_utf8(bytes).map_err(|_| TokenError::Character)
}

/// The bytes without newlines at the end.
fn without_newlines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

/// What follows the scheme `Bearer` of a header, which people copy with the token.
fn without_scheme(bytes: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = bytes.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_newlines_are_trimmed() {
        for bytes in [&b"abc.DEF-1"[..], b"abc.DEF-1\n", b"abc.DEF-1\r\n", b"abc.DEF-1\n\n"] {
            assert_eq!(ApiToken::parse(bytes).unwrap().expose(), "abc.DEF-1");
        }
    }

    #[test]
    fn scheme_of_a_header_is_removed() {
        for bytes in [&b"Bearer abc.DEF-1"[..], b"bearer  abc.DEF-1\n"] {
            assert_eq!(ApiToken::parse(bytes).unwrap().expose(), "abc.DEF-1");
        }
        assert_eq!(ApiToken::parse(b"Bearer").unwrap().expose(), "Bearer");
        assert_eq!(ApiToken::parse(b"Bearer  ").unwrap_err(), TokenError::Empty);
        assert_eq!(ApiToken::parse(b"Bearer \"a\"").unwrap_err(), TokenError::Wrapped(Wrapper::Quotes));
    }

    #[test]
    fn invalid_token_is_refused_and_redacted() {
        for (bytes, error) in [
            (&b""[..], TokenError::Empty),
            (b"\r\n\n", TokenError::Empty),
            (b"hunter\n2", TokenError::Newline),
            (b"\nhunter2", TokenError::Newline),
            (b"hunter\r2", TokenError::Newline),
            (b"Bearer hunter2 x", TokenError::Blank),
            (b"Basic hunter2", TokenError::Blank),
            (b"token=hunter2", TokenError::Wrapped(Wrapper::Assignment)),
            (b"hunter2 ", TokenError::Blank),
            (b"hunter\t2", TokenError::Blank),
            (b"hunter\x002", TokenError::Character),
            (b"hunter\x7f2", TokenError::Character),
            ("hunter2\u{e9}".as_bytes(), TokenError::Character),
            (b"\xef\xbb\xbfhunter2", TokenError::Wrapped(Wrapper::ByteOrderMark)),
            (b"hunter\xff2", TokenError::Character),
        ] {
            let refused = ApiToken::parse(bytes).unwrap_err();
            assert_eq!(refused, error, "{bytes:?}");
            assert!(!refused.to_string().contains("hunter"));
        }
    }

    #[test]
    fn token_has_at_most_16_kib() {
        let mut token = vec![b'a'; MAX_LENGTH];
        token.push(b'\n');
        assert_eq!(ApiToken::parse(&token).unwrap().expose().len(), MAX_LENGTH);
        token.insert(0, b'a');
        let refused = ApiToken::parse(&token).unwrap_err();
        assert_eq!(refused.to_string(), "it is longer than 16384 bytes; store only the value itself");
    }

    #[test]
    fn token_is_redacted_in_debug() {
        let token = ApiToken::parse(b"hunter2").unwrap();
        assert!(!format!("{token:?}").contains("hunter2"));
        let header = token.header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer hunter2");
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains("hunter2"));
    }

    #[test]
    fn only_a_jwt_has_an_expiry() {
        let expires = |token: &str| ApiToken::parse(token.as_bytes()).unwrap().expires_at();
        let jwt = |claims: &str| format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()));
        let at = Timestamp::from_second(1_800_000_000).ok();
        assert_eq!(expires(&jwt(r#"{"iss": "x", "exp": 1800000000}"#)), at);
        assert_eq!(expires(&jwt(r#"{"exp": 1800000000.5}"#)), at);
        for other in
            ["hunter2", "a.b.c", "e30.!.x", "..", &jwt("{}"), &jwt(r#"{"exp": "soon"}"#), &jwt(r#"{"exp": 1e300}"#)]
        {
            assert_eq!(expires(other), None, "{other}");
        }
    }
}
