//! Each mutant is caught.

use super::Mutant;
use crate::{SEEDS, schedule};

fn assert_caught(mutant: Mutant) {
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
            assert_caught(Mutant::$mutant);
        })*
    };
}

mutants! {
    without_write_ahead: NoWriteAhead,
    without_preconditions: NoPrecondition,
    repeated_post: PostsAgain,
    server_error_counts_as_not_sent: ServerErrorIsNotSent,
    lost_connection_counts_as_not_sent: ConnectionLostIsNotSent,
    without_existing_jobs_in_the_record: NoExistingJobs,
    without_earliest_time_in_the_record: NoNotBefore,
    without_settle_time: NoSettleTime,
    without_settle_time_after_restart: NoSettleTimeAfterRestart,
    unusable_list_counts_as_empty: UnusableListIsEmpty,
    late_earliest_time_in_the_record: LateNotBefore,
    without_reservations: NoReservations,
    key_of_revoked_request_kept: KeepsKeyOfRevoked,
    adoption_from_the_list: AdoptsFromList,
    adoption_of_expired_jobs: AdoptsExpired,
    records_ignored_after_restart: ForgetsDoubt,
    results_without_preconditions: ConcludesWithoutPrecondition,
    finalizers_without_preconditions: FinalizesWithoutPrecondition,
    without_seeding: NoSeeding,
    without_late_seeding: NoLateSeeding,
    denied_namespaces_forgotten: ForgetsDeniedNamespaces,
    doubt_precedes_concluded_attempts: SeedsDoubtFirst,
    sends_while_rate_limited: SendsWhileRateLimited,
    resend_in_any_state: ResendsInAnyState,
    resend_for_any_job: ResendsForAnyJob,
    slow_monotonic_clock: SlowClock,
    pauses_ignored: IgnoresPauses,
    sends_with_last_token: SendsWithLastToken,
    unstored_status_counts_as_stored: TrustsUnstoredStatus,
    refused_revocation_blocks_all_jobs: SharesRefusals,
    endpoints_count_as_the_same: AnyEndpoint,
    unknown_identity_counts_as_found: RecognizesAnyService,
    finalizer_removed_before_settle_time: FinalizesBeforeSettleTime,
    times_of_lists_ignored: IgnoresTimesOfLists,
    any_time_of_the_service_believed: BelievesAnyTime,
    allowed_read_enqueues_nothing: AllowedReadEnqueuesNothing,
    realm_list_from_before_the_request: BelievesListsFromBefore,
    old_realm_list: BelievesOldLists,
    missed_pages_of_realm_list: MissesPages,
    expire_times_ignored: IgnoresExpireTimes,
    refused_statuses_forgotten: ForgetsRefusedWrites,
    writes_always_allowed: MayWriteIgnored,
    lease_deadline_ignored: LeaseDeadlineIgnored,
    without_limit_of_links: NoLimitOfLinks,
    without_limit_of_identity: NoLimitOfIdentity,
    without_limit_of_provider_config: NoLimitOfProviderConfig,
    without_wait_after_start: NoWaitAfterStart,
    send_turn_never_released: TurnNeverReleased,
    gate_stops_nothing: GateStopsNothing,
    gate_reports_nothing: GateReportsNothing,
    earlier_credentials_count: CountsEarlierCredentials,
    refused_removal_stops_sends: RefusedRemovalStopsSends,
    ready_provider_config_enqueues_nothing: ReadyEnqueuesNothing,
    provider_pauses_ignored: IgnoresProviderPauses,
    adoption_without_mark: AdoptsWithoutMark,
    replacement_without_mark: ReplacesWithoutMark,
    permission_to_revoke_ignored: IgnoresPermissionToRevoke,
}
