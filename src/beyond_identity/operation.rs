//! The operations: method, path and required scope, all from the OpenAPI document.

use std::fmt;

/// An operation, in the form used in messages and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// The end of the path, without identifiers: a person's id must not appear in a log.
    pub path: &'static str,
    /// See [`Operation::scope`].
    pub(super) scope: &'static str,
    /// Whether the request contains personal data. The service's error message is dropped then, because it may repeat
    /// that data in any form.
    pub(super) personal: bool,
}

/// Reads an identity.
pub const GET_IDENTITY: Operation = call("GET", "identities/{id}", "identities:read");
/// Lists the identities: those with a username, or all of them.
pub const FIND_IDENTITIES: Operation = call("GET", "identities", "identities:read").with_personal_data();
/// Lists the credential binding jobs of an identity.
pub const LIST_JOBS: Operation = call("GET", "credential-binding-jobs", "credential-binding-jobs:read");
/// Lists the credential binding jobs of all identities.
pub const LIST_ALL_JOBS: Operation =
    call("GET", "identities/-/credential-binding-jobs", "credential-binding-jobs:read");
/// Reads a credential binding job.
pub const GET_JOB: Operation = call("GET", "credential-binding-jobs/{id}", "credential-binding-jobs:read");
/// Creates a credential binding job.
pub const CREATE_JOB: Operation = call("POST", "credential-binding-jobs", "credential-binding-jobs:create");
/// Revokes a credential binding job.
pub const REVOKE_JOB: Operation = call("POST", "credential-binding-jobs/{id}:revoke", "credential-binding-jobs:revoke");
/// Lists the authenticator configurations.
pub const LIST_CONFIGS: Operation = call("GET", "authenticator-configs", "authenticator-configs:read");
/// Reads an authenticator configuration.
pub const GET_CONFIG: Operation = call("GET", "authenticator-configs/{id}", "authenticator-configs:read");
/// Creates an authenticator configuration.
pub const CREATE_CONFIG: Operation = call("POST", "authenticator-configs", "authenticator-configs:create");
/// Updates an authenticator configuration.
pub const PATCH_CONFIG: Operation = call("PATCH", "authenticator-configs/{id}", "authenticator-configs:update");
/// Deletes an authenticator configuration.
pub const DELETE_CONFIG: Operation = call("DELETE", "authenticator-configs/{id}", "authenticator-configs:delete");

/// Requests an access token for client credentials. It is an operation of the token endpoint, not of the API.
pub const REQUEST_TOKEN: Operation = call("POST", "token", "");

/// All operations of the API.
#[cfg(test)]
pub(super) const ALL: [Operation; 12] = [
    GET_IDENTITY,
    FIND_IDENTITIES,
    LIST_JOBS,
    LIST_ALL_JOBS,
    GET_JOB,
    CREATE_JOB,
    REVOKE_JOB,
    LIST_CONFIGS,
    GET_CONFIG,
    CREATE_CONFIG,
    PATCH_CONFIG,
    DELETE_CONFIG,
];

const fn call(method: &'static str, path: &'static str, scope: &'static str) -> Operation {
    Operation { method, path, scope, personal: false }
}

impl Operation {
    const fn with_personal_data(self) -> Self {
        Self { personal: true, ..self }
    }

    /// The scope that a token needs for this operation.
    #[must_use]
    pub const fn scope(self) -> &'static str {
        self.scope
    }

    /// The operation that needs this scope.
    #[cfg(test)]
    pub(crate) fn by_scope(scope: &str) -> Self {
        ALL.into_iter().find(|operation| operation.scope == scope).unwrap()
    }

    /// Whether it changes nothing, so that only the response can be in doubt.
    pub(super) fn is_read(self) -> bool {
        self.method == "GET" || self == REQUEST_TOKEN
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
