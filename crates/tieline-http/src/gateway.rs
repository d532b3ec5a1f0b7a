//! A gateway from its listeners to its end: accept, serve, drain.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::{SockRef, TcpKeepalive};
use tieline_protocol::limits::{PING_AFTER, SILENCE_MAX};
use tieline_server::{Control, Entrance, Server, Source, Stop, Tls};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::config::{Clocks, HttpConfig};
use crate::connection::{self, Caller};
use crate::crowd::Crowd;
use crate::guard::Guard;
use crate::pool::Pool;
use crate::routes::{self, App};

/// The pause after an accept that failed for want of something: trying on would only burn the CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound socket that HTTP is spoken on.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    tls: Option<Tls>,
}

impl From<TcpListener> for HttpListener {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

impl HttpListener {
    /// Speaks TLS with whoever connects, by the settings that the handle has at that moment.
    pub fn tls(listener: TcpListener, tls: Tls) -> Self {
        Self { listener, tls: Some(tls) }
    }
}

/// See the crate.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    entrance: Entrance,
    router: Router,
    control: Control,
    stop: Stop,
    clocks: Clocks,
    connections: Crowd,
    /// Ends every connection at once.
    over: CancellationToken,
    tracker: TaskTracker,
}

impl Gateway {
    /// A gateway into `server`, which ends with it.
    pub fn new(server: &Server, stop: Stop, config: HttpConfig) -> Self {
        let entrance = server.entrance();
        let app = App {
            pool: Pool::new(entrance.clone(), config.clocks.line),
            entrance,
            control: server.control(),
            requests: Crowd::default(),
            stop: stop.clone(),
        };
        let shared = Shared {
            entrance: server.entrance(),
            router: routes::router(
                app,
                Guard::new(config.hosts, config.origins),
                config.more.merge(api::router(server.observe())),
            ),
            control: server.control(),
            stop,
            clocks: config.clocks,
            connections: Crowd::default(),
            over: CancellationToken::new(),
            tracker: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves until the server is told to end, and returns when every connection is closed. Dropping the future ends all
    /// of them at once.
    pub async fn run(self, listeners: Vec<HttpListener>) {
        let shared = self.shared;
        let _guard = shared.over.clone().drop_guard();
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(Arc::clone(&shared), listener));
        }
        shared.stop.wait_drain().await;
        accepting.shutdown().await;
        shared.tracker.close();
        let drain = shared.control.config().drain;
        tokio::select! {
            () = shared.tracker.wait() => {}
            () = shared.stop.wait_now() => {}
            () = tokio::time::sleep(drain) => {}
        }
        shared.over.cancel();
        shared.tracker.wait().await;
    }
}

/// Accepts until it is aborted.
async fn accept(shared: Arc<Shared>, listener: HttpListener) {
    loop {
        match listener.listener.accept().await {
            Ok((stream, _)) => welcome(&shared, stream, listener.tls.as_ref()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn welcome(shared: &Arc<Shared>, stream: TcpStream, tls: Option<&Tls>) {
    let Some(place) = shared.connections.enter(shared.control.config().http_connections) else {
        tracing::warn!("a connection was closed: there are as many over HTTP as there may be");
        return;
    };
    tune(&stream);
    let source = stream.peer_addr().map_or(Source::Unknown, |peer| Source::address(peer.ip()));
    let caller = Caller { source, is_tls: tls.is_some(), clocks: shared.clocks, place };
    let (mine, tls) = (Arc::clone(shared), tls.cloned());
    shared.tracker.spawn(async move {
        tokio::select! {
            () = mine.serve(stream, tls, caller) => {}
            () = mine.over.cancelled() => {}
        }
    });
}

/// None of these is needed for the connection to work, so one that fails is no reason to refuse it.
fn tune(stream: &TcpStream) {
    // Whatever is written is whole; waiting for more would only add delay.
    let _ = stream.set_nodelay(true);
    // HTTP/1.1 has no signs of life: a client that vanished while it waits is noticed by those of TCP.
    let alive = TcpKeepalive::new().with_time(PING_AFTER).with_interval(PING_AFTER / 3).with_retries(3);
    let _ = SockRef::from(stream).set_tcp_keepalive(&alive);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(SILENCE_MAX));
}

impl Shared {
    async fn serve(&self, stream: TcpStream, tls: Option<Tls>, caller: Caller) {
        let (router, stop) = (self.router.clone(), self.stop.clone());
        let Some(tls) = tls else { return connection::serve(stream, caller, router, stop).await };
        let Some(stream) = connection::see_tls(stream, caller.clocks).await else { return };
        if let Some(stream) = self.entrance.shake_http(stream, &tls).await {
            connection::serve(stream, caller, router, stop).await;
        }
    }
}
