//! Objects as the operator of each version stored them: `tests/fixtures/status` has a folder for each version.

use std::{fs, path::Path};

use serde_json::Value;

/// An object as an earlier version stored it.
#[derive(Clone, Debug)]
pub struct EarlierObject {
    /// The name of its file, without `.json`.
    pub name: String,
    /// The text of its file. Tenant, realm, provider config and namespace are called `fixture-tenant`, and so on.
    pub text: String,
}

/// All objects of all versions whose file names start with `beginning`. Fails if there is none.
pub fn objects_of_earlier_versions(beginning: &str) -> anyhow::Result<Vec<EarlierObject>> {
    let mut objects = Vec::new();
    for version in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/status"))? {
        for file in fs::read_dir(version?.path())? {
            let path = file?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(beginning) {
                objects.push(EarlierObject { name, text: fs::read_to_string(path)? });
            }
        }
    }
    anyhow::ensure!(!objects.is_empty(), "no version left {beginning}");
    Ok(objects)
}

/// Whether `whole` contains `part`. It may have more fields, but not more items.
#[must_use]
pub fn lies_in(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| lies_in(part, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| lies_in(part, whole))
        }
        (part, whole) => part == whole,
    }
}
