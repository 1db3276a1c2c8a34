//! One look at a time for each object, whenever it is woken or its time has come.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::kubernetes::{Key, Kind};
use crate::process::Process;

/// A look at an object, which says after how long to look again.
pub type Looking = Pin<Box<dyn Future<Output = Option<Duration>> + Send>>;

/// Begins a look.
pub type Look<K> = Arc<dyn Fn(K) -> Looking + Send + Sync>;

/// Wakes the loops of one kind.
pub struct Waker<K> {
    process: Arc<Process>,
    look: Look<K>,
    woken: Mutex<BTreeMap<Key, Arc<Notify>>>,
}

impl<K: Kind> Waker<K> {
    /// Wakes the loop for an object that the cache has.
    pub fn wake_known(&self, key: &Key) {
        let known = K::cache(&self.process).lock().contains_key(key);
        if known {
            self.wake(key);
        }
    }

    pub fn new(process: &Arc<Process>, look: Look<K>) -> Arc<Self> {
        Arc::new(Self { process: process.clone(), look, woken: Mutex::default() })
    }

    pub fn wake(&self, key: &Key) {
        let mut woken = self.woken.lock();
        let notify = woken.entry(key.clone()).or_insert_with(|| {
            let notify = Arc::new(Notify::new());
            let work = work(self.process.clone(), key.clone(), notify.clone(), self.look.clone());
            self.process.spawn(work);
            notify
        });
        notify.notify_one();
    }
}

/// Looks at one object whenever it is woken, or its time has come.
async fn work<K: Kind>(process: Arc<Process>, key: Key, woken: Arc<Notify>, look: Look<K>) {
    process.work_begins().await;
    let mut due: Option<Instant> = None;
    loop {
        let timer = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = woken.notified() => {}
            () = timer => {}
        }
        process.awake().await;
        due = None;
        let object = K::cache(&process).lock().get(&key).cloned();
        let Some(object) = object else { continue };
        match process.spawn(look(Arc::unwrap_or_clone(object))).await {
            Ok(after) => due = after.map(|after| Instant::now() + after),
            Err(error) if error.is_panic() => {
                let message = error.into_panic();
                let text = message.downcast_ref::<String>().cloned().unwrap_or_default();
                process.world.lock().violate(format!("a look at {key:?} panicked: {text}"));
                return;
            }
            Err(_) => return,
        }
    }
}
