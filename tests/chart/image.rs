//! The Dockerfile matches the chart. Tests cannot build an image, so they read the Dockerfile.

use std::fs;
use std::path::Path;

use harness::chart;
use serde_json::{Value, json};

use crate::support::{objects, single};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn program_image_and_chart_have_the_same_version() {
    let chart = fs::read_to_string(chart::folder().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(chart["appVersion"], version);
    let dockerfile = file("Dockerfile");
    assert!(dockerfile.contains(&format!("org.opencontainers.image.version=\"{version}\"")));
    assert!(dockerfile.contains(&format!("rust:{}-slim", env!("CARGO_PKG_RUST_VERSION"))));
}

#[test]
fn image_and_chart_have_the_same_user_and_entrypoint() {
    let objects = objects(json!({}));
    let pod = &single("Deployment", &objects)["spec"]["template"]["spec"];
    let user = &pod["securityContext"]["runAsUser"];
    let dockerfile = file("Dockerfile");
    assert!(dockerfile.contains(&format!("USER {user}:{user}")));
    assert!(dockerfile.contains("ENTRYPOINT [\"/usr/local/bin/beyond-identity-operator\"]"));
    assert!(pod["containers"][0].get("command").is_none(), "the entrypoint of the image applies");
}
