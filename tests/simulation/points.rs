//! How a call goes: it passes three points, and at each of them anything that is possible there may happen.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::actors;
use crate::faults::{Fault, Point, Port};
use crate::injected_failure::InjectedFailure;
use crate::process::Process;
use crate::world::State;

/// Where a process makes its calls.
#[derive(Clone)]
pub struct CallSite(pub Arc<Process>);

/// How a call goes on after a point.
enum Next {
    Go,
    /// The call fails.
    Fail(InjectedFailure),
    /// The call fails, and takes effect this long after.
    Late(InjectedFailure, Duration),
    /// The process is dead, and the call takes effect after this time.
    InFlight(Duration),
}

impl State {
    /// How far a watch is behind at a change.
    pub fn watch_lag(&mut self) -> Duration {
        let most = if self.faults.over || self.chance.happens(0.8) { 100 } else { 20_000 };
        self.chance.within(Duration::from_millis(most))
    }

    /// Whether a watch breaks off, and starts anew.
    pub fn watch_starts_anew(&mut self) -> bool {
        !self.faults.over && self.chance.happens(0.02)
    }
}

impl CallSite {
    /// Makes a call that takes at most `limit`.
    pub async fn call<T, E, F>(&self, port: Port, limit: Duration, effect: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<InjectedFailure> + Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, E> + Send + 'static,
    {
        let Self(process) = self;
        process.world.lock().faults.calls += 1;
        let end = Instant::now() + limit;
        self.hop().await;
        match self.pass(port, Point::Before, limit).await {
            Next::Go => {}
            Next::Fail(failure) => return self.fail(port, failure, end).await,
            Next::Late(failure, after) => {
                let failing = self.time_to_fail(failure, end);
                self.later(port, failing + after, effect);
                sleep(failing).await;
                process.awake().await;
                return Err(failure.into());
            }
            Next::InFlight(after) => {
                self.later(port, after, effect);
                return std::future::pending().await;
            }
        }
        process.world.say(format_args!("{}: {port:?}", process.name));
        let answer = effect(&mut process.world.lock(), Instant::now(), process.world.wall());
        match self.pass(port, Point::After, limit).await {
            Next::Fail(failure) => return self.fail(port, failure, end).await,
            Next::Go | Next::Late(..) | Next::InFlight(_) => {}
        }
        self.pass(port, Point::Answer, limit).await;
        self.hop().await;
        process.awake().await;
        answer
    }

    /// The time of an undisturbed way, one way.
    async fn hop(&self) {
        let time = self.0.world.lock().chance.within(Duration::from_millis(20));
        sleep(time).await;
    }

    async fn fail<T, E: From<InjectedFailure>>(
        &self,
        port: Port,
        failure: InjectedFailure,
        end: Instant,
    ) -> Result<T, E> {
        self.0.world.say(format_args!("{}: {port:?} fails: {failure:?}", self.0.name));
        if failure == InjectedFailure::Refused {
            self.0.world.lock().record.refused_at = Some(Instant::now());
        }
        sleep(self.time_to_fail(failure, end)).await;
        self.0.awake().await;
        Err(failure.into())
    }

    /// How long a caller waits for a failure; for a timeout, until the end of its call.
    fn time_to_fail(&self, failure: InjectedFailure, end: Instant) -> Duration {
        match failure {
            InjectedFailure::Timeout | InjectedFailure::NoAnswer => end.saturating_duration_since(Instant::now()),
            _ => self.0.world.lock().chance.within(Duration::from_millis(300)),
        }
    }

    /// Has the effect come about after this time, whatever becomes of the process.
    fn later<T, E, F>(&self, port: Port, after: Duration, effect: F)
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, E> + Send + 'static,
    {
        let (world, name) = (self.0.world.clone(), self.0.name.clone());
        world.say(format_args!("{name}: {port:?} is given up, and takes effect after {after:?}"));
        world.lock().late += 1;
        tokio::spawn(async move {
            sleep(after).await;
            world.say(format_args!("{name}: {port:?}, late"));
            let mut state = world.lock();
            state.late -= 1;
            let _ = effect(&mut state, Instant::now(), world.wall());
        });
    }

    /// Passes a point.
    async fn pass(&self, port: Port, point: Point, limit: Duration) -> Next {
        let Self(process) = self;
        if point == Point::Before && self.still_failing(port) {
            return Next::Fail(InjectedFailure::NoAnswer);
        }
        let fault = {
            let mut state = process.world.lock();
            let State { faults, chance, .. } = &mut *state;
            faults.at(chance, port, point)
        };
        let Some(fault) = fault else { return Next::Go };
        if fault == Fault::Act {
            if !actors::act(&process.world) {
                return Next::Go;
            }
        } else {
            process.world.say(format_args!("{}: {port:?}, {point:?}: {fault:?}", process.name));
        }
        *process.world.lock().faults.hits.entry((port, point, fault)).or_default() += 1;
        let within = |most: Duration| process.world.lock().chance.within(most);
        match fault {
            Fault::Act => {}
            Fault::Crash => {
                process.kill();
                std::future::pending::<()>().await;
            }
            Fault::CrashInFlight => {
                process.kill();
                return Next::InFlight(within(port.late()));
            }
            Fault::Pause => {
                let pause = within(Duration::from_secs(240));
                process.suspend(pause);
                process.awake().await;
            }
            Fault::Delay => sleep(within(limit / 3)).await,
            Fault::Fail(failure) => return Next::Fail(failure),
            Fault::Late(failure) => return Next::Late(failure, within(port.late())),
            Fault::Burst => {
                *process.failing_writes.lock() = 9;
                return Next::Fail(InjectedFailure::NoAnswer);
            }
        }
        Next::Go
    }

    /// Whether a row of failing writes goes on.
    fn still_failing(&self, port: Port) -> bool {
        let writes = matches!(port, Port::WriteRequest | Port::WriteConfig);
        let mut left = self.0.failing_writes.lock();
        if writes && *left > 0 {
            *left -= 1;
            return true;
        }
        false
    }
}
