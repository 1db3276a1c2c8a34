//! A simulator of the Beyond Identity API, with the state of the service. It uses real HTTP, and records the emails.
//!
//! All tests of a binary can share one simulator: it serves many tenants and realms, each with its own token. It has
//! its own thread and runtime. So a test can pause the clock of its runtime, or shut the runtime down.

mod ambiguities;
mod breaches;
mod call;
mod faults;
mod forms;
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

pub use ambiguities::{Ambiguities, HostedWeb};
pub use call::Operation;
pub use faults::{Effect, Rule, RuleId};
pub use handle::RealmHandle;
pub use model::{Application, Config, Email, Identity, Job, Outcome, Recorded};
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
    /// Listens on `address`. Port 0 selects a free port. It blocks only briefly, and can be called inside a runtime.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let context = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = TcpListener::bind(address).map_err(context)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = Arc::new(Mutex::new(World::default()));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&world);
        let thread = std::thread::Builder::new()
            .name("beyond-identity-simulator".to_owned())
            .spawn(move || runtime.block_on(server::serve(listener, shared, stopped)))?;
        Ok(Self { address, world, stop: Some(stop), thread: Some(thread) })
    }

    /// Its URL: `http://127.0.0.1:PORT`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The realm with this name and token. It is created if it does not exist.
    #[must_use]
    pub fn realm(&self, tenant: &str, realm: &str, token: &str) -> RealmHandle {
        RealmHandle::open(&self.world, self.url(), tenant, realm, token)
    }

    /// Stops the validation of requests, to send invalid ones.
    pub fn allow_any_request(&self) {
        self.world.lock().allows_any_request = true;
    }

    /// All requests, to any path, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.lock().requests.clone()
    }
}

impl Drop for Simulator {
    /// Panics after a violation of the contract, like a realm's handle.
    fn drop(&mut self) {
        // An error here means that the thread has already ended.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        breaches::check(&self.world.lock().breaches.iter().map(|(_, breach)| breach).collect::<Vec<_>>());
    }
}
