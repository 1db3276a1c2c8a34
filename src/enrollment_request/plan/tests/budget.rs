//! The limits of the provider config on emails.

use super::super::budget::HOUR;
use super::*;
use crate::enrollment_request::observed::SendTurn;
use crate::enrollment_request::pacer::SendWait;
use crate::enrollment_request::testing::{concluded, job};
use crate::reconcile::times::MISSED_TURN;

/// A job of another request, created at this time.
fn other(id: &str, created: &str) -> CredentialBindingJob {
    CredentialBindingJob {
        create_time: Some(format!("2026-01-01T{created}Z")),
        authenticator_config_id: Some("another".to_owned()),
        ..job(id)
    }
}

fn revoked(job: CredentialBindingJob) -> CredentialBindingJob {
    CredentialBindingJob { state: Some("REVOKED".into()), ..job }
}

fn with_jobs(jobs: Vec<CredentialBindingJob>) -> Known {
    prepared().with(|it| it.jobs = Fact::Known(listed(jobs, 0)))
}

fn sends(known: &Known) -> bool {
    matches!(next(&desired(), known), Step::WriteAhead(..))
}

/// The message and the requeue of a request that waits for its budget, without a failure.
#[track_caller]
fn waits(known: &Known) -> (String, Duration) {
    let step = next(&desired(), known);
    assert_eq!(reason(&step), Reason::SendBudgetExceeded);
    assert!(matches!(phase_of(&step), Phase::Progressing(_)), "never stalled");
    let Step::End(End { failure: None, requeue: Requeue::After(after), .. }) = step else { panic!("{step:?}") };
    (phase_of(&next(&desired(), known)).why().message.clone(), after)
}

#[test]
fn third_job_within_an_hour_is_the_last_by_default() {
    let jobs = ["11:10:00", "11:20:00", "11:30:00.5"].map(|at| revoked(other(at, at)));
    assert!(sends(&with_jobs(jobs[..2].to_vec())));
    let (message, after) = waits(&with_jobs(jobs.to_vec()));
    assert_eq!(
        message,
        "The identity got 3 links within the last hour, and ClusterProviderConfig default allows 3 \
         (spec.enrollment.maxSendsPerHourPerIdentity); the email is likely to be sent at 2026-01-01T12:10:30Z"
    );
    assert_eq!(after, Duration::from_secs(630), "an hour after the first one, with a margin for clocks");
}

#[test]
fn surplus_jobs_delay_until_enough_of_them_are_old() {
    let jobs: Vec<_> = (10..15).map(|minute| revoked(other(&minute.to_string(), &format!("11:{minute}:00")))).collect();
    let (message, after) = waits(&with_jobs(jobs));
    assert!(message.contains("got 5 links") && message.ends_with("at 2026-01-01T12:12:30Z"), "{message}");
    assert_eq!(after, Duration::from_secs(750));
}

#[test]
fn job_counts_for_an_hour_and_the_margin_of_the_clocks() {
    let jobs = |first: &str| [first, "11:20:00", "11:30:00"].map(|at| revoked(other(at, at))).to_vec();
    assert!(sends(&with_jobs(jobs("10:59:30"))));
    assert_eq!(waits(&with_jobs(jobs("10:59:31"))).1, Duration::from_secs(1));
}

#[test]
fn jobs_of_every_state_and_configuration_count() {
    let mut jobs = [job("a"), other("b", "11:59:00"), other("c", "11:58:00")];
    jobs[1].state = Some("COMPLETE".into());
    jobs[2].state = Some("FAILED_TO_SEND".into());
    let known = with_jobs(jobs.to_vec()).with(|it| {
        // Its own job counts, too.
        it.status = EnrollmentRequestStatus { job_id: Some("a".to_owned()), ..concluded() };
    });
    let step = next(&desired().with(|it| it.attempt = 2), &known);
    assert_eq!(reason(&step), Reason::SendBudgetExceeded);
}

#[test]
fn undated_job_counts_for_an_hour_from_the_first_list() {
    let bare = |id: &str| CredentialBindingJob { create_time: None, ..revoked(job(id)) };
    let known = |age: u64| {
        let jobs = vec![bare("a"), bare("b"), bare("c")];
        prepared().with(|it| {
            let ages = [("a", age), ("b", 10), ("c", 10)].map(|(id, age)| (id.to_owned(), Duration::from_secs(age)));
            it.jobs = Fact::Known(JobList { ages: ages.into(), ..listed(jobs, 0) });
        })
    };
    assert_eq!(waits(&known(600)).1, Duration::from_secs(3030));
    assert!(sends(&known(3630)));
}

#[test]
fn without_the_services_clock_only_the_own_knowledge_counts() {
    let jobs = ["11:10:00", "11:20:00", "09:30:00"].map(|at| revoked(other(at, at))).to_vec();
    let ages: BTreeMap<_, _> = jobs.iter().map(|job| (job.id.clone(), Duration::from_secs(1))).collect();
    let list = JobList { server_time: None, ages, ..listed(jobs, 0) };
    assert_eq!(waits(&prepared().with(|it| it.jobs = Fact::Known(list))).1, Duration::from_secs(3629));
}

/// As many jobs without a time as a faulty service may list.
#[test]
fn many_jobs_without_a_time_are_counted_soon() {
    let undated = |id: u32| CredentialBindingJob { create_time: None, ..revoked(other(&id.to_string(), "")) };
    let dated = (0..100_000).map(|id| revoked(other(&format!("dated-{id}"), "09:00:00")));
    let jobs: Vec<_> = dated.chain((0..100_000).map(undated)).collect();
    let ages = jobs.iter().filter(|job| job.create_time.is_none()).map(|job| (job.id.clone(), HOUR)).collect();
    let list = JobList { ages, ..listed(jobs, 0) };
    assert!(sends(&prepared().with(|it| it.jobs = Fact::Known(list))));
}

#[test]
fn own_sends_count_before_a_list_shows_them() {
    let ages = ["a", "b", "c"].map(|id| (id.to_owned(), Duration::from_secs(5)));
    let list = JobList { ages: ages.into(), ..listed(Vec::new(), 0) };
    assert_eq!(waits(&prepared().with(|it| it.jobs = Fact::Known(list))).1, Duration::from_secs(3625));
}

#[test]
fn links_of_others_are_limited_to_five_by_default() {
    let links: Vec<_> = (0..5).map(|n| other(&n.to_string(), "09:00:00")).collect();
    assert!(sends(&with_jobs(links[1..].to_vec())));
    let (message, after) = waits(&with_jobs(links.clone()));
    assert_eq!(
        message,
        "The identity has 5 links that can still be used, and ClusterProviderConfig default allows 5 \
         (spec.enrollment.maxOutstandingPerIdentity); the email is likely to be sent when the first of them expires at \
         2026-01-08T12:00:02Z, or soon after one is used or revoked"
    );
    assert_eq!(after, TIMES.resync, "a link may end earlier");
    let mut ended = links.clone();
    ended[0].state = Some("COMPLETE".into());
    assert!(sends(&with_jobs(ended)));
    let mut expired = links.clone();
    expired[0].expire_time = Some("2026-01-01T11:59:00Z".to_owned());
    assert!(sends(&with_jobs(expired)));
    let mut expiring = links;
    expiring[0].expire_time = Some("2026-01-01T12:05:00Z".to_owned());
    assert_eq!(waits(&with_jobs(expiring)).1, Duration::from_secs(300));
}

#[test]
fn own_links_do_not_count_since_the_next_email_replaces_them() {
    let mut links: Vec<_> = (0..4).map(|n| other(&n.to_string(), "09:00:00")).collect();
    links.push(job("job"));
    let known = with_jobs(links).with(|it| it.status = concluded());
    let raised = desired().with(|it| it.attempt = 2);
    assert!(matches!(next(&raised, &known), Step::WriteAhead(..)));
    let refused = known.with(|it| {
        it.revoke_refused.insert("job".to_owned(), "403".to_owned());
    });
    assert_eq!(reason(&next(&raised, &refused)), Reason::SendBudgetExceeded, "a link that cannot be revoked stays");
}

#[test]
fn raised_limits_apply_at_once() {
    let jobs: Vec<_> = (10..40).map(|minute| other(&minute.to_string(), &format!("11:{minute}:00"))).collect();
    assert!(sends(&unlimited(with_jobs(jobs))));
}

#[test]
fn redirect_to_a_host_that_is_not_allowed_is_blocked_before_any_call() {
    let to = |uri: &str| desired().with(|it| it.post_binding_redirect_uri = Some(uri.to_owned()));
    let known = limited(prepared(), |it| it.allowed_redirect_hosts = Some(vec!["app.example.com".to_owned()]))
        .with(|it| (it.identity, it.jobs) = (Fact::Unknown, Fact::Unknown));
    let step = next(&to("https://evil.example/"), &known);
    let Phase::Blocked(why) = phase_of(&step) else { panic!("{step:?}") };
    assert_eq!(why.reason, Reason::RedirectNotAllowed);
    assert_eq!(
        why.message,
        "ClusterProviderConfig default does not allow the host in spec.postBindingRedirectURI; correct it, or ask the \
         cluster's admins for spec.enrollment.allowedRedirectHosts there"
    );
    for allowed in [to("https://app.example.com/done"), desired()] {
        assert!(matches!(next(&allowed, &known), Step::Fetch(_)));
    }
}

/// A request that no fact is known of but its provider config, which allows 60 emails an hour.
fn paced() -> Known {
    limited(prepared(), |it| it.max_sends_per_hour = Some(60))
        .with(|it| (it.identity, it.jobs) = (Fact::Unknown, Fact::Unknown))
}

#[test]
fn send_turn_comes_before_all_calls() {
    let take = Step::Act(Action::TakeSendTurn(provider_ref(), 60));
    assert_eq!(next(&desired(), &paced()), take);
    let wait = SendWait { per_hour: 60, likely_at: at("12:10:02.5") };
    let waiting = paced().with(|it| it.send_turn = Fact::Known(SendTurn::Waits(wait)));
    let (message, after) = waits(&waiting);
    assert_eq!(
        message,
        "ClusterProviderConfig default allows 60 emails an hour (spec.enrollment.maxSendsPerHour); this one is likely \
         to be sent at 2026-01-01T12:10:03Z"
    );
    assert_eq!(after, Duration::from_millis(599_500) + MISSED_TURN);
    assert!(handles_request(&next(&desired(), &waiting)));
    let granted = paced().with(|it| it.send_turn = Fact::Known(SendTurn::Granted));
    assert!(matches!(next(&desired(), &granted), Step::Fetch(_)));
}

#[test]
fn request_that_sends_nothing_needs_no_turn() {
    let revoked = desired().with(|it| it.revoked = true);
    assert!(matches!(next(&revoked, &paced()), Step::Fetch(_)));
    let known = limited(prepared(), |it| it.max_sends_per_hour = Some(60));
    assert!(matches!(next(&revoked, &known), Step::Record(_)));
}

#[test]
fn known_problem_is_checked_before_the_send_turn() {
    let failing = |known: Known| known.with(|it| it.status.failing_since = Some("2026-01-01T11:59:00Z".to_owned()));
    assert!(matches!(next(&desired(), &failing(paced())), Step::Fetch(_)), "its message stays");
    let solved = failing(limited(prepared(), |it| it.max_sends_per_hour = Some(60)));
    assert_eq!(next(&desired(), &solved), Step::Act(Action::TakeSendTurn(provider_ref(), 60)));
    let granted = solved.with(|it| it.send_turn = Fact::Known(SendTurn::Granted));
    assert!(sends(&granted));
}

#[test]
fn link_that_ended_since_the_list_does_not_count() {
    let links: Vec<_> = (0..5).map(|n| other(&n.to_string(), "09:00:00")).collect();
    let known = with_jobs(links.clone()).with(|it| _ = it.read.insert("0".to_owned(), read(revoked(links[0].clone()))));
    assert!(sends(&known));
}
