//! Around the objects in the Kubernetes API.

use std::sync::Arc;

use beyond_identity_operator::reconcile::{EventToEmit, Objects, WriteError};

use super::kinds::Mutable;
use super::{Mutant, Mutated};
use crate::kubernetes::key;

impl<K: Mutable, O: Objects<K>> Objects<K> for Mutated<O> {
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let cached = self.port.cached(namespace, name)?;
        let sees_all = !self.mutation.is(Mutant::IgnoresPauses);
        Some(if sees_all { cached } else { Arc::new(self.mutation.seen(Arc::unwrap_or_clone(cached))) })
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        let Some(mut object) = self.port.read(namespace, name).await? else { return Ok(None) };
        if self.mutation.is(Mutant::ForgetsDoubt) && self.mutation.process.restarted {
            object.forget_record();
        }
        Ok(Some(self.mutation.looked_at(object)))
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        let announces = object.announced().is_some();
        if self.mutation.is(Mutant::NoWriteAhead) && announces {
            self.mutation.process.world.lock().record.announce(object);
            return Ok(object.clone());
        }
        let mut written = object.clone();
        written.rewrite(self.mutation.mutant);
        let mut stored = self.port.write_status(&written).await;
        let anyhow = match self.mutation.mutant {
            Some(Mutant::NoPrecondition) => true,
            Some(Mutant::ConcludesAnyhow) => !announces,
            _ => false,
        };
        while anyhow && matches!(stored, Err(WriteError::Conflict)) {
            let mut current = self.current(object).await?;
            current.take_status(&written);
            stored = self.port.write_status(&current).await;
        }
        let mut stored = stored?;
        if self.mutation.is(Mutant::TrustsUnstored) || !written.same_status(object) {
            // As if all that was to be stored stood there.
            stored.take_status(object);
        }
        Ok(self.mutation.seen(stored))
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        let mut patched = self.port.set_finalizer(object, present).await;
        while self.mutation.is(Mutant::FinalizesAnyhow) && matches!(patched, Err(WriteError::Conflict)) {
            patched = self.port.set_finalizer(&self.current(object).await?, present).await;
        }
        patched.map(|object| self.mutation.seen(object))
    }

    fn emit_event(&self, object: &K, event: EventToEmit) {
        self.port.emit_event(object, event);
    }
}

impl<O> Mutated<O> {
    /// Whatever stands in the place of an object.
    async fn current<K: Mutable>(&self, object: &K) -> Result<K, WriteError>
    where
        O: Objects<K>,
    {
        let (namespace, name) = key(object);
        self.port.read(&namespace, &name).await.map_err(WriteError::NoAnswer)?.ok_or(WriteError::NotFound)
    }
}
