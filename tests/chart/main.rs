//! The Helm chart, with the real helm on the real API server: rendering, rejected values, permissions, and the life
//! cycle of a release.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests too

mod cluster;
mod extras;
mod generated;
mod image;
mod installed;
mod lifecycle;
mod modes;
mod names;
mod namespace_admin;
mod network_policy;
mod permissions_page;
mod pods;
mod readme;
mod refusals;
mod rights;
mod roles;
mod support;
mod values;
