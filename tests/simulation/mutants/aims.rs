//! Initial states and frequent faults that let a few seeds catch a mutant. Without them, it takes thousands of seeds.

use std::collections::BTreeMap;

use beyond_identity_operator::api::enrollment_limits::EnrollmentLimits;

use super::Mutant;
use crate::actors::Action;
use crate::budget;
use crate::denied;
use crate::faults::{Fault, Point, Port};
use crate::injected_failure::InjectedFailure;
use crate::observed::Observed;
use crate::proxy::Proxy;
use crate::world::State;

/// Aims the drawn state of a run at a mutant.
pub fn aim(mutant: Mutant, state: &mut State) {
    // Each email that does not wait, and each configuration that is not only observed, is another chance to catch a mutant
    // of another rule.
    state.remote.limits = budget::none();
    state.remote.observed = None;
    let of_provider = std::mem::take(&mut state.plans.actions);
    match mutant {
        // The send of the next request of the same name fails, and a list shows it the job of the previous request.
        Mutant::FinalizesBeforeSettleTime => {
            state.faults.aim = (Port::CreateJob, Point::Before, Fault::Fail(InjectedFailure::ConnectionLost));
        }
        // One rate-limited call is not enough: the send must be repeated before a list shows the job.
        Mutant::SendsWhileRateLimited => {
            state.faults.aim = (Port::CreateJob, Point::Before, Fault::Fail(InjectedFailure::RateLimited));
        }
        // The configuration is from before a loss of the cluster, and only a list shows it.
        Mutant::UnusableListIsEmpty => {
            state.faults.aim = (Port::ListConfigs, Point::Before, Fault::Fail(InjectedFailure::UnusableBody));
        }
        // The email is sent, and only a list tells that.
        Mutant::IgnoresTimesOfLists => {
            state.faults.aim = (Port::CreateJob, Point::After, Fault::Fail(InjectedFailure::ConnectionLost));
            state.remote.proxy = Proxy::Caches(BTreeMap::new());
        }
        Mutant::BelievesAnyTime => {
            state.faults.aim = (Port::CreateJob, Point::After, Fault::Fail(InjectedFailure::ConnectionLost));
            state.remote.proxy = Proxy::Ahead;
        }
        // The action alone installs the old schema too rarely at the right moment.
        Mutant::TrustsUnstoredStatus => state.cluster.old_schema = true,
        // A record that takes effect after the process has ended, when another request has reserved its key.
        Mutant::SeedsDoubtFirst => {
            state.faults.aim = (Port::WriteRequest, Point::Before, Fault::CrashInFlight);
        }
        // Without faults but ends of processes, since a call that fails delays what another request may do.
        Mutant::NoLateSeeding | Mutant::ForgetsDeniedNamespaces => {
            state.plans.actions = denied::repeated("a", 8);
        }
        Mutant::NoLimitOfLinks
        | Mutant::NoLimitOfIdentity
        | Mutant::NoLimitOfProviderConfig
        | Mutant::NoWaitAfterStart
        | Mutant::TurnNeverReleased => {
            let limits = budget::tight(&mut state.chance);
            state.remote.limits = EnrollmentLimits { max_sends_per_hour: Some(15), ..limits };
        }
        Mutant::BelievesListsFromBefore | Mutant::BelievesOldLists | Mutant::MissesPages => state.shares_lists = true,
        Mutant::ReadyEnqueuesNothing | Mutant::IgnoresProviderPauses => state.plans.actions = of_provider,
        Mutant::GateReportsNothing => state.plans.actions = vec![Action::RefuseToken],
        // A pause begins between the resolution of a realm and the send.
        Mutant::GateStopsNothing => {
            state.faults.aim = (Port::ListJobs, Point::Before, Fault::Delay);
            state.plans.actions =
                vec![Action::PauseProvider, Action::ResumeProvider, Action::PauseProvider, Action::ResumeProvider];
        }
        Mutant::RefusedRemovalStopsSends => {
            state.faults.aim = (Port::RevokeJob, Point::Before, Fault::Fail(InjectedFailure::Forbidden));
        }
        // A call with the earlier token is refused while the new one is accepted, and a check after it takes a while.
        Mutant::CountsEarlierCredentials => {
            state.faults.aim = (Port::CheckCredentials, Point::Before, Fault::Delay);
            state.plans.actions = vec![Action::ReplaceToken; 8];
        }
        Mutant::AdoptsWithoutMark | Mutant::ReplacesWithoutMark | Mutant::IgnoresPermissionToRevoke => {
            state.remote.observed = Some(Observed::new(false));
        }
        _ => {}
    }
}
