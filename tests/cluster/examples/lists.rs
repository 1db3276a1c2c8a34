//! Many people: a generator, a chart and an ApplicationSet make the same requests from a list. What changes in the list
//! concerns those people alone.

use std::collections::{BTreeMap, BTreeSet};

use harness::chart;
use harness::control_plane::ControlPlane;
use harness::process::output_of;
use harness::simulator::Identity;
use serde_json::Value;

use super::support::{ManyPeople, Person, Way, names, person, read, values};
use crate::fixture::{Fixture, cluster, job_of, poll_often, wait_until_deleted};

/// People with names and usernames that YAML could mistake for something else.
fn people(count: usize) -> Vec<Person> {
    let special = [
        person("1001", "o'hara@example.com"),
        person("true", "null"),
        person("1e3", "ünsal: #1 {{ x }}"),
        person("0x1f", "007"),
        person("null", "- *a &b %c"),
    ];
    let plain = |number| Person {
        revoked: number % 10 == 0,
        ..person(&format!("employee-{number}"), &format!("person-{number}@example.com"))
    };
    special.into_iter().chain((0..count).map(plain)).take(count).collect()
}

/// The requests by their names, without their namespace.
fn by_name(requests: Vec<Value>) -> BTreeMap<String, Value> {
    let count = requests.len();
    let named = |mut request: Value| {
        assert_eq!(request["metadata"]["namespace"], "identity");
        request["metadata"].as_object_mut().unwrap().remove("namespace");
        (request["metadata"]["name"].as_str().unwrap().to_owned(), request)
    };
    let requests: BTreeMap<_, _> = requests.into_iter().map(named).collect();
    assert_eq!(requests.len(), count);
    requests
}

#[test]
fn all_ways_make_the_same_requests_of_500_people() {
    let (repository, people) = (ManyPeople::new(), people(500));
    let requests = |way| by_name(repository.requests(way, &people).unwrap());
    let generated = requests(Way::Generator);
    assert_eq!(generated.len(), 500);
    for Person { name, username, .. } in &people {
        assert_eq!(generated[name]["spec"]["identity"]["username"], **username);
    }
    assert_eq!(requests(Way::Chart), generated);
    assert_eq!(requests(Way::ApplicationSet), generated);
    assert_eq!(repository.applications().len(), 10);
}

#[test]
fn order_of_the_list_changes_no_file_and_a_leaver_removes_his_own() {
    let (repository, mut people) = (ManyPeople::new(), people(20));
    repository.requests(Way::Generator, &people).unwrap();
    let before = repository.generated();
    people.reverse();
    repository.requests(Way::Generator, &people).unwrap();
    assert_eq!(repository.generated(), before);
    let leaver = people.remove(3);
    repository.requests(Way::Generator, &people).unwrap();
    let after = repository.generated();
    let files =
        |difference: BTreeSet<(String, String)>| difference.into_iter().map(|(file, _)| file).collect::<Vec<_>>();
    assert_eq!(files(&before - &after), [format!("{}.yaml", leaver.name), "kustomization.yaml".to_owned()]);
    assert_eq!(files(&after - &before), ["kustomization.yaml"]);
}

#[tokio::test]
async fn generated_files_follow_the_list() {
    let repository = ManyPeople::new();
    list_changes(async |fixture: &Fixture, people: &[Person]| {
        fixture.sync(&repository.requests(Way::Generator, people).unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn release_of_the_chart_follows_the_list() {
    let repository = ManyPeople::new();
    let (control_plane, chart): (&ControlPlane, _) = (cluster::control_plane(), repository.chart());
    list_changes(async |fixture: &Fixture, people: &[Person]| {
        let args = ["upgrade", "--install", "enrolments", chart.to_str().unwrap(), "--values", "-", "--namespace"];
        let args = args.into_iter().chain([&*fixture.namespace]);
        output_of(chart::helm_in(control_plane, args).unwrap(), &values(people)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn applications_follow_the_list() {
    let repository = ManyPeople::new();
    list_changes(async |fixture: &Fixture, people: &[Person]| {
        fixture.sync(&repository.requests(Way::ApplicationSet, people).unwrap()).await;
    })
    .await;
}

/// Applies a list, and then the same list in another order, with a joiner, without two leavers, and with a revoked one.
async fn list_changes(apply: impl AsyncFn(&Fixture, &[Person])) {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let mut people: Vec<Person> =
        ["ada", "bea", "cem", "dan", "eva"].map(|name| person(name, &format!("{name}@x"))).into();
    for Person { name, username, .. } in &people {
        fixture.realm.add_identity(Identity::active(name, &format!("{name}@example.com")).username(username));
    }
    let joiner = people.pop().unwrap();
    apply(&fixture, &people).await;
    let mut jobs = BTreeMap::new();
    for Person { name, .. } in &people {
        jobs.insert(name.clone(), job_of(&fixture.wait_for_request_named(name, "LinkSent").await));
    }
    assert_eq!(fixture.mailed().len(), 4);
    let before = versions(&fixture, &["dan"]).await;
    // One leaver has a passkey already.
    fixture.realm.set_job_state(&jobs["ada"], "COMPLETE");
    fixture.wait_for_request_named("ada", "Complete").await;

    people.retain(|person| !["ada", "cem"].contains(&&*person.name));
    people.insert(0, joiner);
    people.reverse();
    people[1].revoked = true;
    assert_eq!(people[1].name, "bea");
    apply(&fixture, &people).await;
    fixture.wait_for_request_named("eva", "LinkSent").await;
    fixture.wait_for_request_named("bea", "Revoked").await;
    for leaver in ["ada", "cem"] {
        wait_until_deleted(fixture.requests(), leaver).await;
    }
    assert_eq!(fixture.mailed().len(), 5);
    assert_eq!(versions(&fixture, &["dan"]).await, before);
    assert_eq!(fixture.revocations().len(), 2);
    let states = ["ada", "bea", "cem", "dan"].map(|name| fixture.remote_state(&jobs[name]));
    assert_eq!(states, ["COMPLETE", "REVOKED", "REVOKED", "LINK_SENT"]);
}

/// The uids and generations of these requests.
async fn versions(fixture: &Fixture, names: &[&str]) -> Vec<(Option<String>, Option<i64>)> {
    let mut versions = Vec::new();
    for name in names {
        let request = fixture.requests().get(name).await.unwrap();
        versions.push((request.metadata.uid, request.metadata.generation));
    }
    versions
}

#[test]
fn lists_of_the_examples_are_the_same_people() {
    let repository = ManyPeople::new();
    let generated = repository.generated();
    let chart = repository.render_chart("{}").unwrap();
    let listed: Vec<_> = generated.iter().filter_map(|(file, _)| file.strip_suffix(".yaml")).collect();
    assert_eq!(listed, [&names(&chart)[..], &["kustomization"]].concat());
    repository.generate(&read("examples/many-people/generator/people.csv")).unwrap();
    assert_eq!(repository.generated(), generated, "run examples/many-people/generator/generate.sh");
}
