//! Time: expired links, and a wrong clock of the service.

use std::time::Duration;

use harness::simulator::{Effect, Job, Operation, Reply, Rule};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{Api, JANE, jobs_of, parts, text};

const PAST: &str = "2020-01-01T00:00:00.000000Z";

fn in_state(state: Option<&str>, expire_time: &str) -> Job {
    Job { state: state.map(str::to_owned), expire_time: Some(expire_time.to_owned()), ..Job::email(JANE, "config") }
}

#[tokio::test]
async fn link_expires_after_its_lifetime() {
    let api = Api::new();
    api.realm.set_link_life(SignedDuration::from_millis(1500));
    let (_, created) = api.post(&jobs_of(JANE), api.enrolment()).await;
    let job = &created["credential_binding_job"];
    let [create, expire]: [Timestamp; 2] = ["create_time", "expire_time"].map(|name| text(&job[name]).parse().unwrap());
    assert_eq!(expire.duration_since(create).as_millis(), 1500);
    assert_eq!(job["state"], "LINK_SENT");
    let one = format!("{}/{}", jobs_of(JANE), text(&job["id"]));
    while api.get(&one).await.1["state"] != "EXPIRED" {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(Timestamp::now() >= expire);
    assert_eq!(api.get(&one).await.1["update_time"], job["expire_time"]);
}

#[tokio::test]
async fn kept_state_of_an_expired_link_can_be_revoked() {
    let api = Api::new();
    api.realm.leave_expired();
    let job = in_state(Some("LINK_SENT"), PAST);
    let one = format!("{}/{}", jobs_of(JANE), job.id);
    api.realm.add_job(job);
    assert_eq!(api.get(&one).await.1["state"], "LINK_SENT");
    assert_eq!(api.get(&jobs_of(JANE)).await.1["credential_binding_jobs"][0]["state"], "LINK_SENT");
    assert_eq!(api.realm.jobs()[0].state.as_deref(), Some("LINK_SENT"));
    let (status, revoked) = api.post(&format!("{one}:revoke"), json!({})).await;
    assert_eq!((status, &revoked["state"]), (200, &json!("REVOKED")));
}

#[tokio::test]
async fn expired_link_is_expired_in_every_read() {
    let api = Api::new();
    let states = |body: Value| -> Vec<String> {
        body["credential_binding_jobs"].as_array().unwrap().iter().map(|job| text(&job["state"])).collect()
    };
    for state in ["LINK_SENT", "LINK_OPENED"] {
        for read in 0..5 {
            let job = in_state(Some(state), PAST);
            let one = format!("{}/{}", jobs_of(JANE), job.id);
            api.realm.add_job(job.clone());
            match read {
                0 => assert_eq!(api.get(&one).await.1["state"], "EXPIRED"),
                1 => assert_eq!(states(api.get(&jobs_of(JANE)).await.1), ["EXPIRED"]),
                2 => assert_eq!(states(api.get(&jobs_of("-")).await.1), ["EXPIRED"]),
                3 => assert_eq!(api.post(&format!("{one}:revoke"), json!({})).await.0, 409),
                _ => assert_eq!(api.realm.jobs()[0].state.as_deref(), Some("EXPIRED")),
            }
            assert_eq!(api.realm.job(&job.id).unwrap().state.as_deref(), Some("EXPIRED"));
            api.realm.remove_job(&job.id);
        }
    }
}

#[tokio::test]
async fn other_states_and_invalid_times_do_not_expire() {
    let api = Api::new();
    api.realm.allow_any_answer();
    for state in ["REQUEST_DELIVERED", "COMPLETE", "FAILED_TO_SEND", "REVOKED", "TELEPORTED"] {
        api.realm.add_job(in_state(Some(state), PAST));
    }
    api.realm.add_job(in_state(None, PAST));
    api.realm.add_job(in_state(Some("LINK_SENT"), "soon"));
    api.realm.add_job(in_state(Some("LINK_SENT"), "2999-01-01T00:00:00Z"));
    api.realm.add_job(Job { expire_time: None, ..in_state(Some("LINK_SENT"), PAST) });
    let (_, listed) = api.get(&jobs_of(JANE)).await;
    assert_eq!(listed["total_size"], 9);
    assert!(!listed.to_string().contains("EXPIRED"), "{listed}");
}

#[tokio::test]
async fn clock_skew_applies_to_every_time() {
    let api = Api::new();
    for hours in [-2, 3, 0] {
        let skew = SignedDuration::from_hours(hours);
        api.realm.set_clock_skew(skew);
        let response = api.send(Method::POST, &jobs_of(JANE), Some(api.enrolment())).await.unwrap();
        let date = response.headers()["date"].to_str().unwrap().to_owned();
        assert!(date.ends_with(" GMT"), "{date}");
        let date = DateTimeParser::new().parse_timestamp(&date).unwrap();
        let job = parts(response).await.1["credential_binding_job"].clone();
        let created: Timestamp = text(&job["create_time"]).parse().unwrap();
        for time in [date, created] {
            let off = time.duration_since(Timestamp::now() + skew).abs();
            assert!(off < SignedDuration::from_mins(1), "{hours}: {time}");
        }
    }
    // The link expires in an hour by the clock of this machine, and has expired by that of the realm.
    let soon = Timestamp::now() + SignedDuration::from_hours(1);
    api.realm.set_clock_skew(SignedDuration::from_hours(2));
    let job = in_state(Some("LINK_SENT"), &soon.to_string());
    api.realm.add_job(job.clone());
    assert_eq!(api.get(&format!("{}/{}", jobs_of(JANE), job.id)).await.1["state"], "EXPIRED");

    let dated = Reply::empty(200).header("Date", "yesterday");
    api.realm.fault(Rule::new(Effect::Answer(dated)).on(Operation::GetIdentity));
    let response = api.send(Method::GET, &format!("identities/{JANE}"), None).await.unwrap();
    let dates: Vec<_> = response.headers().get_all("date").iter().collect();
    assert_eq!(dates, ["yesterday"]);
}
