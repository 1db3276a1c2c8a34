//! The links of requests: which are followed, and who may read.

use std::sync::Arc;

use super::*;
use crate::reconcile::KindName;
use crate::reconcile::testing::TIMES;

fn link(name: &str, job_id: &str) -> Link {
    Link {
        job_id: job_id.to_owned(),
        request: ObjectKey { namespace: "team".to_owned(), kind: KindName::EnrollmentRequest, name: name.to_owned() },
        provider: ProviderConfigRef::default(),
        identity_id: "identity".to_owned(),
        state: Some("LINK_SENT".to_owned()),
        create_time: None,
        expire_time: None,
        expired: false,
        found: None,
        due: None,
    }
}

/// A watcher, and the names of the requests that it enqueued.
fn watcher() -> (JobWatcher, Arc<Mutex<Vec<String>>>) {
    let enqueued = Arc::<Mutex<Vec<String>>>::default();
    let log = enqueued.clone();
    (JobWatcher::new(10, TIMES, move |request| log.lock().push(request.name.clone())), enqueued)
}

#[test]
fn request_reads_its_job_once_when_it_is_enqueued() {
    let (watcher, enqueued) = watcher();
    watcher.follow("uid", WatchedRealm::default(), link("one", "job"));
    assert!(!watcher.may_read("uid", "job"));
    let (pages, _) = watcher.pass(Instant::now());
    assert_eq!((pages.len(), enqueued.lock().join(" ")), (0, "one".to_owned()));
    assert!(watcher.may_read("uid", "job") && !watcher.may_read("uid", "another") && !watcher.may_read("else", "job"));
    watcher.read("uid", "job", true);
    assert!(!watcher.may_read("uid", "job"));
}

#[test]
fn request_has_one_link_at_most() {
    let (watcher, enqueued) = watcher();
    let other = WatchedRealm { realm_id: "other".to_owned(), ..WatchedRealm::default() };
    watcher.follow("uid", WatchedRealm::default(), link("one", "first"));
    watcher.follow("uid", WatchedRealm::default(), link("one", "second"));
    watcher.follow("uid", other, link("one", "second"));
    watcher.pass(Instant::now());
    assert_eq!(*enqueued.lock(), ["one"], "one job in one realm");
    watcher.leave("uid");
    assert!(!watcher.may_read("uid", "second"));
    watcher.follow("gone", WatchedRealm::default(), link("three", "third"));
    watcher.leave("gone");
    watcher.pass(Instant::now() + Duration::from_secs(60));
    assert_eq!(*enqueued.lock(), ["one"]);
}

#[test]
fn realms_have_budgets_of_their_own() {
    let (watcher, enqueued) = watcher();
    for realm in 0..3 {
        let realm = WatchedRealm { realm_id: realm.to_string(), ..WatchedRealm::default() };
        watcher.follow(&realm.realm_id, realm.clone(), link(&realm.realm_id, &realm.realm_id));
    }
    watcher.pass(Instant::now());
    assert_eq!(enqueued.lock().len(), 3);
}
