//! The Helm chart, with the real helm on the real API server: what it renders, what it refuses, what it gives rights to,
//! and how a release lives.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests too

mod cluster;
mod generated;
mod image;
mod installed;
mod life;
mod pods;
mod readme;
mod refusals;
mod rights;
mod roles;
mod support;
mod switches;
