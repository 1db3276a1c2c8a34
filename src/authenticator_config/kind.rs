//! The AuthenticatorConfig as a kind: its types and rules, for the shared planner and the shared reconcile loop.
//! Pure.

use std::time::Duration;

use super::change::Change;
use super::desired::Desired;
use super::observed::Observed;
use super::plan::input::{Input, Step};
use super::plan::{self, doubt, finalize};
use super::step::{Action, Query};
use crate::api::authenticator_config::CreateRecord;
use crate::api::conditions::FIELD_NOT_UNSET;
use crate::api::phase::Why;
use crate::api::{AuthenticatorConfig, AuthenticatorConfigStatus, Phase, Reason};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::write_ahead::{Record, seconds};
use crate::reconcile::{Kind, KindName, Lifecycle, ObjectState, Options, RealmIds, Rules, Sent, View, WritesAhead};

impl Kind for AuthenticatorConfig {
    const NAME: KindName = KindName::AuthenticatorConfig;

    type Desired = Desired;
    type Observed = Observed;
    type Query = Query;
    type Change = Change;
    type Action = Action;
    type Created = CreatedConfig;
    type Shared = ();
    type Published = ();
    type LocalState = ();

    fn desired(&self, options: &Options) -> Desired {
        Desired::of(self, options)
    }

    fn lifecycle(desired: &Desired) -> &Lifecycle {
        &desired.lifecycle
    }

    fn remote_id(status: &AuthenticatorConfigStatus) -> Option<&str> {
        status.id.as_deref()
    }

    fn recorded_realm(status: &AuthenticatorConfigStatus) -> Option<RealmIds> {
        let AuthenticatorConfigStatus { tenant_id, realm_id, .. } = status;
        Some(RealmIds { tenant_id: tenant_id.clone()?, realm_id: realm_id.clone()? })
    }
}

impl Rules for AuthenticatorConfig {
    const IN_DOUBT: (Reason, &'static str) = doubt::IN_DOUBT;

    fn object_state(observed: &Observed) -> &ObjectState<Self> {
        &observed.object
    }

    fn observe(before: Observed, view: View<'_, Self>) -> Observed {
        Observed::from(before, view)
    }

    fn reset_fetched(_: Observed) -> Observed {
        Observed::default()
    }

    fn is_pending(input: &Input<'_>) -> bool {
        plan::is_pending(input)
    }

    fn is_send_pending(input: &Input<'_>) -> bool {
        input.status.id.is_none()
    }

    fn is_removing(input: &Input<'_>) -> bool {
        input.is_deleting()
    }

    fn beside(input: &Input<'_>) -> Vec<(&'static str, Why)> {
        plan::field_not_unset(input).map(|why| (FIELD_NOT_UNSET, why)).into_iter().collect()
    }

    fn conclude(sent: &Sent<Self>, CreatedConfig { config, generation }: &CreatedConfig) -> Change {
        let CreateRecord { id, endpoint, tenant_id, realm_id, timeout_seconds: _, set_fields: _ } = sent.record.clone();
        Change::Adopt {
            create_id: Some(id),
            id: config.id.clone(),
            realm: RealmIds { tenant_id, realm_id },
            endpoint,
            created_generation: Some(*generation),
            duplicates: Vec::new(),
        }
    }

    fn resolve_doubt(input: &Input<'_>, record: &CreateRecord) -> Result<Step, Step> {
        doubt::resolve(input, record)
    }

    fn delay_deletion(input: &Input<'_>, step: Step) -> Step {
        finalize::delayed_by_doubt(input, step)
    }

    fn finalize(input: &Input<'_>) -> Step {
        finalize::rule(input)
    }

    fn proceed(input: &Input<'_>) -> Step {
        plan::proceed(input)
    }

    fn apply(&mut self, change: &Change) -> bool {
        change.apply(self.status.get_or_insert_default())
    }

    fn phase_after(input: &Input<'_>, change: &Change) -> Option<Phase> {
        change.phase(input.lifecycle().generation)
    }
}

impl WritesAhead for AuthenticatorConfig {
    type Record = CreateRecord;

    fn record(status: &AuthenticatorConfigStatus) -> Option<&CreateRecord> {
        status.create.as_ref()
    }

    fn set_record(status: &mut AuthenticatorConfigStatus, record: Option<CreateRecord>) {
        status.create = record;
    }
}

impl Record for CreateRecord {
    fn id(&self) -> &str {
        &self.id
    }

    fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds)
    }
}

/// A configuration that was just created.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedConfig {
    /// The configuration.
    pub config: RemoteConfig,
    /// The generation of the spec that it was created from.
    pub generation: i64,
}
