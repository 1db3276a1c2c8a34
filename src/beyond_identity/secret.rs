//! Tokens and client secrets in memory. All clones of one share its memory, so that it can be wiped with the last one, and
//! found in a text from outside.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

/// A token or a client secret. Clones share it. `Debug` hides it, and its memory is wiped with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Secret(Arc<SecretString>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(Arc::new(SecretString::from(text)))
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The secrets that calls were made with, as long as they are in memory for another reason.
#[derive(Debug, Default)]
pub(super) struct KnownSecrets(Mutex<Vec<Weak<SecretString>>>);

impl KnownSecrets {
    /// Adds a secret, and forgets those that are wiped.
    pub fn add(&self, secret: &Secret) {
        let secret = Arc::downgrade(&secret.0);
        let mut known = self.0.lock();
        if known.iter().all(|other| !other.ptr_eq(&secret)) {
            known.retain(|other| other.strong_count() > 0);
            known.push(secret);
        }
    }

    pub fn all(&self) -> Vec<Secret> {
        self.0.lock().iter().filter_map(Weak::upgrade).map(Secret).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secret_is_forgotten_once_it_is_wiped() {
        let known = KnownSecrets::default();
        let (one, other) = (Secret::new("hunter2"), Secret::new("hunter3"));
        for secret in [&one, &one.clone(), &other] {
            known.add(secret);
        }
        let texts = || known.all().iter().map(|secret| secret.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(), ["hunter2", "hunter3"]);
        drop(one);
        assert_eq!(texts(), ["hunter3"]);
        known.add(&Secret::new("hunter4"));
        assert_eq!(known.0.lock().len(), 2);
        assert!(!format!("{known:?} {other:?}").contains("hunter"));
    }
}
