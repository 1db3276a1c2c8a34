//! Violations of the API contract. They are recorded when they happen, and the next use of the realm panics.

use std::collections::HashSet;
use std::thread;

use super::call::{Call, Operation};
use super::handle::RealmHandle;
use super::reply::Reply;
use super::state::{Key, World};
use crate::contract::{Answer, Breach, Request, contract};

impl World {
    /// Validates a request to the API. The simulator itself is strict about a request to the token endpoint.
    pub fn check_request(&mut self, call: &Call) {
        if !self.allows_any_request && call.operation != Operation::RequestToken {
            let Call { method, path, raw_query, headers, body, .. } = call;
            let request = Request { method, path, query: raw_query.as_deref(), headers, body };
            self.record(call, contract().check_request(&request));
        }
    }

    /// Validates an answer of the simulated service.
    pub fn check_answer(&mut self, call: &Call, reply: &Reply) {
        let realm = self.realms.get(&(call.tenant.clone(), call.realm.clone()));
        if !realm.is_some_and(|realm| realm.allows_any_answer) {
            let Reply { status, headers, body, .. } = reply;
            let content_type = headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
            let answer = Answer { status: *status, content_type, body };
            self.record(call, contract().check_answer(&call.method, &call.path, &answer));
        }
    }

    fn record(&mut self, call: &Call, breaches: Vec<Breach>) {
        let key = (call.tenant.clone(), call.realm.clone());
        self.breaches.extend(breaches.into_iter().map(|breach| (key.clone(), breach)));
    }

    /// The violations in a realm, and those outside all realms.
    pub fn breaches_of<'w>(&'w self, key: &'w Key) -> impl Iterator<Item = &'w Breach> {
        let concerns = move |of: &Key| of == key || !self.realms.contains_key(of);
        self.breaches.iter().filter(move |(of, _)| concerns(of)).map(|(_, breach)| breach)
    }
}

impl RealmHandle {
    /// Stops the validation of answers, for tests with data that the service never has.
    pub fn allow_any_answer(&self) {
        self.with(|realm| realm.allows_any_answer = true);
    }

    /// Removes and returns the violations so far, in this realm and outside all realms. They no longer cause a panic.
    #[must_use]
    pub fn take_breaches(&self) -> Vec<Breach> {
        let mut world = self.world.lock();
        let found = world.breaches_of(&self.key).cloned().collect();
        let realms: HashSet<Key> = world.realms.keys().cloned().collect();
        world.breaches.retain(|(key, _)| *key != self.key && realms.contains(key));
        found
    }

    /// Panics after a violation, so that the test fails early.
    #[track_caller]
    pub(super) fn check(&self) {
        let found: Vec<Breach> = self.world.lock().breaches_of(&self.key).cloned().collect();
        check(&found.iter().collect::<Vec<_>>());
    }
}

impl Drop for RealmHandle {
    fn drop(&mut self) {
        self.check();
    }
}

/// Panics if there are violations, unless the thread already panics.
#[track_caller]
pub(super) fn check(breaches: &[&Breach]) {
    let found: Vec<String> = breaches.iter().map(|breach| breach.to_string()).collect();
    assert!(thread::panicking() || found.is_empty(), "the API contract is violated:\n{}", found.join("\n"));
}
