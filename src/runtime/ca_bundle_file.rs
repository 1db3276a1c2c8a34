//! The file of a CA bundle, which may change.

use std::path::{Path, PathBuf};

use super::followed_files;
use crate::beyond_identity::{CaBundle, HttpClient};

/// A file that cannot be used as a CA bundle.
#[derive(Debug, thiserror::Error)]
#[error("--ca-bundle {}: {what}", path.display())]
pub struct CaBundleFileError {
    path: PathBuf,
    what: String,
}

/// The file of a CA bundle, and its last content.
#[derive(Debug)]
pub struct CaBundleFile {
    path: PathBuf,
    content: Vec<u8>,
}

impl CaBundleFile {
    /// Reads the file, and what it contains.
    ///
    /// # Errors
    /// If the file cannot be read, or contains no certificate that can be used.
    pub fn read(path: &Path) -> Result<(Self, CaBundle), CaBundleFileError> {
        let wrong = |what| CaBundleFileError { path: path.to_owned(), what };
        let content = read(path).map_err(wrong)?;
        let bundle = parse(&content).map_err(wrong)?;
        log(path, &bundle);
        Ok((Self { path: path.to_owned(), content }, bundle))
    }

    /// Follows changes of the file forever, and lets `http` trust what it contains. A file that cannot be used keeps the
    /// certificates as they are.
    pub async fn follow(self, http: HttpClient) {
        let Self { path, content } = self;
        let file = path.clone();
        let changed = move |content: &Result<Vec<u8>, String>| {
            let bundle = content.as_ref().map_err(Clone::clone).and_then(|content| parse(content));
            let trusted = bundle.and_then(|bundle| {
                http.trust(&bundle).map_err(|error| error.to_string())?;
                log(&file, &bundle);
                Ok(())
            });
            if let Err(error) = trusted {
                let file = file.display();
                tracing::warn!(%file, error, "Certificate authorities of --ca-bundle not reloaded; the earlier ones are used");
            }
        };
        followed_files::follow(move || read(&path), Ok(content), changed).await;
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

fn parse(content: &[u8]) -> Result<CaBundle, String> {
    CaBundle::parse(content).map_err(|error| error.to_string())
}

/// Logs how much of the file is used.
fn log(path: &Path, bundle: &CaBundle) {
    let file = path.display();
    tracing::info!(%file, certificates = bundle.certificates().len(), "Certificate authorities of --ca-bundle loaded");
    for skipped in bundle.skipped() {
        tracing::warn!(%file, error = %skipped, "Part of --ca-bundle skipped");
    }
}
