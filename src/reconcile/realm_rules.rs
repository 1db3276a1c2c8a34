//! The rules of a provider config for the clusters that have configurations in its realm. Pure.

use std::fmt::Display;

use super::failure::Failure;
use crate::api::Reason;

/// The most clusters that a message names.
const NAMED: usize = 3;

/// The rules of a provider config for the clusters that have configurations in its realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmRules {
    /// Whether other clusters may have configurations there.
    pub is_shared: bool,
    /// The clusters whose ownership marks count as those of this cluster.
    pub former_clusters: Vec<String>,
}

impl RealmRules {
    /// Why nothing may be created or sent in the realm of `provider`, where `clusters` have configurations. `own` is this
    /// cluster.
    pub fn refusal<'a>(
        &self,
        provider: &impl Display,
        own: &str,
        clusters: impl IntoIterator<Item = &'a str>,
    ) -> Option<Failure> {
        let is_other = |cluster: &&str| *cluster != own && !self.former_clusters.iter().any(|former| former == cluster);
        let mut others: Vec<_> = clusters.into_iter().filter(is_other).filter(|_| !self.is_shared).collect();
        others.sort_unstable();
        others.dedup();
        let named = others.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let clusters = match others.len() {
            0 => return None,
            1 => format!("the cluster {named}"),
            2..=NAMED => format!("the clusters {named}"),
            count => format!("the clusters {named} and {} more", count - NAMED),
        };
        Some(Failure::blocked(
            Reason::RealmInUse,
            format!(
                "Configurations in the realm of {provider} have ownership marks of {clusters}, so nothing is created or \
                 sent there; use another realm, or, in {provider}, set spec.sharedRealm to true to share the realm, or \
                 add to spec.formerClusterNames a cluster that this one replaces"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rules: &RealmRules, clusters: &[&str]) -> Option<String> {
        let failure = rules.refusal(&"ProviderConfig team/own", "demo", clusters.iter().copied())?;
        assert_eq!(failure.why.reason, Reason::RealmInUse);
        Some(failure.why.message)
    }

    #[test]
    fn other_clusters_are_named_once() {
        let rules = RealmRules::default();
        assert_eq!(refusal(&rules, &[]), None);
        assert_eq!(refusal(&rules, &["demo"]), None);
        for (clusters, named) in [
            (vec!["demo", "east", "east"], "of the cluster east, so nothing"),
            (vec!["west", "demo", "east"], "of the clusters east, west, so nothing"),
            (vec!["a", "b", "c", "d", "e"], "of the clusters a, b, c and 2 more, so nothing"),
        ] {
            let message = refusal(&rules, &clusters).unwrap();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn former_cluster_counts_as_this_one_and_shared_realm_has_no_rule() {
        let moved = RealmRules { former_clusters: vec!["east".to_owned()], ..RealmRules::default() };
        assert_eq!(refusal(&moved, &["demo", "east"]), None);
        assert!(refusal(&moved, &["east", "west"]).unwrap().contains("of the cluster west, so"));
        let shared = RealmRules { is_shared: true, ..RealmRules::default() };
        assert_eq!(refusal(&shared, &["east", "west"]), None);
    }
}
