//! Which request has a reservation, and for how long.

use std::sync::Arc;

use super::*;
use crate::enrollment_request::testing::{concluded, request, send};

fn key(identity: &str) -> EnrollmentKey {
    EnrollmentKey { identity_id: identity.to_owned(), ..key_of(&concluded()).unwrap() }
}

fn object_uid(uid: &str) -> ObjectUid {
    ObjectUid { uid: uid.to_owned(), namespace: "identity".to_owned(), name: uid.to_owned() }
}

/// Seeded reservations, and a log of the enqueued uids.
fn seeded(requests: &[EnrollmentRequest]) -> (Reservations, Arc<Mutex<Vec<String>>>) {
    let enqueued = Arc::new(Mutex::new(Vec::new()));
    let log = enqueued.clone();
    let reservations = Reservations::new(move |holder| log.lock().push(holder.uid.clone()));
    reservations.seed(requests);
    (reservations, enqueued)
}

#[test]
fn reserve_fails_before_seeding() {
    let reservations = Reservations::new(|_| {});
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Err(ReserveError::NotSeeded));
}

#[test]
fn namespace_is_seeded_later_and_takes_nothing_from_others() {
    let within = |uid: &str, namespace: &str| ObjectUid { namespace: namespace.to_owned(), ..object_uid(uid) };
    let (reservations, late) = (Reservations::new(|_| {}), Some("late".to_owned()));
    reservations.seed_from(&[Some("identity".to_owned())], &[]);
    assert!(!reservations.is_seeded(&late) && !reservations.is_seeded(&None));
    let first = key_of(&concluded()).unwrap();
    assert_eq!(reservations.reserve(&first, &within("1", "late")), Err(ReserveError::NotSeeded));
    assert_eq!(reservations.reserve(&first, &within("2", "identity")), Ok(()));
    reservations.seed_from(std::slice::from_ref(&late), &[request("3", concluded())]);
    assert!(reservations.is_seeded(&late));
    let held = Err(ReserveError::HeldBy(within("2", "identity")));
    assert_eq!(reservations.reserve(&first, &within("1", "late")), held);
}

#[test]
fn second_request_waits_until_the_first_is_released() {
    let (reservations, enqueued) = seeded(&[]);
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Ok(()));
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Ok(()), "again");
    assert_eq!(reservations.reserve(&key("a"), &object_uid("2")), Err(ReserveError::HeldBy(object_uid("1"))));
    assert_eq!(reservations.reserve(&key("b"), &object_uid("3")), Ok(()));
    reservations.release(&object_uid("1"));
    assert_eq!(*enqueued.lock(), ["2"]);
    assert_eq!(reservations.reserve(&key("a"), &object_uid("2")), Ok(()));
}

#[test]
fn reserving_another_identity_releases_the_first() {
    let (reservations, enqueued) = seeded(&[]);
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Ok(()));
    assert!(reservations.reserve(&key("a"), &object_uid("2")).is_err());
    assert_eq!(reservations.reserve(&key("b"), &object_uid("1")), Ok(()));
    assert_eq!(*enqueued.lock(), ["2"]);
}

#[test]
fn seeding_prefers_concluded_then_older_then_lower_uid() {
    let at = |uid: &str, second: i64, status: &EnrollmentRequestStatus| {
        let mut request = request(uid, status.clone());
        let time = jiff::Timestamp::from_second(second).unwrap();
        request.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
        request
    };
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let reserved_by = |requests: &[EnrollmentRequest]| {
        let (reservations, _) = seeded(requests);
        match reservations.reserve(&key("9ca7716e846cfa97"), &object_uid("another")) {
            Err(ReserveError::HeldBy(holder)) => holder.uid,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reserved_by(&[at("1", 2, &concluded()), at("2", 1, &in_doubt)]), "1", "2 must not send after its doubt");
    assert_eq!(reserved_by(&[at("1", 2, &in_doubt), at("2", 1, &in_doubt)]), "2");
    let again = EnrollmentRequestStatus { send: Some(send()), ..concluded() };
    assert_eq!(reserved_by(&[at("1", 1, &in_doubt), at("2", 2, &again)]), "2", "another attempt of 2 is in doubt");
    let elsewhere = EnrollmentRequestStatus { authenticator_config_id: Some("earlier".to_owned()), ..again };
    assert_eq!(reserved_by(&[at("1", 1, &in_doubt), at("2", 2, &elsewhere)]), "1", "2 concluded under another key");
    assert_eq!(reserved_by(&[at("1", 2, &concluded()), at("2", 1, &concluded())]), "2");
    assert_eq!(reserved_by(&[at("2", 1, &concluded()), at("1", 1, &concluded())]), "1");
}

#[test]
fn identity_has_one_send_at_a_time_across_configurations() {
    let (reservations, enqueued) = seeded(&[]);
    let other = EnrollmentKey { authenticator_config_id: "another".to_owned(), ..key("a") };
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Ok(()));
    assert_eq!(reservations.reserve(&other, &object_uid("2")), Err(ReserveError::Busy(object_uid("1"))));
    reservations.settled(&object_uid("1"), &EnrollmentRequestStatus::default());
    assert_eq!(*enqueued.lock(), ["2"]);
    assert_eq!(reservations.reserve(&other, &object_uid("2")), Ok(()));
    assert_eq!(
        reservations.reserve(&key("a"), &object_uid("3")),
        Err(ReserveError::HeldBy(object_uid("1"))),
        "the first request keeps the reservation"
    );
}

#[test]
fn rival_in_doubt_has_the_reservation() {
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let first = request("1", in_doubt.clone());
    let (reservations, _) = seeded(std::slice::from_ref(&first));
    let first = ObjectUid::of(&first);
    reservations.note(&object_uid("2"), &in_doubt, true);
    assert_eq!(reservations.rival_in_doubt(&object_uid("2"), &in_doubt), Some(first.clone()));
    assert_eq!(reservations.rival_in_doubt(&first, &in_doubt), None);
    assert_eq!(reservations.rival_in_doubt(&object_uid("2"), &concluded()), None, "a concluded request has no rival");
    reservations.note(&first, &concluded(), false);
    assert!(reservations.rival_in_doubt(&object_uid("2"), &in_doubt).is_some(), "a cached status changes nothing");
    reservations.note(&first, &concluded(), true);
    assert_eq!(reservations.rival_in_doubt(&object_uid("2"), &in_doubt), None);
}

#[test]
fn job_named_in_another_status_is_known_until_removed() {
    let named = request("1", concluded());
    let (reservations, _) = seeded(std::slice::from_ref(&named));
    let first = ObjectUid::of(&named);
    let elsewhere = |holder: &ObjectUid| reservations.named_elsewhere(holder, ["job", "free"].into_iter());
    assert_eq!(elsewhere(&object_uid("2")), BTreeMap::from([("job".to_owned(), BTreeSet::from([first.clone()]))]));
    assert_eq!(elsewhere(&first), BTreeMap::new(), "its own job is not elsewhere");
    reservations.note(&first, &EnrollmentRequestStatus::default(), false);
    assert_eq!(elsewhere(&object_uid("2")).len(), 1, "the cache may be stale");
    reservations.note(&first, &EnrollmentRequestStatus::default(), true);
    assert_eq!(elsewhere(&object_uid("2")), BTreeMap::new());
    reservations.note(&object_uid("3"), &concluded(), false);
    assert_eq!(elsewhere(&object_uid("2")).len(), 1);
    reservations.release(&object_uid("3"));
    assert_eq!(elsewhere(&object_uid("2")), BTreeMap::new());
}

#[test]
fn released_request_leaves_the_waiting_lists() {
    let (reservations, enqueued) = seeded(&[]);
    let other = EnrollmentKey { authenticator_config_id: "another".to_owned(), ..key("a") };
    assert_eq!(reservations.reserve(&key("a"), &object_uid("1")), Ok(()));
    for uid in ["2", "3"] {
        assert_eq!(reservations.reserve(&key("a"), &object_uid(uid)), Err(ReserveError::HeldBy(object_uid("1"))));
        assert_eq!(reservations.reserve(&other, &object_uid(uid)), Err(ReserveError::Busy(object_uid("1"))));
    }
    reservations.release(&object_uid("2"));
    let state = reservations.lock();
    let waiting = (state.waiting.values().flatten().count(), state.next.values().flatten().count());
    assert_eq!(waiting, (1, 1), "only the remaining request waits");
    drop(state);
    reservations.release(&object_uid("3"));
    let state = reservations.lock();
    assert!(state.waiting.is_empty() && state.next.is_empty());
    drop(state);
    reservations.release(&object_uid("1"));
    assert!(enqueued.lock().is_empty(), "no request is left to enqueue");
}

#[test]
fn request_that_was_revoked_before_it_sent_keeps_no_key() {
    let revoked = EnrollmentRequestStatus { job_id: None, skipped: Some(Skipped::Revoked), ..concluded() };
    assert_eq!((needs_no_key(&revoked), needs_no_key(&concluded())), (true, false));
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..revoked.clone() };
    assert!(!needs_no_key(&in_doubt));
    let enrolled = EnrollmentRequestStatus { skipped: Some(Skipped::AlreadyEnrolled), ..revoked.clone() };
    assert!(!needs_no_key(&enrolled));

    let key = key_of(&concluded()).unwrap();
    let (reservations, enqueued) = seeded(&[request("1", revoked.clone())]);
    assert_eq!(reservations.reserve(&key, &object_uid("1")), Ok(()), "no other request has it");
    assert_eq!(reservations.reserve(&key, &object_uid("2")), Err(ReserveError::HeldBy(object_uid("1"))));
    reservations.settled(&object_uid("1"), &revoked);
    assert_eq!(*enqueued.lock(), ["2"]);
    assert_eq!(reservations.reserve(&key, &object_uid("2")), Ok(()));
}

#[test]
fn revoked_request_is_not_seeded_as_a_holder() {
    let revoked = EnrollmentRequestStatus { job_id: None, skipped: Some(Skipped::Revoked), ..concluded() };
    let (reservations, _) = seeded(&[request("1", revoked)]);
    assert_eq!(reservations.reserve(&key_of(&concluded()).unwrap(), &object_uid("2")), Ok(()));
}
