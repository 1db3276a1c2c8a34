//! The namespaces that may use a ClusterProviderConfig: by name, and by label.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The key of a label: an optional DNS subdomain and a slash, and a name.
const KEY_PATTERN: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

/// The value of a label, which may be empty.
const VALUE_PATTERN: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Namespaces that may use a provider config: those with one of these names, and those that the selector selects.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AllowedNamespaces {
    /// Names of the namespaces.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
    /// Selects further namespaces by their labels. A namespace is selected if it fulfils all that `matchLabels` and
    /// `matchExpressions` require. A change of its labels takes effect at once, so whoever can label a namespace can let
    /// it use this provider config. Unlike elsewhere in Kubernetes, an empty selector is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Selects namespaces by their labels.
#[derive(Clone, Debug, Default, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.matchLabels) && self.matchLabels.size() > 0) || \
         (has(self.matchExpressions) && self.matchExpressions.size() > 0)"
    )
    .message("at least one of matchLabels and matchExpressions must be set: an empty selector is refused, because elsewhere in Kubernetes it selects everything"),
    validation = Rule::new("!has(self.matchLabels) || self.matchLabels.all(key, key.size() > 0 && key.size() <= 317)")
        .message("the key of a label must have 1 to 317 characters")
)]
pub struct NamespaceSelector {
    /// Labels that the namespace must have.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 63, "pattern": VALUE_PATTERN}
    ))]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on the labels of the namespace.
    #[serde(default)]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[x_kube(validation = Rule::new(
    "!has(self.operator) || (self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)"
)
.message("values must be set with the operators In and NotIn, and unset with Exists and DoesNotExist"))]
pub struct LabelRequirement {
    /// Key of the label.
    #[schemars(length(min = 1, max = 317), regex(pattern = KEY_PATTERN))]
    pub key: String,
    /// How the label is compared. `NotIn` and `DoesNotExist` also select namespaces without the label.
    pub operator: LabelOperator,
    /// Values of the label, for `In` and `NotIn` only.
    // Without a default: tools such as Argo CD would see one as drift, since they compare an atomic list as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 63), regex(pattern = VALUE_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum LabelOperator {
    /// The label exists, with one of the values.
    In,
    /// The label does not exist, or has another value.
    NotIn,
    /// The label exists.
    Exists,
    /// The label does not exist.
    DoesNotExist,
}
