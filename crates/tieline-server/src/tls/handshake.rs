//! The handshake: from a socket just accepted to an encrypted stream, or to nothing.
//!
//! ```text
//!            first byte                handshake
//!  Accepted ────────────▶ it is TLS ──────────────▶ Stream
//!     │                       │                        hello must be complete by the same moment
//!     │ it is Tieline's own   │ garbage, too long, a certificate that isn't taken
//!     ▼                       ▼
//!  told "use tls://"       told by an alert            and all of it counted; too slow: closed
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::{fmt, io};

use rustls::ServerConfig;
use tieline_protocol::header::VERSION;
use tieline_protocol::limits::{HANDSHAKE_MAX, TLS_QUEUE};
use tieline_protocol::{Code, Violation};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::thrift::Thrift;
use crate::connection;
use crate::hub::Hub;

/// A stream over TLS on which nothing was said yet. It lies apart from the task, so that it moves at no cost.
pub(crate) type Encrypted = Box<TlsStream<Thrift<TcpStream>>>;

/// A handshake that failed.
pub(crate) enum Failed {
    /// There is nobody to tell: why, for the log.
    Gone(Cow<'static, str>),
    /// TLS has told why by an alert, which is on its way.
    Alerted(String, TcpStream),
    /// It wasn't TLS, but Tieline's own protocol.
    Plain(TcpStream),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => f.write_str(why),
            Self::Alerted(why, _) => f.write_str(why),
            Self::Plain(_) => f.write_str("the client does not speak TLS, but Tieline's own protocol"),
        }
    }
}

impl Failed {
    /// Takes leave: whoever speaks the protocol is told so, and what was said is given the time to arrive.
    pub(crate) async fn part(self, hub: Arc<Hub>) {
        match self {
            Self::Gone(_) => {}
            Self::Alerted(_, stream) => connection::close(stream, hub).await,
            Self::Plain(stream) => {
                let why = "this port speaks TLS: use tls:// in the server's address";
                connection::turn_away(stream, Violation::new(Code::UnsupportedVersion, why), hub).await;
            }
        }
    }
}

/// Shakes hands, until `deadline` at most. Dropping the future closes the connection.
pub(crate) async fn shake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    deadline: Instant,
) -> Result<Encrypted, Failed> {
    // Apart from the task, which would else be as large as a handshake all its life.
    let shaking = Box::pin(shake_patiently(stream, config));
    timeout_at(deadline, shaking).await.unwrap_or_else(|_| Err(Failed::Gone("it was not over in time".into())))
}

async fn shake_patiently(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Encrypted, Failed> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Err(Failed::Gone("the client closed".into())),
        Err(error) => return Err(Failed::Gone(error.kind().to_string().into())),
        // The first byte of TLS is 22.
        Ok(_) if first[0] == VERSION => return Err(Failed::Plain(stream)),
        Ok(_) => {}
    }
    let stream = Thrift::new(stream, HANDSHAKE_MAX);
    let accepting = TlsAcceptor::from(config).accept_with(stream, |session| {
        session.set_buffer_limit(Some(TLS_QUEUE));
    });
    match accepting.into_fallible().await {
        Ok(mut stream) => {
            stream.get_mut().0.lift();
            Ok(Box::new(stream))
        }
        Err((error, stream)) => Err(Failed::Alerted(why(&error), stream.into_inner())),
    }
}

/// Words for the log. What TLS says of a failure are names of rules and alerts, never what was sent.
fn why(error: &io::Error) -> String {
    error.get_ref().map_or_else(|| error.kind().to_string(), ToString::to_string)
}
