//! The settings of an authenticator configuration: which there are, and to which type each belongs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ID_PATTERN;

/// The settings of an authenticator configuration. Which of them there can be depends on the type.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.authenticationMethods) || self.type in ['hosted_web', 'embedded']")
        .message("authenticationMethods belongs to the types hosted_web and embedded: take it out, or correct type"),
    validation = Rule::new("!has(self.trustedOrigins) || self.type in ['hosted_web', 'embedded', 'platform']")
        .message("trustedOrigins belongs to the types hosted_web, embedded and platform: take it out, or correct type"),
    validation = Rule::new("!has(self.invokeURL) || self.type == 'embedded'")
        .message("invokeURL belongs to the type embedded: take it out, or correct type"),
    validation = Rule::new("!has(self.invocationType) || self.type == 'embedded'")
        .message("invocationType belongs to the type embedded: take it out, or correct type"),
    validation = Rule::new("!has(self.onboardingConfiguration) || self.type == 'console'")
        .message("onboardingConfiguration belongs to the type console: take it out, or correct type"),
    validation = Rule::new("!has(self.roamingAuthConfig) || self.type == 'platform'")
        .message("roamingAuthConfig belongs to the type platform: take it out, or correct type")
)]
pub struct ConfigSpec {
    /// The type of the configuration.
    #[serde(rename = "type")]
    pub type_: ConfigType,
    /// How a person may authenticate. For `hosted_web` and `embedded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub authentication_methods: Option<Vec<AuthenticationMethod>>,
    /// Origins that may call the API from a browser: scheme, host, and perhaps a port. For `hosted_web`, `embedded`
    /// (which needs it) and `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub trusted_origins: Option<Vec<String>>,
    /// The URL of the native or web app that is invoked to authenticate. For `embedded`, which needs it.
    #[serde(rename = "invokeURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub invoke_url: Option<String>,
    /// Whether the person is redirected to `invokeURL`, or the challenge is handed to whoever asked. For `embedded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_type: Option<InvocationType>,
    /// How somebody comes to a passkey for the Admin Console. For `console`, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboarding_configuration: Option<OnboardingConfiguration>,
    /// Whether, and to whom, authentication by another device is offered. For `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roaming_auth_config: Option<RoamingAuthConfig>,
}

/// The types of configuration.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConfigType {
    /// The vendor's hosted web page: what enrolment emails lead to.
    HostedWeb,
    /// The vendor's SDK in an app of one's own.
    Embedded,
    /// The Admin Console.
    Console,
    /// The vendor's authenticator on the device.
    Platform,
}

impl ConfigType {
    /// The type as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostedWeb => "hosted_web",
            Self::Embedded => "embedded",
            Self::Console => "console",
            Self::Platform => "platform",
        }
    }
}

/// One way to authenticate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AuthenticationMethod {
    /// The method, as the API writes it.
    #[serde(rename = "type")]
    pub type_: AuthenticationMethodType,
}

/// The ways to authenticate that there are.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethodType {
    /// A passkey in the browser, backed by the device's hardware.
    WebauthnPasskey,
    /// A passkey kept in the browser.
    SoftwarePasskey,
    /// A one-time password by email.
    EmailOneTimePassword,
}

/// How `invokeURL` is invoked.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InvocationType {
    /// The person is redirected there.
    Automatic,
    /// Whoever asked is told the challenge, and takes it there.
    Manual,
}

/// How somebody comes to a passkey for the Admin Console.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingConfiguration {
    /// How it is verified who that is.
    pub verification_method: VerificationMethod,
}

/// How it is verified who enrols.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.idpID) == (self.type == 'idp')")
    .message("give idpID with the type idp, and only with it"))]
pub struct VerificationMethod {
    /// By an identity provider, or not at all.
    #[serde(rename = "type")]
    pub type_: VerificationMethodType,
    /// The id of the identity provider. For `idp`, which needs it.
    #[serde(rename = "idpID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub idp_id: Option<String>,
}

/// The ways to verify who enrols.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum VerificationMethodType {
    /// By an identity provider.
    Idp,
    /// Not at all.
    None,
}

/// Whether, and to whom, authentication by another device is offered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RoamingAuthConfig {
    /// Whether it is offered at all.
    pub enabled: bool,
    /// Whether it is offered where it is not known who is about to authenticate.
    pub allow_unknown_user: bool,
    /// Addresses or ranges of addresses; where there are any, it is offered from these alone.
    #[serde(rename = "allowedSourceIPs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_source_ips: Option<Vec<String>>,
    /// Groups; where there are any, it is offered to their members alone.
    #[serde(rename = "allowedUserGroupIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = ID_PATTERN), length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_user_group_ids: Option<Vec<String>>,
    /// Identities; where there are any, it is offered to these alone.
    #[serde(rename = "allowedUserIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = ID_PATTERN), length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_user_ids: Option<Vec<String>>,
}
