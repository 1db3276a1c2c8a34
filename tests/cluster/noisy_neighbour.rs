//! A namespace with hundreds of failing requests does not delay the requests of another one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use harness::simulator::{Effect, Identity, Operation, Rule};

use crate::fixture::{Fixture, eventually};

/// The failing requests of the noisy namespace.
const NOISY: usize = 500;
/// The requests of the quiet one.
const QUIET: usize = 4;
/// The most calls for the noisy namespace, from the first request of the quiet one to its last email. Without fair turns
/// there would be hundreds.
const BOUND: usize = 100;
/// How long the service takes for an identity. It makes the noisy namespace wait longer than its requests are created.
const SLOW: Duration = Duration::from_millis(150);

async fn create(fixture: &Fixture, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
    stream::iter(&names).for_each_concurrent(8, async |name| _ = fixture.create_request_of(name, name).await).await;
    names
}

/// The calls about identities of the noisy namespace, and how many identities they are about.
fn noise(fixture: &Fixture) -> (usize, usize) {
    let calls = fixture.realm.requests_of(Operation::GetIdentity);
    let noisy: Vec<_> = calls.into_iter().map(|call| call.path).filter(|path| path.contains("noisy-")).collect();
    (noisy.len(), noisy.iter().collect::<BTreeSet<_>>().len())
}

/// Creates the requests of the noisy namespace, and while they fail those of the quiet one.
async fn enrol_beside(fail: impl Fn(&Fixture)) {
    let noisy = Fixture::new().await;
    let quiet = noisy.other_namespace().await;
    let both = [noisy.namespace.clone(), quiet.namespace.clone()].to_vec();
    let _operator = noisy
        .start_with(|settings| {
            settings.watch_namespaces = both;
            settings.max_concurrent_reconciles_per_provider_config = 4;
        })
        .await;
    for fixture in [&noisy, &quiet] {
        fixture.create_config().await;
        fixture.wait_for_config("Available").await;
    }
    for number in 0..QUIET {
        noisy.realm.add_identity(Identity::active(&format!("quiet-{number}"), "someone@example.com"));
    }
    fail(&noisy);
    create(&noisy, "noisy", NOISY).await;
    let ((before, _), started) = (noise(&noisy), Instant::now());
    let names = create(&quiet, "quiet", QUIET).await;
    eventually("the quiet namespace has its emails", || noisy.realm.outbox().len() == QUIET).await;
    let ((after, identities), took) = (noise(&noisy), started.elapsed());
    join_all(names.iter().map(|name| quiet.wait_for_request_named(name, "LinkSent"))).await;
    println!(
        "{QUIET} emails in {took:?}, after {before} calls for {NOISY} failing requests, and with {} more; {} failing \
         requests were still to be tried",
        after - before,
        NOISY - identities
    );
    assert!(before > 0 && after - before < BOUND, "{} calls for the noisy namespace came first", after - before);
}

#[tokio::test]
async fn unknown_identities_of_one_namespace_do_not_delay_another() {
    enrol_beside(|noisy| {
        noisy.realm.fault(Rule::new(Effect::DelayAnswer(SLOW)).on(Operation::GetIdentity));
    })
    .await;
}

/// Each identity of the noisy namespace makes the service fail.
#[tokio::test]
async fn server_errors_of_one_namespace_do_not_delay_another() {
    enrol_beside(|noisy| {
        for number in 0..NOISY {
            let rule = Rule::new(Effect::unavailable()).on(Operation::GetIdentity).about(&format!("noisy-{number}"));
            noisy.realm.fault(rule);
        }
    })
    .await;
}
