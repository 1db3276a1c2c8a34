//! 500 people from a list, by each way of the examples, with the cost of each.

use std::time::{Duration, Instant};

use harness::simulator::Identity;
use kube::api::ListParams;

use crate::examples::{ManyPeople, Person, Way, names, person};
use crate::fixture::{Fixture, is_ready, wait_until_deleted};

const PEOPLE: usize = 500;
const TIMEOUT: Duration = Duration::from_secs(300);

fn employee(number: usize) -> Person {
    person(&format!("employee-{number}"), &format!("person-{number}@example.com"))
}

/// Waits until each of these requests is Ready.
async fn wait_until_ready(fixture: &Fixture, wanted: usize) {
    let started = Instant::now();
    loop {
        let all = fixture.requests().list(&ListParams::default()).await.unwrap();
        let ready = all.items.iter().filter(|request| is_ready(*request)).count();
        if (all.items.len(), ready) == (wanted, wanted) {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "{ready} of {} requests are Ready", all.items.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The uids of all requests, by name.
async fn uids(fixture: &Fixture) -> Vec<(Option<String>, Option<String>)> {
    let all = fixture.requests().list(&ListParams::default()).await.unwrap();
    all.items.into_iter().map(|request| (request.metadata.name, request.metadata.uid)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_500_people_sends_500_emails_whatever_renders_it() {
    let (fixture, _operator) = Fixture::ready().await;
    let mut people: Vec<Person> = (0..PEOPLE).map(employee).collect();
    for Person { name, username, .. } in &people {
        fixture.realm.add_identity(Identity::active(name, username).username(username));
    }
    let repository = ManyPeople::new();
    let before = fixture.realm.requests().len();
    for way in [Way::Generator, Way::Chart, Way::ApplicationSet] {
        let started = Instant::now();
        let requests = repository.requests(way, &people).unwrap();
        let rendered = started.elapsed();
        fixture.apply(&requests);
        let applied = started.elapsed() - rendered;
        wait_until_ready(&fixture, PEOPLE).await;
        println!(
            "{way:?}: {} requests rendered in {rendered:.1?}, applied in {applied:.1?}, ready after {:.1?}; {} emails, {} calls",
            requests.len(),
            started.elapsed(),
            fixture.mailed().len(),
            fixture.realm.requests().len() - before,
        );
        assert_eq!((fixture.mailed().len(), fixture.realm.requests().len() - before), (PEOPLE, 3 * PEOPLE));
    }

    // Two leave, one joins, and the list is sorted in another way: one email, and nobody else is touched.
    let untouched = uids(&fixture).await;
    let leavers = [people.remove(400), people.remove(7)];
    let joiner = employee(PEOPLE);
    fixture.realm.add_identity(Identity::active(&joiner.name, &joiner.username).username(&joiner.username));
    people.insert(0, joiner);
    people.reverse();
    for (way, expected) in [(Way::Generator, 2), (Way::Chart, 0), (Way::ApplicationSet, 0)] {
        let requests = repository.requests(way, &people).unwrap();
        assert_eq!(names(&requests).len(), PEOPLE - 1);
        assert_eq!(fixture.sync(&requests).await.len(), expected, "{way:?}");
        for Person { name, .. } in &leavers {
            wait_until_deleted(fixture.requests(), name).await;
        }
        wait_until_ready(&fixture, PEOPLE - 1).await;
    }
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (PEOPLE + 1, 2));
    let now = uids(&fixture).await;
    assert_eq!(untouched.iter().filter(|request| now.contains(request)).count(), PEOPLE - 2);
}
