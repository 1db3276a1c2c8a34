//! What breaks the contract with the service: found where it happens, and failing whoever asks anything of the realm afterwards.

use std::collections::HashSet;
use std::thread;

use super::call::Call;
use super::handle::RealmHandle;
use super::reply::Reply;
use super::state::{Key, World};
use crate::contract::{Answer, Breach, Request, contract};

impl World {
    /// Holds a request against the contract.
    pub fn check_request(&mut self, call: &Call) {
        if !self.takes_any_request {
            let Call { method, path, raw_query, headers, body, .. } = call;
            let request = Request { method, path, query: raw_query.as_deref(), headers, body };
            self.record(call, contract().check_request(&request));
        }
    }

    /// Holds an answer of the service's own against the contract.
    pub fn check_answer(&mut self, call: &Call, reply: &Reply) {
        let realm = self.realms.get(&(call.tenant.clone(), call.realm.clone()));
        if !realm.is_some_and(|realm| realm.gives_any_answer) {
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

    /// What concerns a realm: what broke the contract there, or where nobody is.
    pub fn breaches_of<'w>(&'w self, key: &'w Key) -> impl Iterator<Item = &'w Breach> {
        let concerns = move |of: &Key| of == key || !self.realms.contains_key(of);
        self.breaches.iter().filter(move |(of, _)| concerns(of)).map(|(_, breach)| breach)
    }
}

impl RealmHandle {
    /// From now on answers are not held against the contract: for whoever puts something there that the service never has.
    pub fn allow_any_answer(&self) {
        self.with(|realm| realm.gives_any_answer = true);
    }

    /// What broke the contract here so far, or where there is no realm. Taken away, it fails nothing any more.
    #[must_use]
    pub fn take_breaches(&self) -> Vec<Breach> {
        let mut world = self.world.lock();
        let found = world.breaches_of(&self.key).cloned().collect();
        let realms: HashSet<Key> = world.realms.keys().cloned().collect();
        world.breaches.retain(|(key, _)| *key != self.key && realms.contains(key));
        found
    }

    /// Fails as soon as something broke the contract, so that no test goes on as if nothing were wrong.
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

/// Fails where there are any, unless something has failed already.
#[track_caller]
pub(super) fn check(breaches: &[&Breach]) {
    let found: Vec<String> = breaches.iter().map(|breach| breach.to_string()).collect();
    assert!(thread::panicking() || found.is_empty(), "the contract with the service is broken:\n{}", found.join("\n"));
}
