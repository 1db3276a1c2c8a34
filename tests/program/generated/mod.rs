//! The files of the repository that are generated from the code, and what they must contain.

pub mod alerts;
pub mod argocd;
mod cluster_admin;
mod dashboard;
mod reasons;
mod reference;

use std::path::{Path, PathBuf};

use beyond_identity_operator::api::crds;

/// The folders with the CustomResourceDefinitions. The chart has a copy, since Helm reads only files inside a chart.
pub const DEFINITIONS: [&str; 2] = ["crds", "charts/beyond-identity-operator/files/crds"];

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each generated file, as a path from the top of the repository, with its content.
///
/// The chart's README and docs/permissions.md are not among them: helm-docs and helm generate them, and `tests/chart` checks
/// them.
pub fn files() -> Vec<(PathBuf, String)> {
    let definitions = crds::files();
    let mut files = vec![
        (PathBuf::from("docs/reasons.md"), reasons::page()),
        (PathBuf::from("install/cluster-admin.yaml"), cluster_admin::file()),
        (PathBuf::from("docs/reference.md"), reference::page(&definitions)),
    ];
    for folder in DEFINITIONS {
        files.extend(definitions.iter().map(|(name, yaml)| (Path::new(folder).join(name), yaml.clone())));
    }
    files.extend(argocd::files());
    files.push((PathBuf::from("docs/alerts.md"), alerts::page()));
    files.push((PathBuf::from(alerts::RULES[1]), alerts::text()));
    for folder in ["monitoring", "charts/beyond-identity-operator/files"] {
        files.push((Path::new(folder).join("dashboard.json"), dashboard::file()));
    }
    files
}
