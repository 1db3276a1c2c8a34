//! The operator's reconcilers, with the simulated ports.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::reconcile::{Context, Kind, LocalStates, Options, Times, reconcile};

use crate::controller::Reconcile;
use crate::denied::NAMESPACES;
use crate::faults::Port;
use crate::mutants::{Mutated, Mutation};
use crate::points::CallSite;
use crate::ports::{SimBackend, SimEnvironment};
use crate::process::Process;
use crate::world::State;

/// The timeout of a call to the API server.
pub const KUBERNETES: Duration = Duration::from_secs(10);
/// The timeout of a call to the service.
pub const SERVICE: Duration = Duration::from_secs(30);
/// The settle time: the maximum delay of an effect and a list, with a margin.
pub const SETTLE: Duration = Duration::from_secs(60);
/// The interval for retries of problems that need manual action.
const RESYNC: Duration = Duration::from_secs(600);

/// The grace period.
pub const GRACE: Duration = Duration::from_secs(600);

/// The name of the cluster.
pub const CLUSTER: &str = "simulation";

/// The reconciler of requests.
pub fn request_reconciles(process: &Arc<Process>) -> Reconcile<EnrollmentRequest> {
    let mutation = Mutation::of(process);
    let shares = mutation.shares(&process.shared).into_iter();
    let contexts: Vec<_> = shares.map(|shared| Arc::new(context(process, Arc::new(shared)))).collect();
    Arc::new(move |request| {
        let context = contexts[mutation.share_of(&request)].clone();
        let request = mutation.reconciled(request);
        mutation.change_local_state(&context.local_states, &request);
        mutation.change_reservations(&context.shared.reservations);
        Box::pin(async move { reconcile(&context, request).await.requeue_after })
    })
}

/// The reconciler of configurations.
pub fn config_reconciles(process: &Arc<Process>) -> Reconcile<AuthenticatorConfig> {
    let mutation = Mutation::of(process);
    let context = Arc::new(context(process, Arc::new(())));
    Arc::new(move |config| {
        let (context, config) = (context.clone(), mutation.reconciled(config));
        Box::pin(async move { reconcile(&context, config).await.requeue_after })
    })
}

/// The context of the reconciles of a kind in this process.
fn context<K: Kind>(process: &Arc<Process>, shared: Arc<K::Shared>) -> Context<K, Mutated<SimBackend>> {
    let mutation = Mutation::of(process);
    Context {
        backend: Arc::new(mutation.wrap(SimBackend(CallSite(process.clone())))),
        environment: Arc::new(mutation.wrap(SimEnvironment(process.clone()))),
        shared,
        local_states: LocalStates::default(),
        options: options(mutation.settle(SETTLE)),
    }
}

/// The calls a minute to follow the links that are out.
pub const POLL_BUDGET: u32 = 6;

/// Follows the links that are out.
pub async fn follow_jobs(process: Arc<Process>) {
    process.wait_until_seeded().await;
    let mutation = Mutation::of(&process);
    let backend = mutation.wrap(SimBackend(CallSite(process.clone())));
    let environment = mutation.wrap(SimEnvironment(process.clone()));
    process.shared.watcher.run(&backend, &environment).await;
}

/// The options of the operator, with this settle time.
pub fn options(settle: Duration) -> Options {
    let times = Times {
        request_timeout: SERVICE,
        settle,
        job_poll_min: Duration::from_secs(20),
        job_poll_max: Duration::from_secs(300),
        resync: RESYNC,
        grace: GRACE,
    };
    Options { cluster: CLUSTER.to_owned(), orphan_on_delete: false, audit_job_ids: false, times }
}

/// Seeds the reservations of a process from the namespaces that it can read.
pub async fn seed(process: &Arc<Process>) {
    let (mut seeded, requests) = listed(process, &NAMESPACES).await;
    seeded.retain(|namespace| process.is_synced(namespace));
    let seeded: Vec<_> = seeded.into_iter().map(Some).collect();
    process.shared.reservations.seed_from(&seeded, &Mutation::of(process).seed(requests));
}

/// Those of these namespaces that can be read, and their requests from the API server. It retries until the list succeeds.
pub async fn listed(
    process: &Arc<Process>,
    namespaces: &'static [&'static str],
) -> (Vec<String>, Vec<EnrollmentRequest>) {
    let site = CallSite(process.clone());
    loop {
        let list = |state: &mut State, _, _| {
            let readable: Vec<_> = namespaces.iter().filter(|it| !state.denies(it)).map(ToString::to_string).collect();
            let requests = state.cluster.requests.objects.iter().filter(|(key, _)| readable.contains(&key.0));
            let requests = requests.map(|(_, request)| EnrollmentRequest::clone(request)).collect();
            Ok((readable, requests))
        };
        let listed: Result<_, String> = site.call(Port::ListRequests, KUBERNETES, list).await;
        if let Ok(listed) = listed {
            return listed;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        process.wait_while_suspended().await;
    }
}
