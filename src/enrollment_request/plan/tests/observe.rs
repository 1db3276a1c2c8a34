//! Links that were adopted through a configuration that is only observed. Another team may have sent them.

use super::revoke::{previous, reference, revoked_job, settled};
use super::*;
use crate::api::REVOKE;
use crate::api::enrollment_request::PreviousJob;
use crate::api::{EnrollmentRequestStatus, ProviderConfigKind};
use crate::enrollment_request::change::{Change, NoSendBecause};
use crate::enrollment_request::phase;
use crate::enrollment_request::testing::{concluded, job, send};
use crate::reconcile::PlanInput;

const NOT_ALLOWED: &str = "not allowed";

/// `known`, under a provider config that does not allow the revocation of such links.
fn not_allowed(known: Known) -> Known {
    known.with(|it| {
        let Some(Ok(realm)) = it.object.realms.get_mut(&provider_ref()) else { panic!("not resolved") };
        realm.permissions.no_revoking_adopted = Some(Failure::blocked(Reason::RevokeRefused, NOT_ALLOWED));
    })
}

/// A request that adopted its link through an observed configuration.
fn adopted() -> Known {
    settled().with(|it| {
        (it.status.adopted, it.status.adopted_through_observe) = (Some(true), Some(true));
    })
}

/// Requests for the revocation of the link.
fn revoking() -> [Desired; 2] {
    let annotated = Desired { annotation_actions: actions(REVOKE, "job"), ..desired() };
    [Desired { revoked: true, ..desired() }, annotated]
}

#[test]
fn adoption_records_whether_another_team_may_have_sent_the_link() {
    let mark = |observes: bool, kind: ProviderConfigKind| {
        let mut known = prepared().with(|it| it.jobs = Fact::Known(listed(vec![job("a")], 0)));
        known.read.insert("a".to_owned(), read(job("a")));
        let reference = ProviderConfigRef { kind, ..provider_ref() };
        known.object.realms = [(reference.clone(), known.object.realms[&provider_ref()].clone())].into();
        let Fact::Known(Some(config)) = &mut known.config else { panic!() };
        (config.observes, config.provider_config_ref) = (observes, reference);
        match next(&desired(), &known) {
            Step::Record(Change::ConcludeWithoutSend {
                by: NoSendBecause::Adopted { through_observe, .. }, ..
            }) => through_observe,
            step => panic!("{step:?}"),
        }
    };
    assert!(mark(true, ProviderConfigKind::ClusterProviderConfig));
    assert!(!mark(false, ProviderConfigKind::ClusterProviderConfig));
    assert!(!mark(true, ProviderConfigKind::ProviderConfig), "the whole realm is of one team");
}

#[test]
fn mark_of_an_adopted_link_moves_with_it() {
    let mut status = EnrollmentRequestStatus { send: Some(send()), adopted_through_observe: Some(true), ..concluded() };
    let change = Change::Conclude {
        send_id: status.send.as_ref().unwrap().id.clone(),
        job: Box::new(job("sent")),
        answered: true,
        others: Vec::new(),
    };
    assert!(change.apply(&mut status));
    assert_eq!((status.job_id.as_deref(), status.adopted_through_observe), (Some("sent"), None));
    assert_eq!(status.previous_jobs[0].adopted_through_observe, Some(true));
}

#[test]
fn link_is_revoked_only_if_the_provider_config_allows_it() {
    for desired in revoking() {
        let step = Step::Act(Action::Revoke(provider_ref(), marked("job")));
        assert_eq!(next(&desired, &adopted()), step, "allowed");
        let step = Step::Act(Action::CannotRevoke(marked("job"), NOT_ALLOWED.to_owned()));
        assert_eq!(next(&desired, &not_allowed(adopted())), step);
        let cached = not_allowed(adopted()).with(|it| it.object.fresh = false);
        assert_eq!(next(&desired, &cached), Step::Refresh, "the watch may be behind");
        let own = not_allowed(settled());
        assert_eq!(next(&desired, &own), Step::Act(Action::Revoke(provider_ref(), reference("job"))), "its own link");
    }
}

#[test]
fn link_before_a_later_attempt_is_revoked_only_if_the_provider_config_allows_it() {
    let earlier = PreviousJob { adopted_through_observe: Some(true), ..previous("old", "LINK_SENT") };
    let known = settled().with(|it| it.status.previous_jobs = vec![earlier]);
    assert_eq!(next(&desired(), &known), Step::Act(Action::Revoke(provider_ref(), marked("old"))));
    let step = Step::Act(Action::CannotRevoke(marked("old"), NOT_ALLOWED.to_owned()));
    assert_eq!(next(&desired(), &not_allowed(known)), step);
}

#[test]
fn deletion_leaves_the_link_and_tells_it() {
    assert_eq!(next(&deleting(), &adopted()), Step::Act(Action::Revoke(provider_ref(), marked("job"))), "allowed");
    let left = "The link of credential binding job job stays active because it was adopted through a configuration that is \
                only observed";
    let leaves = Step::RemoveFinalizer { leftover: Some(Leftover::Retained(left.to_owned())) };
    assert_eq!(next(&deleting(), &not_allowed(adopted())), leaves);
    let unreadable = adopted().with(|it| {
        it.object.realms = resolved_realms(Fact::Failed(Failure::blocked(Reason::ProviderConfigNotFound, "gone")));
    });
    assert_eq!(next(&deleting(), &unreadable), leaves, "nobody says that it may be revoked");
    let outage = adopted().with(|it| it.object.realms = resolved_realms(Fact::Failed(failure())));
    assert!(matches!(next(&deleting(), &outage), Step::End(_)), "it may be allowed");
}

#[test]
fn deletion_revokes_its_own_link_and_leaves_the_adopted_one() {
    let earlier = PreviousJob { adopted_through_observe: Some(true), ..previous("old", "LINK_SENT") };
    let mut known = not_allowed(settled().with(|it| it.status.previous_jobs = vec![earlier]));
    assert_eq!(next(&deleting(), &known), Step::Act(Action::Revoke(provider_ref(), reference("job"))));
    (known.status.state, known.status.expired) = (revoked_job("job").state.map(|it| it.as_str().to_owned()), None);
    let Step::RemoveFinalizer { leftover: Some(Leftover::Retained(left)) } = next(&deleting(), &known) else {
        panic!()
    };
    assert!(left.starts_with("The link of credential binding job old stays active"), "{left}");
}

#[test]
fn message_says_from_the_adoption_on_who_may_revoke_the_link() {
    let known = adopted();
    let (desired, observed) = (desired(), &known.observed);
    let input = PlanInput { desired: &desired, status: &known.status, observed, times: &TIMES, now: now() };
    let message = phase::of_request(&input).why().message.clone();
    assert!(
        message.ends_with(
            "so this request revokes it only if ClusterProviderConfig default says spec.allowRevokingAdoptedLinks: true."
        ),
        "{message}"
    );
}

fn marked(id: &str) -> JobRef {
    JobRef { adopted_through_observe: true, ..reference(id) }
}
