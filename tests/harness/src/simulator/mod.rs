//! A simulator of the Beyond Identity API: keeps state as the service does, over real HTTP, and counts the emails.
//!
//! One simulator serves many tenants and realms, each with a bearer token of its own, so that all tests of a binary can share
//! it. It runs on a thread and a runtime of its own: it outlives the runtime of the test that started it, and nothing that a
//! test does to its own runtime (pausing its clock, shutting it down) reaches it.

mod breaches;
mod call;
mod faults;
mod half_body;
mod handle;
mod model;
mod paging;
mod quota;
mod reply;
mod routes;
mod server;
mod shelf;
mod state;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use call::Operation;
pub use faults::{Effect, Rule, RuleId};
pub use handle::RealmHandle;
pub use model::{Config, Email, Identity, Job, Outcome, Recorded};
pub use quota::{Quota, Tells};
pub use reply::Reply;

use state::World;

/// A running simulator. Dropping it stops it, and closes every connection.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens on `address`; port 0 takes a free one. It blocks for as long as that takes, which is next to nothing, and can
    /// be called with a runtime around or without one.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let naming = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(naming)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = Arc::new(Mutex::new(World::default()));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&world);
        let thread = std::thread::Builder::new()
            .name("beyond-identity-simulator".to_owned())
            .spawn(move || runtime.block_on(server::serve(listener, served, stopped)))?;
        Ok(Self { address, world, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The realm of that name, made if it is not there, with this token as the one that it accepts.
    #[must_use]
    pub fn realm(&self, tenant: &str, realm: &str, token: &str) -> RealmHandle {
        RealmHandle::open(&self.world, self.url(), tenant, realm, token)
    }

    /// From now on requests are not held against the contract: for whoever tries what becomes of wrong ones.
    pub fn allow_any_request(&self) {
        self.world.lock().takes_any_request = true;
    }

    /// Everything that was asked of any realm, and of none, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.lock().requests.clone()
    }
}

impl Drop for Simulator {
    /// Fails like a realm's handle, for those that are gone already.
    fn drop(&mut self) {
        // An error on either line means that the thread is gone already, which is what is wanted.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        breaches::check(&self.world.lock().breaches.iter().map(|(_, breach)| breach).collect::<Vec<_>>());
    }
}
