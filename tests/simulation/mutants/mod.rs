//! Proof that the simulation can fail: each mutant removes one rule of the protocol, and must be caught. The simulated
//! ports and the model do not know the mutants.
//!
//! Each port has a file with a decorator that changes its inputs or outputs. `inputs.rs` changes inputs that no port
//! carries.

mod aims;
mod environment;
mod inputs;
mod kinds;
mod objects;
mod provider;
mod realms;
mod remote;
mod tests;

use std::sync::Arc;

use crate::process::Process;

pub use aims::aim;

/// A mutant: the rule that it removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The write-ahead record is reported as written, but is not.
    NoWriteAhead,
    /// A status is written without preconditions.
    NoPrecondition,
    /// A POST that timed out is repeated.
    PostsAgain,
    /// A POST with a 5xx answer counts as not sent.
    ServerErrorIsNotSent,
    /// A POST with a lost connection counts as not sent.
    ConnectionLostIsNotSent,
    /// The record does not list the existing jobs.
    NoExistingJobs,
    /// The record has no earliest time of its job.
    NoNotBefore,
    /// The settle time is zero.
    NoSettleTime,
    /// After a restart, the settle time is zero.
    NoSettleTimeAfterRestart,
    /// An unusable list counts as empty.
    UnusableListIsEmpty,
    /// The earliest time in the record is too late.
    LateNotBefore,
    /// The reservations are not seeded from the statuses.
    NoSeeding,
    /// The reservations are not seeded from the statuses of a namespace that could not be read at the start.
    NoLateSeeding,
    /// The reservations of a namespace that cannot be read are released.
    ForgetsDeniedNamespaces,
    /// A send in doubt precedes a concluded attempt when the reservations are seeded.
    SeedsDoubtFirst,
    /// Requests do not share their reservations.
    NoReservations,
    /// A request that was revoked before it sent keeps its key.
    KeepsKeyOfRevoked,
    /// A job is adopted from a list, without a read by id.
    AdoptsFromList,
    /// An expired link can be adopted.
    AdoptsExpired,
    /// After a restart, the write-ahead records are ignored.
    ForgetsDoubt,
    /// The result of a send is written without preconditions.
    ConcludesWithoutPrecondition,
    /// A finalizer is changed without preconditions.
    FinalizesWithoutPrecondition,
    /// A rate-limited call is sent.
    SendsWhileRateLimited,
    /// A resend is not compared with the state in status.
    ResendsInAnyState,
    /// A resend is not compared with the job in status.
    ResendsForAnyJob,
    /// The monotonic clock runs slowly, so that a deadline comes late.
    SlowClock,
    /// The annotation for a pause is ignored.
    IgnoresPauses,
    /// The last known token allows every call.
    SendsWithLastToken,
    /// A status counts as stored, even if the API server dropped fields.
    TrustsUnstoredStatus,
    /// A refused revocation of one job blocks that of all other jobs.
    SharesRefusals,
    /// All endpoints count as the same.
    AnyEndpoint,
    /// An identity that is not found counts as found.
    RecognizesAnyService,
    /// The finalizer of a request with a new job is removed at once.
    FinalizesBeforeSettleTime,
    /// A list without a usable time of its own settles a doubt, whatever its age.
    IgnoresTimesOfLists,
    /// A time of the service counts, however far ahead it is.
    BelievesAnyTime,
    /// A list of the realm from before a request justifies its send.
    BelievesListsFromBefore,
    /// A list of the realm justifies sends, however old it is.
    BelievesOldLists,
    /// Only the first page of a list of the realm is read.
    MissesPages,
    /// A request whose job may be read is not enqueued.
    AllowedReadEnqueuesNothing,
    /// Expire times are ignored.
    IgnoresExpireTimes,
    /// Statuses that the API server refused are forgotten.
    ForgetsRefusedWrites,
    /// Remote writes are always allowed.
    MayWriteIgnored,
    /// The deadline of the Lease is ignored.
    LeaseDeadlineIgnored,
    /// The limit on active links of an identity is ignored.
    NoLimitOfLinks,
    /// The limit on emails to an identity within an hour is ignored.
    NoLimitOfIdentity,
    /// The limit on emails through a provider config is ignored.
    NoLimitOfProviderConfig,
    /// The first email through a provider config does not wait after a start.
    NoWaitAfterStart,
    /// The turn to send of a request that does not exist is never released.
    TurnNeverReleased,
    /// The gate of a provider config stops no call.
    GateStopsNothing,
    /// The gate of a provider config does not report the outcomes of calls.
    GateReportsNothing,
    /// The outcome of a call with earlier credentials counts for the new ones.
    CountsEarlierCredentials,
    /// A refused removal counts as a refused send.
    RefusedRemovalStopsSends,
    /// A provider config that is Ready again enqueues no object.
    ReadyEnqueuesNothing,
    /// The pause of a provider config is ignored.
    IgnoresProviderPauses,
    /// An adopted job is recorded without the mark that its configuration is only observed.
    AdoptsWithoutMark,
    /// The mark is lost when a later attempt replaces the job.
    ReplacesWithoutMark,
    /// The permission to revoke adopted links is ignored.
    IgnoresPermissionToRevoke,
}

/// The mutant of one process, if any.
#[derive(Clone)]
pub struct Mutation {
    process: Arc<Process>,
    mutant: Option<Mutant>,
}

/// A port of that process with the mutant.
pub struct Mutated<P> {
    port: P,
    mutation: Mutation,
}

impl Mutation {
    /// The mutation of a process.
    pub fn of(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), mutant: process.world.mutant }
    }

    /// Applies the mutant to a port.
    pub fn wrap<P>(&self, port: P) -> Mutated<P> {
        Mutated { port, mutation: self.clone() }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
