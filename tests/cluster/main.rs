//! The operator on a real Kubernetes API server, in front of the simulator of the Beyond Identity API.
//!
//! Each test has its own namespace, realm and operator, so tests run in parallel. To show that nothing was sent, a test
//! does not sleep. It waits for a later effect, and then counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also in test helpers

mod admission;
mod adoption;
mod annotation_actions;
mod another_send;
mod answers;
mod attempts;
mod config_deletion;
mod config_policy;
mod config_types;
mod configuration;
mod credentials;
mod credentials_removed;
mod deletion;
mod disagreeing;
mod doubt;
mod drift;
mod duplicates;
mod each_link;
mod elsewhere;
mod enrolment;
mod events;
mod expired_links;
mod fixture;
mod foreign_answers;
mod fuzz_decoding;
mod grace;
mod identities;
mod immutability;
mod job_states;
mod leadership;
mod limits;
mod logs;
mod made_again;
mod many_links;
mod metrics;
mod migration;
mod network;
mod ordering;
mod orphaning;
mod outage;
mod pausing;
mod ratcheting;
mod reconcile_annotation;
mod refused_statuses;
mod resource_ids;
mod restart;
mod revoking;
mod rights;
mod schema;
mod secrets;
mod startup;
mod status_stored;
mod status_tampering;
mod triggers;
mod undecodable;
mod upgrade;
mod usernames;
