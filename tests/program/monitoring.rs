//! The alerts and the dashboard say what the operator measures. `tests/gitops` runs them with Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::generated::alerts::alerts;
use crate::generated::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The links lead to headings, since the page of alerts has them too.
#[test]
fn each_alert_says_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(name.starts_with("BeyondIdentity") && names.insert(name.to_owned()), "{name}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let annotation = |name: &str| alert["annotations"][name].as_str().unwrap();
        assert!(!annotation("summary").ends_with('.') && annotation("description").ends_with('.'), "{name}");
        assert!(annotation("runbook_url").starts_with("troubleshooting.md#"), "{name}");
        // Otherwise one installation hides another one.
        let expression = alert["expr"].as_str().unwrap();
        assert!(expression.contains("by (namespace, job") || expression.starts_with("absent("), "{name}");
    }
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests: Value = serde_saphyr::from_str(&read("monitoring/alerts_test.yaml")).unwrap();
    let mut cases = BTreeMap::<String, [bool; 2]>::new();
    for case in tests["tests"].as_array().unwrap().iter().flat_map(|test| test["promql_expr_test"].as_array().unwrap())
    {
        let (_, rest) = case["expr"].as_str().unwrap().split_once("alertname=\"").unwrap();
        let (name, _) = rest.split_once('"').unwrap();
        let fires = case["exp_samples"].as_array().is_some_and(|samples| !samples.is_empty());
        cases.entry(name.to_owned()).or_default()[usize::from(fires)] = true;
    }
    let expected = alerts().iter().map(|alert| (alert["alert"].as_str().unwrap().to_owned(), [true; 2])).collect();
    assert_eq!(cases, expected, "[silent, firing]");
}

/// The names of the operator's metrics in a text, as the documentation writes them.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter_map(|word| {
        let own = word.strip_prefix("beyond_identity_operator_");
        let name = own.or_else(|| {
            ["controller_runtime_", "workqueue_", "leader_election_"]
                .iter()
                .any(|it| word.starts_with(it))
                .then_some(word)
        })?;
        Some(name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum"))
    });
    words.collect()
}

#[test]
fn metrics_of_alerts_and_dashboard_are_documented() {
    let page = read("docs/operations.md");
    for file in ["monitoring/alerts.yaml", "monitoring/alerts_test.yaml", "monitoring/dashboard.json"] {
        let text = read(file);
        let used = metrics_in(&text);
        assert!(used.len() > 15, "{file}: {used:?}");
        let unknown: Vec<_> = used.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
        assert!(unknown.is_empty(), "{file} has metrics that docs/operations.md does not have: {unknown:?}");
    }
}
