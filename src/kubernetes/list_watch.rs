//! The events of a watch: all objects from a list in pages, and then each change. kube's watcher does the same, but all its
//! pages have the same length, and none of them is bounded in bytes.

use std::fmt::Debug;
use std::time::Duration;

use futures::channel::mpsc::Sender;
use futures::{SinkExt, StreamExt};
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use kube::runtime::watcher::{Error, Event, Result};
use kube::{Api, ResourceExt};

use super::client::WATCH;
use super::lenient::{Lenient, Salvage};
use super::objects::CallError;
use super::pages::Pages;

/// The silence after which a watch is started again. The API server ends it earlier.
const SILENCE: Duration = Duration::from_secs(WATCH as u64 + 10);

/// The HTTP status of a version that the API server no longer knows.
const GONE: u16 = 410;

/// Where the events go.
type Events<K> = Sender<Result<Event<Lenient<K>>>>;

/// Nobody receives the events any more.
struct Closed;

/// The version to watch from; `None` if all objects must be listed.
type Next = std::result::Result<Option<String>, Closed>;

/// Sends the events of `api` until nobody receives them. After each error, it waits for the next one of `pauses`.
pub async fn list_watch<K>(api: &Api<Lenient<K>>, events: Events<K>, pauses: impl Iterator<Item = Duration>)
where
    K: Salvage + Debug + Send + 'static,
{
    let (mut to, mut version) = (Output { events, pauses }, None);
    loop {
        let next = match version {
            None => list(api, &mut to).await,
            Some(version) => watch(api, version, &mut to).await,
        };
        let Ok(next) = next else { return };
        version = next;
    }
}

struct Output<K, P> {
    events: Events<K>,
    pauses: P,
}

impl<K, P: Iterator<Item = Duration>> Output<K, P> {
    async fn send(&mut self, event: Event<Lenient<K>>) -> std::result::Result<(), Closed> {
        self.events.send(Ok(event)).await.map_err(|_| Closed)
    }

    async fn fail(&mut self, error: Error) -> std::result::Result<(), Closed> {
        self.events.send(Err(error)).await.map_err(|_| Closed)?;
        tokio::time::sleep(self.pauses.next().unwrap_or_default()).await;
        Ok(())
    }
}

async fn list<K>(api: &Api<Lenient<K>>, to: &mut Output<K, impl Iterator<Item = Duration>>) -> Next
where
    K: Salvage,
{
    to.send(Event::Init).await?;
    let (mut pages, mut version) = (Pages::of(api, ListParams::default()), None);
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                version = page.metadata.resource_version.filter(|version| !version.is_empty());
                for object in page.items {
                    to.send(Event::InitApply(object)).await?;
                }
            }
            Ok(None) => break,
            Err(error) => {
                let error = match error {
                    CallError::Kube(error) => error,
                    late @ CallError::Late => kube::Error::Service(late.into()),
                };
                to.fail(Error::InitialListFailed(error)).await?;
                return Ok(None);
            }
        }
    }
    if version.is_none() {
        to.fail(Error::NoResourceVersion).await?;
        return Ok(None);
    }
    to.send(Event::InitDone).await?;
    Ok(version)
}

async fn watch<K>(
    api: &Api<Lenient<K>>,
    mut version: String,
    to: &mut Output<K, impl Iterator<Item = Duration>>,
) -> Next
where
    K: Salvage + Debug + Send + 'static,
{
    let mut stream = match api.watch(&WatchParams::default().timeout(WATCH), &version).await {
        Ok(stream) => std::pin::pin!(stream),
        Err(error) => {
            let is_gone = matches!(&error, kube::Error::Api(status) if status.code == GONE);
            to.fail(Error::WatchStartFailed(error)).await?;
            return Ok((!is_gone).then_some(version));
        }
    };
    while let Ok(Some(event)) = tokio::time::timeout(SILENCE, stream.next()).await {
        let (event, newer) = match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                let newer = object.resource_version();
                (Some(Event::Apply(object)), newer)
            }
            Ok(WatchEvent::Deleted(object)) => {
                let newer = object.resource_version();
                (Some(Event::Delete(object)), newer)
            }
            Ok(WatchEvent::Bookmark(bookmark)) => (None, Some(bookmark.metadata.resource_version)),
            Ok(WatchEvent::Error(status)) => {
                let is_gone = status.code == GONE;
                to.fail(Error::WatchError(status.boxed())).await?;
                if is_gone {
                    return Ok(None);
                }
                continue;
            }
            Err(error) => {
                to.fail(Error::WatchFailed(error)).await?;
                continue;
            }
        };
        let Some(newer) = newer.filter(|newer| !newer.is_empty()) else {
            to.fail(Error::NoResourceVersion).await?;
            return Ok(None);
        };
        if let Some(event) = event {
            to.send(event).await?;
        }
        version = newer;
    }
    Ok(Some(version))
}
