//! The connections, and the one place where a fault decides what happens to a request and what its caller gets to see.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::call::Call;
use super::faults::Effect;
use super::paging::View;
use super::reply::Reply;
use super::routes;
use super::state::{Realm, World};

/// The connection is to be closed without a single byte of an answer.
///
/// The connections are served by hyper itself, because its service may fail: that closes the connection before a status line
/// was written. A handler of a web framework always has an answer, and a body that breaks off comes after the status.
#[derive(Debug, thiserror::Error)]
#[error("no answer is given")]
pub(super) struct NoAnswer;

/// Serves until `stopped`; the runtime that goes down afterwards takes the open connections with it.
pub(super) async fn serve(listener: TcpListener, world: Arc<Mutex<World>>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&world)))),
            // Out of file descriptors, most likely: they come back when others close theirs.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<Mutex<World>>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        // A task of its own: what was asked for happens even when the caller gives up waiting for it, as it does in the
        // service.
        let answer = tokio::spawn(answer(Arc::clone(&world), request));
        async move { answer.await.unwrap_or(Err(NoAnswer)) }
    });
    // It ends with an error when the caller hung up, and when no answer was to be given.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Body>, NoAnswer> {
    let call = Call::read(request).await?;
    let key = (call.tenant.clone(), call.realm.clone());
    let (ticket, effect) = {
        let mut world = world.lock();
        world.check_request(&call);
        world.arrive(&call)
    };
    let answer = follow(&world, call, effect).await;
    let date = {
        let mut world = world.lock();
        world.conclude(ticket, answer.as_ref().ok());
        world.realms.get(&key).map_or_else(Timestamp::now, Realm::now)
    };
    answer.map(|reply| reply.dated(date).into_response())
}

/// Does what was asked for; what the service answers is held against the contract, whatever becomes of it on its way.
fn act(world: &Mutex<World>, call: &Call, view: View) -> Reply {
    let mut world = world.lock();
    let reply = routes::act(&mut world, call, view);
    world.check_answer(call, &reply);
    reply
}

/// What happens, in what order, and what the caller is told.
async fn follow(world: &Arc<Mutex<World>>, call: Call, effect: Option<Effect>) -> Result<Reply, NoAnswer> {
    let happen = |view: View| act(world, &call, view);
    match effect {
        None => Ok(happen(View::default())),
        Some(Effect::LoseRequest) => Err(NoAnswer),
        Some(Effect::LoseAnswer) => {
            happen(View::default());
            Err(NoAnswer)
        }
        Some(Effect::HappenLate(delay)) => {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                sleep(delay).await;
                act(&world, &call, View::default());
            });
            Err(NoAnswer)
        }
        Some(Effect::Answer(reply)) => Ok(reply),
        Some(Effect::CutAnswer) => Ok(happen(View::default()).cut_off()),
        Some(Effect::HappenThenAnswer(reply)) => {
            happen(View::default());
            Ok(reply)
        }
        Some(Effect::Delay(delay)) => {
            sleep(delay).await;
            Ok(happen(View::default()))
        }
        Some(Effect::DelayAnswer(delay)) => {
            let reply = happen(View::default());
            sleep(delay).await;
            Ok(reply)
        }
        Some(Effect::LagList(lag)) => Ok(happen(View { lag, ..View::default() })),
        Some(Effect::ShortPages(most)) => Ok(happen(View { short: Some(most), ..View::default() })),
        Some(Effect::ShiftPages) => Ok(happen(View { shifting: true, ..View::default() })),
    }
}
