//! Decisions about the lease, case by case.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

use super::decide::{Decision, decide, free, held};
use super::{LEASE, LeaderState, Leadership, RENEW_DEADLINE, RETRY};

const ME: &str = "pod-a_nonce";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// A record with this holder and duration. Its own times are long past.
fn record(holder: Option<&str>, seconds: Option<i32>) -> LeaseSpec {
    LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: seconds,
        acquire_time: Some(MicroTime(at(-10_000))),
        renew_time: Some(MicroTime(at(-10_000))),
        lease_transitions: Some(3),
        ..LeaseSpec::default()
    }
}

fn wait(holder: &str, millis: u64) -> Decision {
    Decision::Wait { holder: holder.to_owned(), left: Duration::from_millis(millis) }
}

#[test]
fn lease_is_acquired_if_free_or_unchanged_for_its_duration() {
    use Decision::{Renew, Take};
    let theirs = |seconds| Some(record(Some("pod-b_nonce"), seconds));
    let b = |millis| wait("pod-b_nonce", millis);
    for (record, unchanged_for, expected) in [
        (None, 0, Take),
        (None, 60_000, Take),
        (Some(LeaseSpec::default()), 0, Take),
        (Some(record(None, Some(15))), 0, Take),
        (Some(record(Some(""), Some(15))), 0, Take),
        // An own lease is renewed at any age. The renew deadline decides whether it is lost.
        (Some(record(Some(ME), Some(15))), 0, Renew),
        (Some(record(Some(ME), Some(15))), 15_000, Renew),
        (Some(record(Some(ME), None)), 3_600_000, Renew),
        (theirs(Some(15)), 0, b(15_000)),
        (theirs(Some(15)), 1, b(14_999)),
        (theirs(Some(15)), 14_999, b(1)),
        (theirs(Some(15)), 15_000, Take),
        (theirs(Some(15)), 15_001, Take),
        // The duration is that of the holder, which relies on it.
        (theirs(Some(60)), 15_000, b(45_000)),
        (theirs(Some(60)), 60_000, Take),
        (theirs(Some(1)), 999, b(1)),
        (theirs(Some(1)), 1_000, Take),
        (theirs(Some(i32::MAX)), 3_600_000, b(u64::try_from(i32::MAX).unwrap() * 1_000 - 3_600_000)),
        (theirs(None), 14_000, b(1_000)),
        (theirs(None), 15_000, Take),
        (theirs(Some(0)), 0, Take),
        (theirs(Some(-5)), 0, Take),
        // Another process of the same pod.
        (Some(record(Some("pod-a_other"), Some(15))), 0, wait("pod-a_other", 15_000)),
        (Some(record(Some("pod-a"), Some(15))), 0, wait("pod-a", 15_000)),
    ] {
        let observed_at = Instant::now();
        let now = observed_at + Duration::from_millis(unchanged_for);
        assert_eq!(decide(record.as_ref(), observed_at, now, ME), expected, "{record:?} after {unchanged_for} ms");
    }
}

#[test]
fn renew_time_of_the_record_is_ignored() {
    let now = Instant::now();
    for seconds in [-1_000_000, 0, 1_000_000] {
        let record = LeaseSpec { renew_time: Some(MicroTime(at(seconds))), ..record(Some("pod-b"), Some(15)) };
        assert_eq!(decide(Some(&record), now, now, ME), wait("pod-b", 15_000));
        assert_eq!(decide(Some(&record), now, now + Duration::from_secs(15), ME), Decision::Take);
    }
}

#[test]
fn record_observed_after_now_counts_as_new() {
    let now = Instant::now();
    assert_eq!(decide(Some(&record(Some("b"), Some(15))), now + RETRY, now, ME), wait("b", 15_000));
}

#[test]
fn lease_records_holder_times_and_transitions() {
    let first = held(None, ME, at(0));
    assert_eq!(first.holder_identity.as_deref(), Some(ME));
    assert_eq!((first.lease_duration_seconds, first.lease_transitions), (Some(15), Some(1)));
    assert_eq!((&first.acquire_time, &first.renew_time), (&Some(MicroTime(at(0))), &Some(MicroTime(at(0)))));

    let renewed = held(Some(&first), ME, at(2));
    assert_eq!(renewed, LeaseSpec { renew_time: Some(MicroTime(at(2))), ..first.clone() });

    let given_up = free(&renewed);
    assert_eq!(given_up, LeaseSpec { holder_identity: None, ..renewed.clone() });

    for before in [given_up, renewed] {
        let taken = held(Some(&before), "pod-b", at(4));
        assert_eq!(taken.holder_identity.as_deref(), Some("pod-b"));
        assert_eq!(taken.acquire_time, Some(MicroTime(at(4))));
        assert_eq!(taken.lease_transitions, Some(2));
    }
}

#[test]
fn renew_deadline_ends_before_the_lease() {
    // This leaves time for a late last check, and for several renewals before it.
    assert!(RENEW_DEADLINE + 2 * RETRY < LEASE && 3 * RETRY < RENEW_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn leadership_ends_without_renewal() {
    let (standing, receiver) = tokio::sync::watch::channel(LeaderState::Waiting);
    let leadership = Leadership(receiver);
    assert!(!leadership.is_held());
    standing.send_replace(LeaderState::Until(Instant::now() + RENEW_DEADLINE));
    leadership.acquired().await;
    assert!(leadership.is_held());
    tokio::time::advance(RENEW_DEADLINE - Duration::from_millis(1)).await;
    assert!(leadership.is_held());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!leadership.is_held(), "the deadline ends leadership without a signal");
    standing.send_replace(LeaderState::Lost("lease taken over".to_owned()));
    assert_eq!(leadership.lost().await, "lease taken over");
    assert!(!leadership.is_held());
    standing.send_replace(LeaderState::Until(Instant::now() + RENEW_DEADLINE));
    drop(standing);
    assert!(leadership.lost().await.contains("a bug in the operator"), "the renewing task has ended");
}

#[tokio::test(start_paused = true)]
async fn single_replica_is_always_leader() {
    let leadership = Leadership::always();
    leadership.acquired().await;
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert!(leadership.is_held());
    tokio::time::timeout(RETRY, leadership.lost()).await.expect_err("leadership is never lost");
}
