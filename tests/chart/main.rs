//! The Helm chart, with the real helm on the real API server: what it renders, what it refuses, what it gives rights to,
//! and how a release lives.

#![allow(clippy::unwrap_used)] // in helpers of tests too

mod generated;
mod life;

mod pods;
mod refusals;
mod rights;
mod support;
mod switches;
