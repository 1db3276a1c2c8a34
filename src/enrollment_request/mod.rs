//! The EnrollmentRequest: one request, one email.
//!
//! The rules that the promise rests on, and where each is:
//!
//! - **A ticket only for a record that is stored.** The status that the API server answers has to equal the one that was
//!   written, for the write-ahead record and for every conclusion (`api/stored.rs`, `reconcile/object_handle.rs`). A conclusion that is
//!   not stored whole is taken back, so that the attempt stays in doubt. After such a write, and after one that is refused,
//!   nothing is sent for a while, and a deletion goes on by what was read (`reconcile/unwritable.rs`).
//! - **A doubt is settled where the send went.** The record holds the endpoint. "None" needs two lists after the settle time, the
//!   last of them from a service that is recognized: it knows the identity, or lists the configuration (`plan/doubt.rs`,
//!   `plan/recognize.rs`).
//! - **Only the API says that something is gone.** An error answer counts only in the form of the API
//!   (`beyond_identity/error_body.rs`). What cannot be undone also needs a list that agrees, at the endpoint that has the job, of
//!   a service that is recognized (`plan/revoke.rs`). A job that is listed and not found by its id keeps a send back
//!   (`plan/adopt.rs`).
//! - **Each link is revoked by itself.** Refusals, failures and clocks are kept for each job, all of them are tried before
//!   anything waits, and earlier links do not wait for the next attempt (`plan/revoke.rs`, `revocations.rs`). A job is
//!   read after a refusal, and one that may be somebody else's is never revoked.
//! - **A link ends when its time is over by the service's own clock**, whatever state its job is shown in (`phase.rs`).
//! - **The finalizer stays for the settle time of the last job**, or until the service tells that the job is older
//!   (`plan/finalize.rs`). What is left is told before the finalizer goes (`reconcile/object_handle/finalize.rs`).
//! - **What came of a send can always be written down**: beyond a bound of active earlier links nothing is sent
//!   (`plan/prepare.rs`).
//! - **Nobody waits for another request in silence.** The turn to send to an identity is given back when it is not needed
//!   (`reservations.rs`, `plan/follow.rs`), and a wait for a request that does not get on is Stalled (`others.rs`).

pub mod annotation_actions;
pub mod change;
pub mod desired;
pub mod enrollment_key;
mod fetch;
pub mod job_state;
mod kind;
mod matching;
mod observe;
pub mod observed;
mod others;
mod phase;
pub mod plan;
mod reconciler;
pub mod reservations;
pub mod revocations;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
