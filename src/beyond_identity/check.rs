//! Checks whether the service accepts a token: a read of each list that the operator needs. The list of configurations is
//! read completely, because it also shows which clusters use the realm.

use super::error::{Error, Refusal};
use super::filter;
use super::operation::{self, Operation};
use super::outcome;
use super::requests::RealmClient;
use super::types::{CredentialBindingJob, Identity};

/// A username and an identity id that nobody has, so that a check reads no data of a person. An identity that does not exist
/// has an empty list of jobs.
const NOBODY: &str = "beyond-identity-operator";
const NO_IDENTITY: &str = "0000000000000000";

/// The page size of the list of configurations. It differs from that of other lists, so that a log of requests tells them
/// apart. A realm has few configurations.
const CONFIGS_PAGE: u32 = 50;

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RealmCheck {
    /// The reads that the service answered.
    pub granted: Vec<Operation>,
    /// The reads that the token is not permitted to make (403). If these are all, the token may not be valid at all.
    pub forbidden: Vec<Operation>,
    /// The display names of all configurations of the realm; `None` if they were not read.
    pub display_names: Option<Vec<String>>,
    /// Why the check ended before it made all reads: any failure but a 403.
    pub failure: Option<Error>,
}

impl RealmClient {
    /// Makes three reads, of one request each in most realms. The first failure other than 403 ends the check, because it
    /// applies to the other reads too.
    pub async fn check(&self) -> RealmCheck {
        let mut check = RealmCheck::default();
        check.failure = self.make_reads(&mut check).await.err();
        check
    }

    async fn make_reads(&self, check: &mut RealmCheck) -> Result<(), Error> {
        let configs = self.list_authenticator_configs_by(CONFIGS_PAGE).await.map(|list| {
            check.display_names = Some(list.items.into_iter().filter_map(|config| config.display_name).collect());
        });
        check.note(operation::LIST_CONFIGS, configs)?;
        let filter = filter::by_username(NOBODY).map_err(|why| outcome::local(operation::FIND_IDENTITIES, why))?;
        let identities = self.first_page::<Identity>(operation::FIND_IDENTITIES, &["identities"], Some(&filter));
        check.note(operation::FIND_IDENTITIES, identities.await)?;
        let path = ["identities", NO_IDENTITY, "credential-binding-jobs"];
        let jobs = match self.first_page::<CredentialBindingJob>(operation::LIST_JOBS, &path, None).await {
            // A 404 about the realm is another error.
            Err(Error::NotFound { .. }) => Ok(()),
            jobs => jobs,
        };
        check.note(operation::LIST_JOBS, jobs)?;
        Ok(())
    }
}

impl RealmCheck {
    fn note(&mut self, operation: Operation, read: Result<(), Error>) -> Result<(), Error> {
        match read {
            Ok(()) => {
                self.granted.push(operation);
                Ok(())
            }
            Err(Error::Refused { cause: Refusal::Forbidden, .. }) => {
                self.forbidden.push(operation);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the service refused every read with 403.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.failure.is_none() && self.granted.is_empty()
    }
}
