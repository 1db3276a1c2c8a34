//! Each mutant is caught.

use super::Mutant;
use crate::{SEEDS, schedule};

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
    writing_without_leave: MayWriteIgnored,
    leading_beyond_the_lease: LeaseDeadlineIgnored,
}
