//! The actions on objects of the API server: each is offered when it acts, and acts once.

use beyond_identity_operator::api::conditions::PAUSED as PAUSED_CONDITION;
use beyond_identity_operator::api::{
    AuthenticatorConfig, EnrollmentRequest, FINALIZER, HasStatus, ProviderConfig, RECONCILE_REQUESTED_AT,
};
use harness::argocd;
use harness::simulator::Operation;
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use super::dump::{api, live};
use super::script;
use crate::fixture::{CONFIG, Fixture, OWN, REQUEST, conditions, job_of, poll_often, wait_for};

/// The actions that Argo CD offers for the object.
async fn offered<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str) -> Vec<String> {
    let object = live::<K>(fixture, name).await;
    argocd::offered(&script(&K::kind(&()), "actions/discovery.lua"), &object).unwrap()
}

/// The merge patch that Argo CD makes of the result of an action. An error is what Argo CD shows.
async fn patch_of<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str, action: &str) -> Result<Value, String> {
    let before = live::<K>(fixture, name).await;
    let after = argocd::act(&script(&K::kind(&()), &format!("actions/{action}/action.lua")), &before)
        .map_err(|error| error.to_string())?;
    Ok(merge_patch(&before, &after).unwrap_or_else(|| json!({})))
}

/// Runs an action as Argo CD does: on the live object, and as a merge patch without a resource version.
async fn run<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str, action: &str) {
    let change = patch_of::<K>(fixture, name, action).await.unwrap();
    apply::<K>(fixture, name, change).await;
}

async fn apply<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str, change: Value) {
    let changed: Vec<_> = change.as_object().unwrap().keys().collect();
    assert_eq!(changed, ["metadata"], "{change}");
    let patched = api::<K>(fixture).patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert!(patched.finalizers().contains(&FINALIZER.to_owned()));
}

/// The JSON merge patch from `before` to `after`.
fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut change = Map::new();
    for (name, value) in new {
        if let Some(part) = old.get(name).map_or_else(|| Some(value.clone()), |before| merge_patch(before, value)) {
            change.insert(name.clone(), part);
        }
    }
    change.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), Value::Null)));
    (!change.is_empty()).then_some(Value::Object(change))
}

#[tokio::test]
async fn resend_sends_one_email_however_often_it_is_clicked() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(offered::<EnrollmentRequest>(&fixture, REQUEST).await, ["pause", "reconcile", "revoke"]);
    let early = patch_of::<EnrollmentRequest>(&fixture, REQUEST, "resend").await.unwrap_err();
    assert!(early.starts_with("The link is active"), "{early}");

    fixture.realm.set_job_state(&first, "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    assert_eq!(offered::<EnrollmentRequest>(&fixture, REQUEST).await, ["pause", "reconcile", "resend"]);
    // Two people click on what they see at the same time.
    let click = patch_of::<EnrollmentRequest>(&fixture, REQUEST, "resend").await.unwrap();
    apply::<EnrollmentRequest>(&fixture, REQUEST, click.clone()).await;
    apply::<EnrollmentRequest>(&fixture, REQUEST, click.clone()).await;
    let request = fixture.wait_for_request("LinkSent").await;
    let second = job_of(&request);
    assert_eq!(fixture.mailed(), [first, second]);

    // A click on a page from before the resend acts no more.
    apply::<EnrollmentRequest>(&fixture, REQUEST, click).await;
    run::<EnrollmentRequest>(&fixture, REQUEST, "revoke").await;
    fixture.wait_for_request("Revoked").await;
    assert_eq!(fixture.mailed().len(), 2);
    let late = patch_of::<EnrollmentRequest>(&fixture, REQUEST, "revoke").await.unwrap_err();
    assert_eq!(late, "The link is not active");
    assert_eq!(offered::<EnrollmentRequest>(&fixture, REQUEST).await, ["pause", "reconcile", "resend"]);
}

#[tokio::test]
async fn pause_and_resume_are_offered_in_turn() {
    let (fixture, _operator) = Fixture::ready().await;
    assert_eq!(offered::<AuthenticatorConfig>(&fixture, CONFIG).await, ["pause", "reconcile"]);
    run::<AuthenticatorConfig>(&fixture, CONFIG, "pause").await;
    let is_paused = |it: &AuthenticatorConfig| conditions(it).contains(PAUSED_CONDITION);
    wait_for(fixture.configs(), CONFIG, "is paused", is_paused).await;
    assert_eq!(offered::<AuthenticatorConfig>(&fixture, CONFIG).await, ["resume"]);
    let again = patch_of::<AuthenticatorConfig>(&fixture, CONFIG, "pause").await.unwrap_err();
    assert_eq!(again, "The object is paused already");
    run::<AuthenticatorConfig>(&fixture, CONFIG, "resume").await;
    wait_for(fixture.configs(), CONFIG, "is resumed", |it: &AuthenticatorConfig| !is_paused(it)).await;
    assert_eq!(offered::<AuthenticatorConfig>(&fixture, CONFIG).await, ["pause", "reconcile"]);
}

#[tokio::test]
async fn each_reconcile_action_is_handled() {
    let (fixture, _operator) = Fixture::ready().await;
    let mut handled = None;
    for _ in 0..2 {
        run::<AuthenticatorConfig>(&fixture, CONFIG, "reconcile").await;
        let requested = fixture.configs().get(CONFIG).await.unwrap().annotations()[RECONCILE_REQUESTED_AT].clone();
        assert_ne!(Some(&requested), handled.as_ref());
        let is_handled = |it: &AuthenticatorConfig| it.last_handled_reconcile_at() == Some(&*requested);
        wait_for(fixture.configs(), CONFIG, "has handled the request", is_handled).await;
        handled = Some(requested);
    }
}

#[tokio::test]
async fn paused_provider_config_is_still_reconciled_on_request() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    run::<ProviderConfig>(&fixture, OWN, "pause").await;
    let is_paused = |it: &ProviderConfig| conditions(it).contains(PAUSED_CONDITION);
    wait_for(fixture.own_providers(), OWN, "is paused", is_paused).await;
    assert_eq!(offered::<ProviderConfig>(&fixture, OWN).await, ["reconcile", "resume"]);
    let checks = fixture.calls(Operation::Check);
    run::<ProviderConfig>(&fixture, OWN, "reconcile").await;
    let is_handled = |it: &ProviderConfig| it.last_handled_reconcile_at().is_some();
    wait_for(fixture.own_providers(), OWN, "has handled the request", is_handled).await;
    assert!(fixture.calls(Operation::Check) > checks, "the credentials are checked");
}
