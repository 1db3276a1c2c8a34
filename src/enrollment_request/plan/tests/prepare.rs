//! Rule `prepare`: the order of the checks before a send, and the record that is written ahead.

use super::*;
use crate::beyond_identity::types::JobState;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::testing::{job, send};
use crate::reconcile::times::RETRY_IDENTITY;

#[test]
fn finalizer_is_added_first() {
    assert_eq!(next(&desired(), &prepared().with(|it| it.object.finalizer = false)), Step::AddFinalizer);
}

#[test]
fn object_is_refreshed_before_a_send() {
    assert_eq!(next(&desired(), &prepared().with(|it| it.object.fresh = false)), Step::Refresh);
}

#[test]
fn facts_are_fetched_in_order_cheapest_first() {
    let mut observed = fresh();
    let steps = [
        Step::Fetch(Query::Config("hosted-web".to_owned())),
        Step::Resolve(ProviderConfigRef::default()),
        Step::Fetch(Query::Identity(provider_ref(), desired().identity)),
        Step::Act(Action::Reserve(key())),
        Step::Fetch(Query::Jobs(provider_ref(), "9ca7716e846cfa97".to_owned())),
    ];
    let known = prepared();
    for (n, step) in steps.into_iter().enumerate() {
        assert_eq!(next(&desired(), &observed), step);
        match n {
            0 => observed.config = known.config.clone(),
            1 => observed.object.realms = known.object.realms.clone(),
            2 => observed.identity = known.identity.clone(),
            3 => observed.reservation = known.reservation.clone(),
            _ => observed.jobs = known.jobs.clone(),
        }
    }
    assert!(matches!(next(&desired(), &observed), Step::WriteAhead(..)));
}

#[test]
fn failed_fact_is_reported_with_a_backoff() {
    type Spoil = fn(&mut Known);
    let spoils: [Spoil; 5] = [
        |o| o.reservation = Fact::Failed(failure()),
        |o| o.config = Fact::Failed(failure()),
        |o| o.object.realms = resolved_realms(Fact::Failed(failure())),
        |o| o.identity = Fact::Failed(failure()),
        |o| o.jobs = Fact::Failed(failure()),
    ];
    for spoil in spoils {
        let mut observed = prepared();
        spoil(&mut observed);
        let step = next(&desired(), &observed);
        assert_eq!((reason(&step), requeue_of(&step)), (Reason::ServiceUnavailable, Requeue::Backoff(None)));
    }
}

#[test]
fn missing_or_unready_configuration_is_reported() {
    let missing = next(&desired(), &prepared().with(|it| it.config = Fact::Known(None)));
    assert!(matches!(phase_of(&missing), Phase::Blocked(why) if why.reason == Reason::AuthenticatorConfigNotFound
        && why.message.contains("AuthenticatorConfig hosted-web does not exist in namespace identity")));
    let unready = next(&desired(), &prepared().with(|it| it.config = Fact::Known(Some(config(None)))));
    assert!(matches!(phase_of(&unready), Phase::Progressing(why) if why.reason == Reason::AuthenticatorConfigNotReady));
    let leaving = Config { leaving: true, ..config(None) };
    let step = next(&desired(), &fresh().with(|it| it.config = Fact::Known(Some(leaving))));
    assert_eq!(reason(&step), Reason::AuthenticatorConfigNotFound);
    assert!(phase_of(&step).why().message.contains("is being deleted and waits for this request"), "{step:?}");
    let stalled = Config { stalled: true, ..config(None) };
    let stalled = next(&desired(), &prepared().with(|it| it.config = Fact::Known(Some(stalled))));
    assert!(matches!(phase_of(&stalled), Phase::Blocked(why) if why.reason == Reason::AuthenticatorConfigStalled));
}

#[test]
fn identity_must_exist_be_active_and_have_an_address() {
    let address = r#"{"primary_email_address": "jane@example.com"}"#;
    let cases = [
        (None, Reason::IdentityNotFound),
        (Some(identity(address, "suspended")), Reason::IdentityNotActive),
        (Some(identity(address, "something_new")), Reason::IdentityNotActive),
        (Some(identity("{}", "active")), Reason::NoEmailAddress),
        (Some(identity(r#"{"primary_email_address": " "}"#, "active")), Reason::NoEmailAddress),
    ];
    for (identity, wanted) in cases {
        let observed = prepared().with(|it| it.identity = Fact::Known(identity));
        let step = next(&desired(), &observed);
        assert!(matches!(phase_of(&step), Phase::Blocked(why) if why.reason == wanted
            && why.message.contains(" of spec.identity.id ") && !why.message.contains("example.com")));
        // A person waits for the email, however rarely the rest is retried.
        let overdue = observed.with(|it| it.object.grace_remaining = Duration::ZERO);
        let step = next(&desired(), &overdue);
        assert_eq!((reason(&step), requeue_of(&step)), (wanted, Requeue::After(RETRY_IDENTITY)));
    }
    let without_status: Identity =
        serde_json::from_str(&format!(r#"{{"id": "9ca7716e846cfa97", "traits": {address}}}"#)).unwrap();
    let step = next(&desired(), &prepared().with(|it| it.identity = Fact::Known(Some(without_status))));
    assert!(matches!(step, Step::WriteAhead(..)), "an absent status counts as active");
}

#[test]
fn configuration_of_another_realm_is_refused() {
    let realm = RealmIds { realm_id: "elsewhere".to_owned(), ..realm_ids() };
    let elsewhere = Destination { realm, ..destination() };
    let step = next(&desired(), &prepared().with(|it| it.object.realms = resolved_realms(Fact::Known(elsewhere))));
    assert!(matches!(phase_of(&step), Phase::Refused(why) if why.reason == Reason::RealmChanged));
}

#[test]
fn send_record_is_written_ahead() {
    let Step::WriteAhead(record, phase) = next(&desired(), &prepared()) else { panic!("no record is written ahead") };
    assert_eq!(*record, send());
    assert!(matches!(phase, Phase::InDoubt(_)));
}

#[test]
fn without_server_time_all_listed_jobs_are_recorded() {
    let mut old = job("old");
    old.create_time = Some("2020-01-01T00:00:00Z".to_owned());
    old.state = Some(JobState::Expired);
    let jobs = Fact::Known(JobList { server_time: None, ..listed(vec![old], 0) });
    let Step::WriteAhead(record, _) = next(&desired(), &prepared().with(|it| it.jobs = jobs)) else { panic!() };
    assert_eq!(
        (record.not_before.as_str(), &record.existing_job_ids[..]),
        ("1970-01-01T00:00:00Z", &["old".to_owned()][..])
    );
}

#[test]
fn only_ambiguous_jobs_are_recorded() {
    let (mut early, mut elsewhere, mut timeless) = (job("early"), job("elsewhere"), job("timeless"));
    early.create_time = Some("2026-01-01T11:59:00Z".to_owned());
    elsewhere.authenticator_config_id = Some("another".to_owned());
    timeless.create_time = None;
    let mut jobs = vec![job("recent"), early, elsewhere, timeless];
    // Expired links are not adopted.
    jobs.iter_mut().for_each(|job| job.state = Some("EXPIRED".into()));
    let jobs = Fact::Known(listed(jobs, 0));
    let Step::WriteAhead(record, _) = next(&desired(), &unlimited(prepared()).with(|it| it.jobs = jobs)) else {
        panic!()
    };
    assert_eq!(record.existing_job_ids, ["recent", "timeless"]);
}

#[test]
fn too_many_existing_jobs_are_refused() {
    let expired = |n: i32| CredentialBindingJob { state: Some("EXPIRED".into()), ..job(&n.to_string()) };
    let jobs = (0..1001).map(expired).collect();
    let jobs = Fact::Known(listed(jobs, 0));
    let step = next(&desired(), &unlimited(prepared()).with(|it| it.jobs = jobs));
    assert!(matches!(phase_of(&step), Phase::Refused(_)));
}

#[test]
fn blocked_request_resyncs_after_grace_period() {
    let mut observed = prepared().with(|it| it.config = Fact::Known(None));
    assert_eq!(requeue_of(&next(&desired(), &observed)), Requeue::Backoff(None));
    observed.object.grace_remaining = Duration::ZERO;
    assert_eq!(requeue_of(&next(&desired(), &observed)), Requeue::After(TIMES.resync));
}

#[test]
fn username_is_never_in_a_message() {
    let desired = Desired { identity: IdentitySelector::Username("jane@example.com".to_owned()), ..desired() };
    let unknown = prepared().with(|it| it.identity = Fact::Unknown);
    assert_eq!(next(&desired, &unknown), Step::Fetch(Query::Identity(provider_ref(), desired.identity.clone())));
    for identity in [None, Some(identity("{}", "active")), Some(identity("{}", "suspended"))] {
        let step = next(&desired, &prepared().with(|it| it.identity = Fact::Known(identity)));
        let message = phase_of(&step).why().message.clone();
        assert!(
            message.starts_with("The identity of spec.identity.username ") && !message.contains("jane"),
            "{message}"
        );
    }
}

#[test]
fn changed_identity_of_the_username_is_reserved() {
    let other = EnrollmentKey { identity_id: "another-identity".to_owned(), ..key() };
    let step = next(&desired(), &prepared().with(|it| it.reservation = Fact::Known(other)));
    assert_eq!(step, Step::Act(Action::Reserve(key())));
}

#[test]
fn rate_limited_request_keeps_conditions_unless_new() {
    let destinations = resolved_realms(Fact::Failed(Failure::not_its_turn(Duration::from_secs(7))));
    let mut waiting = prepared().with(|it| it.object.realms = destinations);
    let step = next(&desired(), &waiting);
    assert!(
        matches!(phase_of(&step), Phase::Progressing(why) if why.reason == Reason::RateLimited),
        "a new request is in progress"
    );
    let late = Requeue::AtTurn(Duration::from_secs(607));
    assert_eq!(requeue_of(&step), late);
    waiting.status.observed_generation = Some(1);
    assert_eq!(requeue_keeping_conditions(&next(&desired(), &waiting)), late);
    waiting.status.send = Some(send());
    let step = next(&desired(), &waiting);
    assert!(
        matches!(phase_of(&step), Phase::InDoubt(why) if why.reason == Reason::SendInDoubt),
        "a doubt is not hidden"
    );
    let unseen = waiting.with(|it| it.status.observed_generation = None);
    assert_eq!(next(&desired(), &unseen), step, "the same text, so that the status is written once");
    assert_eq!(requeue_of(&step), late);
}
