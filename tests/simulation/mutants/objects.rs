//! Mutants of the objects in the Kubernetes API.

use std::sync::Arc;

use beyond_identity_operator::reconcile::{EventToEmit, Objects, WriteError};

use super::kinds::Mutable;
use super::{Mutant, Mutated};
use crate::kubernetes::key;

impl<K: Mutable, O: Objects<K>> Objects<K> for Mutated<O> {
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let cached = self.port.cached(namespace, name)?;
        let sees_all = !self.mutation.is(Mutant::IgnoresPauses);
        Some(if sees_all { cached } else { Arc::new(self.mutation.observed(Arc::unwrap_or_clone(cached))) })
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        let Some(mut object) = self.port.read(namespace, name).await? else { return Ok(None) };
        if self.mutation.is(Mutant::ForgetsDoubt) && self.mutation.process.restarted {
            object.remove_record();
        }
        Ok(Some(self.mutation.reconciled(object)))
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        let announces = object.announced().is_some();
        if self.mutation.is(Mutant::NoWriteAhead) && announces {
            let process = &self.mutation.process;
            process.world.lock().record.announce(&process.name, object);
            return Ok(object.clone());
        }
        let mut written = object.clone();
        written.rewrite(self.mutation.mutant);
        let mut stored = self.port.write_status(&written).await;
        let force = match self.mutation.mutant {
            Some(Mutant::NoPrecondition) => true,
            Some(Mutant::ConcludesWithoutPrecondition) => !announces,
            _ => false,
        };
        while force && matches!(stored, Err(WriteError::Conflict)) {
            let mut current = self.current(object).await?;
            current.take_status(&written);
            stored = self.port.write_status(&current).await;
        }
        let mut stored = stored?;
        if self.mutation.is(Mutant::TrustsUnstoredStatus) || !written.same_status(object) {
            // As if the complete status were stored.
            stored.take_status(object);
        }
        Ok(self.mutation.observed(stored))
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        let mut patched = self.port.set_finalizer(object, present).await;
        while self.mutation.is(Mutant::FinalizesWithoutPrecondition) && matches!(patched, Err(WriteError::Conflict)) {
            patched = self.port.set_finalizer(&self.current(object).await?, present).await;
        }
        patched.map(|object| self.mutation.observed(object))
    }

    fn emit_event(&self, object: &K, event: EventToEmit) {
        self.port.emit_event(object, event);
    }
}

impl<O> Mutated<O> {
    /// The current version of an object.
    async fn current<K: Mutable>(&self, object: &K) -> Result<K, WriteError>
    where
        O: Objects<K>,
    {
        let (namespace, name) = key(object);
        self.port.read(&namespace, &name).await.map_err(WriteError::NoAnswer)?.ok_or(WriteError::NotFound)
    }
}
