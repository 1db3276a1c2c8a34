//! A property: whatever the client decodes of an answer gives a status that the API server accepts as it is. Many answers
//! are made by chance (of a seed, so that they are the same each time), go through the client, the plan and its changes,
//! and what comes of each is written to the real API server.

use std::collections::BTreeMap;
use std::time::Duration;

use beyond_identity_operator::api::conditions::conditions;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, Phase, ProviderConfigRef};
use beyond_identity_operator::authenticator_config::{self, observed as config_facts, step::Step as ConfigStep};
use beyond_identity_operator::beyond_identity::types::CredentialBindingJob;
use beyond_identity_operator::beyond_identity::{
    Answer, ApiToken, CaBundle, Endpoint, Error, HttpClient, Listing, RealmClient,
};
use beyond_identity_operator::enrollment_request::desired::Desired;
use beyond_identity_operator::enrollment_request::observed::{Config, Listed, Observed, Person, ReadyConfig};
use beyond_identity_operator::enrollment_request::plan::{Times, plan};
use beyond_identity_operator::enrollment_request::step::{Question, Step};
use beyond_identity_operator::reconcile::outcome::trouble;
use beyond_identity_operator::reconcile::{Destination, Fact, RealmIds, Wait};
use harness::simulator::{Effect, Operation, Reply, Rule};
use jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::fixture::{CLUSTER, Fixture, JANE};

/// How many answers of each sort.
const ANSWERS: usize = 150;

/// A text such as nobody expects, or one that somebody does.
fn text(chance: &mut StdRng) -> String {
    let any = |chance: &mut StdRng, most: usize| -> String {
        let length = chance.random_range(0..most);
        (0..length).filter_map(|_| char::from_u32(chance.random_range(0..0x11_0000))).collect()
    };
    match chance.random_range(0..12) {
        0 => String::new(),
        1 => "x".repeat(10_000),
        2 => "Ä\u{301}".repeat(5_000),
        3 => "\u{0}\u{1b}\u{7f}\u{85}\u{202e}\u{feff}\u{fffe}\u{1f9d1}\u{200d}".repeat(200),
        4 => "9999999-99-99T99:99:99Z".to_owned(),
        5 => "2026-01-01T00:00:00Z".to_owned(),
        6 => "<script>%00%0a{{.}}\r\n\"'\\".to_owned(),
        7 => any(chance, 2_000),
        8 => any(chance, 20),
        9 => ["COMPLETE", "LINK_SENT", "EXPIRED", "REVOKED", "SOMETHING_NEW"][chance.random_range(0..5)].to_owned(),
        10 => "-9999-01-01T00:00:00Z".to_owned(),
        _ => "EMAIL".to_owned(),
    }
}

/// Any value.
fn value(chance: &mut StdRng) -> Value {
    match chance.random_range(0..10) {
        0 => Value::Null,
        1 => json!(chance.random_range(i64::MIN..i64::MAX)),
        2 => json!([text(chance), {"a": text(chance)}]),
        3 => json!({ "type": text(chance), text(chance): [null] }),
        4 => json!(1e300),
        _ => json!(text(chance)),
    }
}

/// An object of the API: an id, mostly one that can be used, and any of these fields with any values.
fn any(chance: &mut StdRng, fields: &[(&str, Option<&str>)]) -> Value {
    let mut object = Map::new();
    let id = match chance.random_range(0..10) {
        0 => value(chance),
        1 => json!("x".repeat(10_000)),
        2 => json!("!~".repeat(128)),
        _ => json!(format!("id-{}", chance.random_range(0..1_000_000))),
    };
    object.insert("id".to_owned(), id);
    for (field, usual) in fields {
        match (chance.random_range(0..4), usual) {
            (0, _) => {}
            (1, Some(usual)) => _ = object.insert((*field).to_owned(), json!(usual)),
            _ => _ = object.insert((*field).to_owned(), value(chance)),
        }
    }
    Value::Object(object)
}

fn any_job(chance: &mut StdRng) -> Value {
    let fields = [
        ("identity_id", Some(JANE)),
        ("authenticator_config_id", Some("configuration")),
        ("delivery_method", Some("EMAIL")),
        ("state", Some("LINK_SENT")),
        ("credential_id", None),
        ("post_binding_redirect_uri", None),
        ("expire_time", Some("2026-01-08T00:00:00Z")),
        ("create_time", Some("2026-01-01T00:00:00Z")),
        ("update_time", None),
    ];
    any(chance, &fields)
}

/// An answer with this status: an object, in its envelope or bare, or an error.
fn reply(chance: &mut StdRng, envelope: &str, object: Value) -> Reply {
    match chance.random_range(0..10) {
        0 => {
            let status = [400, 401, 403, 404, 409, 418, 422, 429, 500, 503][chance.random_range(0..10)];
            Reply::json(status, &json!({"code": value(chance), "message": text(chance), "details": value(chance)}))
        }
        1 => Reply::text(200, "text/html", &text(chance)),
        2..6 => Reply::json(200, &json!({ envelope: object })),
        _ => Reply::json(200, &object),
    }
}

fn realm_of(place: &Fixture) -> RealmClient {
    let http = HttpClient::new("beyond-identity-operator/test", &CaBundle::default()).unwrap();
    let endpoint = Endpoint::parse(place.realm.url(), true).unwrap();
    let token = ApiToken::parse(place.token.as_bytes()).unwrap();
    RealmClient::new(http, endpoint, place.realm.tenant(), place.realm.realm(), token, Duration::from_secs(20))
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Writes what is said of an object, and what stands in its status; the API server takes it as it is.
async fn write<K>(api: &Api<K>, object: &mut K, phase: Option<&Phase>)
where
    K: HasStatus + kube::Resource<DynamicType = ()> + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    if let Some(phase) = phase {
        let said = conditions(phase, 1, &[], now());
        object.set_conditions(said, Some(1));
    }
    let name = object.meta().name.clone().unwrap();
    match api.replace_status(&name, &PostParams::default(), object).await {
        Ok(written) => {
            assert!(written.same_status(object), "the API server kept something else: {written:#?} of {object:#?}");
            *object = written;
        }
        Err(error) => panic!("the API server refuses what can be decoded: {error}\n{object:#?}"),
    }
}

/// A request of which all is known that a send needs, and whose identity has these jobs.
fn observed(place: &Fixture, listed: &Listing<CredentialBindingJob>) -> Observed {
    let realm = RealmIds { tenant_id: place.realm.tenant().to_owned(), realm_id: place.realm.realm().to_owned() };
    let ready = ReadyConfig { id: "configuration".to_owned(), realm: realm.clone() };
    let config = Config {
        provider_config_ref: ProviderConfigRef::default(),
        ready: Some(ready),
        leaving: false,
        stalled: false,
        paused: false,
    };
    let identity = json!({"id": JANE, "traits": {"primary_email_address": "jane@example.com"}});
    let person = Person {
        tenant_id: realm.tenant_id.clone(),
        realm_id: realm.realm_id.clone(),
        identity_id: JANE.to_owned(),
        authenticator_config_id: "configuration".to_owned(),
    };
    let jobs = Listed {
        jobs: listed.items.clone(),
        named_elsewhere: Default::default(),
        server_time: listed.server_time,
        age: Duration::ZERO,
        lists: 1,
    };
    let destination = Destination { realm, endpoint: place.realm.url().to_owned() };
    Observed {
        fresh: true,
        finalizer: true,
        may_write: true,
        config: Fact::Known(Some(config)),
        destinations: BTreeMap::from([(ProviderConfigRef::default(), Fact::Known(destination))]),
        identity: Fact::Known(Some(serde_json::from_value(identity).unwrap())),
        reservation: Fact::Known(person),
        jobs: Fact::Known(jobs),
        nonce: "nonce".to_owned(),
        ..Observed::default()
    }
}

const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// Has a new request settled, with these jobs of its identity, and writes each status that it comes to.
async fn settle(
    place: &Fixture,
    request: &mut EnrollmentRequest,
    answer: Result<Listing<CredentialBindingJob>, Error>,
) {
    let api = place.requests();
    request.status = None;
    let listed = match answer {
        Ok(listed) => listed,
        Err(error) => {
            let phase = trouble(&error, &ProviderConfigRef::default()).phase;
            return write(&api, request, Some(&phase)).await;
        }
    };
    let mut facts = observed(place, &listed);
    let jobs: BTreeMap<_, _> = listed.items.iter().map(|job| (job.id.clone(), job.clone())).collect();
    for _ in 0..40 {
        facts.status = request.status.clone().unwrap_or_default();
        let desired = Desired::of(request);
        match plan(&desired, &facts, &TIMES, now()) {
            Step::Learn(Question::Job(_, job)) => {
                let read = jobs.get(&job.job_id).cloned();
                let read = read.map(|item| Answer { item, server_time: listed.server_time });
                facts.read.insert(job.job_id, read);
            }
            Step::Record(change) => {
                assert!(change.apply(request.status.get_or_insert_default()));
                let phase = change.phase(request.status.as_ref().unwrap(), &desired);
                write(&api, request, phase.as_ref()).await;
            }
            // The job that it makes is one that nobody expects, too.
            Step::WriteAhead(send, phase) => {
                request.status.get_or_insert_default().send = Some(*send);
                write(&api, request, Some(&phase)).await;
                facts.jobs = Fact::Unknown;
            }
            Step::Wait(Wait { say, .. }) => return write(&api, request, say.as_ref()).await,
            _ => return,
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test]
async fn whatever_the_client_decodes_of_jobs_gives_a_status_that_the_api_server_accepts() {
    let place = Fixture::new().await;
    place.realm.allow_any_answer();
    let realm = realm_of(&place);
    let mut request = place.create_request().await;
    let (mut chance, mut decoded, mut failed) = (StdRng::seed_from_u64(1), 0, 0);
    for number in 0..ANSWERS {
        let jobs: Vec<_> = (0..chance.random_range(0..4)).map(|_| any_job(&mut chance)).collect();
        let list = json!({"credential_binding_jobs": jobs, "total_size": jobs.len()});
        let answer = if number % 10 == 0 { reply(&mut chance, "odd", list) } else { Reply::json(200, &list) };
        let rule = place.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::ListJobs));
        let listed = realm.list_jobs(JANE).await;
        place.realm.remove_fault(rule);
        *if listed.is_ok() { &mut decoded } else { &mut failed } += 1;
        settle(&place, &mut request, listed).await;

        // One job by itself, which is followed.
        let job = any_job(&mut chance);
        let answer = reply(&mut chance, "credential_binding_job", job);
        let rule = place.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::GetJob));
        let read = realm.job(JANE, "job").await;
        place.realm.remove_fault(rule);
        *if read.is_ok() { &mut decoded } else { &mut failed } += 1;
        let listed = read.map(|answer| Listing {
            items: vec![CredentialBindingJob {
                identity_id: None,
                authenticator_config_id: Some("configuration".to_owned()),
                delivery_method: None,
                ..answer.item
            }],
            server_time: None,
        });
        settle(&place, &mut request, listed).await;
    }
    println!("{decoded} answers were decoded, {failed} were not");
    assert!(decoded > ANSWERS / 2 && failed > ANSWERS / 10, "{decoded} were decoded, {failed} were not");
}

#[tokio::test]
async fn whatever_the_client_decodes_of_configurations_gives_a_status_that_the_api_server_accepts() {
    let place = Fixture::new().await;
    place.realm.allow_any_answer();
    let realm = realm_of(&place);
    let mut config: AuthenticatorConfig = place.create_config().await;
    let desired = authenticator_config::desired::Desired::of(&config, CLUSTER);
    let times = authenticator_config::plan::Times {
        request_timeout: TIMES.request_timeout,
        settle: TIMES.settle,
        resync: TIMES.resync,
        grace: TIMES.grace,
    };
    let home = RealmIds { tenant_id: "t".to_owned(), realm_id: "r".to_owned() };
    let (mut chance, mut decoded, mut failed) = (StdRng::seed_from_u64(2), 0, 0);
    for _ in 0..ANSWERS {
        let mut answer = any(&mut chance, &[("display_name", Some(desired.display_name.as_str())), ("config", None)]);
        if chance.random_range(0..4) == 0 {
            // Somebody else's, by its mark.
            answer["display_name"] = json!(format!("{} (ELSE {})", "ü".repeat(9_000), "a".repeat(12)));
        }
        let answer = reply(&mut chance, "authenticator_config", answer);
        let rule = place.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::GetConfig));
        let read = realm.authenticator_config("configuration").await;
        place.realm.remove_fault(rule);
        let fact = match read {
            Ok(remote) => {
                decoded += 1;
                config.status.get_or_insert_default().id = Some(remote.id.clone());
                Fact::Known(Some(remote))
            }
            Err(error) => {
                failed += 1;
                Fact::Failed(trouble(&error, &ProviderConfigRef::default()))
            }
        };
        let status = config.status.get_or_insert_default();
        (status.tenant_id, status.realm_id) = (Some(home.tenant_id.clone()), Some(home.realm_id.clone()));
        status.observed_generation = None;
        let id = status.id.get_or_insert_with(|| "configuration".to_owned()).clone();
        let facts = config_facts::Observed {
            status: status.clone(),
            fresh: true,
            finalizer: true,
            may_write: true,
            destination: Fact::Known(Destination { realm: home.clone(), endpoint: place.realm.url().to_owned() }),
            read: BTreeMap::from([(id, fact)]),
            ..config_facts::Observed::default()
        };
        let said = match authenticator_config::plan::plan(&desired, &facts, &times) {
            ConfigStep::Wait(wait) => wait.say,
            _ => None,
        };
        write(&place.configs(), &mut config, said.as_ref()).await;
    }
    println!("{decoded} answers were decoded, {failed} were not");
    assert!(decoded > ANSWERS / 2 && failed > ANSWERS / 10, "{decoded} were decoded, {failed} were not");
}
