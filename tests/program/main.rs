//! The program as a process: the command line, errors at startup, and shutdown. And the files of the repository:
//! generated files are up to date, and links are not broken.

#![allow(clippy::unwrap_used)] // in helpers of tests too

mod argocd;
mod command_line;
mod crds;
mod documentation;
mod generated;
mod listeners;
mod monitoring;
mod reasons;
mod running;
mod stale;
mod statuses;
mod support;
