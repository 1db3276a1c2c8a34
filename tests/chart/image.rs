//! The image fits the chart: no image can be built here, so this reads what would be.

use std::fs;
use std::path::Path;

use harness::chart;
use serde_json::{Value, json};

use crate::support::{objects, the};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn program_image_and_chart_are_of_one_version() {
    let chart = fs::read_to_string(chart::folder().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(chart["appVersion"], version);
    let dockerfile = file("Dockerfile");
    assert!(dockerfile.contains(&format!("org.opencontainers.image.version=\"{version}\"")));
    assert!(dockerfile.contains(&format!("rust:{}-slim", env!("CARGO_PKG_RUST_VERSION"))));
}

#[test]
fn the_user_is_the_same_and_the_program_is_what_the_image_runs() {
    let objects = objects(json!({}));
    let pod = &the("Deployment", &objects)["spec"]["template"]["spec"];
    let user = &pod["securityContext"]["runAsUser"];
    let dockerfile = file("Dockerfile");
    assert!(dockerfile.contains(&format!("USER {user}:{user}")));
    assert!(dockerfile.contains("ENTRYPOINT [\"/usr/local/bin/beyond-identity-operator\"]"));
    assert!(pod["containers"][0].get("command").is_none(), "it is the image's to say");
}
