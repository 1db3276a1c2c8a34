//! A real run of the operator, scraped by a real Prometheus: each query of the dashboard has an answer, and each alert is
//! evaluated.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use serde_json::Value;

use super::server::Prometheus;
use super::{dashboard, rule_file};
use crate::fixture::{Access, Fixture, Process, eventually, job_of};

/// The rules, without a delay, and with an expression that is always true. So each of them renders its annotations.
fn always_firing() -> Value {
    let mut file = rule_file();
    file["groups"][0]["name"] = "always-firing".into();
    for rule in file["groups"][0]["rules"].as_array_mut().unwrap() {
        rule["alert"] = format!("{}Always", rule["alert"].as_str().unwrap()).into();
        rule["expr"] = "label_replace(vector(100000), \"object_namespace\", \"team-a\", \"\", \"\")".into();
        rule.as_object_mut().unwrap().remove("for");
    }
    file
}

/// The queries of the dashboard, each with the title of its panel, and with values for the variables.
fn dashboard_queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let mut query = target["expr"].as_str().unwrap().to_owned();
            let variables = [
                ("$namespace", "beyond-identity-system"),
                ("$job", ".*"),
                ("$__rate_interval", "10s"),
                ("$__range", "10m"),
            ];
            for (variable, value) in variables {
                query = query.replace(variable, value);
            }
            assert!(!query.contains('$'), "a variable has no value: {query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

/// Brings about what the panels show: people who enrol, one who does not in time, errors, and a send in doubt.
async fn enrol(fixture: &Fixture, prometheus: &Prometheus) {
    for identity in ["ann", "bob", "eve"] {
        fixture.realm.add_identity(Identity::active(identity, "someone@example.com"));
    }
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&job, "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
    fixture.realm.set_job_state(&job, "COMPLETE");
    fixture.wait_for_request("Complete").await;

    fixture.create_request_of("ann", "ann").await;
    let job = job_of(&fixture.wait_for_request_named("ann", "LinkSent").await);
    fixture.realm.set_job_state(&job, "EXPIRED");
    fixture.wait_for_request_named("ann", "LinkExpired").await;

    // The answer to this send is lost, and no list shows its job until it was scraped.
    let lost = fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).skip(1));
    fixture.create_request_of("bob", "bob").await;
    eventually("the answer is lost", || fixture.realm.fired(lost) == 1).await;
    prometheus.answers("beyond_identity_operator_oldest_send_timestamp_seconds").await.unwrap();
    fixture.realm.remove_fault(hidden);
    fixture.wait_for_request_named("bob", "LinkSent").await;

    // Nobody has this name.
    fixture.create_request_of("nobody", "nobody").await;
    let busy = Effect::Answer(Reply::too_many_requests(Some(1)));
    let busy = fixture.realm.fault(Rule::new(busy).on(Operation::GetJob).once());
    eventually("the API limits the rate", || fixture.realm.fired(busy) == 1).await;
}

/// Two replicas, of which one is the leader.
async fn replicas(fixture: &Fixture) -> [Process; 2] {
    let quick = ["--leader-elect", "--job-poll-min", "1s", "--job-poll-max", "1s", "--grace-period", "0s"];
    let leader = fixture.spawn(&Access::shared(), &quick).await;
    eventually("a process is the leader", || !leader.logged("Became the leader").is_empty()).await;
    [leader, fixture.spawn(&Access::shared(), &quick).await]
}

#[tokio::test]
async fn dashboard_and_alerts_work_on_the_metrics_of_a_run() {
    let fixture = Fixture::bare(crate::fixture::shared_simulator()).await;
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(br#"{"exp": 4000000000}"#));
    fixture.realm.set_token(&token);
    fixture.create_secret(&token).await;
    fixture.create_provider(|_| {}).await;
    let replicas = replicas(&fixture).await;
    let targets: Vec<SocketAddr> = replicas.iter().map(|replica| replica.address_of("/metrics")).collect();
    let prometheus = Prometheus::start(&targets, &[rule_file(), always_firing()]);
    prometheus.answers("count(beyond_identity_operator_build_info) == 2").await.unwrap();
    enrol(&fixture, &prometheus).await;

    let mut failed = Vec::new();
    let mut used = BTreeSet::new();
    for (panel, query) in dashboard_queries() {
        if let Err(why) = prometheus.answers(&query).await {
            failed.push(format!("{panel}: {query}: {why}"));
        }
        used.extend(prometheus.metrics_in(&query).await);
    }
    assert!(failed.is_empty(), "these queries have no answer:\n{}", failed.join("\n"));
    for label in ["namespace", "job"] {
        let installations =
            prometheus.query(&format!("count by ({label}) (beyond_identity_operator_build_info)")).await;
        assert!(installations.unwrap()[0].0[label].is_string(), "the variable {label} has no values");
    }

    for rule in prometheus.rules().await {
        assert_eq!(rule["health"], "ok", "{rule}");
        used.extend(prometheus.metrics_in(rule["query"].as_str().unwrap()).await);
        let is_always = rule["name"].as_str().unwrap().ends_with("Always");
        for alert in rule["alerts"].as_array().unwrap() {
            assert!(!alert["annotations"].to_string().contains("<error"), "{alert}");
        }
        assert!(!is_always || rule["state"] == "firing", "{rule}");
    }
    assert!(used.len() > 20, "{used:?}");
    let scraped = prometheus.metrics().await;
    let missing: Vec<_> = used.difference(&scraped).collect();
    assert!(missing.is_empty(), "the operator has no such metrics: {missing:?}");

    // The person whose link expired, and the request for nobody.
    for alert in ["BeyondIdentityLinksExpired", "BeyondIdentityObjectsStalled"] {
        prometheus.answers(&format!("ALERTS{{alertname=\"{alert}\",alertstate=\"pending\"}}")).await.unwrap();
    }
    let quiet = prometheus.query("ALERTS{alertstate=\"firing\",alertname!~\".*Always\"}").await.unwrap();
    assert_eq!(quiet, [], "the run needs nobody at once");
}
