//! The client: the handle that programs hold, and how it is made.

use std::sync::Arc;
use std::time::Duration;

use tieline_protocol::Metadata;
use tieline_protocol::limits::{HELLO_MAX, INITIAL_WINDOW, WINDOW_DEFAULT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::conn::Greeting;
use crate::error::Error;
use crate::link::dial::Dialer;
use crate::link::{Hub, Settings, Status};
use crate::receive::ReceiveBuilder;
use crate::send::SendRequest;
use crate::tls::TlsOptions;
use crate::token::Token;

/// How long an act waits for a connection unless the program says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server is unless the program says otherwise.
const SERVER: &str = "tcp://127.0.0.1:7070";

/// A client of one server.
///
/// One connection carries any number of requests at once, both ways: sent and received. When it is lost another is
/// made, with jittered pauses, and receivers are opened again on it. Cloning is cheap, and all clones share the
/// connection. When the last clone (receivers hold one too) is dropped, the client [closes](Self::close) in the
/// background.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    hub: Arc<Hub>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Client {
    /// Connects to the server at an address: `tcp://host:port`, `tls://host:port`, `unix:/path` or `host:port`.
    ///
    /// # Errors
    /// If the address is none, the server can't be reached within ten seconds, or it refuses the client.
    ///
    /// # Cancellation safety
    /// Dropping the future gives the connection up.
    pub async fn connect(server: &str) -> Result<Self, Error> {
        Self::builder().server(server).connect().await
    }

    /// Begins to make a client with more than an address.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Begins a request to whoever receives on `channel`.
    pub fn send(&self, channel: impl Into<String>) -> SendRequest {
        SendRequest::new(self.clone(), channel.into())
    }

    /// Begins to receive requests on `channel`. A client has at most one receiver a channel.
    pub fn receive(&self, channel: impl Into<String>) -> ReceiveBuilder {
        ReceiveBuilder::new(self.clone(), channel.into())
    }

    /// The state of the connection, to look at or to watch.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.hub().status()
    }

    /// Why the last attempt to connect failed, to look at or to watch; `None` once one succeeds. The client tries again
    /// by itself. Where that would end the same way ([`Error::is_refusal`]), whatever is asked of the client
    /// meanwhile fails with this error.
    pub fn trouble(&self) -> watch::Receiver<Option<Error>> {
        self.hub().trouble()
    }

    /// Closes the client: nothing more is started or taken, what runs is finished, then the connection ends. All
    /// clones are closed with it; receivers yield `None`, and requests they hadn't taken are returned.
    ///
    /// It waits for as long as that takes; put a time-out around it, and [`close_now`](Self::close_now) behind, to
    /// bound it.
    ///
    /// # Cancellation safety
    /// The closing goes on when the future is dropped.
    pub async fn close(&self) {
        self.hub().close();
        self.hub().ended().await;
    }

    /// Closes the client at once: what runs is lost.
    pub fn close_now(&self) {
        self.hub().kill();
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.handle.hub
    }
}

/// Makes a [`Client`].
///
/// ```
/// # fn main() -> Result<(), tieline::Error> {
/// use std::time::Duration;
/// use tieline::{Client, Token};
///
/// let client = Client::builder()
///     .server("tcp://127.0.0.1:7070")
///     .name("thumbnailer-3")
///     .token(Token::new("s3cret"))
///     .connect_timeout(Some(Duration::from_secs(3)))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    server: String,
    dialer: Option<Dialer>,
    tls: Option<TlsOptions>,
    agent: String,
    name: Option<String>,
    token: Option<Token>,
    connect_timeout: Option<Duration>,
    window: u64,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            server: SERVER.to_owned(),
            dialer: None,
            tls: None,
            agent: concat!("tieline-rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            name: None,
            token: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            window: WINDOW_DEFAULT,
        }
    }
}

impl ClientBuilder {
    /// Where the server is: `tcp://host:port`, `tls://host:port`, `unix:/path` or `host:port`. `tcp://127.0.0.1:7070`
    /// unless set.
    pub fn server(mut self, address: impl Into<String>) -> Self {
        self.server = address.into();
        self
    }

    /// How to speak TLS: whom to trust, and what to show. Without it, `tls://` trusts whom the platform trusts. To give
    /// it for a `tcp://` address is an error, for what is meant to be secret would travel in the clear; a Unix socket has
    /// no use for it.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Gets connections from `dial` instead of an address: through a proxy, in memory, or over TLS of the program's own.
    /// It is called for each connection; the address is only a name then.
    pub fn transport<F, R, IO>(mut self, dial: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = std::io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.dialer = Some(Dialer::with(self.server.clone(), dial));
        self
    }

    /// What the server's people call this client in their lists.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The program and its version, in the same lists; this library's unless set.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// The secret by which the server knows the client.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// How long an act waits for a connection before it fails; `None`: as long as it may take. Ten seconds unless
    /// set. The client itself never gives up: a later act may find it connected.
    pub fn connect_timeout(mut self, limit: Option<Duration>) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Bytes of each incoming body that are taken in before the program reads them, at most; the server may allow
    /// less. 1 MiB unless set, and at least 16 KiB. A body begins with 384 KiB, and has more only where it would be
    /// slower without; less takes less memory under slow programs.
    pub fn window(mut self, bytes: u64) -> Self {
        self.window = bytes.max(INITIAL_WINDOW);
        self
    }

    /// Makes the client without connecting; it dials when it is first used.
    ///
    /// # Errors
    /// If the address is none, what was said of TLS can't be used, or name, agent and token are too long for a
    /// greeting.
    pub fn build(self) -> Result<Client, Error> {
        let mut metadata = Metadata::new();
        metadata.push("agent", &self.agent)?;
        if let Some(name) = &self.name {
            metadata.push("name", name)?;
        }
        if let Some(token) = &self.token {
            metadata.push("token", token.reveal())?;
        }
        debug_assert!(metadata.wire_len() <= HELLO_MAX as usize, "metadata is no longer than a hello");
        let dialer = match self.dialer {
            Some(dialer) => dialer,
            None => Dialer::to(self.server.parse()?, self.tls.as_ref())?,
        };
        let greeting = Greeting { metadata, window: self.window };
        let hub = Hub::new(Settings { dialer, greeting, connect_timeout: self.connect_timeout });
        Ok(Client { handle: Arc::new(Handle { hub }) })
    }

    /// Makes the client and waits until it is connected.
    ///
    /// # Errors
    /// As [`build`](Self::build); if the server can't be reached within the connect time-out, or refuses the client.
    ///
    /// # Cancellation safety
    /// Dropping the future gives the connection up.
    pub async fn connect(self) -> Result<Client, Error> {
        let client = self.build()?;
        client.hub().connection().await?;
        Ok(client)
    }
}
