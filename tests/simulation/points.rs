//! The course of a call: it passes three points, and at each of them a fault may occur.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::actors;
use crate::faults::{Fault, Point, Port};
use crate::injected_failure::InjectedFailure;
use crate::process::Process;
use crate::world::State;

/// The process that makes a call.
#[derive(Clone)]
pub struct CallSite(pub Arc<Process>);

/// How a call continues after a point.
enum Next {
    Continue,
    /// The call fails.
    Fail(InjectedFailure),
    /// The call fails, and takes effect after this time.
    Late(InjectedFailure, Duration),
    /// The process is killed, and the call takes effect after this time.
    InFlight(Duration),
}

impl State {
    /// How late a watch receives a change.
    pub fn watch_lag(&mut self) -> Duration {
        let most = if self.faults.ended || self.chance.happens(0.8) { 100 } else { 20_000 };
        self.chance.within(Duration::from_millis(most))
    }

    /// Whether a watch restarts with a list.
    pub fn watch_restarts(&mut self) -> bool {
        !self.faults.ended && self.chance.happens(0.02)
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
        self.network_delay().await;
        match self.pass_point(port, Point::Before, limit).await {
            Next::Continue => {}
            Next::Fail(failure) => return self.fail(port, failure, end).await,
            Next::Late(failure, after) => {
                let failing = self.time_to_fail(failure, end);
                self.apply_later(port, failing + after, effect);
                sleep(failing).await;
                process.wait_while_suspended().await;
                return Err(failure.into());
            }
            Next::InFlight(after) => {
                self.apply_later(port, after, effect);
                return std::future::pending().await;
            }
        }
        process.world.log(format_args!("{}: {port:?}", process.name));
        let answer = effect(&mut process.world.lock(), Instant::now(), process.world.wall());
        match self.pass_point(port, Point::After, limit).await {
            Next::Fail(failure) => return self.fail(port, failure, end).await,
            Next::Continue | Next::Late(..) | Next::InFlight(_) => {}
        }
        self.pass_point(port, Point::Answer, limit).await;
        self.network_delay().await;
        process.wait_while_suspended().await;
        answer
    }

    /// Waits for a normal network delay, in one direction.
    async fn network_delay(&self) {
        let time = self.0.world.lock().chance.within(Duration::from_millis(20));
        sleep(time).await;
    }

    async fn fail<T, E: From<InjectedFailure>>(
        &self,
        port: Port,
        failure: InjectedFailure,
        end: Instant,
    ) -> Result<T, E> {
        self.0.world.log(format_args!("{}: {port:?} fails: {failure:?}", self.0.name));
        if failure == InjectedFailure::Refused {
            self.0.world.lock().record.refused_at = Some(Instant::now());
        }
        sleep(self.time_to_fail(failure, end)).await;
        self.0.wait_while_suspended().await;
        Err(failure.into())
    }

    /// How long the caller waits for a failure. A timeout lasts until the end of the call.
    fn time_to_fail(&self, failure: InjectedFailure, end: Instant) -> Duration {
        match failure {
            InjectedFailure::Timeout | InjectedFailure::NoAnswer => end.saturating_duration_since(Instant::now()),
            _ => self.0.world.lock().chance.within(Duration::from_millis(300)),
        }
    }

    /// Applies the effect after this time, even if the process is killed.
    fn apply_later<T, E, F>(&self, port: Port, after: Duration, effect: F)
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, E> + Send + 'static,
    {
        let (world, name) = (self.0.world.clone(), self.0.name.clone());
        world.log(format_args!("{name}: {port:?} fails, and takes effect after {after:?}"));
        world.lock().pending_effects += 1;
        tokio::spawn(async move {
            sleep(after).await;
            world.log(format_args!("{name}: {port:?} takes effect late"));
            let mut state = world.lock();
            state.pending_effects -= 1;
            let _ = effect(&mut state, Instant::now(), world.wall());
        });
    }

    /// Passes a point, where a fault may occur.
    async fn pass_point(&self, port: Port, point: Point, limit: Duration) -> Next {
        let Self(process) = self;
        if point == Point::Before && self.still_failing(port) {
            return Next::Fail(InjectedFailure::NoAnswer);
        }
        let fault = {
            let mut state = process.world.lock();
            let State { faults, chance, .. } = &mut *state;
            faults.at(chance, port, point)
        };
        let Some(fault) = fault else { return Next::Continue };
        if fault == Fault::Action {
            if !actors::apply_one(&process.world) {
                return Next::Continue;
            }
        } else {
            process.world.log(format_args!("{}: {port:?}, {point:?}: {fault:?}", process.name));
        }
        *process.world.lock().faults.hits.entry((port, point, fault)).or_default() += 1;
        let within = |most: Duration| process.world.lock().chance.within(most);
        match fault {
            Fault::Action => {}
            Fault::Crash => {
                process.kill();
                std::future::pending::<()>().await;
            }
            Fault::CrashInFlight => {
                process.kill();
                return Next::InFlight(within(port.max_delay()));
            }
            Fault::Pause => {
                let pause = within(Duration::from_secs(240));
                process.suspend(pause);
                process.wait_while_suspended().await;
            }
            Fault::Delay => sleep(within(limit / 3)).await,
            Fault::Fail(failure) => return Next::Fail(failure),
            Fault::Late(failure) => return Next::Late(failure, within(port.max_delay())),
            Fault::Burst => {
                *process.failing_writes.lock() = 9;
                return Next::Fail(InjectedFailure::NoAnswer);
            }
        }
        Next::Continue
    }

    /// Whether this write belongs to a burst of failing writes.
    fn still_failing(&self, port: Port) -> bool {
        let writes = matches!(port, Port::WriteRequest | Port::WriteConfig);
        let mut remaining = self.0.failing_writes.lock();
        if writes && *remaining > 0 {
            *remaining -= 1;
            // A burst may last longer than the other faults.
            let mut state = self.0.world.lock();
            state.restored = state.restored.map(|_| Instant::now());
            return true;
        }
        false
    }
}
