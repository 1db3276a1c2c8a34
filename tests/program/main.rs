//! The program as its user meets it: the command line, what it says when it cannot start, and how it ends.

#![allow(clippy::unwrap_used)] // in helpers of tests too

mod command_line;
mod crds;
mod page;
mod reasons;
mod reference;
mod running;
mod statuses;
mod support;
