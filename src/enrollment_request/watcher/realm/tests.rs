//! Which call follows the links best, and that each change of a job is seen within the budget.

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
        [(1, 10.0, 300.0), (10, 10.0, 300.0), (200, 10.0, 300.0), (1_000, 60.0, 310.0), (10_000, 330.0, 330.0)]
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
fn job_that_the_list_does_not_show_is_read_by_its_id() {
    let mut watched = Watched::new(60, 50, 0);
    watched.hidden.insert(name(7));
    watched.run_for(60);
    let (pages, reads) = (watched.pages, watched.reads);
    assert!(pages > 0 && reads > 0);
    assert!(watched.seconds_until_seen(&name(7)) < 60.0);
    assert!(watched.realm.links.len() == 49, "the others are still followed");
}

#[test]
fn list_that_lags_costs_one_read_of_each_changed_job() {
    let mut watched = Watched::new(600, 20, 0);
    watched.run_for(30);
    watched.follow(&name(3), "LINK_OPENED", None);
    let before = watched.reads;
    assert_eq!(watched.page_after(None).jobs[3].state.as_deref(), Some("LINK_SENT"));
    watched.run(watched.now + Duration::from_secs(6), |this| this.reads > before);
    assert_eq!(watched.reads, before + 1);
}

#[test]
fn broken_lists_leave_single_reads_within_the_budget() {
    type Break = fn(&mut Watched, Option<String>);
    let breaks: [(&str, Break); 7] = [
        ("no such list", |it, _| it.realm.not_listed(NoPage::NoList, it.now)),
        ("no turn", |it, _| it.realm.not_listed(NoPage::NotItsTurn, it.now)),
        ("no provider config that may call", |it, _| it.realm.not_listed(NoPage::NotAllowed, it.now)),
        ("an error", |it, _| it.realm.not_listed(NoPage::Failed, it.now)),
        ("a repeated token", |it, token| {
            let page = ShownPage { next: Some("again".to_owned()), ..it.page_after(token.as_deref()) };
            it.realm.listed(page, &TIMES, (it.now, it.time()));
        }),
        ("a total of a billion", |it, _| {
            let page = ShownPage { jobs: Vec::new(), total: Some(1_000_000_000), next: Some("next".to_owned()) };
            it.realm.listed(page, &TIMES, (it.now, it.time()));
        }),
        ("pages without end", |it, _| {
            let page = ShownPage { jobs: Vec::new(), total: Some(0), next: Some(it.pages.to_string()) };
            it.realm.listed(page, &TIMES, (it.now, it.time()));
        }),
    ];
    for (what, break_it) in breaks {
        let mut watched = Watched::new(10, 20, 0);
        let until = watched.now + Duration::from_secs(3600);
        watched.jobs.insert(name(11), "COMPLETE");
        while watched.now < until {
            match watched.realm.next(watched.now) {
                Next::Wait(at) => watched.now = at.unwrap_or(until).min(until),
                Next::Read(requests) => requests.iter().for_each(|request| watched.read(&request.name)),
                Next::Page { token, .. } => {
                    watched.pages += 1;
                    break_it(&mut watched, token);
                }
            }
        }
        assert!(!watched.realm.links.contains_key(&name(11)), "{what}: the change was seen");
        assert!(watched.calls() <= 610, "{what}: {} calls", watched.calls());
    }
}

#[test]
fn page_keeps_its_turn_and_leaves_a_broken_provider_config() {
    let page_through = |watched: &mut Watched| loop {
        match watched.realm.next(watched.now) {
            Next::Page { token, request, .. } => return (token, request),
            Next::Wait(at) => watched.now = at.unwrap(),
            Next::Read(requests) => requests.iter().for_each(|request| watched.read(&request.name)),
        }
    };
    let mut watched = Watched::new(60, 500, 0);
    watched.now += TIMES.job_poll_min;
    let (_, first) = page_through(&mut watched);
    assert_eq!(watched.realm.next(watched.now), Next::Wait(None), "one page at a time");
    watched.realm.not_listed(NoPage::NotItsTurn, watched.now);
    assert_eq!(page_through(&mut watched), (None, first.clone()), "its turn is reserved for that request");
    let page = watched.page_after(None);
    watched.realm.listed(page, &TIMES, (watched.now, watched.time()));
    let (token, request) = page_through(&mut watched);
    assert_eq!((token.as_deref(), request), (Some("job-000199"), first.clone()), "one provider config for one round");
    watched.realm.not_listed(NoPage::NotAllowed, watched.now);
    let (token, request) = page_through(&mut watched);
    assert!(token.is_none() && request != first, "the token is of no use to another one");
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
fn missing_job_that_the_list_shows_is_read() {
    let mut watched = Watched::new(60, 3, 0);
    let link = watched.realm.links[&name(1)].link.clone();
    watched.realm.follow(&name(1), Link { found: Some(false), ..link }, watched.now);
    watched.run(watched.now + Duration::from_secs(60), |this| this.reads > 0);
    assert_eq!(watched.reads, 1);
    assert_eq!(watched.realm.links[&name(1)].read_at, Some(watched.now));
}

#[test]
fn list_that_is_never_right_hides_no_job_for_ever() {
    for out in [20, 400] {
        let mut watched = Watched::new(10, out, 0);
        watched.frozen = true;
        watched.run_for(60);
        let seconds = watched.seconds_until_seen(&name(7));
        println!("{out} links and a list that never changes: {seconds:.0} s");
        assert!(seconds < 4.0 * 3600.0 * f64::from(out) / 100.0, "{seconds}");
    }
}

#[test]
fn few_odd_pages_do_not_end_the_lists() {
    let mut watched = Watched::new(60, 1000, 0);
    watched.now += TIMES.job_poll_min;
    while !matches!(watched.realm.next(watched.now), Next::Page { .. }) {}
    let odd = ShownPage { jobs: Vec::new(), total: Some(1_000_000), next: Some("next".to_owned()) };
    watched.realm.listed(odd, &TIMES, (watched.now, watched.time()));
    watched.run_for(3000);
    assert_eq!(watched.pages, 0, "single reads are cheaper than so many pages");
    watched.run_for(1000);
    assert!(watched.pages > 0, "an estimate is forgotten");
}

#[test]
fn broken_provider_config_takes_no_calls_from_the_others() {
    let mut watched = Watched::new(10, 40, 0);
    watched.realm.no_list_until = Some(watched.now + Duration::from_secs(1_000_000));
    let until = watched.now + Duration::from_secs(3600);
    let (mut held, mut read) = (0, 0);
    while watched.now < until {
        match watched.realm.next(watched.now) {
            Next::Wait(at) => watched.now = at.unwrap().min(until),
            Next::Page { .. } => panic!("a page"),
            Next::Read(requests) => {
                for request in requests {
                    if request.name < name(20) {
                        held += 1;
                        watched.realm.held(&request.name, &TIMES, watched.now);
                    } else {
                        read += 1;
                        watched.read(&request.name);
                    }
                }
            }
        }
    }
    assert!(read > 400 && held < 200, "{read} reads, {held} held back");
}

#[test]
fn failed_reads_are_repeated_ever_more_slowly() {
    let mut watched = Watched::new(600, 1, 0);
    let (mut last, mut gaps) = (watched.now, Vec::new());
    while gaps.len() < 8 {
        match watched.realm.next(watched.now) {
            Next::Wait(at) => watched.now = at.unwrap(),
            Next::Read(_) => {
                gaps.push((watched.now - last).as_secs());
                last = watched.now;
                watched.realm.read(&name(0), &name(0), false, &TIMES, watched.now);
            }
            Next::Page { .. } => panic!("a page for one link"),
        }
    }
    assert_eq!(gaps, [5, 30, 60, 120, 240, 480, 600, 600]);
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
    watched.now += Duration::from_secs(200);
    let mut order = Vec::new();
    while order.len() < 8 {
        match watched.realm.next(watched.now) {
            Next::Wait(at) => watched.now = at.unwrap(),
            Next::Read(requests) => order.extend(requests.into_iter().map(|request| request.name)),
            Next::Page { .. } => panic!("a page"),
        }
    }
    // The one that was never read and is due for the longest time comes at each fourth call.
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

#[test]
fn job_of_another_identity_in_the_list_is_read() {
    let mut watched = Watched::new(10, 2, 0);
    watched.now += TIMES.job_poll_min;
    assert!(matches!(watched.realm.next(watched.now), Next::Page { .. }));
    let mut page = watched.page_after(None);
    page.jobs[1].identity_id = Some("another".to_owned());
    watched.realm.listed(page, &TIMES, (watched.now, watched.time()));
    assert_eq!(watched.realm.next(watched.now), Next::Read(vec![key(&name(1))]));
}
