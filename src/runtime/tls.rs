//! The certificate of the metrics, from files that may change, or self-signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::followed_files;

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The files cannot be read or used.
    #[error("--metrics-cert-path {}: {what}", folder.display())]
    Files {
        /// The directory.
        folder: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No certificate can be generated.
    #[error("cannot generate a certificate for the metrics: {0}")]
    SelfSigned(String),
}

/// The source of the certificate of a server.
#[derive(Debug)]
pub struct Certificate {
    current: watch::Sender<Arc<ServerConfig>>,
    files: Option<Files>,
}

/// The files of a certificate, and their last content.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    content: Result<[Vec<u8>; 2], String>,
}

impl Certificate {
    /// Reads `tls.crt` and `tls.key` in this directory. Without one, generates a certificate that signs itself.
    ///
    /// # Errors
    /// If the files cannot be used.
    pub fn new(folder: Option<&Path>) -> Result<Self, CertificateError> {
        let (config, files) = match folder {
            Some(folder) => {
                let wrong = |what| CertificateError::Files { folder: folder.to_owned(), what };
                let content = read(folder).map_err(wrong)?;
                let config = server_config(&content).map_err(wrong)?;
                (config, Some(Files { folder: folder.to_owned(), content: Ok(content) }))
            }
            None => (self_signed().map_err(CertificateError::SelfSigned)?, None),
        };
        Ok(Self { current: watch::Sender::new(Arc::new(config)), files })
    }

    /// The certificate, which is the newest one at each connection.
    pub fn acceptor(&self) -> impl Fn() -> TlsAcceptor + Send + 'static {
        let current = self.current.subscribe();
        move || TlsAcceptor::from(current.borrow().clone())
    }

    /// Follows changes of the files forever. Files that cannot be used keep the certificate as it is.
    pub async fn follow(self) {
        let Some(Files { folder, content }) = self.files else { return std::future::pending().await };
        let changed = |content: &Result<[Vec<u8>; 2], String>| match content
            .as_ref()
            .map_err(Clone::clone)
            .and_then(server_config)
        {
            Ok(config) => {
                self.current.send_replace(Arc::new(config));
                tracing::info!("Certificate of the metrics reloaded");
            }
            Err(error) => tracing::warn!(error, "Certificate of the metrics not reloaded"),
        };
        followed_files::follow(move || read(&folder), content, changed).await;
    }
}

/// The content of both files.
fn read(folder: &Path) -> Result<[Vec<u8>; 2], String> {
    let read = |name| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    Ok([read("tls.crt")?, read("tls.key")?])
}

fn server_config([chain, key]: &[Vec<u8>; 2]) -> Result<ServerConfig, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    // The errors of the parser may quote the file.
    let chain = chain.map_err(|_| "tls.crt: not in PEM format".to_owned())?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls.key: no private key in PEM format".to_owned())?;
    of(chain, key)
}

fn self_signed() -> Result<ServerConfig, String> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
    of(vec![cert.into()], PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into())
}

fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, String> {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("tls.crt and tls.key: {error}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn unusable_files_are_named_without_their_content() {
        let folder = TempDir::new().unwrap();
        let error = || Certificate::new(Some(folder.path())).unwrap_err().to_string();
        let named = format!("--metrics-cert-path {}: ", folder.path().display());
        assert!(error().starts_with(&format!("{named}tls.crt: No such file")), "{}", error());
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["test".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.crt"), cert.pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), "secret").unwrap();
        assert_eq!(error(), format!("{named}tls.key: no private key in PEM format"));
        let other = generate_simple_self_signed(["test".to_owned()]).unwrap().signing_key;
        std::fs::write(folder.path().join("tls.key"), other.serialize_pem()).unwrap();
        assert!(error().starts_with(&format!("{named}tls.crt and tls.key: ")), "{}", error());
        std::fs::write(folder.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
        assert!(Certificate::new(Some(folder.path())).is_ok());
        assert!(Certificate::new(None).is_ok());
    }
}
