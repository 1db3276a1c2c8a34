//! The side effects of an AuthenticatorConfig's reconcile. Nothing is decided here: the next plan evaluates the
//! results.

use std::time::Duration;

use kube::runtime::events::EventType;

use super::change::Change;
use super::desired::changed_fields;
use super::kind::CreatedConfig;
use super::observed::{ConfigList, Patched};
use super::step::{Action, Query};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, Phase, Reason};
use crate::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, PatchedConfig};
use crate::beyond_identity::{CREATE_CONFIG, Error};
use crate::reconcile::local_state::Poll;
use crate::reconcile::outcome::{self, Outcome};
use crate::reconcile::{Backend, Fact, Failure, Reconcile, Reconciler, Remote, Ticket};

/// The maximum number of duplicates that an event names.
const NAMED: usize = 3;

/// A reconcile of an AuthenticatorConfig.
type ConfigReconcile<'a, B> = Reconcile<'a, AuthenticatorConfig, B>;

impl<B: Backend> Reconciler<B> for AuthenticatorConfig {
    async fn fetch(config: &mut ConfigReconcile<'_, B>, query: Query) {
        match query {
            Query::Referrers => config.fetch_referrers().await,
            Query::Configs => config.list().await,
            Query::Config(id) => {
                let provider = &config.desired.provider_config_ref;
                let Some(realm) = config.remote(provider) else { return };
                let found = outcome::found(realm.config(&id).await, provider);
                config.observed.read.insert(id, found.into());
            }
        }
    }

    async fn act(config: &mut ConfigReconcile<'_, B>, action: Action) {
        match action {
            Action::Patch(id, patch) => config.patch(id, &patch).await,
            Action::Delete(id) => config.delete(id).await,
        }
    }

    async fn send(config: &mut ConfigReconcile<'_, B>, ticket: Ticket<CreateRecord>) {
        let record = ticket.record().clone();
        let provider = config.desired.provider_config_ref.clone();
        let generation = config.desired.lifecycle.generation;
        let outcome = match (config.time_to_call(&ticket), config.remote(&provider)) {
            (Some(timeout), Some(realm)) => {
                let result = realm.create_config(ticket, &config.desired.create(), timeout).await;
                let result = result.and_then(|made| config.answer_to_create(made));
                if let Ok(made) = &result {
                    config.check_mark(made);
                }
                let made = result.map(|config| CreatedConfig { config, generation });
                config.classify(&record, made, &provider)
            }
            _ => Outcome::not_made(Reason::Creating),
        };
        config.sent(record, outcome);
        // A list from before the call does not show its effect.
        config.observed.listed = Fact::Unknown;
    }

    fn recorded(config: &mut ConfigReconcile<'_, B>, change: &Change, applied: bool) {
        match change {
            // A created configuration matches the spec. An adopted configuration is not compared yet.
            Change::Adopt { id, created_generation: Some(_), .. } => config.made(id),
            // The configuration that was read may have changed since, so it is read again before it is updated.
            Change::Adopt { id, duplicates, .. } => {
                config.observed.read.clear();
                if applied && !duplicates.is_empty() {
                    config.report_duplicates(id, duplicates);
                }
            }
            Change::SetFields { .. } => {}
            Change::OtherValues { note, .. } => {
                if let Some(note) = note.as_ref().filter(|_| applied) {
                    config.handle.emit_event(EventType::Warning, &why(Reason::OtherValueStored, note));
                }
            }
            Change::Forget { id } => {
                if applied && config.desired.resource_id.is_none() {
                    let note = format!(
                        "Authenticator configuration {id} no longer exists in Beyond Identity; another one is created"
                    );
                    config.handle.emit_event(EventType::Warning, &why(Reason::ConfigurationNotFound, note));
                }
                config.forget_lists();
            }
        }
    }

    fn withdrawn(config: &mut ConfigReconcile<'_, B>) {
        config.forget_lists();
    }

    fn reconcile_ended(config: &mut ConfigReconcile<'_, B>, phase: Option<&Phase>) {
        if matches!(phase, Some(Phase::Available(_))) && config.observed.compared.is_none() {
            config.compared();
        }
    }

    fn publish(_: &ConfigReconcile<'_, B>) {}

    fn finish(_: &mut ConfigReconcile<'_, B>) {}
}

impl<B: Backend> ConfigReconcile<'_, B> {
    async fn fetch_referrers(&mut self) {
        let referrers = self.context.backend.referrers_of(&self.desired.namespace, &self.desired.name).await;
        self.observed.referrers =
            referrers.map_err(|what| Failure::transient(Reason::KubernetesUnavailable, what)).into();
    }

    /// Lists the realm's configurations. Entries from an earlier list are kept, because either list can miss an
    /// existing configuration.
    async fn list(&mut self) {
        let provider = &self.desired.provider_config_ref;
        let Some(realm) = self.remote(provider) else { return };
        let age = match &self.status.create {
            Some(record) => self.local_state.record_known_for(&record.id, self.context.environment.monotonic()),
            None => Duration::ZERO,
        };
        let listed = realm.configs().await.map_err(|error| outcome::failure(&error, provider));
        let before = std::mem::take(&mut self.observed.listed);
        self.observed.listed = listed.map(|listing| ConfigList::after(before, listing.items, age)).into();
    }

    async fn patch(&mut self, id: String, patch: &AuthenticatorConfigPatch) {
        let provider = &self.desired.provider_config_ref;
        let Some(realm) = self.remote(provider) else { return };
        match outcome::found(realm.patch_config(&id, patch).await, provider) {
            Ok(Some(PatchedConfig { config, shown })) => {
                let is_shown = config.id == id && config.config.is_some();
                let patched = Patched { sent: patch.clone(), shown };
                self.observed.patched = Some(Ok(is_shown.then_some(patched)));
                if is_shown {
                    self.observed.read.insert(id.clone(), Fact::Known(Some(config)));
                }
                self.compared();
                let fields = changed_fields(patch);
                let note = format!("Updated authenticator configuration {id} to match the spec: {fields}");
                self.handle.emit_event(EventType::Normal, &why(Reason::DriftCorrected, note));
            }
            Ok(None) => _ = self.observed.read.insert(id, Fact::Known(None)),
            Err(failure) => self.observed.patched = Some(Err(failure)),
        }
    }

    async fn delete(&mut self, id: String) {
        let provider = &self.desired.provider_config_ref;
        let Some(realm) = self.remote(provider) else { return };
        match outcome::found(realm.delete_config(&id).await, provider) {
            Ok(Some(())) => {
                self.log("Deletion accepted", Some(&id));
                // A success response is not proof: only a read by id confirms the deletion.
                self.observed.read.remove(&id);
                self.observed.deleted = Some(Ok(()));
            }
            Ok(None) => _ = self.observed.read.insert(id, Fact::Known(None)),
            Err(failure) => self.observed.deleted = Some(Err(failure)),
        }
    }

    /// The answer to a create. One with a configuration from before the call is the answer to another call.
    fn answer_to_create(&self, made: RemoteConfig) -> Result<RemoteConfig, Error> {
        let is_listed = match &self.observed.listed {
            Fact::Known(listed) => listed.configs.iter().any(|config| config.id == made.id),
            Fact::Unknown | Fact::Failed(_) => false,
        };
        if is_listed {
            let what = "the authenticator configuration in it existed before the call";
            return Err(Error::answer_to_another_call(CREATE_CONFIG, what));
        }
        Ok(made)
    }

    /// Emits a warning if the mark is not stored, because without it the configuration cannot be found again.
    fn check_mark(&self, config: &RemoteConfig) {
        if !self.desired.is_marked(config) {
            let note = format!(
                "The service did not store the ownership mark in the display name of authenticator configuration {}; \
                 if status is lost, or the cluster is rebuilt from Git, another one is created",
                config.id
            );
            self.handle.emit_event(EventType::Warning, &why(Reason::OwnershipMarkNotStored, note));
        }
    }

    /// Handles a created configuration: either status names it, or there is now a duplicate.
    fn made(&mut self, id: &str) {
        if self.handle.object().status.as_ref().and_then(|status| status.id.as_deref()) == Some(id) {
            self.compared();
            return;
        }
        let note = format!(
            "Authenticator configuration {id} was created for this object, but status.id does not name it; delete it \
             in Beyond Identity"
        );
        self.handle.emit_event(EventType::Warning, &why(Reason::DuplicateConfiguration, note));
    }

    /// Emits a warning about further configurations with this object's mark.
    fn report_duplicates(&self, id: &str, duplicates: &[String]) {
        let named = duplicates.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let others = match duplicates.len().saturating_sub(NAMED) {
            0 if duplicates.len() == 1 => format!("{named} is left alone"),
            0 => format!("{named} are left alone"),
            more => format!("{named} and {more} more are left alone"),
        };
        let note = format!(
            "Several authenticator configurations have the ownership mark of this object: {id} is used, and {others}; \
             delete in Beyond Identity what status.id does not name, unless something still uses it"
        );
        self.handle.emit_event(EventType::Warning, &why(Reason::DuplicateConfiguration, note));
    }

    /// Records that the remote configuration matches this generation of the spec.
    fn compared(&mut self) {
        let Some(of) = self.handle.object().status.as_ref().and_then(|status| status.id.clone()) else { return };
        let next_poll_at = self.context.environment.monotonic().checked_add(self.context.options.times.resync);
        self.local_state.polled(Poll { of, generation: self.desired.lifecycle.generation, found: true, next_poll_at });
    }

    /// Discards what was listed and read, so that it is fetched again.
    fn forget_lists(&mut self) {
        self.local_state.forget_poll();
        self.observed.listed = Fact::Unknown;
        self.observed.read.clear();
    }
}
