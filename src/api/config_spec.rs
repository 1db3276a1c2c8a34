//! The settings of an authenticator configuration: which there are, and to which type each belongs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ASCII_PATTERN, ID_PATTERN, NO_SLASH, NO_SLASH_MESSAGE, NO_USER, NO_USER_MESSAGE, ORIGINS, ORIGINS_MESSAGE,
};

/// Settings of an authenticator configuration. The type decides which of them are allowed.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.authenticationMethods) || self.type in ['hosted_web', 'embedded']")
        .message("authenticationMethods is only allowed for the types hosted_web and embedded: remove it or correct type"),
    validation = Rule::new("!has(self.trustedOrigins) || self.type in ['hosted_web', 'embedded', 'platform']")
        .message("trustedOrigins is only allowed for the types hosted_web, embedded and platform: remove it or correct type"),
    validation = Rule::new("!has(self.invokeURL) || self.type == 'embedded'")
        .message("invokeURL is only allowed for the type embedded: remove it or correct type"),
    validation = Rule::new("!has(self.invocationType) || self.type == 'embedded'")
        .message("invocationType is only allowed for the type embedded: remove it or correct type"),
    validation = Rule::new("!has(self.onboardingConfiguration) || self.type == 'console'")
        .message("onboardingConfiguration is only allowed for the type console: remove it or correct type"),
    validation = Rule::new("!has(self.roamingAuthConfig) || self.type == 'platform'")
        .message("roamingAuthConfig is only allowed for the type platform: remove it or correct type")
)]
pub struct ConfigSpec {
    /// Type of the configuration.
    #[serde(rename = "type")]
    pub type_: ConfigType,
    /// Allowed authentication methods. Only for `hosted_web` and `embedded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub authentication_methods: Option<Vec<AuthenticationMethod>>,
    /// Origins that may call the API from a browser: scheme, host, and optional port. Required for `embedded`, optional for
    /// `hosted_web` and `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512), regex(pattern = ASCII_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new(NO_SLASH).message(NO_SLASH_MESSAGE))]
    #[x_kube(validation = Rule::new(ORIGINS).message(ORIGINS_MESSAGE))]
    pub trusted_origins: Option<Vec<String>>,
    /// URL of the native or web app that is invoked to authenticate. Required for `embedded`, and only allowed there.
    #[serde(rename = "invokeURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = ASCII_PATTERN))]
    #[x_kube(validation = Rule::new(NO_USER).message(NO_USER_MESSAGE))]
    pub invoke_url: Option<String>,
    /// How `invokeURL` is invoked. Only for `embedded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_type: Option<InvocationType>,
    /// How a passkey for the Admin Console is enrolled. Required for `console`, and only allowed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onboarding_configuration: Option<OnboardingConfiguration>,
    /// Authentication by another device (roaming). Only for `platform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roaming_auth_config: Option<RoamingAuthConfig>,
}

/// Type of an authenticator configuration.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConfigType {
    /// The web page hosted by Beyond Identity, which enrolment emails link to.
    HostedWeb,
    /// An app of your own with the Beyond Identity SDK.
    Embedded,
    /// The Admin Console.
    Console,
    /// The Beyond Identity authenticator on the device.
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

/// An authentication method.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AuthenticationMethod {
    /// Type of the method.
    #[serde(rename = "type")]
    pub type_: AuthenticationMethodType,
}

/// Type of an authentication method.
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

/// How `invokeURL` is invoked: `automatic` redirects the user, `manual` returns the challenge to the caller.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InvocationType {
    /// The user is redirected there.
    Automatic,
    /// The challenge is returned to the caller, which takes it there.
    Manual,
}

/// How a passkey for the Admin Console is enrolled.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingConfiguration {
    /// How the identity is verified.
    pub verification_method: VerificationMethod,
}

/// How the identity is verified.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.idpID) == (self.type == 'idp')")
    .message("idpID is required for the type idp, and only allowed there"))]
pub struct VerificationMethod {
    /// Verification by an identity provider, or none.
    #[serde(rename = "type")]
    pub type_: VerificationMethodType,
    /// Id of the identity provider. Required for `idp`, and only allowed there.
    #[serde(rename = "idpID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub idp_id: Option<String>,
}

/// Type of the verification.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum VerificationMethodType {
    /// By an identity provider.
    Idp,
    /// No verification.
    None,
}

/// Authentication by another device (roaming).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RoamingAuthConfig {
    /// Whether roaming authentication is enabled.
    pub enabled: bool,
    /// Whether roaming authentication is offered before the user is known.
    pub allow_unknown_user: bool,
    /// IP addresses or CIDR ranges that roaming authentication is restricted to. If unset, any address is allowed.
    #[serde(rename = "allowedSourceIPs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64), regex(pattern = ASCII_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_source_ips: Option<Vec<String>>,
    /// Ids of groups that roaming authentication is restricted to.
    #[serde(rename = "allowedUserGroupIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = ID_PATTERN), length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_user_group_ids: Option<Vec<String>>,
    /// Ids of identities that roaming authentication is restricted to.
    #[serde(rename = "allowedUserIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = ID_PATTERN), length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_user_ids: Option<Vec<String>>,
}
