//! Conditions of other controllers, which they apply to the status of an object, stay as they are. The operator keeps its
//! own.

use std::fmt::Debug;

use beyond_identity_operator::api::conditions::READY;
use beyond_identity_operator::api::{GROUP, HasStatus, PAUSED, ProviderConfig};
use harness::control_plane::ControlPlane;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::fixture::{
    Access, CONFIG, Fixture, OWN, REQUEST, annotate, cluster, conditions, patch, shared_simulator, wait_for,
    wait_until_deleted,
};

/// The type of the condition of another controller.
const AUDITED: &str = "example.com/Audited";

/// Applies the condition with this status, as another controller does.
async fn audit<K>(api: &Api<K>, name: &str, status: &str)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let condition = json!({
        "type": AUDITED, "status": status, "reason": "Audited", "message": "by another controller",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    });
    let applied = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": K::kind(&()), "metadata": {"name": name},
        "status": {"conditions": [condition]},
    });
    api.patch_status(name, &PatchParams::apply("auditor"), &Patch::Apply(applied)).await.unwrap();
}

/// The status of the condition, if it is there and still the other controller's.
fn audited<K: Resource + HasStatus>(object: &K) -> Option<String> {
    let condition = object.conditions().iter().find(|condition| condition.type_ == AUDITED)?;
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("Audited", "by another controller"));
    let key = format!("k:{{\"type\":\"{AUDITED}\"}}");
    let owns = |manager: &str| {
        let fields = object.managed_fields().iter().filter(|entry| entry.manager.as_deref() == Some(manager));
        fields
            .filter_map(|entry| entry.fields_v1.as_ref())
            .any(|fields| fields.0["f:status"]["f:conditions"].get(&key).is_some())
    };
    assert!(owns("auditor"), "{:?}", object.managed_fields());
    Some(condition.status.clone())
}

/// Asserts that the condition stays through the operator's first status, a change of the spec, a pause and its end.
/// `change` changes the spec, so that the operator writes the status.
async fn assert_kept<K>(api: &Api<K>, name: &str, change: serde_json::Value)
where
    K: Resource<DynamicType = ()> + HasStatus + Clone + Debug + DeserializeOwned + Serialize,
{
    let kind = K::kind(&());
    // Without a route to its region, a namespaced provider config is not Ready, which is another condition.
    let is_paused = |object: &K| object.conditions().iter().any(|it| it.type_ == "Paused");
    let reports = |object: &K| {
        let ready = object.conditions().iter().find(|it| it.type_ == READY);
        ready.is_some_and(|it| it.observed_generation == object.meta().generation)
    };
    let first = wait_for(api.clone(), name, "has a status", reports).await;
    assert_eq!(audited(&first).as_deref(), Some("True"), "{kind}: applied before the operator's first status");
    audit(api, name, "False").await;
    patch(api, name, change).await.unwrap();
    let changed = wait_for(api.clone(), name, "is observed", reports).await;
    assert_eq!(audited(&changed).as_deref(), Some("False"), "{kind}: a changed spec");
    annotate(api, name, PAUSED, "true").await;
    let paused = wait_for(api.clone(), name, "is paused", is_paused).await;
    assert_eq!(audited(&paused).as_deref(), Some("False"), "{kind}: paused: {}", conditions(&paused));
    annotate(api, name, PAUSED, None).await;
    let resumed = wait_for(api.clone(), name, "is resumed", |object: &K| !is_paused(object)).await;
    assert_eq!(audited(&resumed).as_deref(), Some("False"), "{kind}: resumed");
}

/// All kinds: only an operator that watches the whole cluster writes the status of a ClusterProviderConfig.
#[tokio::test]
async fn conditions_of_other_controllers_stay() {
    let control_plane = ControlPlane::start().unwrap();
    cluster::install(&control_plane);
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    let own: Api<ProviderConfig> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    fixture.create_provider(|_| {}).await;
    fixture.create_own_provider().await;
    fixture.set_own_token(&fixture.token).await;
    fixture.create_config().await;
    fixture.create_request().await;
    audit(&fixture.providers(), &fixture.provider, "True").await;
    audit(&own, OWN, "True").await;
    audit(&fixture.configs(), CONFIG, "True").await;
    audit(&fixture.requests(), REQUEST, "True").await;
    fixture.create_secret(&fixture.token).await;
    let _process = fixture.spawn(&Access::to(&control_plane).everywhere(), &[]).await;
    fixture.wait_for_request("LinkSent").await;

    let limit = |number: u32| json!({"spec": {"enrollment": {"maxSendsPerHour": number}}});
    assert_kept(&fixture.providers(), &fixture.provider, limit(100)).await;
    assert_kept(&own, OWN, limit(100)).await;
    assert_kept(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await;
    assert_kept(&fixture.requests(), REQUEST, json!({"spec": {"deletionPolicy": "Orphan"}})).await;
    fixture.wait_for_config("Available").await;
    // The deletion writes the status, too.
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let config = fixture.wait_for_config("InUse").await;
    assert_eq!(audited(&config).as_deref(), Some("False"));
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
}
