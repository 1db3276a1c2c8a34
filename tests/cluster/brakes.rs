//! The limits of a provider config on emails: for an identity, for all emails of an hour, and on redirects.

use std::time::Duration;

use harness::simulator::{Effect, Identity, Job, Operation, Rule};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, patch, reason, refusal,
    short_delays, wait_for, wait_until_deleted,
};

const RECONCILE: &str = "beyondidentity.dev/reconcile-requested-at";

/// Sets the limits of the provider config. Those that are not named have their defaults.
async fn limit(fixture: &Fixture, limits: Value) {
    let change = |enrollment: Value| json!({"spec": {"enrollment": enrollment}});
    patch(&fixture.providers(), &fixture.provider, change(Value::Null)).await.unwrap();
    patch(&fixture.providers(), &fixture.provider, change(limits)).await.unwrap();
}

/// The time of the service.
fn now() -> Timestamp {
    Job::email(JANE, CONFIG).create_time.unwrap().parse().unwrap()
}

/// Changes when the service created a job.
fn created(fixture: &Fixture, job: &str, ago: SignedDuration) {
    let at = now().checked_sub(ago).unwrap();
    fixture.realm.edit_job(job, |job| job.create_time = Some(at.to_string()));
}

fn add_identities(fixture: &Fixture, names: &[&str]) {
    names.iter().for_each(|name| fixture.realm.add_identity(Identity::active(name, "someone@example.com")));
}

/// The seconds between consecutive emails.
fn gaps(fixture: &Fixture) -> Vec<f64> {
    let times: Vec<Timestamp> = fixture.realm.outbox().iter().map(|email| email.time).collect();
    times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect()
}

#[tokio::test]
async fn fourth_email_within_an_hour_waits_without_a_call() {
    let (fixture, _operator) = Fixture::ready().await;
    limit(&fixture, json!({})).await;
    fixture.create_request().await;
    for attempt in 2..=3 {
        fixture.wait_for_request("LinkSent").await;
        fixture.change_request(json!({"attempt": attempt})).await.unwrap();
        eventually("it is sent", || fixture.mailed().len() == attempt).await;
    }
    wait_for(fixture.requests(), REQUEST, "has attempt 3", |request| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(3))
    })
    .await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"attempt": 4})).await.unwrap();
    let waiting = fixture.wait_for_request("SendBudgetExceeded").await;
    assert_eq!(conditions(&waiting), "Reconciling=True Ready=False");
    let expected = format!(
        "The identity got 3 links within the last hour, and ClusterProviderConfig {} allows 3 \
         (spec.enrollment.maxSendsPerHourPerIdentity); the email is likely to be sent at ",
        fixture.provider
    );
    assert!(message(&waiting).starts_with(&expected), "{}", message(&waiting));

    // Other identities are not concerned.
    let calls = fixture.calls(Operation::ListJobs);
    add_identities(&fixture, &["joe"]);
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
    assert_eq!(fixture.calls(Operation::ListJobs), calls + 1, "only for the other request");
    let waits = history.versions().iter().filter(|version| reason(*version) == "SendBudgetExceeded").count();
    assert_eq!(waits, 1, "one status write");

    // In a few seconds, the first email is an hour old.
    created(&fixture, &fixture.mailed()[0], SignedDuration::from_secs(3630 - 4));
    annotate(&fixture.requests(), REQUEST, RECONCILE, "now").await;
    let sent = history
        .first("attempt 4 is sent", |request| request.status.as_ref().is_some_and(|it| it.attempt == Some(4)))
        .await;
    assert_eq!(fixture.mailed()[4], job_of(&sent));
}

#[tokio::test]
async fn deleting_and_applying_in_a_loop_sends_three_emails() {
    let fixture = Fixture::new().await;
    limit(&fixture, json!({})).await;
    let mut operator = fixture.start().await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    for round in 0..7 {
        fixture.create_request().await;
        let wanted = if round < 3 { "LinkSent" } else { "SendBudgetExceeded" };
        fixture.wait_for_request(wanted).await;
        fixture.delete_request(REQUEST).await;
        wait_until_deleted(fixture.requests(), REQUEST).await;
        if round == 4 {
            operator.stop().await;
            operator = fixture.start().await;
        }
    }
    assert_eq!(fixture.mailed().len(), 3);
    drop(operator);
}

#[tokio::test]
async fn flood_through_many_configurations_sends_three_emails_even_if_lists_lag() {
    let fixture = Fixture::new().await;
    limit(&fixture, json!({})).await;
    let _operator = fixture.start().await;
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs));
    for number in 0..8 {
        let name = format!("web-{number}");
        fixture.create_config_named(&name).await;
        let config = json!({"authenticatorConfigRef": {"name": name}});
        fixture.create_request_with(&format!("request-{number}"), config).await;
    }
    for number in 0..8 {
        wait_for(fixture.requests(), &format!("request-{number}"), "is sent or waits", |request| {
            ["LinkSent", "SendBudgetExceeded"].contains(&reason(request))
        })
        .await;
    }
    assert_eq!(fixture.mailed().len(), 3);
}

/// Each email goes out, each answer is lost, and no list shows its job.
#[tokio::test]
async fn lists_that_hide_each_job_cost_three_emails() {
    let fixture = Fixture::new().await;
    limit(&fixture, json!({})).await;
    let _operator = fixture.start_with(short_delays).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs));
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob));
    fixture.create_request().await;
    let request = fixture.wait_for_request("SendBudgetExceeded").await;
    assert!(message(&request).starts_with("The identity got 3 links within the last hour"), "{}", message(&request));
    assert_eq!(fixture.mailed().len(), 3);
}

#[tokio::test]
async fn links_of_other_clients_count_until_they_are_used() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    limit(&fixture, json!({"maxOutstandingPerIdentity": 2})).await;
    let links = [0, 1].map(|_| Job::email(JANE, "another-configuration"));
    for link in &links {
        fixture.realm.add_job(link.clone());
        created(&fixture, &link.id, SignedDuration::from_hours(2));
    }
    fixture.create_request().await;
    let waiting = fixture.wait_for_request("SendBudgetExceeded").await;
    assert!(message(&waiting).contains("has 2 links that can still be used"), "{}", message(&waiting));
    assert!(message(&waiting).contains("spec.enrollment.maxOutstandingPerIdentity"), "{}", message(&waiting));
    assert_eq!(fixture.mailed(), Vec::<String>::new());
    fixture.realm.set_job_state(&links[0].id, "REVOKED");
    fixture.wait_for_request("LinkSent").await;
    // Its own link is replaced by the next one.
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("it is sent again", || fixture.mailed().len() == 2).await;
}

#[tokio::test]
async fn emails_are_spaced_across_a_restart_and_waiting_requests_make_no_calls() {
    let (fixture, operator) = Fixture::ready().await;
    // One in three seconds.
    limit(&fixture, json!({"maxSendsPerHour": 1200})).await;
    let names = ["ann", "bob", "eve", "joe"];
    add_identities(&fixture, &names);
    for name in names {
        fixture.create_request_of(name, name).await;
    }
    eventually("two emails are sent", || fixture.mailed().len() == 2).await;
    operator.stop().await;
    let _next = fixture.start().await;
    for name in names {
        fixture.wait_for_request_named(name, "LinkSent").await;
    }
    let gaps = gaps(&fixture);
    assert!(gaps.len() == 3 && gaps.iter().all(|gap| *gap > 2.5), "{gaps:?}");
    assert_eq!((fixture.calls(Operation::GetIdentity), fixture.calls(Operation::ListJobs)), (4, 4));
}

#[tokio::test]
async fn waiting_request_says_when_and_a_changed_limit_applies_at_once() {
    let (fixture, _operator) = Fixture::ready().await;
    limit(&fixture, json!({"maxSendsPerHour": 1})).await;
    let history = History::of(&fixture.requests(), "bob").await;
    add_identities(&fixture, &["ann", "bob"]);
    for name in ["ann", "bob"] {
        fixture.create_request_of(name, name).await;
        fixture.wait_for_request_named(name, "SendBudgetExceeded").await;
    }
    let waiting = fixture.wait_for_request_named("bob", "SendBudgetExceeded").await;
    assert_eq!(conditions(&waiting), "Reconciling=True Ready=False");
    let (limit_of, likely) = message(&waiting).split_once("; this one is likely to be sent at ").unwrap();
    assert_eq!(
        limit_of,
        format!("ClusterProviderConfig {} allows 1 email an hour (spec.enrollment.maxSendsPerHour)", fixture.provider)
    );
    let likely = likely.parse::<Timestamp>().unwrap().duration_since(now());
    assert!((6000..7300).contains(&likely.as_secs()), "two hours, as ann comes first: {likely}");

    // A reconcile that is requested completes, and changes nothing.
    annotate(&fixture.requests(), "bob", RECONCILE, "now").await;
    let waiting = wait_for(fixture.requests(), "bob", "is reconciled", |request| {
        request.status.as_ref().is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some("now"))
    })
    .await;
    assert_eq!(reason(&waiting), "SendBudgetExceeded");
    let messages: Vec<_> = history.versions().iter().map(|version| message(version).to_owned()).collect();
    let waits: std::collections::BTreeSet<_> = messages.iter().filter(|it| it.contains("maxSendsPerHour")).collect();
    assert_eq!(waits.len(), 1, "the time stays: {messages:?}");
    assert_eq!((fixture.calls(Operation::GetIdentity), fixture.mailed().len()), (0, 0));

    limit(&fixture, json!({})).await;
    for name in ["ann", "bob"] {
        fixture.wait_for_request_named(name, "LinkSent").await;
    }
}

#[tokio::test]
async fn request_that_does_not_send_releases_its_turn() {
    let (fixture, _operator) = Fixture::ready().await;
    // One in ten seconds.
    limit(&fixture, json!({"maxSendsPerHour": 360})).await;
    add_identities(&fixture, &["first", "deleted", "revoked", "last"]);
    fixture.create_request_of("first", "first").await;
    fixture.wait_for_request_named("first", "LinkSent").await;
    for name in ["missing", "deleted", "revoked", "last"] {
        fixture.create_request_of(name, name).await;
        fixture.wait_for_request_named(name, "SendBudgetExceeded").await;
    }
    fixture.delete_request("deleted").await;
    patch(&fixture.requests(), "revoked", json!({"spec": {"revoked": true}})).await.unwrap();
    fixture.wait_for_request_named("last", "LinkSent").await;
    fixture.wait_for_request_named("missing", "IdentityNotFound").await;
    fixture.wait_for_request_named("revoked", "Revoked").await;
    assert_eq!(fixture.mailed().len(), 2);
    let gaps = gaps(&fixture);
    assert!(gaps[0] < 19.0, "none of the others used a turn: {gaps:?}");
}

#[tokio::test]
async fn redirect_to_a_host_that_is_not_allowed_is_not_sent() {
    let (fixture, _operator) = Fixture::ready().await;
    limit(&fixture, json!({"allowedRedirectHosts": ["app.example.com"]})).await;
    let to = |uri: &str| json!({"postBindingRedirectURI": uri});
    fixture.create_request_with(REQUEST, to("https://app.example.com.evil.example/")).await;
    let blocked = fixture.wait_for_request("RedirectNotAllowed").await;
    assert_eq!(conditions(&blocked), "Reconciling=True Ready=False");
    assert_eq!(
        message(&blocked),
        format!(
            "ClusterProviderConfig {} does not allow the host in spec.postBindingRedirectURI; correct it, or ask the \
             cluster's admins for spec.enrollment.allowedRedirectHosts there",
            fixture.provider
        )
    );
    assert_eq!(fixture.calls(Operation::GetIdentity), 0);
    fixture.change_request(to("https://App.example.com/done")).await.unwrap();
    fixture.wait_for_request("LinkSent").await;
    add_identities(&fixture, &["joe"]);
    fixture
        .create_request_with("other", json!({"identity": {"id": "joe"}, "postBindingRedirectURI": "https://b.example"}))
        .await;
    fixture.wait_for_request_named("other", "RedirectNotAllowed").await;
    limit(&fixture, json!({"allowedRedirectHosts": ["app.example.com", "b.example"]})).await;
    fixture.wait_for_request_named("other", "LinkSent").await;
}

#[tokio::test]
async fn limits_are_bounded_and_hosts_are_plain() {
    let fixture = Fixture::new().await;
    for (field, wrong) in [
        ("maxOutstandingPerIdentity", json!(0)),
        ("maxSendsPerHourPerIdentity", json!(0)),
        ("maxSendsPerHour", json!(0)),
        ("allowedRedirectHosts", json!(["https://app.example.com"])),
        ("allowedRedirectHosts", json!(["user@app.example.com"])),
        ("allowedRedirectHosts", json!(["app.example.com/path"])),
    ] {
        let change = json!({"spec": {"enrollment": {field: wrong}}});
        let refused = refusal(patch(&fixture.providers(), &fixture.provider, change).await);
        assert!(refused.contains(&format!("spec.enrollment.{field}")), "{refused}");
    }
}
