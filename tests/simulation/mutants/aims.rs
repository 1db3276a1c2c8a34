//! What has to be so from the beginning, or to go wrong again and again, for a mutant to show in a few seeds: without it, it
//! takes thousands.

use super::Mutant;
use crate::faults::{Fault, Point, Port};
use crate::injected_failure::InjectedFailure;
use crate::world::State;

/// Aims what the world has drawn at a mutant.
pub fn aim(mutant: Mutant, state: &mut State) {
    match mutant {
        // The next request of the same name sends in vain, and a list shows it the job of the one before.
        Mutant::HoldsForNoSettleTime => {
            state.faults.aim = (Port::CreateJob, Point::Before, Fault::Fail(InjectedFailure::Broken));
        }
        // One call that is held back is not enough: the email has to be sent for again before a list shows its job.
        Mutant::SendsWhatIsHeldBack => {
            state.faults.aim = (Port::CreateJob, Point::Before, Fault::Fail(InjectedFailure::HeldBack));
        }
        // A configuration was made before the cluster was lost, and only a list shows it.
        Mutant::UnusableListIsEmpty => {
            state.faults.aim = (Port::ListConfigs, Point::Before, Fault::Fail(InjectedFailure::Garbage));
        }
        // That the schema comes at the right moment takes thousands of seeds.
        Mutant::TrustsUnstored => state.cluster.old_schema = true,
        _ => {}
    }
}
