//! The input of an AuthenticatorConfig's rules, and the steps that the rules share. Pure.

use crate::api::config_policy::NotAllowed;
use crate::api::{AuthenticatorConfig, Reason, text};
use crate::authenticator_config::mark::cluster_in;
use crate::authenticator_config::observed::ConfigList;
use crate::authenticator_config::step::Query;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::{self, Destination, Fact, PlanInput, RealmIds};

/// The input of an AuthenticatorConfig's rules.
pub type Input<'a> = PlanInput<'a, AuthenticatorConfig>;
/// One step of an AuthenticatorConfig.
pub type Step = reconcile::Step<AuthenticatorConfig>;

/// What was created under a write-ahead record has the mark of this cluster, never that of a former one.
pub(super) const NO_FORMER: &[String] = &[];

impl<'a> Input<'a> {
    /// The destination of API calls. It must be in the realm `recorded`, if one is given.
    pub(super) fn destination(&self, recorded: Option<&RealmIds>) -> Result<&'a Destination, Step> {
        self.destination_at(recorded, None)
    }

    pub(super) fn destination_at(
        &self,
        recorded: Option<&RealmIds>,
        endpoint: Option<&str>,
    ) -> Result<&'a Destination, Step> {
        self.same_realm(&self.desired.provider_config_ref, recorded, endpoint)
    }

    /// Checks that the provider config allows resource ids, before a configuration is adopted by its id, changed or
    /// deleted.
    pub(super) fn resource_id_allowed(&self) -> Result<(), Step> {
        let realm = self.resolved(&self.desired.provider_config_ref);
        match realm.and_then(|realm| realm.permissions.no_resource_ids.as_ref()) {
            Some(failure) if self.desired.resource_id.is_some() && !self.desired.observe => Err(self.failed(failure)),
            _ => Ok(()),
        }
    }

    /// Checks that the provider config allows the settings of the spec, before a configuration is adopted, created or
    /// changed, and while it is used. An unresolved provider config is resolved first. One that cannot be resolved
    /// allows nothing new anyway.
    pub(super) fn settings_allowed(&self) -> Result<(), Step> {
        let provider = &self.desired.provider_config_ref;
        let realm = match self.object().realms.get(provider) {
            None => return Err(Step::Resolve(provider.clone())),
            Some(realm) => realm.as_ref().ok(),
        };
        let refusal = realm.and_then(|realm| realm.permissions.config_policy.as_ref()?.refusal(&self.desired.config));
        let Some(NotAllowed { field, allowed_by }) = refusal.filter(|_| !self.desired.observe) else { return Ok(()) };
        Err(self.blocked(
            Reason::ConfigNotAllowed,
            format!(
                "{provider} does not allow {field}; correct it, or ask the cluster's admins for {allowed_by} there"
            ),
        ))
    }

    /// Checks that a configuration has no other object's mark and no other type. Otherwise it is neither adopted nor
    /// changed.
    pub(super) fn adoptable(&self, current: &RemoteConfig) -> Result<(), Step> {
        let id = &current.id;
        if let Some(type_) = self.desired.other_type(current).map(text::status_text) {
            return Err(self.refused(
                Reason::TypeMismatch,
                format!(
                    "Authenticator configuration {id} has the type {type_}, but spec.config.type is {}; correct \
                     spec.config.type, or create another AuthenticatorConfig",
                    self.desired.type_
                ),
            ));
        }
        match self.foreign_mark_in(current).filter(|_| !self.desired.observe) {
            None => Ok(()),
            Some(stranger) => Err(self.blocked(
                Reason::ConfigurationInUse,
                format!(
                    "Authenticator configuration {id} has the ownership mark {stranger} of another object, so it is \
                     neither changed nor deleted; set spec.managementPolicy to Observe to use it, or, only if that \
                     object no longer exists, remove the mark from the display name in Beyond Identity"
                ),
            )),
        }
    }

    /// The mark on a configuration, if it is another object's mark.
    pub(super) fn foreign_mark_in<'b>(&self, current: &'b RemoteConfig) -> Option<&'b str> {
        self.desired.foreign_mark_in(current, self.former_clusters())
    }

    /// The clusters whose marks count as those of this cluster.
    pub(super) fn former_clusters(&self) -> &'a [String] {
        let realm = self.resolved(&self.desired.provider_config_ref);
        realm.map_or(&[], |realm| &realm.permissions.realm.former_clusters)
    }

    /// Checks that no other cluster has configurations in the realm, unless it may be shared. The check of the provider
    /// config is older than these lists.
    pub(super) fn realm_not_in_use(&self, listed: &ConfigList) -> Result<(), Step> {
        let provider = &self.desired.provider_config_ref;
        let Some(realm) = self.resolved(provider) else { return Ok(()) };
        let clusters = listed.configs.iter().filter_map(|config| cluster_in(config.display_name.as_deref()?));
        match realm.permissions.realm.refusal(provider, self.desired.mark.cluster(), clusters) {
            None => Ok(()),
            Some(failure) => Err(self.failed(&failure)),
        }
    }

    pub(super) fn listed(&self) -> Result<&'a ConfigList, Step> {
        match &self.observed.listed {
            Fact::Unknown => Err(Step::Fetch(Query::Configs)),
            Fact::Failed(failure) => Err(self.failed(failure)),
            Fact::Known(listed) => Ok(listed),
        }
    }

    /// The configuration with this id, as the realm has it now.
    pub(super) fn current(&self, id: &str) -> Result<Option<&'a RemoteConfig>, Step> {
        match self.observed.read.get(id) {
            None | Some(Fact::Unknown) => Err(Step::Fetch(Query::Config(id.to_owned()))),
            Some(Fact::Failed(failure)) => Err(self.failed(failure)),
            Some(Fact::Known(config)) => Ok(config.as_ref()),
        }
    }

    /// Returns `Ok` if a list of the realm confirms that no configuration with this id exists. A 404 for the id is
    /// not enough for an irreversible action.
    pub(super) fn confirm_not_found(&self, id: &str) -> Result<(), Step> {
        // Another endpoint may belong to another service, which never had the configuration.
        self.destination_at(None, self.status.endpoint.as_deref())?;
        if !self.listed()?.configs.iter().any(|config| config.id == id) {
            return Ok(());
        }
        Err(self.blocked(
            Reason::InconsistentAnswers,
            format!(
                "The service lists authenticator configuration {id} but does not find it by its id, so nothing is \
                 done until its answers agree; if they never do, report it to the vendor"
            ),
        ))
    }

    /// The listed configuration that has this object's mark, or its mark in one of the clusters `former`, and the ids of the
    /// others. It must still have the mark when it is read by id, because lists lag. Of several, one with the mark of this
    /// cluster comes first, then a configuration that matches every desired field, then the one with the lowest id.
    pub(super) fn ours(
        &self,
        listed: &'a ConfigList,
        former: &[String],
    ) -> Result<Option<(&'a RemoteConfig, Vec<String>)>, Step> {
        let is_ours = |config: &RemoteConfig| self.desired.is_ours(config, former);
        let mut ours: Vec<_> = listed.configs.iter().filter(|config| is_ours(config)).collect();
        ours.sort_by_key(|config| {
            (!self.desired.is_marked(config), self.desired.patch(config, self.status).is_some(), &config.id)
        });
        for config in &ours {
            if let Some(current) = self.current(&config.id)?.filter(|current| is_ours(current)) {
                let others = ours.iter().filter(|other| other.id != config.id).map(|other| other.id.clone()).collect();
                return Ok(Some((current, others)));
            }
        }
        Ok(None)
    }
}
