//! Leader election: one process of several acts, by a Lease in the Kubernetes API.
//!
//! After the design of kubert, with deadlines on the monotonic clock alone. Who holds the lease counts from before its
//! renewal was sent, and may act for less time than the others wait from when they saw it: so the one has stopped
//! before the next one starts, whatever the wall clocks say, and also when the API server answers neither.

mod candidate;
pub mod decide;
mod lease;
#[cfg(test)]
mod tests;

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::candidate::Candidate;
pub use self::lease::Lease;
use crate::runtime::readiness::Report;

/// How long a lease lasts that nobody renews, as the others see it.
const LEASE: Duration = Duration::from_secs(15);
/// How long its holder acts after the last renewal that was answered.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at the lease.
pub const RETRY: Duration = Duration::from_secs(2);
/// How long giving the lease up may take.
const RELEASE: Duration = Duration::from_secs(5);

/// Whether this process leads.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Standing>);

#[derive(Clone, Debug)]
enum Standing {
    Waiting,
    Always,
    Until(Instant),
    Lost(String),
}

impl Leadership {
    /// The leadership of a process that has no others beside it.
    pub fn always() -> Self {
        Self(watch::channel(Standing::Always).1)
    }

    /// Whether this process leads now.
    pub fn is_held(&self) -> bool {
        match *self.0.borrow() {
            Standing::Always => true,
            Standing::Until(until) => Instant::now() < until,
            Standing::Waiting | Standing::Lost(_) => false,
        }
    }

    /// Waits until this process leads.
    pub async fn taken(&self) {
        let leads = |standing: &Standing| matches!(standing, Standing::Always | Standing::Until(_)).then_some(());
        if self.wait(leads).await.is_none() {
            future::pending().await
        }
    }

    /// Waits until this process does not lead any more, and says why.
    pub async fn lost(&self) -> String {
        let why = |standing: &Standing| if let Standing::Lost(why) = standing { Some(why.clone()) } else { None };
        match self.wait(why).await {
            Some(why) => why,
            None if matches!(*self.0.borrow(), Standing::Always) => future::pending().await,
            None => "the leader election ended unexpectedly, which is a bug in the operator".to_owned(),
        }
    }

    /// Waits until `find` finds something; `None` when nothing changes any more.
    async fn wait<T>(&self, find: impl Fn(&Standing) -> Option<T>) -> Option<T> {
        let mut standing = self.0.clone();
        loop {
            let found = find(&standing.borrow_and_update());
            if found.is_some() || standing.changed().await.is_err() {
                return found;
            }
        }
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self::always()
    }
}

/// This process's part in the election.
pub struct Election {
    lease: Arc<Lease>,
    task: JoinHandle<()>,
}

impl Election {
    /// Takes part, until [`Election::leave`].
    pub fn join(lease: Lease, report: Report) -> (Self, Leadership) {
        let lease = Arc::new(lease);
        let (standing, leadership) = watch::channel(Standing::Waiting);
        let task = tokio::spawn(Candidate { lease: lease.clone(), report, standing, observed: None }.run());
        (Self { lease, task }, Leadership(leadership))
    }

    /// Gives the lease up, if it is this process's, so that the next one need not wait. To be called when nothing that
    /// it allowed is under way any more.
    pub async fn leave(self) {
        self.task.abort();
        _ = self.task.await;
        match tokio::time::timeout(RELEASE, self.lease.release()).await {
            Ok(Ok(true)) => tracing::info!(lease = %self.lease, "Released the leader election lease"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(lease = %self.lease, %error, "Releasing the leader election lease failed"),
            Err(_) => {
                tracing::warn!(lease = %self.lease, timeout = ?RELEASE, "Releasing the leader election lease timed out")
            }
        }
    }
}
