//! Rule `finalize`: the deletion of a request revokes its link.

use super::revoke::{reference, refused, revoked_job, settled, three_links};
use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::testing::{concluded, job, send};

#[test]
fn orphaned_request_retains_its_active_link() {
    let orphan = deleting().with(|it| it.lifecycle.orphan = true);
    let Step::RemoveFinalizer { leftover: Some(Leftover::Retained(kept)) } = next(&orphan, &settled()) else {
        panic!()
    };
    assert!(kept.starts_with("The link of credential binding job job stays active"), "{kept}");
    let expired =
        settled().with(|it| it.status = EnrollmentRequestStatus { state: Some("EXPIRED".to_owned()), ..concluded() });
    assert_eq!(next(&orphan, &expired), Step::RemoveFinalizer { leftover: None }, "no link remains");
}

#[test]
fn blocked_deletion_reports_the_leftover_after_grace_period() {
    let mut observed = settled().with(|it| it.revoke_refused = refused(&["job"]));
    let step = next(&deleting(), &observed);
    assert!(matches!(phase_of(&step), Phase::Deleting { why, blocked: true } if why.reason == Reason::DeletionBlocked));
    observed.object.grace_remaining = Duration::ZERO;
    let Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(left)) } = next(&deleting(), &observed) else {
        panic!()
    };
    assert!(left.contains("the link of credential binding job job is not revoked. job: 403"), "{left}");
}

/// A request with a revoked job, created at 11:00 server time and known to this process for ten seconds.
fn young() -> Known {
    let (state, created) = (Some("REVOKED".to_owned()), Some("2026-01-01T11:00:00Z".to_owned()));
    let status = EnrollmentRequestStatus { state, create_time: created, ..concluded() };
    settled().with(|it| {
        it.status = status;
        it.job_known_for = Duration::from_secs(10);
    })
}

#[test]
fn finalizer_is_removed_once_every_list_must_show_the_last_job() {
    let rest = Requeue::After(Duration::from_secs(50));
    assert_eq!(next(&deleting(), &young()), Step::Fetch(Query::Jobs(provider_ref(), "9ca7716e846cfa97".to_owned())));
    let old = young().with(|it| it.jobs = Fact::Known(listed(vec![], 0)));
    assert_eq!(
        next(&deleting(), &old),
        Step::RemoveFinalizer { leftover: None },
        "the server time shows the age of the job"
    );
    // A list that contains the job does not prove that the next list does.
    let shown = |created: &str| {
        let mut observed = young().with(|it| it.jobs = Fact::Known(listed(vec![revoked_job("job")], 0)));
        observed.status.create_time = Some(format!("2026-01-01T{created}Z"));
        next(&deleting(), &observed)
    };
    assert_eq!(requeue_of(&shown("11:59:00")), rest, "clocks of the service may differ");
    assert_eq!(shown("11:58:30"), Step::RemoveFinalizer { leftover: None });
    assert_eq!(requeue_of(&shown("tomorrow")), rest);
    let mut timeless = young().with(|it| it.jobs = Fact::Known(listed(vec![revoked_job("job")], 0)));
    let Fact::Known(list) = &mut timeless.jobs else { panic!() };
    list.listed_at = None;
    assert_eq!(requeue_of(&next(&deleting(), &timeless)), rest);
    let mut ageless = young();
    ageless.status.create_time = None;
    assert_eq!(requeue_of(&next(&deleting(), &ageless)), rest, "no list is requested");
    let unknown = young().with(|it| it.jobs = Fact::Failed(failure()));
    assert_eq!(requeue_of(&next(&deleting(), &unknown)), rest, "a failed list does not block for ever");
    let known = young().with(|it| it.job_known_for = TIMES.settle);
    assert_eq!(next(&deleting(), &known), Step::RemoveFinalizer { leftover: None });
}

#[test]
fn orphaning_waits_until_every_list_must_show_the_job() {
    let mut observed = young().with(|it| {
        it.status = concluded();
        it.jobs = Fact::Known(listed(vec![job("job")], 0));
    });
    assert_eq!(
        requeue_of(&next(&deleting().with(|it| it.lifecycle.orphan = true), &observed)),
        Requeue::After(Duration::from_secs(50))
    );
    observed.job_known_for = TIMES.settle;
    assert!(matches!(
        next(&deleting().with(|it| it.lifecycle.orphan = true), &observed),
        Step::RemoveFinalizer { leftover: Some(_) }
    ));
}

#[test]
fn deletion_reports_every_unrevoked_job_and_waits_for_outages() {
    let mut observed = three_links().with(|it| {
        it.revoke_refused = refused(&["b", "c", "job"]);
        it.object.grace_remaining = Duration::ZERO;
    });
    let Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(left)) } = next(&deleting(), &observed) else {
        panic!()
    };
    for named in ["job b, c, job is not revoked", "b: 403", "c: 403", "job: 403"] {
        assert!(left.contains(named), "{left}");
    }
    // An outage of one job is waited for, even if another job is refused.
    observed.revoke_refused = refused(&["b", "c"]);
    observed.job_failures = [("job".to_owned(), failure())].into();
    let step = next(&deleting(), &observed);
    assert!(matches!(phase_of(&step), Phase::Deleting { blocked: false, .. }), "{step:?}");
}

#[test]
fn deletion_continues_if_status_is_unwritable() {
    let mut observed = three_links().with(|it| it.object.unwritable = Some(unwritable()));
    for id in ["b", "c", "job"] {
        assert_eq!(next(&deleting(), &observed), Step::Act(Action::Revoke(provider_ref(), reference(id))));
        observed.revoked.insert(id.to_owned());
        observed.read.insert(id.to_owned(), read(revoked_job(id)));
    }
    assert_eq!(next(&deleting(), &observed), Step::RemoveFinalizer { leftover: None });
    // A send in doubt with a listed job.
    let mut in_doubt = fresh().with(|it| it.object.unwritable = Some(unwritable()));
    in_doubt.status.send = Some(send());
    in_doubt.object.realms = resolved_realms(known_destination());
    in_doubt.jobs = Fact::Known(listed(vec![job("created")], 91));
    assert_eq!(next(&deleting(), &in_doubt), Step::Act(Action::Revoke(provider_ref(), reference("created"))));
    in_doubt.revoked.insert("created".to_owned());
    in_doubt.read.insert("created".to_owned(), read(revoked_job("created")));
    assert_eq!(next(&deleting(), &in_doubt), Step::RemoveFinalizer { leftover: None });
    in_doubt.jobs = Fact::Known(listed(vec![job("created")], 40));
    assert_eq!(
        requeue_of(&next(&deleting(), &in_doubt)),
        Requeue::After(Duration::from_secs(51)),
        "every list must contain it first"
    );
    // Without a deletion, the request waits until its status can be written.
    let step = next(&desired(), &in_doubt);
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::StatusNotStored, Requeue::After(Duration::from_secs(40))));
    let kept = prepared().with(|it| it.object.unwritable = Some(unwritable()));
    assert_eq!(reason(&next(&desired(), &kept)), Reason::StatusNotStored, "nothing is sent");
}

#[test]
fn finalizer_is_removed_once() {
    assert_eq!(next(&deleting(), &fresh()), Step::RemoveFinalizer { leftover: None });
    let without = settled().with(|it| it.object.finalizer = false);
    assert_eq!(next(&deleting(), &without), Step::End(End::keeping_conditions(Requeue::OnChange)));
}
