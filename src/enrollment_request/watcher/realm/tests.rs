//! Which call follows the links best, and that each change of a job is seen within the budget.

mod faults;

use std::ops::Bound;

use super::*;
use crate::reconcile::KindName;
use crate::reconcile::testing::TIMES;

/// A realm in virtual time, whose service has jobs with states.
struct Watched {
    realm: Realm,
    start: Instant,
    now: Instant,
    /// The states of the jobs of the service, finished ones too.
    jobs: BTreeMap<String, &'static str>,
    /// Jobs that the list does not show.
    hidden: HashSet<String>,
    /// Whether the list shows the first state of each job for ever.
    frozen: bool,
    page: usize,
    reads: u32,
    pages: u32,
}

fn key(job_id: &str) -> ObjectKey {
    ObjectKey { namespace: "team".to_owned(), kind: KindName::EnrollmentRequest, name: job_id.to_owned() }
}

fn name(n: u32) -> String {
    format!("job-{n:06}")
}

impl Watched {
    /// A realm with this many links out, and this many finished jobs.
    fn new(per_minute: u32, out: u32, finished: u32) -> Self {
        let now = Instant::now();
        let mut this = Self {
            realm: Realm::new(per_minute, now),
            start: now,
            now,
            jobs: BTreeMap::new(),
            hidden: HashSet::new(),
            frozen: false,
            page: 200,
            reads: 0,
            pages: 0,
        };
        (0..out).for_each(|n| this.send(&name(n)));
        (0..finished).for_each(|n| _ = this.jobs.insert(format!("old-{n:06}"), "COMPLETE"));
        this
    }

    fn time(&self) -> Timestamp {
        let seconds = i64::try_from((self.now - self.start).as_secs()).unwrap();
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn send(&mut self, job_id: &str) {
        self.jobs.insert(job_id.to_owned(), "LINK_SENT");
        self.follow(job_id, "LINK_SENT", Some(self.now + TIMES.job_poll_min));
    }

    fn follow(&mut self, job_id: &str, state: &str, due: Option<Instant>) {
        let link = Link {
            job_id: job_id.to_owned(),
            request: key(job_id),
            provider: ProviderConfigRef::default(),
            identity_id: "identity".to_owned(),
            state: Some(state.to_owned()),
            create_time: Some(Timestamp::from_second(1_700_000_000).unwrap()),
            expire_time: None,
            expired: false,
            found: None,
            due,
        };
        self.realm.follow(job_id, link, self.now);
    }

    /// The page after this job.
    fn page_after(&self, token: Option<&str>) -> ShownPage {
        let after = token.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.jobs.range::<str, _>((after, Bound::Unbounded)).filter(|(id, _)| !self.hidden.contains(*id));
        let rest: Vec<_> = rest.take(self.page + 1).collect();
        let next = (rest.len() > self.page).then(|| rest[self.page - 1].0.clone());
        let jobs = rest.iter().take(self.page).map(|(id, state)| Shown {
            job_id: (*id).clone(),
            identity_id: Some("identity".to_owned()),
            state: Some(if self.frozen { "LINK_SENT" } else { state }.to_owned()),
            create_time: None,
            expire_time: None,
        });
        ShownPage { jobs: jobs.collect(), total: Some(self.jobs.len() as u64), next }
    }

    /// Reads a job by its id, as its request does.
    fn read(&mut self, job_id: &str) {
        assert!(self.realm.may_read(job_id, job_id));
        self.reads += 1;
        self.realm.read(job_id, job_id, true, &TIMES, self.now);
        match self.jobs.get(job_id).copied() {
            None => self.realm.leave(job_id),
            Some("COMPLETE") => self.realm.leave(job_id),
            Some(state) => {
                let wait = poll_interval::of(
                    Some(Timestamp::from_second(1_700_000_000).unwrap()),
                    None,
                    Duration::ZERO,
                    &TIMES,
                    self.time(),
                );
                self.follow(job_id, state, Some(self.now + wait));
            }
        }
    }

    /// Follows the links until `until`, or until `is_over`.
    fn run(&mut self, until: Instant, is_over: impl Fn(&Self) -> bool) {
        while self.now < until && !is_over(self) {
            match self.realm.next(self.now) {
                Next::Wait(at) => {
                    let at = at.unwrap_or(until);
                    assert!(at > self.now, "it waits for what is due");
                    self.now = at.min(until);
                }
                Next::Read(requests) => requests.iter().for_each(|request| self.read(&request.name)),
                Next::Page { token, .. } => {
                    self.pages += 1;
                    let page = self.page_after(token.as_deref());
                    self.realm.listed(page, &TIMES, (self.now, self.time()));
                }
            }
        }
    }

    fn run_for(&mut self, seconds: u64) {
        self.run(self.now + Duration::from_secs(seconds), |_| false);
    }

    /// How long it takes until a change of this job is known.
    fn seconds_until_seen(&mut self, job_id: &str) -> f64 {
        let changed = self.now;
        self.jobs.insert(job_id.to_owned(), "COMPLETE");
        self.run(self.now + Duration::from_secs(100_000), |this| !this.realm.links.contains_key(job_id));
        (self.now - changed).as_secs_f64()
    }

    /// The longest time until changes of jobs all over the list are known, soon after the list was read and later.
    fn longest_until_seen(&mut self) -> f64 {
        let mut longest: f64 = 0.0;
        for seconds in [1, 7] {
            self.run_for(seconds);
            let apart = (self.realm.links.len() / 5).max(1);
            let changing: Vec<_> = self.realm.links.keys().step_by(apart).cloned().collect();
            changing.iter().for_each(|job_id| _ = self.jobs.insert(job_id.clone(), "COMPLETE"));
            let changed = self.now;
            let are_seen = |this: &Self| !changing.iter().any(|job_id| this.realm.links.contains_key(job_id));
            self.run(changed + Duration::from_secs(100_000), are_seen);
            longest = longest.max((self.now - changed).as_secs_f64());
        }
        longest
    }

    fn calls(&self) -> u32 {
        self.reads + self.pages
    }
}

#[test]
fn calls_stay_within_the_budget_however_many_links_are_out() {
    println!("links out, young: seconds until a change is seen, calls a minute; older than 50 minutes: the same");
    for (out, young, old) in
        [(1, 10.0, 300.0), (10, 10.0, 300.0), (200, 10.0, 300.0), (1_000, 60.0, 340.0), (10_000, 600.0, 600.0)]
    {
        // In the first minutes, when people click.
        let mut watched = Watched::new(10, out, 0);
        watched.run_for(90);
        let at_first = watched.longest_until_seen();
        let mut watched = Watched::new(10, out, 0);
        watched.run_for(600);
        let early = f64::from(watched.calls()) / 10.0;
        watched.run_for(3000);
        let calls = watched.calls();
        assert!(calls <= 10 * 60 + 10, "{out}: {calls} calls");
        watched.run_for(900);
        let late = f64::from(watched.calls() - calls) / 15.0;
        let later = watched.longest_until_seen();
        println!("{out:6} {at_first:8.0} {early:8.1} {later:8.0} {late:8.1}");
        assert!(at_first <= young && later <= old, "{out}: {at_first} s, {later} s");
        assert!(early <= 11.0 && late <= 10.0, "{out}: {early}, {late}");
    }
}

#[test]
fn old_links_cost_less_than_the_budget() {
    let mut watched = Watched::new(10, 3, 0);
    watched.run_for(24 * 3600);
    let before = watched.calls();
    watched.run_for(3600);
    assert!(watched.calls() - before <= 3 * 12 + 3, "each is due once in five minutes");
}

#[test]
fn few_links_in_a_realm_with_many_finished_jobs_are_read_one_by_one() {
    let mut watched = Watched::new(10, 3, 10_000);
    watched.run_for(600);
    assert!(watched.pages <= 2 && watched.reads > 50, "{} pages, {} reads", watched.pages, watched.reads);
    assert!(watched.seconds_until_seen(&name(1)) < 120.0);
}

#[test]
fn expired_links_cost_no_more_than_the_budget() {
    let mut watched = Watched::new(10, 0, 0);
    for n in 0..1000 {
        let (state, expires) = (["EXPIRED", "REVOKED", "LINK_SENT"][n as usize % 3], Timestamp::UNIX_EPOCH);
        watched.jobs.insert(name(n), state);
        watched.follow(&name(n), state, None);
        let link = watched.realm.links[&name(n)].link.clone();
        watched.realm.follow(&name(n), Link { expire_time: Some(expires), ..link }, watched.now);
    }
    watched.run_for(3600);
    assert!(watched.calls() <= 610, "{} calls", watched.calls());
    assert!(watched.seconds_until_seen(&name(500)) < 3600.0);
}

#[test]
fn young_links_come_first_and_old_ones_are_not_starved() {
    let mut watched = Watched::new(1, 0, 100_000);
    watched.realm.no_list_until = Some(watched.now + Duration::from_secs(1_000_000));
    for n in 0..100 {
        watched.jobs.insert(name(n), "LINK_SENT");
        let link = Link {
            job_id: name(n),
            request: key(&name(n)),
            provider: ProviderConfigRef::default(),
            identity_id: "identity".to_owned(),
            state: Some("LINK_SENT".to_owned()),
            create_time: Some(Timestamp::from_second(1_600_000_000 + i64::from(n)).unwrap()),
            expire_time: None,
            expired: false,
            found: None,
            due: Some(watched.now + Duration::from_secs(u64::from(n))),
        };
        watched.realm.follow(&name(n), link, watched.now);
    }
    watched.now += Duration::from_secs(2000);
    let mut order = Vec::new();
    while order.len() < 8 {
        match watched.realm.next(watched.now) {
            Next::Wait(at) => watched.now = at.unwrap(),
            Next::Read(requests) => order.extend(requests.into_iter().map(|request| request.name)),
            Next::Page { .. } => panic!("a page"),
        }
    }
    // At each fourth call, the one that was not read for the longest time.
    assert_eq!(order, [99, 98, 97, 0, 96, 95, 94, 1].map(name));
}

#[test]
fn link_that_has_expired_is_read_although_its_state_is_the_same() {
    let expires = Timestamp::from_second(1_700_000_000 + 60).unwrap();
    let mut watched = Watched::new(60, 5, 0);
    let link = watched.realm.links[&name(2)].link.clone();
    watched.realm.follow(&name(2), Link { expire_time: Some(expires), ..link.clone() }, watched.now);
    watched.run_for(65);
    watched.realm.links.get_mut(&name(2)).unwrap().read_at = None;
    watched.run_for(20);
    assert!(watched.realm.links[&name(2)].read_at.is_some());
    // A link with another expire time.
    assert!(!link.is_as(&Shown { expire_time: Some(expires), ..watched.page_after(None).jobs.remove(2) }));
}

#[test]
fn two_requests_may_name_the_same_job() {
    let mut watched = Watched::new(60, 1, 0);
    let link = watched.realm.links[&name(0)].link.clone();
    watched.realm.follow("edited", Link { request: key("edited"), due: None, ..link }, watched.now);
    assert_eq!(watched.realm.next(watched.now), Next::Read(vec![key("edited")]));
    watched.realm.leave("edited");
    watched.run_for(6);
    assert_eq!(watched.reads, 1, "the other one is still followed");
}
