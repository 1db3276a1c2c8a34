//! What can go wrong, at which point of which call, and how often it did.

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
    OpenRealm,
    Identity,
    Identities,
    ListJobs,
    Job,
    CreateJob,
    RevokeJob,
    ListConfigs,
    Config,
    CreateConfig,
    PatchConfig,
    DeleteConfig,
}

impl Port {
    pub const ALL: [Self; 20] = [
        Self::ListRequests,
        Self::ListReferrers,
        Self::ReadRequest,
        Self::WriteRequest,
        Self::FinalizeRequest,
        Self::ReadConfig,
        Self::WriteConfig,
        Self::FinalizeConfig,
        Self::OpenRealm,
        Self::Identity,
        Self::Identities,
        Self::ListJobs,
        Self::Job,
        Self::CreateJob,
        Self::RevokeJob,
        Self::ListConfigs,
        Self::Config,
        Self::CreateConfig,
        Self::PatchConfig,
        Self::DeleteConfig,
    ];

    /// Whether it writes to the Kubernetes API, to the service, or not at all.
    fn class(self) -> Class {
        match self {
            Self::ListRequests | Self::ListReferrers | Self::ReadRequest | Self::ReadConfig | Self::OpenRealm => {
                Class::KubernetesRead
            }
            Self::WriteRequest | Self::FinalizeRequest | Self::WriteConfig | Self::FinalizeConfig => {
                Class::KubernetesWrite
            }
            Self::Identity | Self::Identities | Self::ListJobs | Self::Job | Self::ListConfigs | Self::Config => {
                Class::ServiceRead
            }
            Self::CreateJob | Self::RevokeJob | Self::CreateConfig | Self::PatchConfig | Self::DeleteConfig => {
                Class::ServiceWrite
            }
        }
    }

    /// Whether it changes something at the service.
    pub fn is_remote_write(self) -> bool {
        self.class() == Class::ServiceWrite
    }

    /// How late the effect of a call can come that was given up.
    pub fn late(self) -> Duration {
        match self.class() {
            Class::KubernetesRead | Class::KubernetesWrite => Duration::from_secs(50),
            Class::ServiceRead | Class::ServiceWrite => crate::service::LATE,
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

/// Where in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Before the effect.
    Before,
    /// After the effect, at the other side.
    After,
    /// Before the process has the answer.
    Answer,
}

/// What can happen at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed.
    Crash,
    /// The process is killed while the call is on its way: it takes effect later.
    CrashInFlight,
    /// The process is suspended for a while.
    Pause,
    /// It takes long.
    Delay,
    /// A person acts.
    Act,
    /// The call fails.
    Fail(InjectedFailure),
    /// The call fails, and takes effect later all the same.
    Late(InjectedFailure),
    /// The call fails, and the next nine like it.
    Burst,
}

/// What can happen at a point of a call.
pub fn possible(port: Port, point: Point) -> Vec<Fault> {
    use InjectedFailure::{
        Broken, Conflict, Forbidden, Foreign, Garbage, HeldBack, Impossible, Invalid, NoAnswer, NoConnection, Odd,
        Redirect, Refused, Server, Timeout, TooMany, Unauthorized,
    };
    let class = port.class();
    let writes = matches!(class, Class::KubernetesWrite | Class::ServiceWrite);
    let posts = matches!(port, Port::CreateJob | Port::CreateConfig);
    let mut faults = vec![Fault::Crash, Fault::Act];
    // A process suspended between the check of the deadline and the POST is beyond what is promised.
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
        (Point::Before, Class::KubernetesRead) if port == Port::OpenRealm => &[NoAnswer, HeldBack],
        (_, Class::KubernetesRead) => &[NoAnswer],
        (Point::Before, Class::ServiceRead) => {
            &[NoConnection, Timeout, Broken, Server, TooMany, HeldBack, Unauthorized, Foreign, Garbage]
        }
        (_, Class::ServiceRead) => &[NoConnection, Timeout, Broken, Server, TooMany, Unauthorized, Foreign, Garbage],
        (Point::Before, Class::ServiceWrite) => &[
            NoConnection,
            Timeout,
            Broken,
            Server,
            TooMany,
            HeldBack,
            Unauthorized,
            Forbidden,
            Invalid,
            Impossible,
            Odd,
            Foreign,
            Redirect,
            Garbage,
        ],
        (Point::After, Class::ServiceWrite) => &[Timeout, Broken, Server, Odd, Foreign, Redirect, Garbage],
    };
    faults.extend(fails.iter().map(|failure| Fault::Fail(*failure)));
    if point == Point::Before && writes {
        faults.push(Fault::CrashInFlight);
        let lates: &[InjectedFailure] =
            if class == Class::KubernetesWrite { &[NoAnswer] } else { &[Timeout, Broken, Server, Odd] };
        faults.extend(lates.iter().map(|failure| Fault::Late(*failure)));
    }
    if point == Point::Before && matches!(port, Port::WriteRequest | Port::WriteConfig) {
        faults.push(Fault::Burst);
    }
    faults
}

/// Everything that can happen at a point of a call.
pub fn all() -> Vec<(Port, Point, Fault)> {
    let points =
        Port::ALL.into_iter().flat_map(|port| [Point::Before, Point::After, Point::Answer].map(|at| (port, at)));
    points.flat_map(|(port, at)| possible(port, at).into_iter().map(move |fault| (port, at, fault))).collect()
}

/// How often each fault happened at each point.
pub type Hits = BTreeMap<(Port, Point, Fault), u64>;

/// What goes wrong in one run, and how often it did.
#[derive(Debug)]
pub struct Faults {
    /// How often something goes wrong at a point.
    rate: f64,
    /// The call at which much goes wrong.
    focus: Option<Port>,
    /// How much of each kind.
    weights: [u64; 6],
    /// What happens again and again; each seed has its turn with each.
    pub aim: (Port, Point, Fault),
    /// Whether nothing goes wrong any more.
    pub over: bool,
    pub hits: Hits,
    pub calls: u64,
}

impl Faults {
    /// What goes wrong in the run of a seed.
    pub fn draw(seed: u64, chance: &mut Chance) -> Self {
        let rate = chance.pick(&[0.0, 0.0, 0.02, 0.05, 0.1, 0.2]);
        let focus = chance.happens(0.3).then(|| chance.pick(&Port::ALL));
        let all = all();
        let aim = all[usize::try_from(seed % all.len() as u64).unwrap_or(0)];
        let weights = std::array::from_fn(|_| chance.pick(&[0, 1, 1, 4]));
        Self { rate, focus, weights, aim, over: false, hits: Hits::new(), calls: 0 }
    }

    /// What happens at a point, if anything.
    pub fn at(&self, chance: &mut Chance, port: Port, point: Point) -> Option<Fault> {
        let rate = if self.focus == Some(port) { 0.4 } else { self.rate };
        if self.over {
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
            Self::Act => 3,
            Self::Fail(_) | Self::Burst => 4,
            Self::Late(_) => 5,
        }
    }
}
