//! The operator beside the real controllers of Flux, the packages of Argo CD, and a real Prometheus. Their builds take
//! long, so `cargo test` does not run these tests, but `.ci/gitops` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also in test helpers

mod argocd;
#[allow(dead_code)] // of the cluster tests, which use all of it
#[path = "../cluster/examples/support.rs"]
mod examples;
#[allow(dead_code, unused_imports)] // of the cluster tests, which use all of it
#[path = "../cluster/fixture/mod.rs"]
mod fixture;
mod flux;
mod many_people;
mod other_manifests;
mod prometheus;
