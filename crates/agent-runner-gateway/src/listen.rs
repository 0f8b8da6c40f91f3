//! Connections: taken in, served, and ended.

use std::{sync::Arc, time::Duration};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    pin,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::sleep,
};

use crate::{
    gateway::Shared,
    io::{Guarded, Speaks, sniff},
    serve,
};

/// What a head of a request may be long.
const HEAD: usize = 64 * 1024;
const HEADERS: usize = 128;
/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 256;
/// How long to wait when the machine has no room for a connection.
const BREATH: Duration = Duration::from_millis(50);

/// Whether it takes anything in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It does.
    #[default]
    Open,
    /// Not any more; what is under way goes on.
    Closing,
    /// Nothing goes on.
    Closed,
}

/// Takes connections in until it is to end, and ends when the last one has.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.options.connections));
    let mut phase = shared.phase.subscribe();
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            next = next(&listener, &places) => next,
            () = reaches(&mut phase, Phase::Closing) => break,
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            connection(stream, shared).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => (),
        () = reaches(&mut phase, Phase::Closed) => connections.shutdown().await,
    }
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("it is never closed");
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return (stream, place);
        }
        // No descriptor or memory is left for it; others will end.
        sleep(BREATH).await;
    }
}

/// Waits until it is that far; for ever if it never is.
async fn reaches(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Serves a connection; from [`Phase::Closing`] on only what is under way on it. The connections of
/// both versions have these methods, and no trait in common.
macro_rules! serve_until {
    ($serving:ident, $phase:ident) => {
        pin!($serving);
        let is_over = tokio::select! {
            over = $serving.as_mut() => Some(over),
            () = reaches(&mut $phase, Phase::Closing) => None,
        };
        if is_over.is_none() {
            $serving.as_mut().graceful_shutdown();
            drop($serving.await);
        }
    };
}

/// Serves a client. However it ends is the client's concern.
async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let options = &shared.options;
    let mut phase = shared.phase.subscribe();
    let sniffed = tokio::select! {
        sniffed = sniff(&mut stream, options.header_timeout) => sniffed,
        () = reaches(&mut phase, Phase::Closing) => None,
    };
    let Some((speaks, head)) = sniffed else { return };
    let io = Guarded::new(head, stream, options.write_timeout);
    let (head, silence) = (options.header_timeout, options.header_timeout / 2);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        serve::serve(Arc::clone(&shared), request)
    });
    match speaks {
        Speaks::Http1 => {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(head);
            server.max_buf_size(HEAD).max_headers(HEADERS);
            let serving = server.serve_connection(io, service);
            serve_until!(serving, phase);
        }
        Speaks::Http2 => {
            let mut server = http2::Builder::new(TokioExecutor::new());
            server.timer(TokioTimer::new());
            server.keep_alive_interval(silence).keep_alive_timeout(silence);
            server.max_concurrent_streams(STREAMS);
            server.max_header_list_size(u32::try_from(HEAD).expect("it is small"));
            let serving = server.serve_connection(io, service);
            serve_until!(serving, phase);
        }
    }
}
