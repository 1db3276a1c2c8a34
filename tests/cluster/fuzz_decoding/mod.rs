//! A property test: each answer that the client decodes leads to a status that the API server stores unchanged.
//!
//! Strategies generate answers from a fixed seed. Each answer goes through the client and the plan, and the resulting
//! status is written to a real API server.

mod strategies;

use std::collections::BTreeMap;
use std::time::Duration;

use beyond_identity_operator::api::conditions::conditions;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, Phase, ProviderConfigRef};
use beyond_identity_operator::authenticator_config::observed as config_facts;
use beyond_identity_operator::beyond_identity::types::CredentialBindingJob;
use beyond_identity_operator::beyond_identity::{
    Answer, ApiToken, CaBundle, Endpoint, Error, HttpClient, Listing, RealmClient,
};
use beyond_identity_operator::enrollment_request::enrollment_key::EnrollmentKey;
use beyond_identity_operator::enrollment_request::observed::{Config, JobList, Observed, ReadyConfig};
use beyond_identity_operator::enrollment_request::step::Query;
use beyond_identity_operator::reconcile::outcome::failure;
use beyond_identity_operator::reconcile::plan::plan;
use beyond_identity_operator::reconcile::rules::judge;
use beyond_identity_operator::reconcile::{
    Destination, End, Fact, Kind, ObjectState, Options, Permissions, PlanInput, RealmIds, ResolvedRealm, Step, Times,
};
use harness::simulator::{Effect, Operation, Reply, Rule};
use jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config as RunnerConfig, RngSeed, TestRunner};
use serde_json::{Value, json};

use crate::fixture::{CLUSTER, Fixture, JANE};

/// The number of answers of each kind.
const ANSWERS: usize = 150;

/// The most smaller answers that are tried after a failure.
const MAX_SHRINKS: usize = 200;

/// Runs `check` on `ANSWERS` values of a strategy, the same values each time. A failure panics with the smallest
/// failing value that it finds.
async fn check_all<S: Strategy>(values: S, mut check: impl AsyncFnMut(S::Value) -> Result<(), String>) {
    let config = RunnerConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..RunnerConfig::default() };
    let mut runner = TestRunner::new(config);
    for _ in 0..ANSWERS {
        let mut tree = values.new_tree(&mut runner).unwrap();
        let Err(mut why) = check(tree.current()).await else { continue };
        let mut smallest = tree.current();
        let mut shrinkable = tree.simplify();
        for _ in 0..MAX_SHRINKS {
            if !shrinkable {
                break;
            }
            shrinkable = match check(tree.current()).await {
                Ok(()) => tree.complicate(),
                Err(still) => {
                    (smallest, why) = (tree.current(), still);
                    tree.simplify()
                }
            };
        }
        panic!("{why}\nfor {smallest:?}");
    }
}

fn realm_of(fixture: &Fixture) -> RealmClient {
    let http = HttpClient::new("beyond-identity-operator/test", &CaBundle::default()).unwrap();
    let endpoint = Endpoint::parse(fixture.realm.url(), true).unwrap();
    let token = ApiToken::parse(fixture.token.as_bytes()).unwrap();
    RealmClient::new(http, endpoint, fixture.realm.tenant(), fixture.realm.realm(), token, Duration::from_secs(20))
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Writes the status of an object with the conditions of `phase`. The API server must store it unchanged.
async fn write<K>(api: &Api<K>, object: &mut K, phase: Option<&Phase>) -> Result<(), String>
where
    K: HasStatus + kube::Resource<DynamicType = ()> + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    if let Some(phase) = phase {
        let conditions = conditions(phase, 1, &[], now());
        object.set_conditions(conditions, Some(1));
    }
    let name = object.meta().name.clone().unwrap();
    match api.replace_status(&name, &PostParams::default(), object).await {
        Ok(written) if written.same_status(object) => {
            *object = written;
            Ok(())
        }
        Ok(written) => Err(format!("the API server stored another status: {written:#?} for {object:#?}")),
        Err(error) => Err(format!("the API server refuses a decoded answer: {error}\n{object:#?}")),
    }
}

/// An observed state with all facts that a send needs, and with these jobs of the identity.
fn observed(fixture: &Fixture, listed: &Listing<CredentialBindingJob>) -> Observed {
    let realm = RealmIds { tenant_id: fixture.realm.tenant().to_owned(), realm_id: fixture.realm.realm().to_owned() };
    let ready = ReadyConfig { id: "configuration".to_owned(), realm: realm.clone() };
    let config = Config {
        observes: false,
        provider_config_ref: ProviderConfigRef::default(),
        ready: Some(ready),
        leaving: false,
        stalled: false,
        paused: false,
    };
    let identity = json!({"id": JANE, "traits": {"primary_email_address": "jane@example.com"}});
    let key = EnrollmentKey {
        tenant_id: realm.tenant_id.clone(),
        realm_id: realm.realm_id.clone(),
        identity_id: JANE.to_owned(),
        authenticator_config_id: "configuration".to_owned(),
    };
    let jobs = JobList {
        jobs: listed.items.clone(),
        named_elsewhere: Default::default(),
        ages: Default::default(),
        server_time: listed.server_time,
        listed_at: listed.server_time,
        age: Duration::ZERO,
        lists: 1,
    };
    let destination = Destination { realm, endpoint: fixture.realm.url().to_owned() };
    Observed {
        object: object_state(destination),
        config: Fact::Known(Some(config)),
        identity: Fact::Known(Some(serde_json::from_value(identity).unwrap())),
        reservation: Fact::Known(key),
        jobs: Fact::Known(jobs),
        ..Observed::default()
    }
}

/// An object just read from the API server, with its finalizer and a provider config for this destination.
fn object_state<K: Kind>(destination: Destination) -> ObjectState<K> {
    let realm = ResolvedRealm { destination, permissions: Permissions::default() };
    ObjectState {
        fresh: true,
        finalizer: true,
        may_call_service: true,
        realms: BTreeMap::from([(ProviderConfigRef::default(), Ok(realm))]),
        nonce: "nonce".to_owned(),
        ..ObjectState::default()
    }
}

/// The options of the operator in these tests.
fn options() -> Options {
    Options { cluster: CLUSTER.to_owned(), orphan_on_delete: false, audit_job_ids: false, times: TIMES }
}

const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// Plans a new request with these jobs of its identity until it is settled, and writes each status on the way.
async fn settle(
    fixture: &Fixture,
    request: &mut EnrollmentRequest,
    answer: Result<Listing<CredentialBindingJob>, Error>,
) -> Result<(), String> {
    let api = fixture.requests();
    request.status = None;
    let listed = match answer {
        Ok(listed) => listed,
        Err(error) => {
            let phase = failure(&error, &ProviderConfigRef::default()).phase();
            return write(&api, request, Some(&phase)).await;
        }
    };
    let mut facts = observed(fixture, &listed);
    let jobs: BTreeMap<_, _> = listed.items.iter().map(|job| (job.id.clone(), job.clone())).collect();
    for _ in 0..40 {
        let (status, desired) = (request.status.clone().unwrap_or_default(), request.desired(&options()));
        let input: PlanInput<'_, EnrollmentRequest> =
            PlanInput { desired: &desired, status: &status, observed: &facts, times: &TIMES, now: now() };
        match plan(&input) {
            Step::Fetch(Query::Job(_, job)) => {
                let read = jobs.get(&job.job_id).cloned();
                let read = read.map(|item| Answer { item, server_time: listed.server_time });
                facts.read.insert(job.job_id, read);
            }
            Step::Record(change) => {
                assert!(change.apply(request.status.get_or_insert_default()));
                let phase = judge(&*request, &options(), now(), |input| change.phase(input));
                write(&api, request, phase.as_ref()).await?;
            }
            // No call is made here, so the jobs are unknown after the record is written.
            Step::WriteAhead(send, phase) => {
                request.status.get_or_insert_default().send = Some(*send);
                write(&api, request, Some(&phase)).await?;
                facts.jobs = Fact::Unknown;
            }
            Step::End(End { phase, .. }) => return write(&api, request, phase.as_ref()).await,
            _ => return Ok(()),
        }
    }
    Err("the plan does not settle within 40 steps".to_owned())
}

/// The result of a call that the service answers with `reply`.
async fn answered<T>(fixture: &Fixture, call: Operation, reply: Reply, answer: impl Future<Output = T>) -> T {
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(call));
    let answer = answer.await;
    fixture.realm.remove_fault(rule);
    answer
}

/// The id of the object in an answer, so that the answer is about what was asked for.
fn id_in(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let inner = body.as_object().and_then(|fields| fields.values().find(|field| field.is_object()));
    let id = body["id"].as_str().or_else(|| inner?["id"].as_str());
    id.filter(|id| !id.is_empty()).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn decoded_jobs_give_a_status_the_api_server_accepts() {
    let fixture = Fixture::new().await;
    fixture.realm.allow_any_answer();
    let realm = realm_of(&fixture);
    let mut request = fixture.create_request().await;
    let (mut decoded, mut failed) = (0, 0);
    let answers = (strategies::list_of_jobs(), strategies::reply("credential_binding_job", strategies::job()));
    check_all(answers, async |(list, job)| {
        let listed = answered(&fixture, Operation::ListJobs, list, realm.list_jobs(JANE)).await;
        *if listed.is_ok() { &mut decoded } else { &mut failed } += 1;
        settle(&fixture, &mut request, listed).await?;

        // A single job, as a poll reads it.
        let id = id_in(&job);
        let read = answered(&fixture, Operation::GetJob, job, realm.job(JANE, &id)).await;
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
        settle(&fixture, &mut request, listed).await
    })
    .await;
    println!("{decoded} answers were decoded, {failed} were not");
    assert!(decoded > ANSWERS / 2 && failed > ANSWERS / 10, "{decoded} were decoded, {failed} were not");
}

#[tokio::test]
async fn decoded_configurations_give_a_status_the_api_server_accepts() {
    let fixture = Fixture::new().await;
    fixture.realm.allow_any_answer();
    let realm = realm_of(&fixture);
    let mut config: AuthenticatorConfig = fixture.create_config().await;
    let desired = config.desired(&options());
    let realm_ids = RealmIds { tenant_id: "t".to_owned(), realm_id: "r".to_owned() };
    let (mut decoded, mut failed) = (0, 0);
    let answers = strategies::reply("authenticator_config", strategies::config(&desired.display_name));
    check_all(answers, async |answer| {
        let id = id_in(&answer);
        let read = answered(&fixture, Operation::GetConfig, answer, realm.authenticator_config(&id)).await;
        let fact = match read {
            Ok(remote) => {
                decoded += 1;
                config.status.get_or_insert_default().id = Some(remote.id.clone());
                Fact::Known(Some(remote))
            }
            Err(error) => {
                failed += 1;
                Fact::Failed(failure(&error, &ProviderConfigRef::default()))
            }
        };
        let status = config.status.get_or_insert_default();
        (status.tenant_id, status.realm_id) = (Some(realm_ids.tenant_id.clone()), Some(realm_ids.realm_id.clone()));
        status.observed_generation = None;
        let id = status.id.get_or_insert_with(|| "configuration".to_owned()).clone();
        let destination = Destination { realm: realm_ids.clone(), endpoint: fixture.realm.url().to_owned() };
        let facts = config_facts::Observed {
            object: object_state(destination),
            read: BTreeMap::from([(id, fact)]),
            ..config_facts::Observed::default()
        };
        let input: PlanInput<'_, AuthenticatorConfig> =
            PlanInput { desired: &desired, status, observed: &facts, times: &TIMES, now: now() };
        let phase = match plan(&input) {
            Step::End(end) => end.phase,
            _ => None,
        };
        write(&fixture.configs(), &mut config, phase.as_ref()).await
    })
    .await;
    println!("{decoded} answers were decoded, {failed} were not");
    assert!(decoded > ANSWERS / 2 && failed > ANSWERS / 10, "{decoded} were decoded, {failed} were not");
}
