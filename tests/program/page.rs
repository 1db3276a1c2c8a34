//! The pages in `docs/` that are made of something else.

use std::fs;
use std::path::Path;

/// Set, a page is written instead of compared.
const UPDATE: &str = "UPDATE";

/// Fails where `file` is anything but `page`.
#[track_caller]
pub fn up_to_date(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "{file} is stale: its first lines say how to make it"
    );
}
