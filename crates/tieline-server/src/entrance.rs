//! A way into a server without a listener, for what lives in the same process: gateways, programs that embed a server,
//! and tests.
//!
//! Whoever comes this way is a client like any other. The connection is judged by its hello, counted, limited, watched
//! and drained as one that was accepted; only its bytes come through memory.

use std::fmt;
use std::sync::Arc;

use tieline_protocol::{Code, Violation};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::access::Source;
use crate::connection;
use crate::hub::Hub;
use crate::stop::Stop;
use crate::tls::{Tls, shake};

/// What may lie between both ends of a connection in memory, each way, in bytes: a full frame and a little.
pub(crate) const ENTRANCE_ROOM: usize = 80 * 1024;

/// See the module. Cloning is cheap.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tieline_server::{Config, Server, Source, Stop};
///
/// let stop = Stop::new();
/// let server = Server::new(Config::default(), stop.clone())?;
/// let entrance = server.entrance();
/// let running = tokio::spawn(server.run(vec![]));
/// // A client of the library takes this as its transport.
/// let stream = entrance.connect(Source::Unknown);
/// # drop(stream);
/// stop.drain();
/// running.await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Entrance {
    hub: Arc<Hub>,
    stop: Stop,
    tracker: TaskTracker,
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entrance")
    }
}

impl Entrance {
    pub(crate) fn new(hub: Arc<Hub>, stop: Stop, tracker: TaskTracker) -> Self {
        Self { hub, stop, tracker }
    }

    /// Connects in memory. `source` is whom wrong tokens are counted against.
    ///
    /// Like a listener, this promises nothing: a server that has as many connections as it may, or that ends, says so on
    /// the stream. To be called within a runtime.
    pub fn connect(&self, source: Source) -> DuplexStream {
        let (ours, theirs) = duplex(ENTRANCE_ROOM);
        self.tracker.spawn(self.clone().serve(theirs, source));
        ours
    }

    /// Serves a stream of bytes that was accepted elsewhere, until its connection is over.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, io: S, source: Source) {
        // Counted from here on, also where the caller's task isn't the server's.
        let _counted = self.tracker.token();
        let Self { hub, stop, .. } = self;
        if stop.is_draining() {
            let ending = Violation::new(Code::ShuttingDown, "the server is shutting down and starts nothing more");
            return connection::turn_away(io, ending, hub).await;
        }
        let since = hub.clock.now();
        if let Some(peer) = hub.enter(source) {
            return connection::serve(io, hub, peer, since).await;
        }
        let full = Violation::new(Code::Overloaded, "the server has as many connections as it may: try again later");
        connection::turn_away(io, full, hub).await;
    }

    /// Shakes hands over TLS with somebody who wants to speak HTTP. `None` if nothing comes of it: then it was counted and
    /// told, as on a listener of the server's own.
    pub async fn shake_http(
        &self,
        stream: TcpStream,
        tls: &Tls,
    ) -> Option<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        let since = self.hub.clock.now();
        let deadline = self.hub.clock.instant(since + self.hub.config().liveness.hello_within);
        match shake(stream, tls.current().http(), deadline).await {
            Ok(stream) => Some(stream),
            Err(failed) => {
                let count = self.hub.handshake_failed();
                tracing::debug!(count, %failed, "a handshake of TLS failed, for HTTP");
                failed.part(Arc::clone(&self.hub)).await;
                None
            }
        }
    }

    /// Whether so many wrong tokens came from a source that no other of its is looked at now. A gateway that uses one
    /// connection for several requests asks before each.
    pub fn is_barred(&self, source: Source) -> bool {
        self.hub.access.is_barred(source, self.hub.config().wrong_tokens, self.hub.clock.now())
    }

    /// Whether the server wants tokens.
    pub fn wants_tokens(&self) -> bool {
        self.hub.access.wants_tokens()
    }
}
