//! The door: accepts connections, and lets them in or turns them away.

use std::sync::Arc;

use tieline_protocol::{Code, Time, Violation};
use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::hub::Hub;
use crate::listener::{Accepted, Listener, pause_after};
use crate::peer::Peer;
use crate::socket::Plain;
use crate::stop::Stop;
use crate::tls::{Encrypted, Failed, TlsConfig, shake};

/// Handshakes at once with those who are one too many, only to tell them so. Others beyond are closed without a word:
/// a handshake costs the server more than the client, and there must be no way around the limit of connections.
const COURTESIES: usize = 64;

/// See the module. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Door {
    hub: Arc<Hub>,
    stop: Stop,
    tracker: TaskTracker,
    courtesies: Arc<Semaphore>,
}

impl Door {
    /// A door whose connections are tasks of `tracker`.
    pub(crate) fn new(hub: Arc<Hub>, stop: Stop, tracker: TaskTracker) -> Self {
        Self { hub, stop, tracker, courtesies: Arc::new(Semaphore::new(COURTESIES)) }
    }

    /// Accepts until it is aborted.
    pub(crate) async fn accept(self, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(accepted) => self.welcome(accepted),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    if let Some(pause) = pause_after(&error) {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
    }

    fn welcome(&self, accepted: Accepted) {
        let hub = Arc::clone(&self.hub);
        let since = hub.clock.now();
        let Some(peer) = hub.enter(accepted.source()) else {
            tracing::warn!(
                connections = hub.connections(),
                "a connection was refused: there are as many as there may be"
            );
            self.refuse(accepted);
            return;
        };
        match accepted {
            Accepted::Tcp(stream) => self.serve(Plain::from(stream), peer, since),
            Accepted::Unix(stream) => self.serve(Plain::from(stream), peer, since),
            Accepted::Tls(stream, config) => {
                self.tracker.spawn(self.clone().serve_tls(stream, config, peer, since));
            }
        }
    }

    /// Serves a socket that others may write to as well.
    fn serve<R: AsyncRead + Unpin + Send + 'static>(&self, socket: Plain<R>, peer: Arc<Peer>, since: Time) {
        peer.share(socket.writer());
        self.tracker.spawn(connection::serve(socket, Arc::clone(&self.hub), peer, since));
    }

    /// Shakes hands and serves. The time for hello runs since the connection was accepted.
    async fn serve_tls(self, stream: TcpStream, config: TlsConfig, peer: Arc<Peer>, since: Time) {
        match self.shake(stream, config, since).await {
            Ok(stream) => connection::serve(stream, self.hub, peer, since).await,
            Err(failed) => {
                self.hub.leave(&peer, None);
                failed.part(self.hub).await;
            }
        }
    }

    /// Tells a connection that is one too many so.
    fn refuse(&self, accepted: Accepted) {
        let violation =
            Violation::new(Code::Overloaded, "the server has as many connections as it may: try again later");
        match accepted {
            Accepted::Tcp(stream) => {
                self.tracker.spawn(connection::turn_away(stream, violation, Arc::clone(&self.hub)))
            }
            Accepted::Unix(stream) => {
                self.tracker.spawn(connection::turn_away(stream, violation, Arc::clone(&self.hub)))
            }
            Accepted::Tls(stream, config) => {
                let Ok(courtesy) = Arc::clone(&self.courtesies).try_acquire_owned() else { return };
                let (door, since) = (self.clone(), self.hub.clock.now());
                self.tracker.spawn(async move {
                    let shaken = door.shake(stream, config, since).await;
                    drop(courtesy);
                    match shaken {
                        Ok(stream) => connection::turn_away(stream, violation, door.hub).await,
                        Err(failed) => failed.part(door.hub).await,
                    }
                })
            }
        };
    }

    /// A handshake, which must be over by the moment at which hello must be complete. Nothing was promised to whoever
    /// is in the midst of one, so a drain doesn't wait for it.
    async fn shake(&self, stream: TcpStream, config: TlsConfig, since: Time) -> Result<Encrypted, Failed> {
        let from = stream.peer_addr().ok();
        let deadline = self.hub.clock.instant(since + self.hub.config().liveness.hello_within);
        let failed = tokio::select! {
            shaken = shake(stream, config.bus(), deadline) => match shaken {
                Ok(stream) => return Ok(stream),
                Err(failed) => failed,
            },
            () = self.stop.wait_drain() => return Err(Failed::Gone("the server takes no more connections".into())),
        };
        let count = self.hub.handshake_failed();
        tracing::debug!(?from, count, %failed, "a handshake of TLS failed");
        Err(failed)
    }
}
