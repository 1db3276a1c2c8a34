//! The operator's loops, as it runs them, over the simulated ports.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::reconcile::{Context, Kind, LocalStates, Options, Times, reconcile};

use crate::controller::Reconcile;
use crate::faults::Port;
use crate::mutants::{Mutated, Mutation};
use crate::points::CallSite;
use crate::ports::{SimBackend, SimEnvironment};
use crate::process::Process;
use crate::world::State;

/// How long a call to the API server may take.
pub const KUBERNETES: Duration = Duration::from_secs(10);
/// How long a call to the service may take.
pub const SERVICE: Duration = Duration::from_secs(30);
/// The longest that an effect or a list can be late, with some room.
pub const SETTLE: Duration = Duration::from_secs(60);
/// When what only a person can mend is tried again.
const RESYNC: Duration = Duration::from_secs(600);

/// How long what could come right by itself is in progress.
pub const GRACE: Duration = Duration::from_secs(600);

/// The name of the cluster.
pub const CLUSTER: &str = "simulation";

/// The loop of requests, as the operator runs it.
pub fn request_reconciles(process: &Arc<Process>) -> Reconcile<EnrollmentRequest> {
    let mutation = Mutation::of(process);
    let shares = mutation.reservations(&process.reservations).into_iter();
    let contexts: Vec<_> = shares.map(|reservations| Arc::new(context(process, reservations))).collect();
    Arc::new(move |request| {
        let context = contexts[mutation.share_of(&request)].clone();
        let request = mutation.looked_at(request);
        mutation.remember(&context.local_states, &request);
        Box::pin(async move { reconcile(&context, request).await.requeue_after })
    })
}

/// The loop of configurations, as the operator runs it.
pub fn config_reconciles(process: &Arc<Process>) -> Reconcile<AuthenticatorConfig> {
    let mutation = Mutation::of(process);
    let context = Arc::new(context(process, Arc::new(())));
    Arc::new(move |config| {
        let (context, config) = (context.clone(), mutation.looked_at(config));
        Box::pin(async move { reconcile(&context, config).await.requeue_after })
    })
}

/// What the reconciles of a kind go by, in this process.
fn context<K: Kind>(process: &Arc<Process>, shared: Arc<K::Shared>) -> Context<K, Mutated<SimBackend>> {
    let mutation = Mutation::of(process);
    Context {
        backend: Arc::new(mutation.around(SimBackend(CallSite(process.clone())))),
        environment: Arc::new(mutation.around(SimEnvironment(process.clone()))),
        shared,
        local_states: LocalStates::default(),
        options: options(mutation.settle(SETTLE)),
    }
}

/// How the operator is to run, where an effect or a list may be late for so long.
pub fn options(settle: Duration) -> Options {
    let times = Times {
        request_timeout: SERVICE,
        settle,
        job_poll_min: Duration::from_secs(20),
        job_poll_max: Duration::from_secs(300),
        resync: RESYNC,
        grace: GRACE,
    };
    Options { cluster: CLUSTER.to_owned(), orphan_on_delete: false, times }
}

/// The requests that the reservations are filled from: all, as the API server has them, asked for until it answers.
pub async fn all_requests(process: &Arc<Process>) -> Vec<EnrollmentRequest> {
    let seat = CallSite(process.clone());
    loop {
        let list = |state: &mut State, _, _| Ok(state.cluster.requests.objects.values().cloned().collect::<Vec<_>>());
        let listed: Result<_, String> = seat.call(Port::ListRequests, KUBERNETES, list).await;
        if let Ok(listed) = listed {
            let listed = listed.into_iter().map(Arc::unwrap_or_clone).collect();
            return Mutation::of(process).filled(listed);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        process.awake().await;
    }
}
