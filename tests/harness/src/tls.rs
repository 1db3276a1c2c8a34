//! A test certificate authority, and a TLS proxy in front of a server without TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::background::Background;

/// A certificate authority that no system trusts.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Creates a certificate authority.
    ///
    /// # Errors
    /// If this machine cannot generate keys.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its certificate, to be trusted by a client.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `host` and its key, in PEM format.
    ///
    /// # Errors
    /// If this machine cannot generate keys.
    pub fn issue(&self, host: &str) -> anyhow::Result<[String; 2]> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.0)?;
        Ok([certificate.pem(), key.serialize_pem()])
    }

    /// A server configuration with a certificate for `host`.
    fn server(&self, host: &str) -> anyhow::Result<ServerConfig> {
        let [certificate, key] = self.issue(host)?;
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
    }
}

/// A TLS proxy on a port of 127.0.0.1. It ends when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    _background: Background,
}

impl TlsFront {
    /// Starts a proxy in front of `server`, with a certificate for `host`.
    ///
    /// # Errors
    /// If no port is free, or the certificate cannot be created.
    pub fn start(authority: &Authority, host: &str, server: SocketAddr) -> anyhow::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(host)?));
        let background = Background::start()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        background.spawn(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(acceptor.clone(), stream, server));
            }
        });
        Ok(Self { address, _background: background })
    }

    /// The address of the proxy.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Forwards one connection. Errors are ignored: a client may close it, or not trust the certificate.
async fn forward(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr) -> io::Result<()> {
    let mut outer = acceptor.accept(stream).await?;
    let mut inner = TcpStream::connect(server).await?;
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await.map(drop)
}
