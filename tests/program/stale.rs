//! The generated files equal the output of `cargo gen`.

use std::fs;
use std::path::Path;

use crate::generated::{DEFINITIONS, files, root};

#[test]
fn generated_files_are_up_to_date() {
    let is_stale = |path: &Path, content: &str| fs::read_to_string(root().join(path)).unwrap_or_default() != content;
    let stale: Vec<_> =
        files().into_iter().filter(|(path, content)| is_stale(path, content)).map(|(path, _)| path).collect();
    assert!(stale.is_empty(), "these files are stale: run `cargo gen`: {stale:?}");
}

#[test]
fn definition_folders_have_only_generated_files() {
    let generated: Vec<_> = files().into_iter().map(|(path, _)| root().join(path)).collect();
    for folder in DEFINITIONS {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            assert!(generated.contains(&path), "{} is not generated: run `cargo gen`", path.display());
        }
    }
}
