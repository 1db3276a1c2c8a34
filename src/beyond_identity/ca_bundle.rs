//! Certificate authorities that are trusted in addition to the system's, such as the one of a TLS-inspecting proxy.

use reqwest::{Certificate, Client};

/// Certificate authorities; none by default.
#[derive(Debug, Clone, Default)]
pub struct CaBundle(Vec<Certificate>);

/// Why the bytes are not a CA bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaBundleError {
    /// No PEM block of type certificate.
    #[error("the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate block that cannot be parsed.
    #[error("the file contains a certificate that cannot be parsed")]
    Unusable,
}

impl CaBundle {
    /// Reads all certificates of a PEM file, which must contain at least one.
    ///
    /// # Errors
    /// See [`CaBundleError`].
    pub fn parse(pem: &[u8]) -> Result<Self, CaBundleError> {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|_| CaBundleError::Unusable)?;
        if certificates.is_empty() {
            return Err(CaBundleError::NoCertificate);
        }
        // The certificates are only parsed when a client is built.
        let tried = Client::builder().tls_backend_rustls().tls_certs_merge(certificates.clone()).build();
        tried.map(|_| Self(certificates)).map_err(|_| CaBundleError::Unusable)
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = Certificate> {
        self.0.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use harness::tls::Authority;

    use super::*;

    #[test]
    fn bundle_must_contain_valid_certificates() {
        let parsed = |pem: &str| CaBundle::parse(pem.as_bytes()).map(|bundle| bundle.0.len());
        let block = |kind: &str, text: &str| format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n");
        for (pem, error) in [
            (String::new(), CaBundleError::NoCertificate),
            ("not PEM at all".to_owned(), CaBundleError::NoCertificate),
            (block("PRIVATE KEY", "AAAA"), CaBundleError::NoCertificate),
            (block("CERTIFICATE", "AAAA"), CaBundleError::Unusable),
            (block("CERTIFICATE", "!"), CaBundleError::Unusable),
        ] {
            assert_eq!(parsed(&pem), Err(error), "{pem}");
        }
        let authority = || Authority::new().unwrap().pem();
        assert_eq!(parsed(&authority()), Ok(1));
        assert_eq!(parsed(&format!("# ours\n{}{}", authority(), authority())), Ok(2));
        assert_eq!(parsed(&(authority() + &block("CERTIFICATE", "AAAA"))), Err(CaBundleError::Unusable));
    }
}
