//! Proof that the simulation can fail: each mutant takes one rule out of the protocol, around a port or at an input
//! that no port carries, and must be caught. The simulated ports and the world know nothing of it.
//!
//! A port of its own file each: a decorator, which calls the port and changes what goes in or what comes out.

mod aims;
mod environment;
mod inputs;
mod kinds;
mod objects;
mod realms;
mod remote;
mod tests;

use std::sync::Arc;

use crate::process::Process;

pub use aims::aim;

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
    /// Nobody asks whether a remote write may be started.
    MayWriteIgnored,
    /// A process takes itself for the leader until somebody tells it otherwise.
    LeaseDeadlineIgnored,
}

/// The rule that is taken out of one process, if any.
#[derive(Clone)]
pub struct Mutation {
    process: Arc<Process>,
    mutant: Option<Mutant>,
}

/// A port of that process, with the rule taken out.
pub struct Mutated<P> {
    port: P,
    mutation: Mutation,
}

impl Mutation {
    /// That of a process.
    pub fn of(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), mutant: process.world.mutant }
    }

    /// Takes the rule out of a port.
    pub fn around<P>(&self, port: P) -> Mutated<P> {
        Mutated { port, mutation: self.clone() }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
