//! Rule `doubt`: while a record exists nothing is sent, and the job is looked up.

use super::revoke::previous;
use super::*;
use crate::api::enrollment_request::{PreviousJob, SendRecord};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::testing::{job, send};

/// A request in doubt. Its jobs were listed when the record was `age` seconds old in this process.
fn in_doubt(jobs: Vec<CredentialBindingJob>, age: u64) -> Known {
    let mut observed = fresh();
    observed.status.send = Some(send());
    observed.object.realms = resolved_realms(known_destination());
    observed.jobs = Fact::Known(listed(jobs, age));
    observed
}

fn found(step: &Step) -> &str {
    let Step::Record(Change::Conclude { job, .. }) = step else { panic!("not found: {step:?}") };
    &job.id
}

#[test]
fn object_is_refreshed_and_jobs_of_the_record_are_listed() {
    assert_eq!(next(&desired(), &in_doubt(vec![], 0).with(|it| it.object.fresh = false)), Step::Refresh);
    let unknown = in_doubt(vec![], 0).with(|it| it.jobs = Fact::Unknown);
    let elsewhere = Desired { identity: IdentitySelector::Id("another-identity".to_owned()), ..desired() };
    assert_eq!(next(&elsewhere, &unknown), Step::Fetch(Query::Jobs(provider_ref(), "9ca7716e846cfa97".to_owned())));
    let unresolved = unknown.with(|it| it.object.realms = BTreeMap::new());
    assert_eq!(next(&desired(), &unresolved), Step::Resolve(ProviderConfigRef::default()));
}

#[test]
fn listed_job_concludes_the_send_in_any_state() {
    assert_eq!(found(&next(&desired(), &in_doubt(vec![job("a")], 0))), "a");
    let expired = CredentialBindingJob { state: Some("EXPIRED".into()), ..job("expired") };
    assert_eq!(found(&next(&desired(), &in_doubt(vec![expired], 500))), "expired");
}

#[test]
fn oldest_matching_job_concludes_the_send() {
    let later = CredentialBindingJob { create_time: Some("2026-01-01T12:00:09Z".to_owned()), ..job("later") };
    let step = next(&desired(), &in_doubt(vec![later, job("first")], 0));
    assert_eq!(found(&step), "first");
    assert!(
        matches!(step, Step::Record(Change::Conclude { others, .. }) if others == ["later"]),
        "the duplicate is reported"
    );
}

#[test]
fn absent_job_is_polled_at_timeout_and_settle_time() {
    for (age, pause) in [(0, 31), (30, 1), (31, 60), (90, 1)] {
        let step = next(&desired(), &in_doubt(vec![], age));
        assert!(matches!(phase_of(&step), Phase::InDoubt(why) if why.reason == Reason::SendInDoubt));
        assert_eq!(requeue_of(&step), Requeue::After(Duration::from_secs(pause)), "{age}");
    }
}

#[test]
fn record_is_withdrawn_after_two_empty_lists_of_a_recognized_service() {
    let mut observed = in_doubt(vec![], 91);
    let step = next(&desired(), &observed);
    assert!(matches!(&step, Step::Fetch(Query::Recognize(_, known)) if known.identity_id == "9ca7716e846cfa97"));
    let recognize = |observed: &mut Observed, recognized| {
        observed.recognized.insert("9ca7716e846cfa97".to_owned(), recognized);
    };
    recognize(&mut observed, Fact::Failed(failure()));
    assert_eq!(reason(&next(&desired(), &observed)), Reason::SendInDoubt);
    recognize(&mut observed, Fact::Known(Recognized { identity: false, config: false }));
    assert_eq!(reason(&next(&desired(), &observed)), Reason::UnrecognizedService);
    for (identity, config) in [(true, false), (false, true)] {
        let mut observed = in_doubt(vec![], 91);
        recognize(&mut observed, Fact::Known(Recognized { identity, config }));
        let again = Step::Fetch(Query::Jobs(provider_ref(), "9ca7716e846cfa97".to_owned()));
        assert_eq!(next(&desired(), &observed), again);
        let Fact::Known(listed) = &mut observed.jobs else { panic!() };
        listed.lists = 2;
        assert_eq!(next(&desired(), &observed), Step::Withdraw { record_id: "nonce".to_owned(), phase: None });
    }
}

/// A record of 12:00:00 is settled after 31 + 60 seconds. The clocks of the service may differ by 30 seconds.
#[test]
fn list_from_a_cache_settles_no_doubt() {
    let listed_at = |listed_at: Option<Timestamp>| {
        let mut observed = in_doubt(vec![], 500);
        let recognized = Recognized { identity: true, config: false };
        observed.recognized.insert("9ca7716e846cfa97".to_owned(), Fact::Known(recognized));
        let Fact::Known(list) = &mut observed.jobs else { panic!() };
        (list.lists, list.listed_at) = (2, listed_at);
        observed
    };
    for early in [at("11:00:00"), at("12:00:00"), at("12:01:00")] {
        let step = next(&desired(), &listed_at(Some(early)));
        assert_eq!(
            (reason(&step), requeue_of(&step)),
            (Reason::InconsistentAnswers, Requeue::Backoff(None)),
            "{early}"
        );
        let message = phase_of(&step).why().message.clone();
        assert!(message.contains(&format!("is from {early} by the service's clock")), "{message}");
        let mut given_up = listed_at(Some(early));
        given_up.object.grace_remaining = Duration::ZERO;
        let step = next(&deleting(), &given_up);
        assert!(matches!(step, Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(_)) }), "{step:?}");
    }
    for current in [Some(at("12:01:01")), Some(at("13:00:00")), None] {
        let step = next(&desired(), &listed_at(current));
        assert_eq!(step, Step::Withdraw { record_id: "nonce".to_owned(), phase: None }, "{current:?}");
    }
}

#[test]
fn doubt_is_settled_only_at_its_endpoint() {
    let moved = resolved_realms(Fact::Known(Destination {
        endpoint: "https://another.example.com".to_owned(),
        ..destination()
    }));
    let mut observed = in_doubt(vec![], 500).with(|it| it.object.realms = moved);
    let step = next(&desired(), &observed);
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::EndpointChanged, Requeue::After(TIMES.resync)));
    observed.object.grace_remaining = Duration::ZERO;
    assert!(matches!(next(&deleting(), &observed), Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(_)) }));
    observed.status.send.as_mut().unwrap().endpoint = None;
    assert!(!matches!(next(&desired(), &observed), Step::End(_)), "a record of an earlier version has no endpoint");
}

#[test]
fn failed_list_settles_no_doubt() {
    let step = next(&desired(), &in_doubt(vec![], 500).with(|it| it.jobs = Fact::Failed(failure())));
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::SendInDoubt, Requeue::Backoff(None)));
    let message = phase_of(&step).why().message.clone();
    assert!(message.ends_with(&format!(": {}", failure().why.message)), "the doubt is shown with its cause: {message}");
}

#[test]
fn deletion_waits_until_doubt_is_settled() {
    let step = next(&deleting(), &in_doubt(vec![], 0));
    assert!(matches!(phase_of(&step), Phase::Deleting { why, .. } if why.message.starts_with("Deletion is waiting")));
    assert_eq!(found(&next(&deleting(), &in_doubt(vec![job("a")], 0))), "a");
    assert_eq!(next(&deleting(), &fresh()), Step::RemoveFinalizer { leftover: None });
}

#[test]
fn blocked_doubt_delays_deletion_by_the_grace_period_only() {
    let blocked = Failure::blocked(Reason::SecretNotFound, "no Secret");
    let mut observed = in_doubt(vec![], 0).with(|it| it.object.realms = resolved_realms(Fact::Failed(blocked)));
    assert!(matches!(phase_of(&next(&deleting(), &observed)), Phase::Deleting { blocked: true, .. }));
    observed.object.grace_remaining = Duration::ZERO;
    let Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(left)) } = next(&deleting(), &observed) else {
        panic!()
    };
    assert!(left.contains("whether the email was sent") && left.ends_with("no Secret"), "{left}");
    assert!(matches!(next(&desired(), &observed), Step::End(_)), "without a deletion it keeps waiting");
}

#[test]
fn other_realm_is_not_searched() {
    let realm = RealmIds { realm_id: "elsewhere".to_owned(), ..realm_ids() };
    let elsewhere = Destination { realm, ..destination() };
    let step =
        next(&desired(), &in_doubt(vec![], 500).with(|it| it.object.realms = resolved_realms(Fact::Known(elsewhere))));
    assert_eq!(reason(&step), Reason::RealmChanged);
}

#[test]
fn job_named_elsewhere_or_earlier_does_not_conclude_the_send() {
    let mut observed = in_doubt(vec![job("named-elsewhere"), job("former"), job("earlier")], 91);
    observed.status.job_id = Some("former".to_owned());
    observed.status.previous_jobs = vec![PreviousJob { state: None, ..previous("earlier", "") }];
    let Fact::Known(listed) = &mut observed.jobs else { panic!() };
    listed.named_elsewhere.insert("named-elsewhere".to_owned());
    listed.lists = 2;
    let recognized = Fact::Known(Recognized { identity: true, config: false });
    observed.recognized.insert("9ca7716e846cfa97".to_owned(), recognized);
    let step = next(&desired(), &observed);
    assert_eq!(step, Step::Withdraw { record_id: "nonce".to_owned(), phase: None });
}

#[test]
fn spec_changes_do_not_end_the_doubt() {
    for desired in [
        Desired { revoked: true, ..desired() },
        Desired { attempt: 7, ..desired() },
        deleting().with(|it| it.lifecycle.orphan = true),
    ] {
        assert!(matches!(next(&desired, &in_doubt(vec![], 0)), Step::End(_)));
        assert_eq!(found(&next(&desired, &in_doubt(vec![job("a")], 0))), "a");
    }
}

#[test]
fn tampered_record_is_reported_and_settles_nothing() {
    type Edit = fn(&mut SendRecord);
    let edits: [(&str, Edit); 6] = [
        ("id", |send| send.id.clear()),
        ("tenantID", |send| send.tenant_id.clear()),
        ("realmID", |send| send.realm_id.clear()),
        ("identityID", |send| " ".clone_into(&mut send.identity_id)),
        ("authenticatorConfigID", |send| send.authenticator_config_id.clear()),
        ("notBefore", |send| "yesterday".clone_into(&mut send.not_before)),
    ];
    for (field, edit) in edits {
        for (jobs, age) in [(vec![job("a")], 0), (vec![], 91)] {
            let mut observed = in_doubt(jobs, age);
            observed.status.send.iter_mut().for_each(edit);
            let step = next(&desired(), &observed);
            assert!(matches!(phase_of(&step), Phase::Refused(why) if why.reason == Reason::StatusEdited), "{field}");
            assert!(
                phase_of(&step)
                    .why()
                    .message
                    .contains(&format!("status.send.{field} was modified outside the operator,")),
                "{step:?}"
            );
            assert!(
                matches!(phase_of(&next(&deleting(), &observed)), Phase::Deleting { blocked: true, .. }),
                "{field}"
            );
            observed.object.grace_remaining = Duration::ZERO;
            assert!(matches!(next(&deleting(), &observed), Step::RemoveFinalizer { leftover: Some(_) }), "{field}");
        }
    }
}
