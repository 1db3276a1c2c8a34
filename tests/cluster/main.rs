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
mod brakes;
mod canary;
mod client_credentials;
mod config_deletion;
mod config_policy;
mod config_types;
mod configuration;
mod credentials;
mod credentials_removed;
mod deletion;
mod doubt;
mod drift;
mod duplicates;
mod each_link;
mod endpoint_changed;
mod enrolment;
mod enrolment_policy;
mod events;
mod expired_links;
mod fixture;
mod fuzz_decoding;
mod grace;
mod hostile_metadata;
mod hostile_tenants;
mod hostile_text;
mod identities;
mod immutability;
mod inconsistent_answers;
mod job_states;
mod leadership;
mod logs;
mod many_links;
mod metrics;
mod metrics_access;
mod migration;
mod namespace_selector;
mod network;
mod noisy_neighbour;
mod observed_links;
mod ordering;
mod orphaning;
mod outage;
mod pausing;
mod permissions;
mod provider_configs;
mod proxy_answers;
mod ratcheting;
mod rate_limits;
mod realm_rules;
mod reconcile_annotation;
mod recreated;
mod refused_statuses;
mod resource_ids;
mod restart;
mod revoking;
mod schema;
mod secrets;
mod startup;
mod status_stored;
mod status_tampering;
mod token_endpoint;
mod triggers;
mod undecodable;
mod upgrade;
mod usernames;
