//! What the vendor's documents leave open, or contradict each other in: a switch for each.

/// How the service decides. The default is what the operator's developers think likely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambiguities {
    /// What a `hosted_web` configuration without `authentication_methods` or `trusted_origins` becomes.
    pub hosted_web: HostedWeb,
    /// A PATCH of the settings needs no type, as in an example of the vendor.
    pub patches_without_type: bool,
    /// An `embedded` configuration needs no `trusted_origins`.
    pub embedded_without_origins: bool,
    /// `roaming_auth_config` needs `enabled` only.
    pub roaming_with_enabled_only: bool,
    /// A job in state `FAILED_TO_SEND` can be revoked.
    pub revokes_failed_jobs: bool,
}

/// What a `hosted_web` configuration without all of its fields becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostedWeb {
    /// A configuration without these fields, as in the vendor's guide.
    #[default]
    Accepted,
    /// 400, as in the API reference.
    Refused,
    /// A configuration with defaults, which the answer shows.
    FilledIn,
}
