//! Lists and provider configs that do not work: nothing is missed, and the budget holds.

use super::*;

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
        assert!(seconds < 4.0 * 3600.0, "{seconds}");
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
fn job_of_another_identity_in_the_list_is_read() {
    let mut watched = Watched::new(10, 2, 0);
    watched.now += TIMES.job_poll_min;
    assert!(matches!(watched.realm.next(watched.now), Next::Page { .. }));
    let mut page = watched.page_after(None);
    page.jobs[1].identity_id = Some("another".to_owned());
    watched.realm.listed(page, &TIMES, (watched.now, watched.time()));
    assert_eq!(watched.realm.next(watched.now), Next::Read(vec![key(&name(1))]));
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
fn job_that_the_list_does_not_show_is_read_by_its_id() {
    let mut watched = Watched::new(60, 50, 0);
    watched.hidden.insert(name(7));
    watched.run_for(60);
    let (pages, reads) = (watched.pages, watched.reads);
    assert!(pages > 0 && reads > 0);
    assert!(watched.seconds_until_seen(&name(7)) < 60.0);
    assert!(watched.realm.links.len() == 49, "the others are still followed");
}
