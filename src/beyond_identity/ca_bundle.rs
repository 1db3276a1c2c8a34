//! Certificate authorities that are trusted in addition to the system's, such as the one of a TLS-inspecting proxy.
//!
//! People and programs write bundles in many ways, and one bad block must not hide the others. So blocks are read leniently,
//! and those that cannot be used are skipped and named.

use std::fmt::{self, Display};

use data_encoding::BASE64;
use reqwest::Certificate;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::harmless::harmless;

/// Certificate authorities; none by default.
#[derive(Debug, Clone, Default)]
pub struct CaBundle {
    certificates: Vec<Certificate>,
    skipped: Vec<Skipped>,
}

/// A block of a bundle that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The line in the file at which it begins, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// Why the bytes are not a CA bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaBundleError {
    /// No PEM block.
    #[error("the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// There are blocks, and each is skipped. The first one is shown.
    #[error("the file contains no certificate that can be used: {0}")]
    NoneUsable(Skipped),
}

impl CaBundle {
    /// Reads the certificates of a PEM file, of which at least one must be usable. A byte order mark, indented lines and
    /// OpenSSL's `TRUSTED CERTIFICATE` are accepted.
    ///
    /// # Errors
    /// See [`CaBundleError`].
    pub fn parse(pem: &[u8]) -> Result<Self, CaBundleError> {
        let mut bundle = Self::default();
        for block in blocks(&String::from_utf8_lossy(pem)) {
            match block.certificate() {
                Ok(certificate) => bundle.certificates.push(certificate),
                Err(why) => bundle.skipped.push(Skipped { line: block.line, why }),
            }
        }
        match (bundle.certificates.is_empty(), bundle.skipped.first()) {
            (false, _) => Ok(bundle),
            (true, Some(first)) => Err(CaBundleError::NoneUsable(first.clone())),
            (true, None) => Err(CaBundleError::NoCertificate),
        }
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The blocks that are not used.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

impl Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the block at line {} {}", self.line, self.why)
    }
}

/// A PEM block.
struct Block {
    /// Its first line, from 1.
    line: usize,
    label: String,
    base64: String,
    ended: bool,
}

/// The PEM blocks of a text, with or without an indentation.
fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            let next = Block { line: number + 1, label: label.to_owned(), base64: String::new(), ended: false };
            blocks.extend(open.replace(next));
        } else if line.starts_with("-----END ") {
            blocks.extend(open.take().map(|block| Block { ended: true, ..block }));
        } else if let Some(block) = &mut open {
            block.base64.push_str(line);
        }
    }
    blocks.extend(open);
    blocks
}

impl Block {
    /// The certificate; or why it cannot be used.
    fn certificate(&self) -> Result<Certificate, String> {
        if !["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(&self.label.as_str()) {
            let label: String = harmless(&self.label).chars().take(40).collect();
            return Err(format!("is a {label}, not a CERTIFICATE"));
        }
        if !self.ended {
            return Err("has no end (-----END CERTIFICATE-----)".to_owned());
        }
        let decoded = BASE64.decode(self.base64.as_bytes()).map_err(|_| "is not valid base64".to_owned())?;
        let invalid = || "is not a valid certificate".to_owned();
        // After the certificate, OpenSSL appends what it is trusted for.
        let der = if self.label == "TRUSTED CERTIFICATE" { first_element(&decoded) } else { Some(decoded.as_slice()) };
        let der = der.ok_or_else(invalid)?;
        RootCertStore::empty().add(CertificateDer::from(der)).map_err(|_| invalid())?;
        Certificate::from_der(der).map_err(|_| invalid())
    }
}

/// The first element of DER data, with its header.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let first = usize::from(*der.get(1)?);
    let (header, length) = match first.checked_sub(0x80) {
        None => (2, first),
        Some(bytes @ 1..=4) => {
            let length = der.get(2..2 + bytes)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            (2 + bytes, length)
        }
        Some(_) => return None,
    };
    der.get(..length.checked_add(header)?)
}

#[cfg(test)]
mod tests {
    use harness::tls::Authority;

    use super::*;

    fn block(kind: &str, text: &str) -> String {
        format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
    }

    fn authority() -> String {
        Authority::new().unwrap().pem()
    }

    /// The number of certificates, and the skipped blocks.
    fn parsed(pem: &str) -> Result<(usize, Vec<String>), String> {
        let bundle = CaBundle::parse(pem.as_bytes()).map_err(|error| error.to_string())?;
        Ok((bundle.certificates().len(), bundle.skipped().iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn bundle_must_contain_a_usable_certificate() {
        let none = "the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)";
        let unusable = "the file contains no certificate that can be used: the block at line 1";
        for (pem, error) in [
            (String::new(), none.to_owned()),
            ("not PEM at all".to_owned(), none.to_owned()),
            (block("PRIVATE KEY", "AAAA"), format!("{unusable} is a PRIVATE KEY, not a CERTIFICATE")),
            (block("CERTIFICATE", "AAAA"), format!("{unusable} is not a valid certificate")),
            (block("CERTIFICATE", "!"), format!("{unusable} is not valid base64")),
            (block("TRUSTED CERTIFICATE", "MIID"), format!("{unusable} is not a valid certificate")),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(),
                format!("{unusable} has no end (-----END CERTIFICATE-----)"),
            ),
        ] {
            assert_eq!(parsed(&pem), Err(error), "{pem}");
        }
    }

    #[test]
    fn bundles_are_read_as_people_write_them() {
        let one = authority();
        let indented: String = one.lines().map(|line| format!("    {line}\n")).collect();
        for (pem, count) in [
            (one.clone(), 1),
            (format!("# ours\n{one}\n# theirs\n{}", authority()), 2),
            (format!("\u{feff}{one}"), 1),
            (indented, 1),
            (one.replace('\n', "\r\n"), 1),
            (one.trim_end().to_owned(), 1),
        ] {
            assert_eq!(parsed(&pem), Ok((count, vec![])), "{pem}");
        }
    }

    #[test]
    fn trusted_certificate_of_openssl_is_read_without_its_trust() {
        let one = authority();
        let body: String = one.lines().filter(|line| !line.starts_with('-')).collect();
        let mut der = BASE64.decode(body.as_bytes()).unwrap();
        der.extend([0x30, 0x02, 0x0c, 0x00]);
        let trusted = block("TRUSTED CERTIFICATE", &BASE64.encode(&der));
        assert_eq!(parsed(&trusted), Ok((1, vec![])));
        assert_eq!(
            parsed(&block("CERTIFICATE", &BASE64.encode(&der))).unwrap_err(),
            "the file contains no certificate that can be used: the block at line 1 is not a valid certificate"
        );
    }

    #[test]
    fn bad_block_hides_no_good_one() {
        let (one, bad) = (authority(), block("CERTIFICATE", "AAAA"));
        let at = one.lines().count() + 1;
        let expected = vec![format!("the block at line {at} is not a valid certificate")];
        assert_eq!(parsed(&(one.clone() + &bad + &authority())), Ok((2, expected)));
        let open = format!("-----BEGIN CERTIFICATE-----\nAAAA\n{one}");
        let expected = vec!["the block at line 1 has no end (-----END CERTIFICATE-----)".to_owned()];
        assert_eq!(parsed(&open), Ok((1, expected)));
    }
}
