//! A fuzz target: whatever the status and the answers of the service say, a reconcile ends within its steps.

use proptest::collection;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::authenticator_config::observed::Patched;
use crate::fuzz::{mutated, run, text};
use crate::reconcile::FailureKind;

/// What an outside of any behaviour answers, in turn.
#[derive(Clone, Debug)]
struct World {
    configs: Vec<RemoteConfig>,
    bits: Vec<bool>,
    seconds: u64,
    text: String,
}

impl World {
    /// Any of the possible answers.
    fn bit(&mut self) -> bool {
        self.bits.rotate_left(1);
        self.bits[0]
    }

    fn failure(&mut self) -> Failure {
        let kind = if self.bit() { FailureKind::Transient } else { FailureKind::Refused };
        let mut failure = Failure::new(kind, Reason::Refused, &self.text);
        failure.after = self.bit().then(|| Duration::from_secs(1));
        failure
    }

    fn answer<T>(&mut self, known: impl FnOnce(&mut Self) -> T) -> Fact<T> {
        if self.bit() { Fact::Known(known(self)) } else { Fact::Failed(self.failure()) }
    }

    fn config(&mut self) -> Option<RemoteConfig> {
        let first = 1.min(self.configs.len());
        self.configs.rotate_left(first);
        self.configs.first().cloned().filter(|_| self.bit())
    }

    /// Executes a step on what is known. `false` is the end of the reconcile.
    fn execute(&mut self, step: Step, known: &mut Known) -> bool {
        match step {
            Step::Refresh => known.object.fresh = true,
            Step::Resolve(reference) => {
                let realm = if self.bit() { realm_ids() } else { other_realm() };
                let at = self.answer(|_| Destination { realm, endpoint: ENDPOINT.to_owned() });
                known.object.realms.extend(resolved_realms(at).into_values().map(|realm| (reference.clone(), realm)));
            }
            Step::Fetch(Query::Referrers) => {
                known.referrers = self.answer(|world| if world.bit() { vec![world.text.clone()] } else { Vec::new() });
            }
            Step::Fetch(Query::Configs) => {
                let before = std::mem::take(&mut known.listed);
                let age = Duration::from_secs(self.seconds);
                known.listed = self.answer(|world| ConfigList::after(before, world.configs.clone(), age));
            }
            Step::Fetch(Query::Config(id)) => _ = known.read.insert(id, self.answer(Self::config)),
            Step::AddFinalizer => (known.object.finalizer, known.object.fresh) = (true, true),
            Step::WriteAhead(record, _) => {
                known.status.create = Some(*record);
                (known.object.ticket, known.listed) = (true, Fact::Unknown);
            }
            Step::Send => {
                let outcome = match (self.config(), self.bit()) {
                    (Some(config), _) => Outcome::Done(CreatedConfig { config, generation: 1 }),
                    (None, true) => Outcome::NotDone(self.failure()),
                    (None, false) => Outcome::InDoubt,
                };
                known.object.ticket = false;
                known.object.sent = known.status.create.clone().map(|record| Sent { record, outcome });
            }
            Step::Withdraw { record_id, .. } => {
                known.status.create.take_if(|record| record.id == record_id);
                known.listed = Fact::Unknown;
            }
            Step::Record(change) => {
                change.apply(&mut known.status);
                if !matches!(known.object.sent, Some(Sent { outcome: Outcome::NotDone(_), .. })) {
                    known.object.sent = None;
                }
                if matches!(change, Change::Forget { .. }) {
                    (known.listed, known.read) = (Fact::Unknown, Default::default());
                }
            }
            Step::Act(Action::Patch(id, patch)) => {
                let answer = self.config();
                let shown = answer.clone().map(|shown| Patched { sent: *patch, shown });
                if let Some(answer) = answer {
                    known.read.insert(id, Fact::Known(Some(answer)));
                }
                known.patched = Some(if self.bit() { Ok(shown) } else { Err(self.failure()) });
            }
            Step::Act(Action::Delete(id)) => {
                known.deleted = Some(if self.bit() { Ok(()) } else { Err(self.failure()) });
                known.read.remove(&id);
            }
            Step::RemoveFinalizer { .. } | Step::SetPaused => return false,
            Step::End(end) => {
                let shown = end.phase.as_ref().map(|phase| phase.why().message.as_str()).unwrap_or_default();
                assert!(shown.chars().count() <= 1024 && !shown.contains(char::is_control), "{shown:?}");
                return false;
            }
        }
        true
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let valid = [desired().display_name, "Another".to_owned(), format!("Web {}", OwnershipMark::of("demo", "a", "b"))];
    let valid = valid.map(|name| json!({"id": "4e129fc8", "display_name": name, "config": remote().config}));
    let config = mutated(valid.to_vec()).prop_filter_map("no configuration", |it| serde_json::from_value(it).ok());
    (collection::vec(config, 0..4), collection::vec(any::<bool>(), 7..40), 0..200_u64, text())
        .prop_map(|(configs, bits, seconds, text)| World { configs, bits, seconds, text })
}

/// Any status that can be stored.
fn statuses() -> impl Strategy<Value = AuthenticatorConfigStatus> {
    let valid =
        [AuthenticatorConfigStatus::default(), in_doubt_status(), recorded_status()].map(|status| json!(status));
    mutated(valid.to_vec()).prop_filter_map("no status", |status| serde_json::from_value(status).ok())
}

#[test]
fn configuration_plans_end() {
    let inputs = (statuses(), worlds(), any::<[bool; 6]>());
    run("plans of configurations", &inputs, |(status, mut world, spec)| {
        let [deleting, named, observe, orphan, fresh, may_call_service] = spec;
        let desired = desired().with(|it| {
            it.resource_id = (named || observe).then(|| "4e129fc8".to_owned());
            (it.observe, it.lifecycle.orphan) = (observe, orphan);
            it.lifecycle.deleted_at = deleting.then(now);
        });
        let mut known = Known::default().with(|it| {
            it.status = status;
            it.object = fresh_object();
            (it.object.fresh, it.object.may_call_service) = (fresh, may_call_service);
        });
        let ends = (0..256).any(|_| {
            let step = next_of(&desired, &known);
            !world.execute(step, &mut known)
        });
        assert!(ends, "no end after 256 steps, but {:?} of {known:?}", next_of(&desired, &known));
    });
}
