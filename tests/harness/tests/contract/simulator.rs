//! A violation of the contract at the simulator fails the test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::contract::{Answer, contract};
use harness::simulator::{Effect, Job, Reply, Rule, Simulator};

#[tokio::test]
async fn violation_makes_the_next_use_of_the_realm_panic() {
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let realm = simulator.realm("tenant", "realm", "Seeded-Token");
    let other = simulator.realm("tenant", "another", "Seeded-Token");
    let job = Job { state: None, ..Job::email("jane", "config") };
    realm.add_job(job.clone());
    let url = format!("{}/v1/tenants/tenant/realms/realm/identities/jane/credential-binding-jobs", simulator.url());
    let client = reqwest::Client::builder().no_proxy().user_agent("beyond-identity-operator/test").build().unwrap();
    let send = |request: reqwest::RequestBuilder| {
        request.bearer_auth("Seeded-Token").header("accept", "application/json").send()
    };

    assert_eq!(send(client.get(format!("{url}/{}", job.id))).await.unwrap().status(), 200);
    let failure = catch_unwind(AssertUnwindSafe(|| realm.outbox())).unwrap_err();
    let sentence = "the API contract is violated:\nGetCredentialBindingJob, answer 200: the body: \"state\" is a required property";
    assert_eq!(failure.downcast_ref::<String>().unwrap(), sentence);
    let failure = catch_unwind(AssertUnwindSafe(|| drop(realm.clone()))).unwrap_err();
    assert_eq!(failure.downcast_ref::<String>().unwrap(), sentence);
    assert!(other.outbox().is_empty());
    assert_eq!(realm.take_breaches().len(), 1);
    assert!(realm.outbox().is_empty());

    send(client.get(format!("{url}/{}?verbose=1", job.id))).await.unwrap();
    assert_eq!(realm.take_breaches().len(), 2);
    // A violation outside all realms belongs to every realm.
    send(client.get(format!("{}/v2", simulator.url()))).await.unwrap();
    assert_eq!(other.take_breaches().len(), 1);
    // Answers of a fault are not validated.
    realm.fault(Rule::new(Effect::Answer(Reply::garbage())));
    send(client.get(format!("{url}/{}", job.id))).await.unwrap();
    realm.allow_any_answer();
    realm.clear_faults();
    send(client.get(format!("{url}/{}", job.id))).await.unwrap();
    assert!(realm.take_breaches().is_empty());
}

#[test]
fn error_replies_match_the_contract() {
    let replies = [Reply::unavailable(), Reply::internal_error(), Reply::too_many_requests(Some(1))];
    for reply in replies.into_iter().chain([Reply::realm_not_found("r")]) {
        let Reply { status, headers, body, .. } = &reply;
        let answer = Answer { status: *status, content_type: Some(&headers[0].1), body };
        let path = "/v1/tenants/t/realms/r/identities/jane/credential-binding-jobs";
        assert_eq!(contract().check_answer("POST", path, &answer), []);
    }
}
