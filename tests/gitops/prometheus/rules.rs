//! The rules by promtool: they are valid, also as the chart renders them, and their unit tests pass.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::chart;
use harness::control_plane::{PROMTOOL, locate};
use harness::process::output_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{path, rule_file};

/// Runs promtool, which must accept the file.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let [program] = locate([&PROMTOOL]).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg(file);
    output_of(command, "").unwrap();
}

#[test]
fn rules_pass_their_unit_tests() {
    promtool(&["test", "rules"], &path("alerts_test.yaml"));
}

#[test]
fn rules_are_valid_in_the_file_and_in_the_chart() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &path("alerts.yaml"));
    let values = json!({
        "clusterName": "test", "crds": {"install": false},
        "metrics": {"prometheusRule": {"enabled": true, "runbookBaseURL": "https://docs.example.com/docs/"}},
    });
    let rendered = chart::render("operator", "operator", &values).unwrap();
    let mut objects = rendered.split("\n---\n").filter(|object| object.contains("kind: PrometheusRule"));
    let mut rule: Value = serde_saphyr::from_str(objects.next().unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rule["spec"].to_string()).unwrap();
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &file);

    let mut expected = rule_file();
    for groups in [&mut expected["groups"], &mut rule["spec"]["groups"]] {
        for alert in groups[0]["rules"].as_array_mut().unwrap() {
            let runbook = alert["annotations"]["runbook_url"].as_str().unwrap();
            alert["annotations"]["runbook_url"] = runbook.trim_start_matches("https://docs.example.com/docs/").into();
        }
    }
    assert_eq!(rule["spec"]["groups"], expected["groups"]);
    assert!(
        rendered.contains("runbook_url: https://docs.example.com/docs/troubleshooting.md#no-replica"),
        "{rendered}"
    );
}
