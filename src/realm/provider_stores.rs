//! The watched provider configs of both kinds, and the labels of the namespaces that select them.

use kube::runtime::reflector::ObjectRef;

use super::provider_config::{ProviderConfig, ProviderConfigResource};
use crate::api::{self, ClusterProviderConfig, ProviderConfigKey, ProviderConfigKind, Undecodable};
use crate::kubernetes::namespaces::{LabelsWriter, Namespaces};
use crate::kubernetes::store::StoreWriter;
use crate::kubernetes::stores::Stores;
use crate::settings::Settings;

/// The stores of each kind of provider config.
#[derive(Clone)]
pub struct ProviderStores {
    /// The cluster-scoped ones.
    pub cluster: Stores<ClusterProviderConfig>,
    /// The namespaced ones, in the watched namespaces.
    pub namespaced: Stores<api::ProviderConfig>,
    /// Whether the cluster-scoped ones are read.
    pub(super) reads_cluster: bool,
    /// The labels of the namespaces, by which the cluster-scoped ones select them.
    pub(super) namespaces: Namespaces,
    /// The namespace of the Secrets of cluster-scoped provider configs.
    pub(super) operator_namespace: String,
    /// The watched namespaces; empty: all.
    watched: Vec<String>,
}

/// The writers of these stores.
pub struct ProviderWriters {
    pub(super) cluster: Vec<StoreWriter<ClusterProviderConfig>>,
    pub(super) namespaced: Vec<StoreWriter<api::ProviderConfig>>,
    pub(super) namespaces: Vec<LabelsWriter>,
}

impl ProviderStores {
    /// Empty stores. The namespaced kind is watched in each of `scopes`: a namespace, or `None` for the whole cluster.
    pub fn new(scopes: &[Option<String>], settings: &Settings) -> (Self, ProviderWriters) {
        let reads_cluster = settings.cluster_provider_configs;
        let (cluster, cluster_writers) = Stores::new(if reads_cluster { &[None] } else { &[] });
        let (namespaced, writers) = Stores::new(scopes);
        // Only the cluster-scoped ones select namespaces.
        let (namespaces, labels_writers) = Namespaces::new(if reads_cluster { scopes.len() } else { 0 });
        let operator_namespace = settings.operator_namespace.clone();
        let watched = settings.watch_namespaces.clone();
        let stores = Self { cluster, namespaced, namespaces, reads_cluster, operator_namespace, watched };
        (stores, ProviderWriters { cluster: cluster_writers, namespaced: writers, namespaces: labels_writers })
    }

    /// Whether this process serves objects that may use this provider config.
    pub(super) fn serves(&self, provider: &ProviderConfig) -> bool {
        let Some(access) = &provider.access else { return true };
        let is_allowed =
            |watched: &String| access.namespaces.allow(watched, self.namespaces.labels(watched).as_deref());
        self.watched.is_empty() || self.watched.iter().any(is_allowed)
    }

    /// The keys of those that select namespaces by their labels.
    pub(super) fn selecting_by_labels(&self) -> Vec<ProviderConfigKey> {
        let selects = |provider: &ProviderConfig| {
            provider.access.as_ref().is_some_and(|access| access.namespaces.select_by_labels())
        };
        self.all().into_iter().filter(selects).map(|provider| provider.key).collect()
    }

    /// All provider configs that can be decoded.
    pub(super) fn all(&self) -> Vec<ProviderConfig> {
        let (cluster, namespaced) = (self.cluster.state(), self.namespaced.state());
        let cluster = cluster.iter().filter_map(|provider| provider.read(&self.operator_namespace).ok());
        cluster.chain(namespaced.iter().filter_map(|provider| provider.read(&self.operator_namespace).ok())).collect()
    }

    /// The provider config with this key, if it exists, or why it cannot be decoded.
    pub(super) fn find(
        &self,
        ProviderConfigKey { kind, namespace, name }: &ProviderConfigKey,
    ) -> Option<Result<ProviderConfig, Undecodable>> {
        match kind {
            ProviderConfigKind::ClusterProviderConfig => self.read(self.cluster.get(&ObjectRef::new(name)).as_deref()),
            ProviderConfigKind::ProviderConfig => {
                let namespace = namespace.as_deref().unwrap_or_default();
                self.read(self.namespaced.get(&ObjectRef::new(name).within(namespace)).as_deref())
            }
        }
    }

    /// Whether provider configs of this kind are read.
    pub(super) fn reads(&self, kind: ProviderConfigKind) -> bool {
        match kind {
            ProviderConfigKind::ClusterProviderConfig => self.reads_cluster,
            ProviderConfigKind::ProviderConfig => true,
        }
    }

    fn read(&self, provider: Option<&impl ProviderConfigResource>) -> Option<Result<ProviderConfig, Undecodable>> {
        provider.map(|provider| provider.read(&self.operator_namespace).map_err(Clone::clone))
    }
}
