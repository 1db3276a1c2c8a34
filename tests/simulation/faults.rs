//! The faults that are possible at each point of each call, and how often each occurred.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chance::Chance;
use crate::injected_failure::InjectedFailure;

/// The calls that a process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    ListRequests,
    ListReferrers,
    ReadRequest,
    WriteRequest,
    FinalizeRequest,
    ReadConfig,
    WriteConfig,
    FinalizeConfig,
    ResolveRealm,
    Identity,
    Identities,
    ListIdentities,
    ListJobs,
    ListAllJobs,
    Job,
    CreateJob,
    RevokeJob,
    ListConfigs,
    Config,
    CreateConfig,
    PatchConfig,
    DeleteConfig,
    CheckCredentials,
}

impl Port {
    pub const ALL: [Self; 23] = [
        Self::ListRequests,
        Self::ListReferrers,
        Self::ReadRequest,
        Self::WriteRequest,
        Self::FinalizeRequest,
        Self::ReadConfig,
        Self::WriteConfig,
        Self::FinalizeConfig,
        Self::ResolveRealm,
        Self::Identity,
        Self::Identities,
        Self::ListIdentities,
        Self::ListJobs,
        Self::ListAllJobs,
        Self::Job,
        Self::CreateJob,
        Self::RevokeJob,
        Self::ListConfigs,
        Self::Config,
        Self::CreateConfig,
        Self::PatchConfig,
        Self::DeleteConfig,
        Self::CheckCredentials,
    ];

    /// Whether it reads or writes, and whether it calls the Kubernetes API or the service.
    fn class(self) -> Class {
        match self {
            Self::ListRequests | Self::ListReferrers | Self::ReadRequest | Self::ReadConfig | Self::ResolveRealm => {
                Class::KubernetesRead
            }
            Self::WriteRequest | Self::FinalizeRequest | Self::WriteConfig | Self::FinalizeConfig => {
                Class::KubernetesWrite
            }
            Self::Identity
            | Self::Identities
            | Self::ListIdentities
            | Self::ListJobs
            | Self::ListAllJobs
            | Self::Job
            | Self::ListConfigs
            | Self::Config
            | Self::CheckCredentials => Class::ServiceRead,
            Self::CreateJob | Self::RevokeJob | Self::CreateConfig | Self::PatchConfig | Self::DeleteConfig => {
                Class::ServiceWrite
            }
        }
    }

    /// Whether it writes to the service.
    pub fn is_remote_write(self) -> bool {
        self.class() == Class::ServiceWrite
    }

    /// The maximum delay of the effect of a failed call.
    pub fn max_delay(self) -> Duration {
        match self.class() {
            Class::KubernetesRead | Class::KubernetesWrite => Duration::from_secs(50),
            Class::ServiceRead | Class::ServiceWrite => crate::service::MAX_DELAY,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    KubernetesRead,
    KubernetesWrite,
    ServiceRead,
    ServiceWrite,
}

/// A point of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Before the effect.
    Before,
    /// After the effect, on the remote side.
    After,
    /// Before the process receives the answer.
    Answer,
}

/// A fault at a point of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed.
    Crash,
    /// The process is killed during the call, which takes effect later.
    CrashInFlight,
    /// The process is suspended for a while.
    Pause,
    /// The call is delayed.
    Delay,
    /// An action is applied.
    Action,
    /// The call fails.
    Fail(InjectedFailure),
    /// The call fails, but takes effect later.
    Late(InjectedFailure),
    /// The call and the next nine status writes fail.
    Burst,
}

/// The faults that are possible at a point of a call.
pub fn possible(port: Port, point: Point) -> Vec<Fault> {
    use InjectedFailure::{
        BadRequest, Conflict, ConnectionLost, Forbidden, Foreign, NoAnswer, NoConnection, RateLimited, Redirect,
        Refused, ServerError, Timeout, TooManyRequests, Unauthorized, UnexpectedStatus, Unprocessable, UnusableBody,
    };
    let class = port.class();
    let writes = matches!(class, Class::KubernetesWrite | Class::ServiceWrite);
    let posts = matches!(port, Port::CreateJob | Port::CreateConfig);
    let mut faults = vec![Fault::Crash, Fault::Action];
    // The promise does not cover a process that is suspended between the check of the deadline and the POST.
    if point != Point::Before || !posts {
        faults.push(Fault::Pause);
    }
    if point != Point::Answer {
        faults.push(Fault::Delay);
    }
    let fails: &[InjectedFailure] = match (point, class) {
        (Point::Answer, _) => &[],
        (Point::Before, Class::KubernetesWrite) => &[Conflict, Refused, NoAnswer],
        (Point::After, Class::KubernetesWrite) => &[NoAnswer],
        (Point::Before, Class::KubernetesRead) if port == Port::ResolveRealm => &[NoAnswer, RateLimited],
        (_, Class::KubernetesRead) => &[NoAnswer],
        (Point::Before, Class::ServiceRead) => &[
            NoConnection,
            Timeout,
            ConnectionLost,
            ServerError,
            TooManyRequests,
            RateLimited,
            Unauthorized,
            Foreign,
            UnusableBody,
        ],
        (_, Class::ServiceRead) => {
            &[NoConnection, Timeout, ConnectionLost, ServerError, TooManyRequests, Unauthorized, Foreign, UnusableBody]
        }
        (Point::Before, Class::ServiceWrite) => &[
            NoConnection,
            Timeout,
            ConnectionLost,
            ServerError,
            TooManyRequests,
            RateLimited,
            Unauthorized,
            Forbidden,
            BadRequest,
            Unprocessable,
            UnexpectedStatus,
            Foreign,
            Redirect,
            UnusableBody,
        ],
        (Point::After, Class::ServiceWrite) => {
            &[Timeout, ConnectionLost, ServerError, UnexpectedStatus, Foreign, Redirect, UnusableBody]
        }
    };
    faults.extend(fails.iter().map(|failure| Fault::Fail(*failure)));
    if point == Point::Before && writes {
        faults.push(Fault::CrashInFlight);
        let late_failures: &[InjectedFailure] = if class == Class::KubernetesWrite {
            &[NoAnswer]
        } else {
            &[Timeout, ConnectionLost, ServerError, UnexpectedStatus]
        };
        faults.extend(late_failures.iter().map(|failure| Fault::Late(*failure)));
    }
    if point == Point::Before && matches!(port, Port::WriteRequest | Port::WriteConfig) {
        faults.push(Fault::Burst);
    }
    faults
}

/// All faults at all points of all calls.
pub fn all() -> Vec<(Port, Point, Fault)> {
    let points =
        Port::ALL.into_iter().flat_map(|port| [Point::Before, Point::After, Point::Answer].map(|at| (port, at)));
    points.flat_map(|(port, at)| possible(port, at).into_iter().map(move |fault| (port, at, fault))).collect()
}

/// How often each fault occurred at each point.
pub type Hits = BTreeMap<(Port, Point, Fault), u64>;

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    /// The probability of a fault at a point.
    rate: f64,
    /// The call with a higher probability of faults.
    focus: Option<Port>,
    /// The weight of each kind of fault.
    weights: [u64; 6],
    /// The fault that occurs most often. Seeds take all faults in turn.
    pub aim: (Port, Point, Fault),
    /// Whether the faults have ended.
    pub ended: bool,
    pub hits: Hits,
    pub calls: u64,
}

impl Faults {
    /// Draws the faults of the run of a seed.
    pub fn draw(seed: u64, chance: &mut Chance) -> Self {
        let rate = chance.pick(&[0.0, 0.0, 0.02, 0.05, 0.1, 0.2]);
        let focus = chance.happens(0.3).then(|| chance.pick(&Port::ALL));
        let all = all();
        let aim = all[usize::try_from(seed % all.len() as u64).unwrap_or(0)];
        let weights = std::array::from_fn(|_| chance.pick(&[0, 1, 1, 4]));
        Self { rate, focus, weights, aim, ended: false, hits: Hits::new(), calls: 0 }
    }

    /// Draws the fault at a point, if any.
    pub fn at(&self, chance: &mut Chance, port: Port, point: Point) -> Option<Fault> {
        let rate = if self.focus == Some(port) { 0.4 } else { self.rate };
        if self.ended {
            return None;
        }
        if (self.aim.0, self.aim.1) == (port, point) && chance.happens(0.6) {
            return Some(self.aim.2);
        }
        if !chance.happens(rate) {
            return None;
        }
        let possible = possible(port, point);
        let weights = self.weights.map(|weight| weight.max(u64::from(self.focus == Some(port))));
        let mut room: u64 = (0..6).filter(|kind| possible.iter().any(|f| f.kind() == *kind)).map(|k| weights[k]).sum();
        room = chance.below(room);
        for (kind, weight) in weights.into_iter().enumerate() {
            let of_kind: Vec<Fault> = possible.iter().copied().filter(|fault| fault.kind() == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            if room < weight {
                return Some(chance.pick(&of_kind));
            }
            room -= weight;
        }
        None
    }
}

impl Fault {
    fn kind(self) -> usize {
        match self {
            Self::Crash | Self::CrashInFlight => 0,
            Self::Pause => 1,
            Self::Delay => 2,
            Self::Action => 3,
            Self::Fail(_) | Self::Burst => 4,
            Self::Late(_) => 5,
        }
    }
}
