//! Packed objects: finished requests differ in a few fields only. A packed one consists of these, and of a shape that it shares
//! with others.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use serde::Serialize;

use crate::api::conditions::{READY, SUCCEEDED, is_true};
use crate::api::{AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest, ProviderConfig};
use crate::enrollment_request::job_state::is_complete;

/// A kind whose finished objects are kept packed, if there are any.
pub trait Pack: Clone + PartialEq + Serialize {
    /// Whether this object is finished: nothing is to be done for it until it changes, and nothing about it is abnormal.
    fn is_finished(&self) -> bool {
        false
    }

    /// Visits the fields in which finished objects differ.
    fn visit_own(&mut self, _: &mut impl Visit) {}
}

/// Visits the own fields of an object.
pub trait Visit {
    /// Visits a text.
    fn text(&mut self, text: &mut String);
    /// Visits a time.
    fn time(&mut self, time: &mut Timestamp);
}

impl Pack for AuthenticatorConfig {}
impl Pack for ClusterProviderConfig {}
impl Pack for ProviderConfig {}

impl Pack for EnrollmentRequest {
    fn is_finished(&self) -> bool {
        let Self { metadata, spec, status } = self;
        let Some(status) = status else { return false };
        let is_normal = |type_| is_true(&status.conditions, type_);
        let is_at_rest = metadata.deletion_timestamp.is_none()
            && metadata.annotations.as_ref().is_none_or(|annotations| annotations.is_empty());
        is_at_rest
            && spec.undecodable.is_none()
            && !spec.revoked
            && status.attempt.is_some_and(|attempt| attempt >= spec.attempt)
            && is_complete(status.state.as_deref())
            && status.job_id.is_some()
            && status.skipped.is_none()
            && status.expired.is_none()
            && status.send.is_none()
            && status.previous_jobs.is_empty()
            && status.failing_since.is_none()
            && status.observed_generation == metadata.generation
            && status.conditions.len() == 2
            && is_normal(READY)
            && is_normal(SUCCEEDED)
    }

    fn visit_own(&mut self, visit: &mut impl Visit) {
        let Self { metadata, spec, status } = self;
        let ObjectMeta { name, uid, resource_version, creation_timestamp, .. } = metadata;
        let Some(status) = status else { return };
        let texts = [
            name,
            uid,
            resource_version,
            &mut spec.identity.id,
            &mut spec.identity.username,
            &mut status.identity_id,
            &mut status.job_id,
            &mut status.credential_id,
            &mut status.create_time,
            &mut status.update_time,
            &mut status.expire_time,
        ];
        texts.into_iter().flatten().for_each(|text| visit.text(text));
        let since = status.conditions.iter_mut().map(|Condition { last_transition_time, .. }| last_transition_time);
        creation_timestamp.iter_mut().chain(since).for_each(|Time(time)| visit.time(time));
    }
}

/// A packed object.
pub struct Packed<K> {
    shape: Arc<K>,
    own: Box<[u8]>,
}

impl<K: Pack> Packed<K> {
    /// The object.
    pub fn unpacked(&self) -> K {
        let mut object = K::clone(&self.shape);
        object.visit_own(&mut Unpack { rest: &self.own });
        object
    }

    /// The shape, which lacks what is the object's own.
    pub fn shape(&self) -> &Arc<K> {
        &self.shape
    }
}

/// The shapes of the objects of one store.
pub struct Shapes<K> {
    shapes: HashMap<u64, Arc<K>>,
    /// How many shapes there are when those that are no longer used are dropped.
    prune_at: usize,
}

/// The number of shapes before the first pruning.
const PRUNE_AT: usize = 64;

impl<K: Pack> Shapes<K> {
    /// Packs an object; `None` if it would not come back as it is.
    pub fn pack(&mut self, object: &K) -> Option<Packed<K>> {
        let (mut shape, mut own) = (object.clone(), Own(Some(Vec::new())));
        shape.visit_own(&mut own);
        let hash = hash_of(&shape)?;
        let shape = match self.shapes.get(&hash) {
            Some(known) if **known == shape => known.clone(),
            Some(_) => return None,
            None => {
                self.prune();
                let shape = Arc::new(shape);
                self.shapes.insert(hash, shape.clone());
                shape
            }
        };
        let packed = Packed { shape, own: own.0?.into_boxed_slice() };
        (packed.unpacked() == *object).then_some(packed)
    }

    fn prune(&mut self) {
        if self.shapes.len() >= self.prune_at {
            self.shapes.retain(|_, shape| Arc::strong_count(shape) > 1);
            self.prune_at = PRUNE_AT.max(2 * self.shapes.len());
        }
    }
}

impl<K> Default for Shapes<K> {
    fn default() -> Self {
        Self { shapes: HashMap::new(), prune_at: PRUNE_AT }
    }
}

/// The hash of a shape.
fn hash_of(shape: &impl Serialize) -> Option<u64> {
    struct Into(DefaultHasher);
    impl io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Into(DefaultHasher::new());
    serde_json::to_writer(&mut hasher, shape).ok()?;
    Some(hasher.0.finish())
}

/// Takes the own fields out of an object; `None` if one of them is too long.
struct Own(Option<Vec<u8>>);

impl Visit for Own {
    fn text(&mut self, text: &mut String) {
        let text = std::mem::take(text);
        match (&mut self.0, u16::try_from(text.len())) {
            (Some(own), Ok(length)) => {
                own.extend(length.to_le_bytes());
                own.extend(text.as_bytes());
            }
            _ => self.0 = None,
        }
    }

    fn time(&mut self, time: &mut Timestamp) {
        let time = std::mem::take(time);
        if let Some(own) = &mut self.0 {
            own.extend(time.as_second().to_le_bytes());
            own.extend(time.subsec_nanosecond().to_le_bytes());
        }
    }
}

/// Puts the own fields back.
struct Unpack<'a> {
    rest: &'a [u8],
}

impl Unpack<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (next, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*next)
    }
}

impl Visit for Unpack<'_> {
    fn text(&mut self, text: &mut String) {
        let length = self.next().map(u16::from_le_bytes).map(usize::from);
        let Some((own, rest)) = length.and_then(|length| self.rest.split_at_checked(length)) else { return };
        self.rest = rest;
        *text = String::from_utf8_lossy(own).into_owned();
    }

    fn time(&mut self, time: &mut Timestamp) {
        let (second, nanosecond) = (self.next().map(i64::from_le_bytes), self.next().map(i32::from_le_bytes));
        let own = second.zip(nanosecond).and_then(|(second, nanosecond)| Timestamp::new(second, nanosecond).ok());
        *time = own.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
