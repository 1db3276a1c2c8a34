//! The EnrollmentRequest: one request, one email.
//!
//! The rules behind this guarantee, and the files that implement them:
//!
//! - **A ticket only for a stored record.** The status in the API server's response must equal the status that was
//!   written, for the write-ahead record and for every conclusion (`api/stored.rs`, `reconcile/object_handle.rs`). A
//!   conclusion that is not stored completely is reverted, so that the attempt stays in doubt. After such a write, or a
//!   refused write, nothing is sent for a while. A deletion then continues from what was read
//!   (`reconcile/unwritable.rs`).
//! - **A doubt is settled where the send went.** The record holds the endpoint. The conclusion that no job exists needs
//!   two lists after the settle time. The last list must come from a recognized service, which knows the identity or
//!   lists the configuration (`plan/doubt.rs`, `plan/recognize.rs`).
//! - **Only the API confirms that a resource no longer exists.** An error response counts only in the format of the API
//!   (`beyond_identity/error_body.rs`). An irreversible action also needs a list that agrees, from a recognized service
//!   at the endpoint that has the job (`plan/revoke.rs`). A job that is listed but not found by its id blocks a send
//!   (`plan/adopt.rs`).
//! - **Each link is revoked separately.** Refusals, failures and clocks are kept for each job. All jobs are tried
//!   before anything waits, and earlier links do not wait for the next attempt (`plan/revoke.rs`, `revocations.rs`). A
//!   job is read after a refusal. A job that may not belong to the request is never revoked.
//! - **A link ends at its expiry time by the service's own clock**, whatever state its job shows (`phase.rs`).
//! - **The finalizer stays for the settle time of the last job**, or until the service reports that the job is older
//!   (`plan/finalize.rs`). Leftover resources are reported before the finalizer is removed
//!   (`reconcile/object_handle/finalize.rs`).
//! - **The result of a send can always be recorded**: beyond a limit of active earlier links, nothing is sent
//!   (`plan/prepare.rs`).
//! - **A flood of requests sends no flood of emails.** Before each send, the jobs of the identity are counted
//!   (`plan/budget.rs`, `recent_jobs.rs`), and sends through a provider config are spaced (`pacer.rs`).
//! - **Following links costs a fixed number of calls.** A page of a realm's jobs only says which jobs to read; what a status
//!   records is always read by id (`watcher.rs`, `follow.rs`).
//! - **Lists of a whole realm justify many sends**, each by the rules of `realm_lists.rs` (`realm_reads.rs`).
//! - **No request waits silently for another request.** A send slot that is not needed is released (`reservations.rs`,
//!   `plan/poll.rs`). A request that waits for one without progress is Stalled (`others.rs`).

pub mod annotation_actions;
mod audit;
pub mod change;
pub mod desired;
mod durations;
pub mod enrollment_key;
mod fetch;
mod follow;
pub mod job_state;
mod kind;
mod matching;
mod observe;
pub mod observed;
mod others;
pub mod pacer;
mod phase;
pub mod plan;
pub mod realm_lists;
mod realm_reads;
pub mod recent_jobs;
mod reconciler;
pub mod reservations;
pub mod revocations;
pub mod shared;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
pub mod watcher;
