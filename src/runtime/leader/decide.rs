//! Decides about a lease from its record, and from how long the record has been unchanged. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

use super::LEASE;

/// The decision about a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The lease is free or expired.
    Take,
    /// This process holds the lease.
    Renew,
    /// Another process holds the lease, which expires after this time unless it is renewed.
    Wait {
        /// The holder.
        holder: String,
        /// The time until it expires.
        left: Duration,
    },
}

/// Decides about the lease whose record is unchanged since `observed_at`; `None` if there is no record. The times in
/// the record are ignored, because they come from another process's clock.
pub fn decide(record: Option<&LeaseSpec>, observed_at: Instant, now: Instant, me: &str) -> Decision {
    let Some(record) = record else { return Decision::Take };
    let holder = match record.holder_identity.as_deref() {
        None | Some("") => return Decision::Take,
        Some(holder) if holder == me => return Decision::Renew,
        Some(holder) => holder,
    };
    let lasts = record.lease_duration_seconds.map_or(LEASE, |seconds| {
        // A negative value is not a duration.
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    });
    match lasts.checked_sub(now.saturating_duration_since(observed_at)) {
        None | Some(Duration::ZERO) => Decision::Take,
        Some(left) => Decision::Wait { holder: holder.to_owned(), left },
    }
}

/// The record of a lease that `me` holds. Its times are for people only.
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

/// The record of a lease without a holder.
pub fn free(before: &LeaseSpec) -> LeaseSpec {
    LeaseSpec { holder_identity: None, ..before.clone() }
}
