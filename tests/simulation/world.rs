//! The world that the processes live in: what there is, what is to happen, and a record of what did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::beyond_identity::Error;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig as RemoteConfig, CredentialBindingJob, JobState, NewAuthenticatorConfig,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actors::{Act, Who};
use crate::chance::Chance;
use crate::faults::{Faults, Port};
use crate::invariants;
use crate::kubernetes::{Announced, Key, Kind, Table};
use crate::lease::Lease;
use crate::mutants::{self, Mutant};
use crate::service::{Job, Moment, Service, is_live};

/// When every run begins, by the wall clock.
const EPOCH: &str = "2026-01-01T12:00:00Z";

/// A world.
pub struct World {
    state: Mutex<State>,
    pub started: Instant,
    epoch: Timestamp,
    pub mutant: Option<Mutant>,
    /// One process is elected, and starts anew; all others end.
    pub election: Notify,
}

/// All that there is.
pub struct State {
    pub chance: Chance,
    pub requests: Table<EnrollmentRequest>,
    pub configs: Table<AuthenticatorConfig>,
    pub service: Service,
    /// Another service: it knows the same people and configurations, and has jobs of its own.
    pub other: Service,
    /// Whether the provider config leads there.
    pub elsewhere: bool,
    /// Whether what answers, where the service should, is one that knows nobody.
    pub misdirected: bool,
    /// Whether the schema that the API server serves has no write-ahead records.
    pub old_schema: bool,
    /// Since when an admission policy refuses every status that the operator writes.
    pub policy_since: Option<Instant>,
    /// When it refused one last.
    pub refused_at: Option<Instant>,
    /// Since when nothing goes wrong any more.
    pub over_since: Option<Instant>,
    /// The requests that are made again as soon as they are gone, and for whom.
    pub again: BTreeMap<Key, Who>,
    /// The jobs that were adopted.
    pub adopted: BTreeSet<String>,
    /// The jobs of which was told that they are left.
    pub left: BTreeSet<String>,
    pub faults: Faults,
    /// What people will do, at any moment.
    pub acts: Vec<Act>,
    /// Who announced a call, by the id of its record.
    pub announced: BTreeMap<String, Announcement>,
    /// When the last email of an object went out.
    pub emails: BTreeMap<String, Instant>,
    /// The objects whose memory or whose end somebody laid hands on: their links may be left.
    pub touched: BTreeSet<String>,
    /// The object that named a job first, by the job.
    pub namers: BTreeMap<String, String>,
    /// The records of resends that were written once. From then on the annotation may go.
    pub resends: BTreeSet<String>,
    /// The jobs that were read by their ids, in a state in which they can be adopted.
    pub read: BTreeSet<String>,
    /// The objects that people have paused, and since when.
    pub paused: BTreeMap<(Port, Key), Instant>,
    /// How often that was while a call was in doubt.
    pub paused_in_doubt: u64,
    /// Whether the Secret with the token is gone.
    pub secretless: bool,
    /// When an object's last way to the service began without a Secret, where there is one process at a time.
    pub opened_without: BTreeMap<Key, Instant>,
    /// How often something was revoked or deleted since, by the token that was seen last.
    pub by_the_last_token: u64,
    /// How far the clocks of the machines that processes run on have jumped.
    pub clocks: SignedDuration,
    /// Whether there is one process at a time.
    pub alone: bool,
    /// Whether one of several is elected to act.
    pub elects: bool,
    /// The lease that it is elected by.
    pub lease: Lease,
    /// Effects that are still to come.
    pub late: u32,
    /// What happened, in words, where anybody wants to know.
    pub trace: Vec<String>,
    pub traced: bool,
    /// Whether a rule was taken out, so that what is promised has to show it.
    pub mutated: bool,
    /// What must not happen, and did.
    pub violation: Option<String>,
    /// Tells watches of changes.
    pub changes: Arc<Notify>,
    counter: u64,
}

/// Who announced a call, and when the writing of its record began.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub uid: String,
    pub record: Announced,
    pub begun: Instant,
    /// The jobs that the service made for it.
    pub jobs: Vec<String>,
    /// Whether its object was made to forget it since.
    pub stripped: bool,
}

impl State {
    /// A number that was not given out before.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Adds to what happened last.
    pub fn add(&mut self, what: impl FnOnce() -> String) {
        if self.traced {
            self.trace.push(format!("          {}", what()));
        }
    }

    /// Something happened that must not.
    pub fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// How many emails went out for what `record` announces: an attempt of an object, or a resend of one job. One whose job
    /// another request for the same person took for its own counts for that one.
    pub fn done_for(&self, uid: &str, Announced { attempt, resend_of, .. }: &Announced) -> usize {
        let same = |it: &&Announcement| {
            it.uid == uid && (it.record.attempt, &it.record.resend_of) == (*attempt, resend_of) && !it.stripped
        };
        let is_its = |job: &&String| self.namers.get(*job).is_none_or(|namer| namer == uid);
        self.announced.values().filter(same).flat_map(|it| &it.jobs).filter(is_its).count()
    }

    /// The service, or the other one.
    pub fn at(&mut self, elsewhere: bool) -> &mut Service {
        if elsewhere { &mut self.other } else { &mut self.service }
    }

    /// The jobs of both services.
    pub fn all_jobs(&self) -> impl Iterator<Item = (&String, &Job)> {
        self.service.jobs.iter().chain(&self.other.jobs)
    }

    /// A job, wherever it is.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.service.jobs.get(id).or_else(|| self.other.jobs.get(id))
    }

    /// Reads a job.
    pub fn read_job(&mut self, elsewhere: bool, identity: &str, id: &str) -> Result<CredentialBindingJob, Error> {
        let job = self.at(elsewhere).job(identity, id)?;
        if is_live(&job) || job.state == Some(JobState::Complete) {
            self.read.insert(id.to_owned());
        }
        Ok(job)
    }

    /// The writing of a status begins: from here on its record, if it has a new one, may come to stand.
    pub fn announce<K: Kind>(&mut self, object: &K) {
        let Some(record) = object.announced() else { return };
        let (uid, begun) = (object.meta().uid.clone().unwrap_or_default(), Instant::now());
        let new = Announcement { uid, record: record.clone(), begun, jobs: Vec::new(), stripped: false };
        self.announced.entry(record.id).or_insert(new);
    }

    /// Somebody lays hands on a request.
    pub fn touched(&mut self, key: &Key) {
        let uid = self.requests.objects.get(key).and_then(|request| request.metadata.uid.clone());
        self.touched.extend(uid);
    }

    /// The operator deletes an authenticator configuration.
    pub fn delete_config(&mut self, id: &str, now: Instant, wall: Timestamp) -> Result<(), Error> {
        self.service.delete_config(id, now)?;
        invariants::after_a_delete(self, id, wall);
        Ok(())
    }

    /// The configuration that an object's status names.
    pub fn remote_of(&self, key: &Key) -> Option<String> {
        self.configs.objects.get(key)?.status.as_ref()?.id.clone()
    }

    /// Has the configuration of an object stay when that is deleted.
    pub fn orphan_config(&mut self, key: &Key) {
        let orphan = beyond_identity_operator::api::authenticator_config::DeletionPolicy::Orphan;
        if self.configs.objects.get(key).is_some_and(|config| config.spec.deletion_policy != orphan) {
            self.edit(key, |config: &mut AuthenticatorConfig| config.spec.deletion_policy = orphan);
        }
    }

    /// All objects of a kind in a namespace are lost, and made again as they were written.
    pub fn rebuild<K: Kind>(&mut self, namespace: &str, now: Timestamp) {
        let objects = K::table(self).objects.iter().filter(|(key, _)| key.0 == namespace);
        let lost: Vec<_> = objects.map(|(key, object)| (key.clone(), K::clone(object))).collect();
        for (key, mut object) in lost {
            let uid = object.meta().uid.clone().unwrap_or_default();
            // What its spec leaves behind when it is deleted, it still does.
            let leaves = !self.touched.insert(uid);
            self.free::<K>(&key);
            self.delete::<K>(&key, now);
            let meta = object.meta_mut();
            *meta = ObjectMeta { namespace: meta.namespace.take(), name: meta.name.take(), ..ObjectMeta::default() };
            self.create(object, now);
            if leaves {
                let again = K::table(self).objects.get(&key).and_then(|object| object.meta().uid.clone());
                self.touched.extend(again);
            }
        }
    }

    /// Takes everything out of a status. What was sent for its attempts does not count any more, where nobody can
    /// know: the newest job is dead.
    pub fn strip(&mut self, key: &Key) {
        let Some(request) = self.requests.objects.get(key).cloned() else { return };
        let mut request = Arc::unwrap_or_clone(request);
        let uid = request.metadata.uid.clone().unwrap_or_default();
        request.reset_status();
        _ = self.write_status(&request, true);
        // A change of the status alone wakes nobody.
        let number = self.number().to_string();
        self.annotate::<EnrollmentRequest>(key, "look-at-it", &number);
        self.announced.values_mut().filter(|it| it.uid == uid).for_each(|it| it.stripped = true);
    }

    /// Sends an email.
    pub fn send(
        &mut self,
        elsewhere: bool,
        send: &SendRecord,
        now: Instant,
        wall: Timestamp,
    ) -> Result<CredentialBindingJob, Error> {
        let Self { service, other, chance, .. } = self;
        let service = if elsewhere { other } else { service };
        let sent = service.send(send, &mut Moment { now, wall, chance })?;
        self.add(|| format!("EMAIL to {} for {}: job {}", send.identity_id, send.id, sent.id));
        invariants::after_an_email(self, &send.id, &sent.id, (now, wall));
        Ok(sent)
    }

    /// Makes an authenticator configuration.
    pub fn create_config(
        &mut self,
        record: &CreateRecord,
        config: &NewAuthenticatorConfig,
        now: Instant,
        wall: Timestamp,
    ) -> Result<RemoteConfig, Error> {
        let made = self.service.create_config(config, &mut Moment { now, wall, chance: &mut self.chance })?;
        self.add(|| format!("CONFIGURATION {} made for {}", made.id, record.id));
        invariants::after_a_create(self, &made);
        Ok(made)
    }
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, traced: bool) -> Arc<Self> {
        let mut chance = Chance::of(seed);
        let faults = Faults::draw(seed, &mut chance);
        let mut state = State {
            chance,
            requests: Table::default(),
            configs: Table::default(),
            service: Service::default(),
            other: Service::default(),
            elsewhere: false,
            misdirected: false,
            old_schema: false,
            policy_since: None,
            refused_at: None,
            over_since: None,
            again: BTreeMap::new(),
            adopted: BTreeSet::new(),
            left: BTreeSet::new(),
            faults,
            acts: Vec::new(),
            announced: BTreeMap::new(),
            emails: BTreeMap::new(),
            touched: BTreeSet::new(),
            namers: BTreeMap::new(),
            resends: BTreeSet::new(),
            read: BTreeSet::new(),
            paused: BTreeMap::new(),
            paused_in_doubt: 0,
            secretless: false,
            opened_without: BTreeMap::new(),
            by_the_last_token: 0,
            clocks: SignedDuration::ZERO,
            alone: true,
            elects: false,
            lease: Lease::default(),
            late: 0,
            trace: Vec::new(),
            traced,
            mutated: mutant.is_some(),
            violation: None,
            changes: Arc::default(),
            counter: 0,
        };
        if let Some(mutant) = mutant {
            mutants::aim(mutant, &mut state);
        }
        let epoch = EPOCH.parse().expect("a time");
        Arc::new(Self { state: Mutex::new(state), started: Instant::now(), epoch, mutant, election: Notify::new() })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The true time.
    pub fn wall(&self) -> Timestamp {
        self.epoch.checked_add(self.started.elapsed()).expect("within the calendar")
    }

    /// Notes what happened.
    pub fn say(&self, what: impl std::fmt::Display) {
        let mut state = self.lock();
        if state.traced {
            let at = self.started.elapsed().as_secs_f64();
            state.trace.push(format!("{at:9.3} {what}"));
        }
    }
}
