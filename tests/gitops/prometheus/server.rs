//! A running Prometheus, and its HTTP API.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::control_plane::{PROMETHEUS, locate};
use harness::leash::Leashed;
use harness::program::until;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for a machine that is busy with a build.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A running Prometheus. Dropping it ends it, and removes its data.
pub struct Prometheus {
    address: SocketAddr,
    http: reqwest::Client,
    _process: Leashed,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it. It scrapes these addresses each second, with the labels of the chart's monitors, and evaluates these rule
    /// files as often.
    pub fn start(targets: &[SocketAddr], rule_files: &[Value]) -> Self {
        let folder = TempDir::new().unwrap();
        let rules: Vec<_> = (0..rule_files.len()).map(|number| format!("rules-{number}.yaml")).collect();
        for (name, content) in rules.iter().zip(rule_files) {
            fs::write(folder.path().join(name), content.to_string()).unwrap();
        }
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": rules,
            "scrape_configs": [{
                "job_name": "operator-metrics",
                "static_configs": [{"targets": targets, "labels": {"namespace": "beyond-identity-system"}}],
            }],
        });
        let config_file = folder.path().join("prometheus.yml");
        fs::write(&config_file, config.to_string()).unwrap();
        let log = folder.path().join("log");
        let [program] = locate([&PROMETHEUS]).unwrap();
        let mut command = Command::new(program);
        command.arg("--web.listen-address=127.0.0.1:0").arg("--log.format=json");
        command.arg(format!("--config.file={}", config_file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        let mut process = Leashed::spawn(&command, File::create(&log).unwrap()).unwrap();
        let address = until("Prometheus listens", || {
            let text = fs::read_to_string(&log).unwrap();
            assert!(process.ended().unwrap().is_none(), "Prometheus exited: {text}");
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut listening = lines.filter(|line| line["msg"] == "Listening on");
            listening.next().and_then(|line| line["address"].as_str()?.parse().ok())
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, http, _process: process, _folder: folder }
    }

    /// The data that the API answers, or its error. Waits while it starts.
    async fn get(&self, path: &str) -> Result<Value, String> {
        let (url, started) = (format!("http://{}/api/v1/{path}", self.address), Instant::now());
        let text = loop {
            let response = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            let is_starting = response.status() == StatusCode::SERVICE_UNAVAILABLE && started.elapsed() < TIMEOUT;
            if !is_starting {
                break response.text().await.map_err(|error| error.to_string())?;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let answer: Value = serde_json::from_str(&text).map_err(|_| text)?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer["error"].to_string()) }
    }

    /// The series of an instant query, each with its labels and its value.
    pub async fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>, String> {
        let data = self.get(&format!("query?query={}", utf8_percent_encode(expression, NON_ALPHANUMERIC))).await?;
        let series = data["result"].as_array().ok_or("no vector")?.iter();
        let value = |series: &Value| series["value"][1].as_str().and_then(|value| value.parse().ok());
        series.map(|series| Ok((series["metric"].clone(), value(series).ok_or("no value")?))).collect()
    }

    /// Waits until a query has a series whose value is a number.
    pub async fn answers(&self, expression: &str) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let series = self.query(expression).await?;
            if series.iter().any(|(_, value)| value.is_finite()) {
                return Ok(());
            }
            if started.elapsed() > TIMEOUT {
                return Err(format!("no number: {series:?}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The rules, with their health and their alerts, once each was evaluated.
    pub async fn rules(&self) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let groups = self.get("rules").await.unwrap()["groups"].take();
            let of = |group: &Value| group["rules"].as_array().cloned().unwrap_or_default();
            let rules: Vec<Value> = groups.as_array().into_iter().flatten().flat_map(of).collect();
            if !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown") {
                return rules;
            }
            assert!(started.elapsed() < TIMEOUT, "the rules are not evaluated: {rules:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The names of all metrics that were scraped.
    pub async fn metrics(&self) -> BTreeSet<String> {
        let names = self.get("label/__name__/values").await.unwrap();
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// The names of the metrics in an expression.
    pub async fn metrics_in(&self, expression: &str) -> BTreeSet<String> {
        let path = format!("parse_query?query={}", utf8_percent_encode(expression, NON_ALPHANUMERIC));
        let mut names = BTreeSet::new();
        collect(&self.get(&path).await.unwrap(), &mut names);
        names
    }
}

/// Collects the names of the selectors in the syntax tree of an expression.
fn collect(tree: &Value, names: &mut BTreeSet<String>) {
    if ["vectorSelector", "matrixSelector"].iter().any(|selector| tree["type"] == *selector) {
        names.extend(tree["name"].as_str().map(str::to_owned));
    }
    match tree {
        Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, names)),
        Value::Object(fields) => fields.values().for_each(|node| collect(node, names)),
        _ => {}
    }
}
