//! How many calls enrolments take, for services of different speed and realms of different size. One request after the
//! other makes its calls, at the pace that the service allows.

use std::collections::HashMap;

use super::jobs::calls_for;
use super::*;
use crate::enrollment_request::realm_lists::tests::{identity, realm};
use crate::enrollment_request::testing::{concluded, job, request};

/// A realm, and a service that answers one call after the other.
struct Model {
    lists: RealmLists,
    of: ListedRealm,
    now: Instant,
    between: Duration,
    /// The identities of the realm, of which the first ones are enrolled.
    identities: usize,
    jobs: usize,
    calls: usize,
}

const PAGE: usize = 200;

impl Model {
    fn call(&mut self) {
        self.calls += 1;
        self.now += self.between;
    }

    fn enrol(&mut self, n: usize) {
        let (uid, id) = (n.to_string(), n.to_string());
        if self.lists.identity(&self.of, &uid, &id, IDENTITY_AGE / 2, self.now).is_none() {
            if let Some(token) = self.lists.identities_to_read(&self.of, &uid, IDENTITY_AGE / 2, self.now) {
                self.call();
                let first: usize = token.map_or(0, |token| token.parse().unwrap());
                let end = (first + PAGE).min(self.identities);
                let identities = (first..end).map(|n| identity(&n.to_string())).collect();
                let (total, next) = (Some(self.identities as u64), (end < self.identities).then(|| end.to_string()));
                self.lists.identities_read(&self.of, Some(IdentityPage { identities, total, next }), self.now);
            }
            if self.lists.identity(&self.of, &uid, &id, IDENTITY_AGE, self.now).is_none() {
                self.lists.recognized(&self.of, self.now);
                self.call();
            }
        }
        if let Some(most) = self.lists.jobs_to_read(&self.of, &uid, self.now) {
            let (began, pages) = (self.now, self.jobs.div_ceil(PAGE).max(1) as u64);
            self.call();
            let read = if pages > most {
                Err(NotRead::TooLong(pages))
            } else {
                (1..calls_for(pages)).for_each(|_| self.call());
                let listed = job("job");
                Ok(JobSet {
                    began,
                    server_time: None,
                    listed_at: None,
                    jobs: HashMap::from([(listed.id.clone(), vec![listed])]),
                    pages,
                })
            };
            self.lists.jobs_read(&self.of, read, self.now);
        }
        if self.lists.jobs_of(&self.of, &uid, &id, self.now).is_none() {
            self.call();
        }
        self.lists.recognized(&self.of, self.now);
        self.call();
        self.jobs += 1;
        self.lists.observe(&request(&uid, concluded()), self.now);
    }
}

/// The calls for each of so many enrolments.
fn calls_each(requests: usize, between: Duration, identities: usize, jobs: usize) -> f64 {
    let now = Instant::now();
    let lists = RealmLists::new(Sharing::WhenCheaper);
    (0..requests).for_each(|n| lists.observe(&request(&n.to_string(), Default::default()), now));
    let now = now + Duration::from_millis(1);
    let mut model = Model { lists, of: realm("default"), now, between, identities, jobs, calls: 0 };
    // The order of the requests is not that of the pages.
    let step = 7919;
    (0..requests).for_each(|n| model.enrol(n * step % requests));
    model.calls as f64 / requests as f64
}

#[test]
fn enrolments_take_little_more_than_one_call() {
    println!(
        "{:>9} {:>11} {:>9} {:>14} {:>14} {:>14}",
        "requests", "identities", "jobs", "100 a second", "10 a second", "30 a minute"
    );
    for (requests, identities, jobs, most) in [
        (3, 1_000_000, 0, [3.0, 3.0, 3.0]),
        (100, 100, 0, [1.25, 1.25, 2.1]),
        (1_000, 1_000, 0, [1.2, 1.2, 2.1]),
        (10_000, 10_000, 0, [1.2, 1.9, 2.1]),
        (10_000, 20_000, 10_000, [1.9, 2.1, 2.2]),
        (10_000, 1_000_000, 1_000_000, [3.01, 3.01, 3.01]),
    ] {
        let paces = [Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(2)];
        let each = paces.map(|between| calls_each(requests, between, identities, jobs));
        println!("{requests:>9} {identities:>11} {jobs:>9} {:>14.2} {:>14.2} {:>14.2}", each[0], each[1], each[2]);
        for (each, most) in each.iter().zip(most) {
            assert!(*each <= most, "{each} calls for each of {requests} enrolments");
        }
    }
}
