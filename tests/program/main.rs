//! The program as its user meets it: the command line, what it says when it cannot start, and how it ends. And the
//! repository as its reader meets it: generated files are up to date, and links lead somewhere.

#![allow(clippy::unwrap_used)] // in helpers of tests too

mod command_line;
mod crds;
mod documentation;
mod generated;
mod reasons;
mod running;
mod stale;
mod statuses;
mod support;
