//! A proxy between the operator and the service. It returns lists from its cache, or times that are ahead.

use std::collections::BTreeMap;

use beyond_identity_operator::beyond_identity::Listing;
use beyond_identity_operator::beyond_identity::types::CredentialBindingJob;
use jiff::{SignedDuration, Timestamp};

use crate::actors::Action;
use crate::chance::Chance;
use crate::world::State;

/// The proxy of a run. One clock that is wrong is enough, so the processes' clocks are not ahead too.
#[derive(Debug, Default)]
pub enum Proxy {
    /// It changes nothing.
    #[default]
    None,
    /// While a send to an identity is in doubt, it returns the list of its jobs from before.
    Caches(BTreeMap<String, Listing<CredentialBindingJob>>),
    /// Some of its times are ahead, by hours or by more than a link lasts.
    Ahead,
}

impl Proxy {
    /// Draws the proxy of the run of a seed.
    pub fn draw(seed: u64) -> Self {
        match Chance::of(!seed ^ (1 << 42)).below(16) {
            0 => Self::Caches(BTreeMap::new()),
            1 => Self::Ahead,
            _ => Self::None,
        }
    }

    /// Whether the wall clocks may jump like this in its runs.
    pub fn allows(&self, action: &Action) -> bool {
        match self {
            Self::None => true,
            Self::Caches(_) => !matches!(action, Action::JumpClocks { .. }),
            Self::Ahead => !matches!(action, Action::JumpClocks { back: false }),
        }
    }

    /// The error of a process's wall clock in its runs.
    pub fn skew(&self, drawn: SignedDuration) -> SignedDuration {
        match self {
            Self::None => drawn,
            Self::Caches(_) => SignedDuration::ZERO,
            Self::Ahead => -drawn.abs(),
        }
    }
}

impl State {
    /// A time of the service as it arrives.
    pub fn time_through_proxy(&mut self, time: Timestamp) -> Timestamp {
        if !matches!(self.remote.proxy, Proxy::Ahead) || self.faults.ended || !self.chance.happens(0.5) {
            return time;
        }
        let hours = self.chance.pick(&[1, 24 * 365]);
        time.checked_add(SignedDuration::from_hours(hours)).expect("within the calendar")
    }

    /// A list of the jobs of an identity as it arrives. `now` is the time of the service.
    pub fn list_through_proxy(
        &mut self,
        identity: &str,
        mut list: Listing<CredentialBindingJob>,
        now: Timestamp,
    ) -> Listing<CredentialBindingJob> {
        list.server_time = list.server_time.map(|time| self.time_through_proxy(time));
        let requests = self.cluster.requests.objects.values();
        let mut records = requests.filter_map(|request| request.status.as_ref()?.send.as_ref());
        let is_in_doubt = records.any(|send| send.identity_id == identity);
        let serves_old = is_in_doubt && !self.faults.ended && self.chance.happens(0.7);
        let Proxy::Caches(cache) = &mut self.remote.proxy else { return list };
        list.server_time.get_or_insert(now);
        match cache.get(identity) {
            Some(old) if serves_old => old.clone(),
            _ if is_in_doubt => list,
            _ => {
                cache.insert(identity.to_owned(), list.clone());
                list
            }
        }
    }
}
