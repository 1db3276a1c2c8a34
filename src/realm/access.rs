//! Which namespaces may use a cluster-scoped provider config, and for what.

use kube::core::{Expression, Selector, SelectorExt};

use super::provider_config::ProviderConfig;
use crate::api::Reason;
use crate::api::allowed_namespaces::{AllowedNamespaces, LabelOperator, LabelRequirement, NamespaceSelector};
use crate::api::config_policy::ConfigPolicy;
use crate::kubernetes::namespaces::Labels;
use crate::reconcile::Failure;

/// Which namespaces may use a cluster-scoped provider config, and for what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    /// The namespaces that may use it.
    pub(super) namespaces: NamespaceRules,
    /// Whether these namespaces may adopt any configuration of the realm by its id.
    pub(super) allow_resource_ids: bool,
    /// Whether these namespaces may revoke links that they adopted through an observed configuration.
    pub(super) allow_revoking_adopted_links: bool,
    /// Which configurations these namespaces may create or change.
    pub(super) config_policy: ConfigPolicy,
}

/// Which namespaces may use a provider config: those with a name, and those that the selector selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NamespaceRules {
    names: Vec<String>,
    /// Selects none if it is empty.
    selector: Selector,
}

impl NamespaceRules {
    /// The rules of a spec.
    pub(super) fn of(AllowedNamespaces { names, selector }: &AllowedNamespaces) -> Self {
        Self { names: names.clone(), selector: selector.as_ref().map(selector_of).unwrap_or_default() }
    }

    /// Whether the labels of a namespace matter.
    pub(super) fn select_by_labels(&self) -> bool {
        // An empty one is refused by the schema. If it is stored nevertheless, it must not open the realm to everybody.
        !self.selector.selects_all()
    }

    /// Whether a namespace with these labels is allowed. A namespace that does not exist has none.
    pub(super) fn allow(&self, namespace: &str, labels: Option<&Labels>) -> bool {
        self.names.iter().any(|name| name == namespace)
            || (self.select_by_labels() && labels.is_some_and(|labels| self.selector.matches(labels)))
    }
}

fn selector_of(NamespaceSelector { match_labels, match_expressions }: &NamespaceSelector) -> Selector {
    let equal = match_labels.iter().map(|(key, value)| Expression::Equal(key.clone(), value.clone()));
    equal.chain(match_expressions.iter().map(expression)).collect()
}

fn expression(LabelRequirement { key, operator, values }: &LabelRequirement) -> Expression {
    let (key, values) = (key.clone(), values.iter().cloned().collect());
    match operator {
        LabelOperator::In => Expression::In(key, values),
        LabelOperator::NotIn => Expression::NotIn(key, values),
        LabelOperator::Exists => Expression::Exists(key),
        LabelOperator::DoesNotExist => Expression::DoesNotExist(key),
    }
}

/// Why a namespace with these labels may not use `provider`, unless it may.
pub(super) fn not_allowed(provider: &ProviderConfig, namespace: &str, labels: Option<&Labels>) -> Option<Failure> {
    let rules = provider.access.as_ref().map(|access| &access.namespaces)?;
    if rules.allow(namespace, labels) {
        return None;
    }
    let key = &provider.key;
    let or_label = if rules.select_by_labels() {
        format!(", or label the namespace so that spec.allowedNamespaces.selector ({}) selects it", rules.selector)
    } else {
        String::new()
    };
    Some(Failure::blocked(
        Reason::NamespaceNotAllowed,
        format!("{key} does not allow namespace {namespace}; add it there to spec.allowedNamespaces.names{or_label}"),
    ))
}

/// Why a namespace may not adopt a configuration by its id through `provider`, unless it may.
pub(super) fn no_resource_ids(provider: &ProviderConfig) -> Option<Failure> {
    provider.access.as_ref().filter(|access| !access.allow_resource_ids)?;
    let key = &provider.key;
    Some(Failure::blocked(
        Reason::ResourceIDNotAllowed,
        format!(
            "{key} does not allow adopting a configuration by its id, which could belong to another namespace; set \
             spec.managementPolicy to Observe here, or spec.allowResourceIDs to true there for all its namespaces"
        ),
    ))
}

/// Why a namespace may not revoke a link through `provider` that it adopted through an observed configuration, unless it
/// may.
pub(super) fn no_revoking_adopted(provider: &ProviderConfig) -> Option<Failure> {
    provider.access.as_ref().filter(|access| !access.allow_revoking_adopted_links)?;
    let key = &provider.key;
    Some(Failure::blocked(
        Reason::RevokeRefused,
        format!(
            "it was adopted through an AuthenticatorConfig with managementPolicy: Observe, and {key} does not allow revoking \
             such links, which another team may have sent; ask the cluster's admins for spec.allowRevokingAdoptedLinks there, \
             or revoke the job in Beyond Identity"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(allowed: Value) -> NamespaceRules {
        NamespaceRules::of(&serde_json::from_value(allowed).unwrap())
    }

    fn labels(labels: Value) -> Labels {
        serde_json::from_value(labels).unwrap()
    }

    #[test]
    fn nobody_is_allowed_by_default_and_by_an_empty_selector() {
        for nobody in [
            json!({}),
            json!({"names": []}),
            json!({"selector": {}}),
            json!({"selector": {"matchLabels": {}, "matchExpressions": []}}),
        ] {
            let rules = rules(nobody.clone());
            assert!(!rules.allow("a", Some(&labels(json!({})))), "{nobody}");
            assert!(!rules.allow("a", Some(&labels(json!({"team": "x"})))), "{nobody}");
            assert!(!rules.select_by_labels(), "{nobody}");
        }
    }

    #[test]
    fn names_and_selector_are_a_union() {
        let rules = rules(json!({"names": ["a"], "selector": {"matchLabels": {"team": "x"}}}));
        let (x, y) = (labels(json!({"team": "x", "env": "test"})), labels(json!({"team": "y"})));
        assert!(rules.allow("a", None) && rules.allow("a", Some(&y)));
        assert!(rules.allow("b", Some(&x)));
        assert!(!rules.allow("b", Some(&y)) && !rules.allow("b", Some(&labels(json!({})))));
    }

    #[test]
    fn selector_requires_every_label_and_expression() {
        let selects = |selector: Value, on: Value| rules(json!({"selector": selector})).allow("a", Some(&labels(on)));
        let requirement = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]});
        let cases = [
            (requirement("In", json!(["test", "dev"])), [true, false, false]),
            (requirement("NotIn", json!(["test"])), [false, true, true]),
            (requirement("Exists", json!([])), [true, true, false]),
            (requirement("DoesNotExist", json!([])), [false, false, true]),
        ];
        for (selector, expected) in cases {
            let on = [json!({"env": "test"}), json!({"env": "production"}), json!({"team": "x"})];
            assert_eq!(on.map(|on| selects(selector.clone(), on)), expected, "{selector}");
        }
        let mut both = requirement("In", json!(["test"]));
        both["matchLabels"] = json!({"team": "x", "part": "web"});
        assert!(selects(both.clone(), json!({"env": "test", "team": "x", "part": "web"})));
        assert!(!selects(both.clone(), json!({"env": "test", "team": "x"})));
        assert!(!selects(both, json!({"team": "x", "part": "web"})));
    }

    #[test]
    fn namespace_without_known_labels_is_not_selected() {
        let absent = json!({"matchExpressions": [{"key": "restricted", "operator": "DoesNotExist"}]});
        let rules = rules(json!({"selector": absent}));
        assert!(rules.allow("a", Some(&labels(json!({})))));
        assert!(!rules.allow("a", None));
    }
}
