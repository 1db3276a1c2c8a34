//! Follow and leave: a concluded attempt, whose job is looked at from time to time.

use std::collections::BTreeMap;

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::LastLook;
use crate::enrollment_request::plan::{is_anything_owed, to_revoke};
use crate::enrollment_request::step::{JobRef, Question};
use crate::enrollment_request::testing::{concluded, job, send};
use crate::enrollment_request::wishes::RESEND;

/// A request whose job is outstanding, and about to be looked at.
fn following() -> Observed {
    let status = EnrollmentRequestStatus { observed_generation: Some(1), ..concluded() };
    Observed { status, destinations: leads(there()), ..fresh() }
}

fn seen(ago: u64, found: bool) -> Option<LastLook> {
    Some(LastLook { ago: Duration::from_secs(ago), found })
}

/// The job in status, as it was read in this look.
fn read(job: Option<CredentialBindingJob>) -> BTreeMap<String, Option<ReadJob>> {
    BTreeMap::from([("job".to_owned(), job.map(|item| ReadJob { item, server_time: None }))])
}

/// What came of a look at the job.
fn follow(job: &CredentialBindingJob) -> Change {
    Change::Follow(Box::new(ReadJob { item: job.clone(), server_time: None }))
}

fn in_state(state: &str) -> EnrollmentRequestStatus {
    EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() }
}

#[test]
fn the_job_is_read_under_the_ids_in_status() {
    let question = Question::Job(
        via(),
        JobRef {
            identity_id: "9ca7716e846cfa97".to_owned(),
            job_id: "job".to_owned(),
            endpoint: Some(ENDPOINT.to_owned()),
            expired: false,
        },
    );
    assert_eq!(next(&desired(), &following()), Step::Learn(question.clone()));
    let cached = Observed { fresh: false, ..following() };
    assert_eq!(next(&desired(), &cached), Step::Learn(question), "the cache is good enough for reading");
    let unopened = Observed { destinations: BTreeMap::new(), ..following() };
    assert_eq!(next(&desired(), &unopened), Step::Learn(Question::Realm(ProviderConfigRef::default())));
}

#[test]
fn what_has_changed_is_recorded_and_what_has_not_is_not_written() {
    let opened = CredentialBindingJob { state: Some(JobState::LinkOpened), ..job("job") };
    let step = next(&desired(), &Observed { read: read(Some(opened)), ..following() });
    assert!(matches!(&step, Step::Record(Change::Follow(job)) if job.item.state == Some(JobState::LinkOpened)));
    let step = next(&desired(), &Observed { read: read(Some(job("job"))), ..following() });
    assert_eq!((reason(&step), until(&step)), (Reason::LinkSent, Until::After(TIMES.job_poll_min)));
}

#[test]
fn a_complete_job_is_never_read_again() {
    let observed = Observed { status: in_state("COMPLETE"), destinations: BTreeMap::new(), ..following() };
    let step = next(&desired(), &observed);
    assert_eq!((reason(&step), until(&step)), (Reason::Complete, Until::Change));
}

#[test]
fn who_asks_for_a_look_has_a_complete_job_read_once_more_and_it_stays_complete_when_it_is_gone() {
    let asking = Desired { look_asked_for: Some("now".to_owned()), ..desired() };
    let mut observed = Observed { status: in_state("COMPLETE"), ..following() };
    assert!(matches!(next(&asking, &observed), Step::Learn(Question::Job(..))));
    observed.read = read(Some(CredentialBindingJob { state: Some(JobState::Complete), ..job("job") }));
    for read in [observed.read.clone(), read(None)] {
        let step = next(&asking, &Observed { read, status: observed.status.clone(), ..following() });
        let step = match step {
            Step::Record(change) => {
                assert!(change.apply(&mut observed.status));
                next(&asking, &observed)
            }
            step => step,
        };
        assert_eq!((reason(&step), until(&step)), (Reason::Complete, Until::Change));
    }
}

#[test]
fn a_look_that_failed_is_still_to_be_made() {
    let asking = Desired { look_asked_for: Some("now".to_owned()), ..desired() };
    let step = next(
        &asking,
        &Observed { job_trouble: [("job".to_owned(), trouble())].into(), status: in_state("COMPLETE"), ..following() },
    );
    assert!(!until(&step).ends_a_look(), "{step:?}");
    let not_its_turn = Fact::Failed(Trouble::not_its_turn(Duration::from_secs(7)));
    let step =
        next(&asking, &Observed { destinations: leads(not_its_turn), status: in_state("COMPLETE"), ..following() });
    assert!(!until(&step).ends_a_look(), "{step:?}");
}

#[test]
fn between_two_looks_nothing_is_asked() {
    let step = next(&desired(), &Observed { last_look: seen(2, true), destinations: BTreeMap::new(), ..following() });
    assert_eq!((reason(&step), until(&step)), (Reason::LinkSent, Until::After(Duration::from_secs(3))));
    assert!(matches!(next(&desired(), &Observed { last_look: seen(5, true), ..following() }), Step::Learn(_)));
}

#[test]
fn the_pause_is_a_tenth_of_the_age_within_its_bounds_and_ends_when_the_link_expires() {
    let pause = |create: &str, expire: &str| {
        let job = CredentialBindingJob {
            create_time: Some(create.to_owned()),
            expire_time: Some(expire.to_owned()),
            ..job("job")
        };
        let mut status = concluded();
        assert!(follow(&job.clone()).apply(&mut status));
        let Until::After(pause) = until(&next(&desired(), &Observed { status, read: read(Some(job)), ..following() }))
        else {
            panic!("a time")
        };
        pause.as_secs()
    };
    let next_week = "2026-01-08T12:00:00Z";
    assert_eq!(pause("2026-01-01T12:00:00Z", next_week), 5, "young");
    assert_eq!(pause("2026-01-01T11:50:03Z", next_week), 60, "ten minutes");
    assert_eq!(pause("2025-12-31T12:00:00Z", next_week), 300, "old");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T12:01:03Z"), 65, "about to expire: a little after that");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T12:00:03Z"), 5, "expires now, but the clock may be behind");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T11:59:58Z"), 300, "was looked at when it had expired");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T11:00:00Z"), 300, "should have expired");
    assert_eq!(pause("2026-01-01T12:00:00Z", "9999-12-30T22:00:00Z"), 5, "never expires");
    assert_eq!(pause("nonsense", "nonsense"), 5);
    assert_eq!(pause("2026-01-02T12:00:00Z", next_week), 5, "from the future");
}

#[test]
fn a_job_that_is_gone_is_said_and_looked_for_at_the_resync_interval() {
    let step = next(&desired(), &Observed { read: read(None), ..following() });
    assert!(matches!(said(&step), Phase::JobGone(_)));
    assert_eq!(until(&step), Until::After(TIMES.resync));
    let between = next(&desired(), &Observed { last_look: seen(100, false), ..following() });
    assert!(matches!(said(&between), Phase::JobGone(_)), "and stays so until the next look");
    assert_eq!(until(&between), Until::After(Duration::from_secs(500)));
}

#[test]
fn a_look_that_failed_moves_nothing_of_what_is_said() {
    let refused = Trouble::from(Phase::Refused(crate::api::phase::why(Reason::Refused, "400")));
    for failed in [
        Observed { job_trouble: [("job".to_owned(), trouble())].into(), ..following() },
        Observed { job_trouble: [("job".to_owned(), refused)].into(), ..following() },
        Observed { destinations: leads(Fact::Failed(trouble())), ..following() },
    ] {
        let Step::Wait(Wait { say: None, .. }) = next(&desired(), &failed) else { panic!("it says something") };
        let edited = Desired { generation: 2, ..desired() };
        assert_eq!(
            reason(&next(&edited, &failed)),
            Reason::LinkSent,
            "what the status says, of a spec not looked at yet"
        );
    }
}

#[test]
fn what_is_said_of_a_spec_that_nobody_has_looked_at_is_what_the_last_look_has_found() {
    let edited = Desired { generation: 2, ..desired() };
    for (found, says) in [(true, Reason::LinkSent), (false, Reason::JobNotFound)] {
        let last_look = seen(10_000, found);
        let failed = Observed { job_trouble: [("job".to_owned(), trouble())].into(), last_look, ..following() };
        assert_eq!(reason(&next(&edited, &failed)), says);
    }
}

#[test]
fn a_status_that_does_not_name_its_job_is_said_however_recent_the_last_look_was() {
    for (job_id, identity_id) in
        [(None, Some("jane")), (Some(""), Some("jane")), (Some("job"), Some("")), (Some("job"), None)]
    {
        let id = |id: Option<&str>| id.map(str::to_owned);
        let status = EnrollmentRequestStatus { job_id: id(job_id), identity_id: id(identity_id), ..concluded() };
        for desired in [desired(), Desired { revoked: true, ..desired() }] {
            let step = next(&desired, &Observed { status: status.clone(), last_look: seen(0, true), ..following() });
            assert_eq!(until(&step), Until::Change, "{step:?}");
            assert!(matches!(said(&step), Phase::JobGone(_) | Phase::Revoked { .. }));
        }
    }
}

#[test]
fn a_provider_config_that_leads_elsewhere_is_said() {
    let realm = RealmIds { realm_id: "elsewhere".to_owned(), ..home() };
    let elsewhere = Destination { realm, ..destination() };
    let step = next(&desired(), &Observed { destinations: leads(Fact::Known(elsewhere)), ..following() });
    assert_eq!(reason(&step), Reason::RealmChanged);
}

#[test]
fn a_status_that_somebody_has_emptied_in_part_is_not_sent_for_again() {
    let status = EnrollmentRequestStatus { attempt: Some(1), ..EnrollmentRequestStatus::default() };
    let step = next(&desired(), &Observed { status, ..following() });
    assert!(matches!(said(&step), Phase::JobGone(_)));
}

#[test]
fn who_only_looks_how_a_job_gets_on_is_told_apart_from_who_is_owed_something() {
    let (now, settled) = (desired(), concluded());
    assert!(!is_anything_owed(&now, &settled));
    assert!(is_anything_owed(&now, &EnrollmentRequestStatus::default()), "nothing was sent yet");
    for desired in [
        Desired { attempt: 2, ..desired() },
        Desired { revoked: true, ..desired() },
        Desired { deleting: true, ..desired() },
    ] {
        assert!(is_anything_owed(&desired, &settled), "{desired:?}");
    }
    assert!(is_anything_owed(&now, &EnrollmentRequestStatus { send: Some(send()), ..settled }), "a send in doubt");
}

#[test]
fn a_raised_attempt_is_owed_unless_the_request_is_revoked() {
    let raised = Desired { attempt: 2, ..desired() };
    let observed = Observed { status: concluded(), ..prepared() };
    let Step::WriteAhead(record, _) = next(&raised, &observed) else { panic!("not sent") };
    assert_eq!((record.attempt, record.existing_job_ids.as_slice()), (2, [].as_slice()));
    let revoked = Desired { revoked: true, ..raised };
    assert!(matches!(next(&revoked, &observed), Step::Revoke(..)));
    let lowered = Desired { attempt: 1, ..desired() };
    let ahead = EnrollmentRequestStatus { attempt: Some(3), ..concluded() };
    assert!(matches!(next(&lowered, &Observed { status: ahead, ..prepared() }), Step::Learn(Question::Job(..))));
}

#[test]
fn a_link_whose_time_is_over_by_the_services_own_clock_is_shown_as_expired_and_may_be_followed_by_another_email() {
    let stale = CredentialBindingJob { expire_time: Some("2025-12-29T12:00:00Z".to_owned()), ..job("job") };
    let told = |server_time| ReadJob { item: stale.clone(), server_time };
    let mut observed = following();
    observed.read.insert("job".to_owned(), Some(told(Some(now()))));
    let Step::Record(change) = next(&desired(), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    assert_eq!((observed.status.expired, observed.status.state.as_deref()), (Some(true), Some("LINK_SENT")));
    let step = next(&desired(), &observed);
    let said = said(&step).why().message.clone();
    assert_eq!(reason(&step), Reason::LinkExpired);
    assert!(
        said.starts_with("the link expired at 2025-12-29T12:00:00Z, though the job is still in state LINK_SENT"),
        "{said}"
    );

    let again = |value: &str| Desired { wishes: wishes(RESEND, value), ..desired() };
    assert!(is_anything_owed(&again("job/EXPIRED"), &observed.status));
    assert!(
        !is_anything_owed(&again("job/LINK_SENT"), &observed.status),
        "it may have been meant for a link that works"
    );
    let revoked = Desired { revoked: true, ..desired() };
    assert_eq!(to_revoke(&revoked, &observed.status).len(), 1, "it is still revoked where it has to be");
    assert_eq!(to_revoke(&deleting(), &observed.status).len(), 1);

    // Without a time nothing new is known.
    assert!(!Change::Follow(Box::new(told(None))).changes(&observed.status));
    let mut unknown = concluded();
    assert!(Change::Follow(Box::new(told(None))).apply(&mut unknown));
    assert_eq!(unknown.expired, None, "it counts as live");
    let dead = CredentialBindingJob { state: Some(JobState::Expired), ..stale.clone() };
    assert!(Change::Follow(Box::new(ReadJob { item: dead, server_time: None })).apply(&mut observed.status));
    assert_eq!(observed.status.expired, None, "now the service says so, too");
}

#[test]
fn a_job_whose_delivery_method_is_not_known_is_named_as_such_when_it_is_taken_and_not_when_it_is_followed() {
    let odd = CredentialBindingJob { delivery_method: Some("E-MAIL".into()), ..job("job") };
    let conclude = |answered| {
        let mut status = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
        let (send_id, job) = ("nonce".to_owned(), Box::new(odd.clone()));
        assert!(Change::Conclude { send_id, job, answered, others: vec![] }.apply(&mut status));
        status
    };
    assert_eq!(conclude(true).delivery_method, None, "the service answered the send with it");
    let mut listed = conclude(false);
    assert_eq!(listed.delivery_method.as_deref(), Some("E-MAIL"));
    assert!(!follow(&job("job")).changes(&listed), "it stays so");
    listed.send = Some(send());
    let next =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("b")), answered: true, others: vec![] };
    assert!(next.apply(&mut listed));
    assert_eq!(listed.previous_jobs[0].delivery_method.as_deref(), Some("E-MAIL"));
    assert_eq!(listed.delivery_method, None);
}

#[test]
fn a_job_that_another_endpoint_does_not_know_is_not_said_to_be_gone_and_one_that_it_knows_has_moved() {
    let elsewhere = Destination { endpoint: "https://another.example.com".to_owned(), ..destination() };
    let at = |read| Observed { read, destinations: leads(Fact::Known(elsewhere.clone())), ..following() };
    assert_eq!(reason(&next(&desired(), &at(read(None)))), Reason::EndpointChanged);
    let mut found = at(read(Some(job("job"))));
    let Step::Record(change) = next(&desired(), &found) else { panic!() };
    assert!(change.apply(&mut found.status));
    assert_eq!(found.status.endpoint.as_deref(), Some("https://another.example.com"));
    assert_eq!(reason(&next(&desired(), &found)), Reason::LinkSent);
}

#[test]
fn what_cannot_be_written_down_is_not_tried_to_be_at_each_look() {
    let opened = CredentialBindingJob { state: Some(JobState::LinkOpened), ..job("job") };
    let step = next(&desired(), &Observed { read: read(Some(opened)), unwritable: unwritable(), ..following() });
    assert_eq!((reason(&step), until(&step)), (Reason::StatusNotStored, Until::After(Duration::from_secs(40))));
}
