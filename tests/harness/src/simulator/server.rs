//! Serves connections, and applies faults to requests and answers.

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

/// The connection is closed without any byte of an answer.
///
/// hyper serves the connections, since its service may fail. That closes the connection before the status line. A
/// handler of a web framework always answers, and a body can fail only after the status line.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(super) struct NoAnswer;

/// Serves until `stopped`. The shutdown of the runtime then closes the open connections.
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
            // Probably out of file descriptors, so try again when other connections are closed.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<Mutex<World>>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        // A separate task: as in the service, the request is carried out even if the client closes the connection.
        let answer = tokio::spawn(answer(Arc::clone(&world), request));
        async move { answer.await.unwrap_or(Err(NoAnswer)) }
    });
    // An error means that the client closed the connection, or that a fault suppressed the answer.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Body>, NoAnswer> {
    let mut call = Call::read(request).await?;
    let (id, effect) = {
        let mut world = world.lock();
        world.attribute(&mut call);
        world.check_request(&call);
        world.record_request(&call)
    };
    let key = (call.tenant.clone(), call.realm.clone());
    let answer = apply_effect(&world, call, effect).await;
    let date = {
        let mut world = world.lock();
        world.record_outcome(id, answer.as_ref().ok());
        world.realms.get(&key).map_or_else(Timestamp::now, Realm::now)
    };
    answer.map(|reply| reply.dated(date).into_response())
}

/// Carries out a request, and validates the answer, even if a fault suppresses the answer.
fn carry_out(world: &Mutex<World>, call: &Call, view: View) -> Reply {
    let mut world = world.lock();
    let reply = routes::carry_out(&mut world, call, view);
    world.check_answer(call, &reply);
    reply
}

/// Carries out a request with a fault, and returns the answer to the client.
async fn apply_effect(world: &Arc<Mutex<World>>, call: Call, effect: Option<Effect>) -> Result<Reply, NoAnswer> {
    let run = |view: View| carry_out(world, &call, view);
    match effect {
        None => Ok(run(View::default())),
        Some(Effect::LoseRequest) => Err(NoAnswer),
        Some(Effect::LoseAnswer) => {
            run(View::default());
            Err(NoAnswer)
        }
        Some(Effect::HappenLate(delay)) => {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                sleep(delay).await;
                carry_out(&world, &call, View::default());
            });
            Err(NoAnswer)
        }
        Some(Effect::Answer(reply)) => Ok(reply),
        Some(Effect::CutAnswer) => Ok(run(View::default()).cut_off()),
        Some(Effect::HappenThenAnswer(reply)) => {
            run(View::default());
            Ok(reply)
        }
        Some(Effect::Delay(delay)) => {
            sleep(delay).await;
            Ok(run(View::default()))
        }
        Some(Effect::DelayAnswer(delay)) => {
            let reply = run(View::default());
            sleep(delay).await;
            Ok(reply)
        }
        Some(Effect::LagList(lag)) => Ok(run(View { lag, ..View::default() })),
        Some(Effect::ShortPages(count)) => Ok(run(View { max_items: Some(count), ..View::default() })),
        Some(Effect::ShiftPages) => Ok(run(View { shift: true, ..View::default() })),
    }
}
