//! Hold and prepare: what is checked before a send, in which order, and what is written ahead.

use super::*;
use crate::beyond_identity::types::JobState;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::testing::{job, send};

#[test]
fn the_finalizer_comes_before_anything_else() {
    assert_eq!(next(&desired(), &prepared().with(|it| it.object.finalizer = false)), Step::AddFinalizer);
}

#[test]
fn the_watch_cache_is_not_trusted_with_a_send() {
    assert_eq!(next(&desired(), &prepared().with(|it| it.object.fresh = false)), Step::Refresh);
}

#[test]
fn facts_are_learned_one_after_the_other_the_dear_ones_last() {
    let mut observed = fresh();
    let steps = [
        Step::Fetch(Query::Config("hosted-web".to_owned())),
        Step::Resolve(ProviderConfigRef::default()),
        Step::Fetch(Query::Identity(via(), desired().identity)),
        Step::Act(Action::Reserve(key())),
        Step::Fetch(Query::Jobs(via(), "9ca7716e846cfa97".to_owned())),
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
fn each_fact_that_cannot_be_learned_is_said_and_backed_off_from() {
    type Spoil = fn(&mut Known);
    let spoils: [Spoil; 5] = [
        |o| o.reservation = Fact::Failed(failure()),
        |o| o.config = Fact::Failed(failure()),
        |o| o.object.realms = leads(Fact::Failed(failure())),
        |o| o.identity = Fact::Failed(failure()),
        |o| o.jobs = Fact::Failed(failure()),
    ];
    for spoil in spoils {
        let mut observed = prepared();
        spoil(&mut observed);
        let step = next(&desired(), &observed);
        assert_eq!((reason(&step), until(&step)), (Reason::ServiceUnavailable, Requeue::Backoff(None)));
    }
}

#[test]
fn a_missing_configuration_blocks_and_one_that_is_not_ready_is_waited_for() {
    let missing = next(&desired(), &prepared().with(|it| it.config = Fact::Known(None)));
    assert!(matches!(said(&missing), Phase::Blocked(why) if why.reason == Reason::AuthenticatorConfigNotFound
        && why.message.contains("AuthenticatorConfig hosted-web does not exist in namespace identity")));
    let unready = next(&desired(), &prepared().with(|it| it.config = Fact::Known(Some(config(None)))));
    assert!(matches!(said(&unready), Phase::Progressing(why) if why.reason == Reason::AuthenticatorConfigNotReady));
    let leaving = Config { leaving: true, ..config(None) };
    let step = next(&desired(), &fresh().with(|it| it.config = Fact::Known(Some(leaving))));
    assert_eq!(reason(&step), Reason::AuthenticatorConfigNotFound);
    assert!(said(&step).why().message.contains("is being deleted and waits for this request"), "{step:?}");
    let stalled = Config { stalled: true, ..config(None) };
    let stalled = next(&desired(), &prepared().with(|it| it.config = Fact::Known(Some(stalled))));
    assert!(matches!(said(&stalled), Phase::Blocked(why) if why.reason == Reason::AuthenticatorConfigStalled));
}

#[test]
fn an_identity_has_to_be_there_active_and_to_have_an_address() {
    let address = r#"{"primary_email_address": "jane@example.com"}"#;
    let cases = [
        (None, Reason::IdentityNotFound),
        (Some(identity(address, "suspended")), Reason::IdentityNotActive),
        (Some(identity(address, "something_new")), Reason::IdentityNotActive),
        (Some(identity("{}", "active")), Reason::NoEmailAddress),
        (Some(identity(r#"{"primary_email_address": " "}"#, "active")), Reason::NoEmailAddress),
    ];
    for (identity, wanted) in cases {
        let step = next(&desired(), &prepared().with(|it| it.identity = Fact::Known(identity)));
        assert!(matches!(said(&step), Phase::Blocked(why) if why.reason == wanted
            && why.message.contains(" of spec.identity.id ") && !why.message.contains("example.com")));
    }
    let silent: Identity =
        serde_json::from_str(&format!(r#"{{"id": "9ca7716e846cfa97", "traits": {address}}}"#)).unwrap();
    let step = next(&desired(), &prepared().with(|it| it.identity = Fact::Known(Some(silent))));
    assert!(matches!(step, Step::WriteAhead(..)), "an absent status counts as active");
}

#[test]
fn a_configuration_of_another_realm_than_the_provider_configs_is_not_used() {
    let realm = RealmIds { realm_id: "elsewhere".to_owned(), ..home() };
    let elsewhere = Destination { realm, ..destination() };
    let step = next(&desired(), &prepared().with(|it| it.object.realms = leads(Fact::Known(elsewhere))));
    assert!(matches!(said(&step), Phase::Refused(why) if why.reason == Reason::RealmChanged));
}

#[test]
fn what_is_written_ahead_is_all_that_finding_the_job_again_takes() {
    let Step::WriteAhead(record, phase) = next(&desired(), &prepared()) else { panic!("nothing is in the way") };
    assert_eq!(*record, send());
    assert!(matches!(phase, Phase::InDoubt(_)));
}

#[test]
fn without_a_usable_date_all_that_is_listed_is_named_and_the_own_clock_counts_for_nothing() {
    let mut old = job("old");
    old.create_time = Some("2020-01-01T00:00:00Z".to_owned());
    old.state = Some(JobState::Expired);
    let jobs = Fact::Known(Listed { server_time: None, ..listed(vec![old], 0) });
    let Step::WriteAhead(record, _) = next(&desired(), &prepared().with(|it| it.jobs = jobs)) else { panic!() };
    assert_eq!(
        (record.not_before.as_str(), &record.existing_job_ids[..]),
        ("1970-01-01T00:00:00Z", &["old".to_owned()][..])
    );
}

#[test]
fn jobs_that_could_be_taken_for_the_new_one_are_named_and_others_are_not() {
    let (mut early, mut elsewhere, mut timeless) = (job("early"), job("elsewhere"), job("timeless"));
    early.create_time = Some("2026-01-01T11:59:00Z".to_owned());
    elsewhere.authenticator_config_id = Some("another".to_owned());
    timeless.create_time = None;
    let mut jobs = vec![job("recent"), early, elsewhere, timeless];
    // Dead ones, or they would be adopted.
    jobs.iter_mut().for_each(|job| job.state = Some("EXPIRED".into()));
    let jobs = Fact::Known(listed(jobs, 0));
    let Step::WriteAhead(record, _) = next(&desired(), &prepared().with(|it| it.jobs = jobs)) else { panic!() };
    assert_eq!(record.existing_job_ids, ["recent", "timeless"]);
}

#[test]
fn more_jobs_than_the_record_holds_are_not_left_out_of_it() {
    let dead = |n: i32| CredentialBindingJob { state: Some("EXPIRED".into()), ..job(&n.to_string()) };
    let jobs = (0..1001).map(dead).collect();
    let jobs = Fact::Known(listed(jobs, 0));
    let step = next(&desired(), &prepared().with(|it| it.jobs = jobs));
    assert!(matches!(said(&step), Phase::Refused(_)));
}

#[test]
fn what_stays_blocked_beyond_the_grace_period_is_tried_again_rarely() {
    let mut observed = prepared().with(|it| it.config = Fact::Known(None));
    assert_eq!(until(&next(&desired(), &observed)), Requeue::Backoff(None));
    observed.object.grace_remaining = Duration::ZERO;
    assert_eq!(until(&next(&desired(), &observed)), Requeue::After(TIMES.resync));
}

#[test]
fn a_username_is_never_shown() {
    let desired = Desired { identity: IdentitySelector::Username("jane@example.com".to_owned()), ..desired() };
    let unknown = prepared().with(|it| it.identity = Fact::Unknown);
    assert_eq!(next(&desired, &unknown), Step::Fetch(Query::Identity(via(), desired.identity.clone())));
    for identity in [None, Some(identity("{}", "active")), Some(identity("{}", "suspended"))] {
        let step = next(&desired, &prepared().with(|it| it.identity = Fact::Known(identity)));
        let message = said(&step).why().message.clone();
        assert!(
            message.starts_with("The identity of spec.identity.username ") && !message.contains("jane"),
            "{message}"
        );
    }
}

#[test]
fn a_person_that_the_username_leads_to_anew_is_reserved_anew() {
    let other = EnrollmentKey { identity_id: "somebody-else".to_owned(), ..key() };
    let step = next(&desired(), &prepared().with(|it| it.reservation = Fact::Known(other)));
    assert_eq!(step, Step::Act(Action::Reserve(key())));
}

#[test]
fn who_waits_for_a_turn_is_woken_and_what_was_said_stands_unless_nobody_has_looked_yet() {
    let destinations = leads(Fact::Failed(Failure::not_its_turn(Duration::from_secs(7))));
    let mut waiting = prepared().with(|it| it.object.realms = destinations);
    let step = next(&desired(), &waiting);
    assert!(matches!(said(&step), Phase::Progressing(why) if why.reason == Reason::RateLimited), "it is in progress");
    let late = Requeue::AtTurn(Duration::from_secs(607));
    assert_eq!(until(&step), late);
    waiting.status.observed_generation = Some(1);
    assert_eq!(silent(&next(&desired(), &waiting)), late);
    waiting.status.send = Some(send());
    assert_eq!(silent(&next(&desired(), &waiting)), late, "a doubt stays one");
}
