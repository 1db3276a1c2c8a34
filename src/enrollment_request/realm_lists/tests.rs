//! When requests share a list of the realm, and which list may justify a send.

use super::*;
use crate::api::ProviderConfigKind;
use crate::beyond_identity::types::CredentialBindingJob;
use crate::enrollment_request::testing::{concluded, job, request};
use crate::reconcile::RealmIds;

const OWNER: &str = "9ca7716e846cfa97";

fn after(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

pub(super) fn realm(name: &str) -> ListedRealm {
    let realm = RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() };
    ListedRealm {
        provider: ProviderConfigKey {
            kind: ProviderConfigKind::ClusterProviderConfig,
            namespace: None,
            name: name.to_owned(),
        },
        destination: Destination { realm, endpoint: "https://api.example.com".to_owned() },
    }
}

/// Lists for so many requests that wait, and the realm.
fn waiting(sharing: Sharing, count: usize, now: Instant) -> (RealmLists, ListedRealm) {
    let lists = RealmLists::new(sharing);
    (0..count).for_each(|n| lists.observe(&request(&n.to_string(), Default::default()), now));
    (lists, realm("default"))
}

fn set(began: Instant, jobs: Vec<CredentialBindingJob>, pages: u64) -> JobSet {
    JobSet { began, server_time: None, listed_at: None, jobs: [(OWNER.to_owned(), jobs)].into(), pages }
}

pub(super) fn identity(id: &str) -> Identity {
    serde_json::from_value(serde_json::json!({ "id": id })).unwrap()
}

fn page(ids: &[&str], total: u64, next: Option<&str>) -> Option<IdentityPage> {
    let identities = ids.iter().map(|id| identity(id)).collect();
    Some(IdentityPage { identities, total: Some(total), next: next.map(str::to_owned) })
}

#[test]
fn list_justifies_sends_for_ten_seconds() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 1, start);
    let began = after(start, 1);
    assert_eq!(lists.jobs_to_read(&of, "0", began), Some(MOST_PAGES));
    lists.jobs_read(&of, Ok(set(began, vec![job("a")], 1)), began);
    let jobs = |seconds| lists.jobs_of(&of, "0", OWNER, after(start, seconds)).map(|of| of.jobs.len());
    assert_eq!([jobs(1), jobs(11), jobs(12)], [Some(1), Some(1), None]);
    let others = lists.jobs_of(&of, "0", "another", began).unwrap();
    assert!(others.jobs.is_empty(), "a complete list shows that an identity has no job");
    assert_eq!(lists.jobs_of(&realm("other"), "0", OWNER, began), None, "lists of another provider config");
}

#[test]
fn list_from_before_the_request_justifies_nothing() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 1, start);
    lists.jobs_to_read(&of, "0", after(start, 1)).unwrap();
    lists.jobs_read(&of, Ok(set(after(start, 1), vec![job("a")], 1)), after(start, 1));
    lists.observe(&request("late", Default::default()), after(start, 2));
    assert_eq!(lists.jobs_of(&of, "late", OWNER, after(start, 2)), None);
    assert!(lists.jobs_to_read(&of, "late", after(start, 2)).is_some(), "it reads a list of its own time");
    lists.observe(&request("0", Default::default()), after(start, 3));
    assert!(lists.jobs_of(&of, "0", OWNER, after(start, 3)).is_some(), "a later version of a request is not a new one");
}

#[test]
fn request_that_has_sent_or_is_gone_shares_nothing() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 2, start);
    lists.observe(&request("0", concluded()), start);
    lists.leave("1");
    for uid in ["0", "1", "unknown"] {
        assert_eq!(lists.jobs_to_read(&of, uid, after(start, 1)), None, "{uid}");
        assert_eq!(lists.identities_to_read(&of, uid, IDENTITY_AGE, after(start, 1)), None, "{uid}");
    }
}

#[test]
fn only_one_request_reads_a_list_at_a_time() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 2, start);
    assert!(lists.jobs_to_read(&of, "0", after(start, 1)).is_some());
    assert!(lists.jobs_to_read(&of, "1", after(start, 1)).is_none());
    assert!(lists.jobs_to_read(&of, "1", after(start, 200)).is_some(), "the first read counts as failed");
    lists.jobs_read(&of, Err(NotRead::Failed), after(start, 201));
    assert!(lists.jobs_to_read(&of, "1", after(start, 202)).is_none(), "not at once after a failure");
    assert!(lists.jobs_to_read(&of, "1", after(start, 262)).is_some());
}

/// The most pages that a request reads when so many wait and needed a list lately.
fn most_pages(waiting_requests: usize, needed: usize, known_pages: Option<u64>) -> Option<u64> {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::WhenCheaper, waiting_requests, start);
    let now = after(start, 1);
    {
        let mut state = lists.state.lock();
        let jobs = &mut state.realms.entry(of.clone()).or_default().jobs;
        if let Some(pages) = known_pages {
            jobs.end(Err(NotRead::TooLong(pages)), now);
        }
        (1..needed).for_each(|_| jobs.needed(now));
    }
    lists.jobs_to_read(&of, "0", now)
}

#[test]
fn list_of_the_realm_is_read_where_that_takes_fewer_calls() {
    for (waiting, needed, pages, most) in [
        (3, 100, None, None),
        (8, 3, None, None),
        (8, 4, None, Some(1)),
        (10_000, 4, None, Some(1)),
        (10_000, 1000, Some(50), Some(100)),
        (400, 1000, Some(50), None),
        (10_000, 100, Some(50), None),
        (10_000, 1000, Some(5000), None),
    ] {
        let what = format!("{waiting} wait, {needed} needed a list, {pages:?} pages");
        assert_eq!(most_pages(waiting, needed, pages), most, "{what}");
    }
}

#[test]
fn page_of_identities_serves_all() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::WhenCheaper, 20, start);
    let next = |seconds| lists.identities_to_read(&of, "0", IDENTITY_AGE, after(start, seconds));
    assert_eq!(next(1), Some(None));
    assert_eq!(next(1), None, "while another request reads a page");
    lists.identities_read(&of, page(&["a", "b"], 3, Some("2")), after(start, 1));
    let known = |id, age: u64, seconds| {
        lists.recognized(&of, after(start, seconds));
        lists.identity(&of, "0", id, Duration::from_secs(age), after(start, seconds))
    };
    assert_eq!(known("a", 3600, 2), Some(identity("a")));
    assert_eq!((known("a", 300, 301), known("c", 3600, 2)), (None, None));
    assert_eq!(next(2), Some(Some("2".to_owned())));
    lists.identities_read(&of, page(&["c"], 3, None), after(start, 2));
    let lacks = |seconds| lists.lacks_identity(&of, "d", IDENTITY_AGE, after(start, seconds));
    assert!(!lacks(320), "the service is not recognized");
    lists.recognized(&of, after(start, 320));
    assert!(lacks(320));
    assert!(!lists.lacks_identity(&of, "c", Duration::from_secs(300), after(start, 3)));
    assert!(!lists.lacks_identity(&of, "d", Duration::from_secs(300), after(start, 301)), "it may exist by now");
    assert_eq!((next(3), next(7300)), (None, Some(None)), "all pages are read again when they are old");
    lists.forget_identity("c");
    assert_eq!(known("c", 3600, 4), None);
    assert!(!lists.lacks_identity(&of, "c", Duration::from_secs(300), after(start, 4)), "it is unknown, not absent");
}

#[test]
fn incomplete_list_of_identities_shows_no_absence() {
    let start = Instant::now();
    for last in [page(&["a"], 2, None), page(&["a"], 1, Some("")), page(&[], 0, Some("more")), None] {
        let (lists, of) = waiting(Sharing::Always, 1, start);
        for token in [None, Some(String::new())] {
            if lists.identities_to_read(&of, "0", IDENTITY_AGE, start) == Some(token) {
                lists.identities_read(&of, last.clone(), start);
            }
        }
        assert!(!lists.lacks_identity(&of, "b", IDENTITY_AGE, start), "{last:?}");
    }
}

#[test]
fn identities_of_a_huge_realm_are_read_one_by_one() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::WhenCheaper, 30, start);
    assert_eq!(lists.identities_to_read(&of, "0", IDENTITY_AGE, start), Some(None));
    lists.identities_read(&of, page(&["a"; 200], 1_000_000, Some("2")), start);
    for seconds in [1, 3000] {
        assert_eq!(lists.identities_to_read(&of, "0", IDENTITY_AGE, after(start, seconds)), None);
    }
    let (few, of) = waiting(Sharing::WhenCheaper, 3, start);
    assert_eq!(few.identities_to_read(&of, "0", IDENTITY_AGE, start), None);
}

#[tokio::test(start_paused = true)]
async fn unused_lists_are_forgotten() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 1, start);
    lists.identities_to_read(&of, "0", IDENTITY_AGE, start).unwrap();
    lists.identities_read(&of, page(&["a"], 1, None), start);
    let known = || {
        lists.recognized(&of, Instant::now());
        lists.observe(&request("0", Default::default()), start);
        lists.identity(&of, "0", "a", IDENTITY_AGE, Instant::now()).is_some()
    };
    let after = async |seconds| {
        tokio::select! {
            () = lists.forget_unused() => {}
            () = sleep(Duration::from_secs(seconds)) => {}
        }
    };
    after(200).await;
    assert!(known(), "while a request waits");
    lists.leave("0");
    after(70).await;
    assert!(!known());
}

#[test]
fn requests_that_come_one_after_the_other_share_identities() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::WhenCheaper, 0, start);
    let mut read = None;
    for n in 0..20 {
        let (uid, now) = (n.to_string(), start + Duration::from_millis(100 * n));
        lists.observe(&request(&uid, Default::default()), now);
        read = lists.identities_to_read(&of, &uid, IDENTITY_AGE, now);
        lists.observe(&request(&uid, concluded()), now);
        assert_eq!(read.is_some(), n == 19, "{n}");
    }
    assert_eq!(read, Some(None));
}

/// Another service may answer meanwhile, whose list of the identity's jobs is empty.
#[test]
fn identity_from_a_page_counts_while_the_service_is_recognized() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 1, start);
    lists.identities_to_read(&of, "0", IDENTITY_AGE, start).unwrap();
    lists.identities_read(&of, page(&["a"], 1, None), start);
    let known = |seconds| lists.identity(&of, "0", "a", IDENTITY_AGE, after(start, seconds)).is_some();
    assert!(!known(1), "a page alone proves nothing");
    lists.recognized(&of, after(start, 1));
    assert_eq!([1, 11, 12].map(known), [true, true, false]);
}

#[test]
fn fact_from_long_before_the_request_does_not_count() {
    let start = Instant::now();
    let (lists, of) = waiting(Sharing::Always, 1, start);
    lists.identities_to_read(&of, "0", IDENTITY_AGE, start).unwrap();
    lists.identities_read(&of, page(&["a"], 1, None), start);
    for (uid, seconds) in [("soon", 60), ("later", 61)] {
        lists.observe(&request(uid, Default::default()), after(start, seconds));
    }
    lists.recognized(&of, after(start, 61));
    let known = |uid| lists.identity(&of, uid, "a", IDENTITY_AGE, after(start, 61)).is_some();
    assert_eq!(["0", "soon", "later"].map(known), [true, true, false], "somebody may have enrolled in between");
}

#[test]
fn empty_or_slow_list_justifies_nothing() {
    let start = Instant::now();
    for (jobs, took) in [(HashMap::new(), 1), (HashMap::from([(OWNER.to_owned(), vec![job("a")])]), 11)] {
        let (lists, of) = waiting(Sharing::Always, 1, start);
        let began = after(start, 1);
        lists.jobs_to_read(&of, "0", began).unwrap();
        lists.jobs_read(&of, Ok(JobSet { jobs, ..set(began, vec![], 1) }), after(began, took));
        assert_eq!(lists.jobs_of(&of, "0", OWNER, after(began, took)), None);
        assert_eq!(lists.jobs_to_read(&of, "0", after(began, took)), None, "not at once");
    }
}
