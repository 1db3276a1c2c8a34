//! The client credentials of an application (RFC 6749, section 4.4): read from a Secret, and never shown.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use data_encoding::BASE64;
use reqwest::header::HeaderValue;
use secrecy::zeroize::Zeroizing;

use super::secret::Secret;
use super::token::{TokenError, one_word};
use super::wrapper::Wrapper;

/// A client id and a client secret. Clones share the secret. `Debug` hides it, and its memory is wiped with the last
/// clone.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    id: String,
    secret: Secret,
}

impl PartialEq for ClientCredentials {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.expose() == other.expose()
    }
}

impl ClientCredentials {
    /// Credentials of this client id and secret, as [`ClientCredentials::word`] returns them.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: Secret::new(secret) }
    }

    /// Parses a client id or a client secret. Trailing newlines are removed, because editors and `echo` add them.
    ///
    /// # Errors
    /// For anything that cannot be either. The service would refuse it with a less helpful message.
    pub fn word(bytes: &[u8]) -> Result<&str, TokenError> {
        match Wrapper::of_client_word(bytes) {
            Some(wrapper) => Err(wrapper.into()),
            None => one_word(bytes),
        }
    }

    /// The value of the `Authorization` header for HTTP Basic, marked as sensitive.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let pair = Zeroizing::new(format!("{}:{}", *form_encoded(&self.id), *form_encoded(self.expose())));
        let basic = Zeroizing::new(format!("Basic {}", *Zeroizing::new(BASE64.encode(pair.as_bytes()))));
        let mut value = HeaderValue::from_str(&basic).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// The client secret, to redact it from texts.
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Adds the credentials to a hash, by which two of them are told apart in memory.
    pub fn hash_into(&self, hasher: &mut impl Hasher) {
        (&self.id, self.expose()).hash(hasher);
    }
}

/// The text in the form of `application/x-www-form-urlencoded`. RFC 6749, section 2.3.1, requires it of both parts of
/// the Basic credentials. The letters, digits, `-` and `_` that the service uses stay as they are.
pub(super) fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_basic_and_sensitive() {
        let header = ClientCredentials::new("client-1", "hunter2-_").header().unwrap();
        assert_eq!(header.as_bytes(), format!("Basic {}", BASE64.encode(b"client-1:hunter2-_")).as_bytes());
        assert!(header.is_sensitive());
        // RFC 6749, section 2.3.1: each part is encoded before they are joined.
        let header = ClientCredentials::new("a:b", "c/d+e=").header().unwrap();
        assert_eq!(header.as_bytes(), format!("Basic {}", BASE64.encode(b"a%3Ab:c%2Fd%2Be%3D")).as_bytes());
    }

    #[test]
    fn other_content_is_other_credentials() {
        let client = ClientCredentials::new("a", "b");
        assert_eq!(client, client.clone());
        assert_ne!(client, ClientCredentials::new("a", "c"));
        assert_ne!(client, ClientCredentials::new("c", "b"));
    }
}
