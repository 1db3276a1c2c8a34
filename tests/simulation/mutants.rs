//! Proof that the simulation can fail: each mutant takes one rule out of the protocol, around a port or an
//! input, and must be caught.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, PAUSED};
use beyond_identity_operator::beyond_identity::types::{CredentialBindingJob, JobState};
use beyond_identity_operator::beyond_identity::{Doubt, Error, Listing, Unsent};
use beyond_identity_operator::enrollment_request::wishes::RESEND;
use beyond_identity_operator::reconcile::Memories;
use jiff::Timestamp;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::SEEDS;
use crate::faults::{Fault, Point, Port};
use crate::kubernetes::Kind;
use crate::mishap::Mishap;
use crate::process::Process;
use crate::schedule;
use crate::world::World;

/// A rule taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The write-ahead record is reported as written, and is not.
    NoWriteAhead,
    /// A status is written whatever stands there.
    NoPrecondition,
    /// A POST that timed out is made again.
    PostsAgain,
    /// A POST answered with 5xx counts as not carried out.
    ServerErrorIsNo,
    /// A connection that broke counts as not carried out.
    BrokenIsNo,
    /// The record does not name the jobs that were there already.
    NoExistingJobs,
    /// The record does not say from when on a job can be its own.
    NoNotBefore,
    /// Nothing shows late.
    NoSettling,
    /// A process that was started again takes the settling time for over.
    SettledByRestart,
    /// A list that cannot be read is an empty one.
    UnusableListIsEmpty,
    /// The record says too late a time.
    LateNotBefore,
    /// The statuses are not read before the work begins.
    NoReservationsAtTheStart,
    /// No request knows of another.
    NoReservations,
    /// What a list said is taken for what a job is now.
    AdoptsByTheList,
    /// A link that has expired can be adopted.
    AdoptsExpired,
    /// A process that was started again does not see the records.
    ForgetsDoubt,
    /// What concludes a send is written whatever stands there.
    ConcludesAnyhow,
    /// A finalizer is set whatever object stands there.
    FinalizesAnyhow,
    /// What is held back is sent all the same.
    SendsWhatIsHeldBack,
    /// A resend is not compared with the state in status.
    ResendsInAnyState,
    /// A resend is not compared with the job in status.
    ResendsForAnyJob,
    /// The monotonic clock runs slowly, so that a deadline comes late.
    SlowClock,
    /// Nobody sees that an object is paused.
    IgnoresPauses,
    /// The token that was seen last is as good as one that is there.
    SendsByTheLastToken,
    /// Whatever the API server stored, a status counts as stored as it was written.
    TrustsUnstored,
    /// A job that cannot be revoked speaks against revoking any other.
    SharesRefusals,
    /// All endpoints are one.
    AnyEndpoint,
    /// Whatever answers knows the identity.
    RecognizesAnyService,
    /// A request that is deleted is let go as if its job were old.
    HoldsForNoSettleTime,
    /// No link is ever over.
    IgnoresExpireTimes,
    /// What was refused by the API server is forgotten.
    ForgetsRefusedWrites,
}

/// What has to go wrong again and again for a mutant to show in a few seeds: without it, it takes thousands.
pub fn aim(mutant: Mutant) -> Option<(Port, Point, Fault)> {
    match mutant {
        // The next request of the same name sends in vain, and a list shows it the job of the one before.
        Mutant::HoldsForNoSettleTime => Some((Port::CreateJob, Point::Before, Fault::Fail(Mishap::Broken))),
        _ => None,
    }
}

/// How long an effect or a list may be late.
pub fn settle(process: &Process, settle: Duration) -> Duration {
    match process.world.mutant {
        Some(Mutant::NoSettling) => Duration::ZERO,
        Some(Mutant::SettledByRestart) if process.restarted => Duration::ZERO,
        _ => settle,
    }
}

/// The status that is really written.
pub fn written<K: Kind>(mutant: Option<Mutant>, mut object: K) -> K {
    match mutant {
        Some(Mutant::NoExistingJobs) => object.blank_record(true, false),
        Some(Mutant::NoNotBefore) => object.blank_record(false, true),
        Some(Mutant::LateNotBefore) => object.delay_record(Duration::from_secs(90)),
        _ => {}
    }
    object
}

/// Whether a status is reported as written, and is not.
pub fn is_lost<K: Kind>(mutant: Option<Mutant>, object: &K) -> bool {
    mutant == Some(Mutant::NoWriteAhead) && object.announced().is_some()
}

/// Whether a status is written whatever stands there.
pub fn writes_anyhow<K: Kind>(mutant: Option<Mutant>, object: &K) -> bool {
    match mutant {
        Some(Mutant::NoPrecondition) => true,
        Some(Mutant::ConcludesAnyhow) => object.announced().is_none(),
        _ => false,
    }
}

/// An object, as it is read.
pub fn read<K: Kind>(process: &Process, mut object: K) -> K {
    if process.world.mutant == Some(Mutant::ForgetsDoubt) && process.restarted {
        object.forget_record();
    }
    object.wish(process.world.mutant);
    object
}

/// An object, as it is seen anywhere.
pub fn seen<K: Kind>(process: &Process, mut object: K) -> K {
    if process.world.mutant == Some(Mutant::IgnoresPauses) {
        object.meta_mut().annotations.iter_mut().for_each(|annotations| _ = annotations.remove(PAUSED));
    }
    object
}

/// A status, as it is taken to be stored.
pub fn stored<K: Kind>(mutant: Option<Mutant>, written: K, mut stored: K) -> K {
    if mutant == Some(Mutant::TrustsUnstored) {
        stored.take_status(&written);
    }
    stored
}

/// A job, as it is told of.
pub fn any_job(mutant: Option<Mutant>, job: CredentialBindingJob) -> CredentialBindingJob {
    match mutant {
        Some(Mutant::IgnoresExpireTimes) => CredentialBindingJob { expire_time: None, ..job },
        _ => job,
    }
}

/// What is remembered of a request, before it is looked at.
pub fn remember(mutant: Option<Mutant>, memories: &Memories, request: &EnrollmentRequest) {
    let uid = request.uid().unwrap_or_default();
    let mut memory = memories.recall(&uid);
    match mutant {
        Some(Mutant::SharesRefusals) => {
            let status = request.status.clone().unwrap_or_default();
            let refused = memory.revocations.refused_within(Duration::from_secs(3600), Instant::now());
            if let Some(said) = refused.values().next() {
                let named = status.job_id.into_iter().chain(status.previous_jobs.into_iter().map(|job| job.id));
                named.for_each(|id| _ = memory.revocations.refuse(&id, Instant::now(), said));
            }
        }
        Some(Mutant::ForgetsRefusedWrites) => memory.write_stored(),
        _ => return,
    }
    memories.keep(&uid, memory, || true);
}

/// What a request asks for by annotations, as it is looked at.
pub fn wish(mutant: Option<Mutant>, request: &mut EnrollmentRequest) {
    let status = request.status.clone().unwrap_or_default();
    let (id, state) = (status.job_id.unwrap_or_default(), status.state.unwrap_or_default());
    if let Some(asked) = request.annotations_mut().get_mut(RESEND)
        && let Some((job, then)) = asked.rsplit_once('/')
    {
        *asked = match mutant {
            Some(Mutant::ResendsInAnyState) => format!("{job}/{state}"),
            Some(Mutant::ResendsForAnyJob) => format!("{id}/{then}"),
            _ => return,
        };
    }
}

/// A job, as it is read by its id.
pub fn read_job(mutant: Option<Mutant>, mut job: CredentialBindingJob) -> CredentialBindingJob {
    if mutant == Some(Mutant::AdoptsExpired) && job.state == Some(JobState::Expired) {
        job.state = Some(JobState::LinkSent);
    }
    if mutant == Some(Mutant::HoldsForNoSettleTime)
        && let Some(created) = job.create_time.as_mut()
        && let Ok(time) = created.parse::<Timestamp>()
    {
        // As if it were old: only a deletion goes by that.
        *created = (time - Duration::from_secs(3600)).to_string();
    }
    job
}

/// Whether a call that is held back is sent all the same.
pub fn sends_anyhow(mutant: Option<Mutant>, mishap: Mishap) -> bool {
    mutant == Some(Mutant::SendsWhatIsHeldBack) && mishap == Mishap::HeldBack
}

/// Whether the POST is made again.
pub fn posts_again<T>(mutant: Option<Mutant>, answer: &Result<T, Error>) -> bool {
    mutant == Some(Mutant::PostsAgain) && matches!(answer, Err(Error::InDoubt { cause: Doubt::Timeout, .. }))
}

/// The answer to a POST, as it is sorted.
pub fn sorted<T>(mutant: Option<Mutant>, answer: Result<T, Error>) -> Result<T, Error> {
    let no = |message| Err(Error::Retry { cause: Unsent::NoConnection, after: None, message });
    match (mutant, answer) {
        (Some(Mutant::ServerErrorIsNo), Err(Error::InDoubt { cause: Doubt::Server, message, .. })) => no(message),
        (Some(Mutant::BrokenIsNo), Err(Error::InDoubt { cause: Doubt::Connection, message, .. })) => no(message),
        (_, answer) => answer,
    }
}

/// The requests that the reservations are filled from.
pub fn filled(world: &World, requests: Vec<EnrollmentRequest>) -> Vec<EnrollmentRequest> {
    if world.mutant == Some(Mutant::NoReservationsAtTheStart) { Vec::new() } else { requests }
}

/// A list, as it is read.
pub fn list<T>(mutant: Option<Mutant>, list: Result<Listing<T>, Error>) -> Result<Listing<T>, Error> {
    match (mutant, list) {
        (Some(Mutant::UnusableListIsEmpty), Err(Error::InDoubt { cause: Doubt::Unusable, .. })) => {
            Ok(Listing { items: Vec::new(), server_time: None })
        }
        (_, list) => list,
    }
}

/// What the monotonic clock shows.
pub fn monotonic(world: &World, now: Instant) -> Instant {
    match world.mutant {
        Some(Mutant::SlowClock) => world.started + (now - world.started) / 20,
        _ => now,
    }
}

fn caught(mutant: Mutant) {
    let caught = (0..SEEDS).find_map(|seed| {
        let outcome = schedule::run(seed, Some(mutant));
        Some((seed, outcome.violation?, outcome.trace))
    });
    let (seed, what, trace) = caught.unwrap_or_else(|| panic!("{mutant:?} was not caught"));
    if std::env::var_os("TRACE").is_some() {
        println!("{}", trace.join("\n"));
    }
    println!("{mutant:?} is caught by seed {seed}: {what}");
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident,)*) => {
        $(#[test]
        fn $name() {
            caught(Mutant::$mutant);
        })*
    };
}

mutants! {
    without_the_write_ahead: NoWriteAhead,
    without_the_precondition: NoPrecondition,
    posting_again: PostsAgain,
    taking_a_server_error_for_a_no: ServerErrorIsNo,
    taking_a_broken_connection_for_a_no: BrokenIsNo,
    without_the_existing_jobs: NoExistingJobs,
    without_the_earliest_time: NoNotBefore,
    without_the_settling_time: NoSettling,
    settled_by_a_restart: SettledByRestart,
    taking_a_broken_list_for_an_empty_one: UnusableListIsEmpty,
    with_too_late_a_time: LateNotBefore,
    without_reservations: NoReservations,
    adopting_by_the_list: AdoptsByTheList,
    adopting_what_has_expired: AdoptsExpired,
    forgetting_what_is_in_doubt: ForgetsDoubt,
    concluding_whatever_stands_there: ConcludesAnyhow,
    finalizing_whatever_stands_there: FinalizesAnyhow,
    without_reservations_at_the_start: NoReservationsAtTheStart,
    sending_what_is_held_back: SendsWhatIsHeldBack,
    resending_in_any_state: ResendsInAnyState,
    resending_for_any_job: ResendsForAnyJob,
    with_a_slow_clock: SlowClock,
    ignoring_pauses: IgnoresPauses,
    sending_by_the_last_token: SendsByTheLastToken,
    trusting_what_was_not_stored: TrustsUnstored,
    sharing_refusals: SharesRefusals,
    settling_at_any_endpoint: AnyEndpoint,
    recognizing_any_service: RecognizesAnyService,
    letting_go_at_once: HoldsForNoSettleTime,
    ignoring_expire_times: IgnoresExpireTimes,
    forgetting_refused_writes: ForgetsRefusedWrites,
}
