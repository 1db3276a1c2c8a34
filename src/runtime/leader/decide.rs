//! What to do about a lease, from its record and from how long that has stood: pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

use super::LEASE;

/// What to do about a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is free, or its holder has let it expire.
    Take,
    /// It is ours.
    Renew,
    /// It is somebody else's, and expires in so long unless that one renews it.
    Wait {
        /// Whose it is.
        holder: String,
        /// In how long it expires.
        left: Duration,
    },
}

/// Decides about the lease whose record is the same since `observed_at`; `None` when there is no record. Its own times
/// are of somebody else's clock, and count for nothing.
pub fn decide(record: Option<&LeaseSpec>, observed_at: Instant, now: Instant, me: &str) -> Decision {
    let Some(record) = record else { return Decision::Take };
    let holder = match record.holder_identity.as_deref() {
        None | Some("") => return Decision::Take,
        Some(holder) if holder == me => return Decision::Renew,
        Some(holder) => holder,
    };
    let lasts = record.lease_duration_seconds.map_or(LEASE, |seconds| {
        // Below zero is no duration.
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    });
    match lasts.checked_sub(now.saturating_duration_since(observed_at)) {
        None | Some(Duration::ZERO) => Decision::Take,
        Some(left) => Decision::Wait { holder: holder.to_owned(), left },
    }
}

/// The record that says that the lease is `me`'s. The times in it are for people.
pub fn held(before: Option<&LeaseSpec>, me: &str, at: Timestamp) -> LeaseSpec {
    let before = before.cloned().unwrap_or_default();
    let taken = before.holder_identity.as_deref() != Some(me);
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
        acquire_time: if taken { Some(MicroTime(at)) } else { before.acquire_time.clone() },
        renew_time: Some(MicroTime(at)),
        lease_transitions: Some(if taken { transitions.saturating_add(1) } else { transitions }),
        ..before
    }
}

/// The record that says that the lease is nobody's.
pub fn free(before: &LeaseSpec) -> LeaseSpec {
    LeaseSpec { holder_identity: None, ..before.clone() }
}
