//! Leader election: one of several processes acts, according to a Lease in the Kubernetes API.
//!
//! The design follows kubert, with deadlines on the monotonic clock only. The holder counts from before it sent its
//! renewal, while the others count from when they read it. The holder also acts for less time than the others wait. So
//! it stops before the next one starts, whatever the wall clocks say, even if the API server answers neither.

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
use self::lease::LeaseError;
use crate::runtime::readiness::Report;

/// How long a lease lasts without a renewal, as the other processes count.
const LEASE: Duration = Duration::from_secs(15);
/// How long the holder acts after its last acknowledged renewal.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The interval between two reads of the lease.
pub const RETRY: Duration = Duration::from_secs(2);
/// The timeout for releasing the lease.
const RELEASE: Duration = Duration::from_secs(5);

/// Whether this process is the leader.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<LeaderState>);

#[derive(Clone, Debug)]
enum LeaderState {
    Waiting,
    Always,
    Until(Instant),
    Lost(String),
}

impl Leadership {
    /// The leadership of a process without leader election.
    pub fn always() -> Self {
        Self(watch::channel(LeaderState::Always).1)
    }

    /// Whether this process is the leader now.
    pub fn is_held(&self) -> bool {
        match *self.0.borrow() {
            LeaderState::Always => true,
            LeaderState::Until(until) => Instant::now() < until,
            LeaderState::Waiting | LeaderState::Lost(_) => false,
        }
    }

    /// Waits until this process is the leader.
    pub async fn acquired(&self) {
        let leads =
            |standing: &LeaderState| matches!(standing, LeaderState::Always | LeaderState::Until(_)).then_some(());
        if self.wait(leads).await.is_none() {
            future::pending().await
        }
    }

    /// Waits until this process is no longer the leader, and returns why.
    pub async fn lost(&self) -> String {
        let why = |standing: &LeaderState| if let LeaderState::Lost(why) = standing { Some(why.clone()) } else { None };
        match self.wait(why).await {
            Some(why) => why,
            None if matches!(*self.0.borrow(), LeaderState::Always) => future::pending().await,
            None => "the leader election ended unexpectedly, which is a bug in the operator".to_owned(),
        }
    }

    /// Waits until `find` returns a value; `None` if the standing no longer changes.
    async fn wait<T>(&self, find: impl Fn(&LeaderState) -> Option<T>) -> Option<T> {
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

/// This process's participation in the leader election.
pub struct Election {
    lease: Arc<Lease>,
    task: JoinHandle<()>,
}

impl Election {
    /// Participates until [`Election::leave`].
    pub fn join(lease: Lease, report: Report) -> (Self, Leadership) {
        let lease = Arc::new(lease);
        let (standing, leadership) = watch::channel(LeaderState::Waiting);
        let task = tokio::spawn(Candidate { lease: lease.clone(), report, standing, observed: None }.run());
        (Self { lease, task }, Leadership(leadership))
    }

    /// Releases the lease if this process holds it, so that the next leader need not wait. Call it only after all work
    /// of the leader has stopped.
    pub async fn leave(self) {
        self.task.abort();
        _ = self.task.await;
        match tokio::time::timeout(RELEASE, self.lease.release()).await {
            Ok(Ok(true)) => tracing::info!(lease = %self.lease, "Released the leader election lease"),
            Ok(Ok(false)) => {}
            // As during an uninstallation, which removes the permissions first.
            Ok(Err(error @ (LeaseError::Forbidden { .. } | LeaseError::Unauthorized))) => {
                tracing::debug!(lease = %self.lease, %error, "Releasing the leader election lease was denied");
                tracing::info!(lease = %self.lease, expires_within = ?LEASE, "Leader election lease stays until it expires");
            }
            Ok(Err(error)) => tracing::warn!(lease = %self.lease, %error, "Releasing the leader election lease failed"),
            Err(_) => {
                tracing::warn!(lease = %self.lease, timeout = ?RELEASE, "Releasing the leader election lease timed out")
            }
        }
    }
}
