//! The adaptive rate against services with different quotas, in virtual time. The table that it prints:
//!
//!     cargo test --lib quotas -- --nocapture

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// The calls of 1,000 enrolments.
const CALLS: u32 = 3000;
/// The calls in flight at once.
const CONCURRENCY: usize = 16;
/// The shares that are required.
const USED: f64 = 0.8;
const REFUSED: f64 = 0.05;

/// What a service answers at a time, in seconds: nothing, or a 429 with the pause that it states.
trait Service {
    fn call(&mut self, now: f64, rng: &mut StdRng) -> Result<(), Option<f64>>;

    /// The calls that the service can serve until then, to one client.
    fn capacity(&self, until: f64) -> f64;
}

/// A number of calls in each window, which starts with its first call.
struct Window {
    calls: u32,
    seconds: f64,
    states: bool,
    started: Option<f64>,
    used: u32,
}

impl Window {
    fn new(calls: u32, states: bool) -> Self {
        Self { calls, seconds: 60.0, states, started: None, used: 0 }
    }
}

impl Service for Window {
    fn call(&mut self, now: f64, _: &mut StdRng) -> Result<(), Option<f64>> {
        if self.started.is_none_or(|started| now - started >= self.seconds) {
            (self.started, self.used) = (Some(now), 0);
        }
        self.used += 1;
        let left = self.started.map(|started| (started + self.seconds - now).ceil());
        if self.used <= self.calls { Ok(()) } else { Err(left.filter(|_| self.states)) }
    }

    fn capacity(&self, until: f64) -> f64 {
        f64::from(self.calls) * (until / self.seconds).ceil()
    }
}

/// A token bucket.
struct Bucket {
    per_second: f64,
    size: f64,
    states: Option<f64>,
    tokens: f64,
    at: f64,
}

impl Bucket {
    fn new(per_second: f64, size: f64, states: Option<f64>) -> Self {
        Self { per_second, size, states, tokens: size, at: 0.0 }
    }
}

impl Service for Bucket {
    fn call(&mut self, now: f64, _: &mut StdRng) -> Result<(), Option<f64>> {
        self.tokens = ((now - self.at) * self.per_second + self.tokens).min(self.size);
        self.at = now;
        if self.tokens < 1.0 {
            return Err(self.states);
        }
        self.tokens -= 1.0;
        Ok(())
    }

    fn capacity(&self, until: f64) -> f64 {
        until.mul_add(self.per_second, self.size)
    }
}

/// At most `calls` in any minute, of which another client wants some.
struct Sliding {
    calls: usize,
    others_per_second: f64,
    states: Option<f64>,
    served: VecDeque<f64>,
    other_at: f64,
}

impl Sliding {
    fn new(calls: usize, others_per_second: f64, states: Option<f64>) -> Self {
        Self { calls, others_per_second, states, served: VecDeque::new(), other_at: 0.0 }
    }

    fn serve(&mut self, now: f64) -> bool {
        while self.served.front().is_some_and(|first| *first <= now - 60.0) {
            self.served.pop_front();
        }
        let has_room = self.served.len() < self.calls;
        if has_room {
            self.served.push_back(now);
        }
        has_room
    }
}

impl Service for Sliding {
    fn call(&mut self, now: f64, rng: &mut StdRng) -> Result<(), Option<f64>> {
        while self.other_at <= now {
            self.serve(self.other_at);
            self.other_at += rng.random_range(0.0..2.0) / self.others_per_second;
        }
        if self.serve(now) { Ok(()) } else { Err(self.states) }
    }

    fn capacity(&self, until: f64) -> f64 {
        let calls = f64::from(u32::try_from(self.calls).unwrap());
        (calls / 60.0 - self.others_per_second) * until.max(60.0)
    }
}

/// A share of all calls, by chance.
struct Random(f64, Option<f64>);

impl Service for Random {
    fn call(&mut self, _: f64, rng: &mut StdRng) -> Result<(), Option<f64>> {
        if rng.random_bool(self.0) { Err(self.1) } else { Ok(()) }
    }

    fn capacity(&self, _: f64) -> f64 {
        f64::from(CALLS)
    }
}

/// A service that refuses all calls from a time on, for a time that it states.
struct Refuses<S> {
    at: f64,
    states: f64,
    otherwise: S,
    since: Option<f64>,
}

impl<S: Service> Service for Refuses<S> {
    fn call(&mut self, now: f64, rng: &mut StdRng) -> Result<(), Option<f64>> {
        if now >= self.at && now < *self.since.get_or_insert(now) + self.states {
            return Err(Some(self.states));
        }
        self.otherwise.call(now, rng)
    }

    fn capacity(&self, until: f64) -> f64 {
        self.otherwise.capacity(until - self.states)
    }
}

/// A quota that becomes another one at a time.
struct Then<A, B>(A, f64, B);

impl<A: Service, B: Service> Service for Then<A, B> {
    fn call(&mut self, now: f64, rng: &mut StdRng) -> Result<(), Option<f64>> {
        if now < self.1 { self.0.call(now, rng) } else { self.2.call(now - self.1, rng) }
    }

    fn capacity(&self, until: f64) -> f64 {
        self.0.capacity(until.min(self.1)) + self.2.capacity((until - self.1).max(0.0))
    }
}

/// A client that has many calls to make.
struct Client {
    rate: AdaptiveRate,
    rng: StdRng,
    start: Instant,
    now: Instant,
    /// When calls were served, in seconds.
    served: Vec<f64>,
    refused: u32,
}

/// The end and the begin of a call, and its result.
type InFlight = Reverse<(Instant, Instant, Result<(), Option<Duration>>)>;

impl Client {
    fn new(seed: u64) -> Self {
        let (start, rng) = (Instant::now(), StdRng::seed_from_u64(seed));
        Self { rate: AdaptiveRate::default(), rng, start, now: start, served: Vec::new(), refused: 0 }
    }

    /// The time since the start, in seconds.
    fn seconds(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }

    /// Makes calls until `calls` of them are served.
    fn run(&mut self, service: &mut dyn Service, mut calls: u32) {
        let mut in_flight = BinaryHeap::<InFlight>::new();
        loop {
            let may_call = |calls, in_flight: &BinaryHeap<_>| calls > 0 && in_flight.len() < CONCURRENCY;
            while may_call(calls, &in_flight) && self.rate.wait(self.now).is_zero() {
                self.rate.charge(self.now);
                calls -= 1;
                let result = service.call(self.seconds(), &mut self.rng);
                let end = self.now + Duration::from_secs_f64(self.rng.random_range(0.02..0.08));
                in_flight.push(Reverse((end, self.now, result.map_err(|states| states.map(Duration::from_secs_f64)))));
            }
            let due = may_call(calls, &in_flight).then(|| self.now + self.rate.wait(self.now));
            let first_end = in_flight.peek().map(|Reverse((end, ..))| *end);
            match due.filter(|due| first_end.is_none_or(|end| *due < end)) {
                Some(due) => self.now = due,
                None => {
                    let Some(Reverse((end, begun, result))) = in_flight.pop() else { return };
                    self.now = end;
                    match result {
                        Ok(()) => {
                            self.rate.answered(begun, end);
                            self.served.push(self.seconds());
                        }
                        Err(pause) => {
                            self.rate.too_many(begun, pause, end);
                            self.refused += 1;
                            calls += 1;
                        }
                    }
                }
            }
        }
    }

    /// The calls served in these seconds.
    fn served_in(&self, from: f64, to: f64) -> usize {
        self.served.iter().filter(|at| (from..to).contains(*at)).count()
    }
}

/// Runs 1,000 enrolments, and prints what they took. Returns the shares of the quota that were used, and of the calls that
/// were refused.
fn enrol(name: &str, service: &mut dyn Service) -> (f64, f64) {
    let mut client = Client::new(1);
    client.run(service, CALLS);
    let (calls, refused) = (f64::from(CALLS), client.refused);
    let used = calls / service.capacity(client.seconds());
    let refused_share = f64::from(refused) / (calls + f64::from(refused));
    let best = (1..).map(|second| 0.1 * f64::from(second)).find(|time| service.capacity(*time) >= calls);
    let (best, took) = (best.unwrap_or_default(), client.seconds());
    println!("{name:<52} {took:7.0} {best:7.0} {:5.0} % {refused:5} {:5.1} %", used * 100.0, refused_share * 100.0);
    (used, refused_share)
}

#[test]
fn each_quota_is_used_with_few_refused_calls() {
    println!("{:<52} {:>7} {:>7} {:>7} {:>5}", "1,000 enrolments, 3,000 calls", "time/s", "best/s", "used", "429");
    let quotas: [(&str, Box<dyn Service>); 13] = [
        ("30 in each minute, Retry-After", Box::new(Window::new(30, true))),
        ("30 in each minute, no header", Box::new(Window::new(30, false))),
        ("600 in each minute, Retry-After", Box::new(Window::new(600, true))),
        ("600 in each minute, no header", Box::new(Window::new(600, false))),
        ("10 a second, bucket of 20, no header", Box::new(Bucket::new(10.0, 20.0, None))),
        ("10 a second, bucket of 20, Retry-After: 1", Box::new(Bucket::new(10.0, 20.0, Some(1.0)))),
        ("10 a second, bucket of 3, no header", Box::new(Bucket::new(10.0, 3.0, None))),
        ("1 in two seconds, bucket of 5, Retry-After: 2", Box::new(Bucket::new(0.5, 5.0, Some(2.0)))),
        ("600 in any minute, another client, no header", Box::new(Sliding::new(600, 4.0, None))),
        ("600 in any minute, another client, Retry-After: 1", Box::new(Sliding::new(600, 4.0, Some(1.0)))),
        (
            "30 in each minute, tenfold after ten minutes",
            Box::new(Then(Window::new(30, true), 600.0, Window::new(300, true))),
        ),
        (
            "10 a second, once Retry-After: 1",
            Box::new(Refuses { at: 30.0, states: 1.0, otherwise: Bucket::new(10.0, 20.0, None), since: None }),
        ),
        (
            "10 a second, once Retry-After: 3600",
            Box::new(Refuses { at: 30.0, states: 3600.0, otherwise: Bucket::new(10.0, 20.0, None), since: None }),
        ),
    ];
    let results = quotas.map(|(name, mut service)| (name, enrol(name, &mut *service)));
    for (name, (used, refused)) in results {
        assert!(used >= USED, "{name}: {used} of the quota");
        assert!(refused <= REFUSED, "{name}: {refused} of the calls were refused");
    }
}

#[test]
fn random_429s_do_not_stop_the_work() {
    for (share, states, most) in
        [(0.01, None, 60.0), (0.01, Some(1.0), 90.0), (0.05, None, 1000.0), (0.05, Some(1.0), 1800.0)]
    {
        let mut times: Vec<f64> = (0..12)
            .map(|seed| {
                let mut client = Client::new(seed);
                client.run(&mut Random(share, states), CALLS);
                client.seconds()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{share} of all calls, {states:?}: median {:.0} s, longest {:.0} s", times[6], times[11]);
        assert!(times[6] <= most);
    }
}

#[test]
fn full_pace_is_back_within_30_seconds() {
    // One 429 in a quiet moment.
    for states in [1.0, 60.0] {
        let mut client = Client::new(1);
        for _ in 0..10 {
            client.run(&mut Random(0.0, None), 1);
            client.now += Duration::from_secs(10);
        }
        client.run(&mut Refuses { at: 0.0, states, otherwise: Random(0.0, None), since: None }, 1);
        let start = client.seconds();
        client.run(&mut Random(0.0, None), CALLS);
        let took = client.seconds() - start;
        println!("a burst of 3,000 calls after a pause of {states} s in a quiet moment: {took:.0} s");
        assert!(took <= 30.0);
    }

    // Many at random.
    let mut client = Client::new(1);
    client.run(&mut Random(0.05, None), CALLS / 2);
    let start = client.seconds();
    client.run(&mut Random(0.0, None), CALLS);
    println!("3,000 calls after 5 % of random 429s: {:.0} s", client.seconds() - start);
    assert!(client.seconds() - start <= 30.0);

    // A long pause.
    for states in [1.0, 60.0, 3600.0] {
        let mut client = Client::new(1);
        let otherwise = Bucket::new(10.0, 20.0, None);
        client.run(&mut Refuses { at: 30.0, states, otherwise, since: None }, CALLS);
        let over =
            client.served.windows(2).find(|pair| pair[1] - pair[0] >= states.max(0.9)).map_or(31.0, |pair| pair[1]);
        let after = client.served_in(over + 30.0, over + 40.0);
        println!("served in ten seconds, 30 s after a pause of {states} s: {after} of 100");
        assert!(after >= 80, "{after}");
    }
}
