//! The operator's loops, as it runs them, over the simulated ports.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::reconcile::Memories;
use beyond_identity_operator::{authenticator_config, enrollment_request};

use crate::faults::Port;
use crate::mutants::Mutation;
use crate::points::Seat;
use crate::ports::{SimEnvironment, SimObjects, SimUsers};
use crate::process::Process;
use crate::turns::SimRealms;
use crate::waker::Look;
use crate::world::State;

/// How long a call to the API server may take.
pub const KUBERNETES: Duration = Duration::from_secs(10);
/// How long a call to the service may take.
pub const SERVICE: Duration = Duration::from_secs(30);
/// The longest that an effect or a list can be late, with some room.
const SETTLE: Duration = Duration::from_secs(60);
/// When what only a person can mend is tried again.
const RESYNC: Duration = Duration::from_secs(600);

/// How long what could come right by itself is in progress.
pub const GRACE: Duration = Duration::from_secs(600);

/// The name of the cluster.
pub const CLUSTER: &str = "simulation";

/// The loop of requests, as the operator runs it.
pub fn request_looks(process: &Arc<Process>) -> Look<EnrollmentRequest> {
    let mutation = Mutation::of(process);
    let times = enrollment_request::plan::Times {
        request_timeout: SERVICE,
        settle: mutation.settle(SETTLE),
        job_poll_min: Duration::from_secs(20),
        job_poll_max: Duration::from_secs(300),
        resync: RESYNC,
        grace: GRACE,
    };
    let realms = || SimRealms {
        seat: Seat(process.clone()),
        wake: Process::wake_request,
        paused_since: State::paused_since::<EnrollmentRequest>,
    };
    let ports = mutation.reservations(&process.reservations).into_iter().map(|reservations| {
        Arc::new(enrollment_request::Ports {
            requests: mutation.around(SimObjects::of(process)),
            configs: mutation.around(SimObjects::of(process)),
            realms: mutation.around(realms()),
            environment: Arc::new(mutation.around(SimEnvironment(process.clone()))),
            reservations,
            memories: Memories::default(),
            orphan_on_delete: false,
            times,
        })
    });
    let ports: Vec<_> = ports.collect();
    Arc::new(move |request| {
        let ports = ports[mutation.share_of(&request)].clone();
        let request = mutation.looked_at(request);
        mutation.remember(&ports.memories, &request);
        Box::pin(async move { enrollment_request::reconcile(&ports, request).await.again })
    })
}

/// The loop of configurations, as the operator runs it.
pub fn config_looks(process: &Arc<Process>) -> Look<AuthenticatorConfig> {
    let mutation = Mutation::of(process);
    let times = authenticator_config::plan::Times {
        request_timeout: SERVICE,
        settle: mutation.settle(SETTLE),
        resync: RESYNC,
        grace: GRACE,
    };
    let ports = Arc::new(authenticator_config::Ports {
        configs: mutation.around(SimObjects::of(process)),
        users: SimUsers(Seat(process.clone())),
        realms: mutation.around(SimRealms {
            seat: Seat(process.clone()),
            wake: Process::wake_config,
            paused_since: State::paused_since::<AuthenticatorConfig>,
        }),
        environment: Arc::new(mutation.around(SimEnvironment(process.clone()))),
        memories: Memories::default(),
        cluster: CLUSTER.to_owned(),
        orphan_on_delete: false,
        times,
    });
    Arc::new(move |config| {
        let (ports, config) = (ports.clone(), mutation.looked_at(config));
        Box::pin(async move { authenticator_config::reconcile(&ports, config).await.again })
    })
}

/// The requests that the reservations are filled from: all, as the API server has them, asked for until it answers.
pub async fn all_requests(process: &Arc<Process>) -> Vec<EnrollmentRequest> {
    let seat = Seat(process.clone());
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
