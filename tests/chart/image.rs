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
fn image_has_a_numeric_user_and_the_entrypoint_of_the_pods() {
    let dockerfile = file("Dockerfile");
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let (user, group) = user.split_once(':').unwrap();
    // The kubelet cannot verify that a name is not root.
    assert!(user.parse::<u32>().unwrap() > 0 && group.parse::<u32>().unwrap() > 0, "{user}:{group}");
    assert!(dockerfile.contains("ENTRYPOINT [\"/usr/local/bin/beyond-identity-operator\"]"));
    let objects = objects(json!({}));
    let pod = &single("Deployment", &objects)["spec"]["template"]["spec"];
    assert!(pod["containers"][0].get("command").is_none(), "the entrypoint of the image applies");
}
