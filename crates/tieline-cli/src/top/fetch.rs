//! Asks a server's `/api`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tieline::Token;
use tieline_server::observe::Sort;
use tokio::net::TcpStream;

use super::figures::Look;
use crate::exit::{self, Failure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that is longer is none of a server's.
const ANSWER_MAX: usize = 16 << 20;

/// Where a server speaks HTTP.
#[derive(Clone, Debug)]
pub(super) struct Url {
    host: String,
    port: u16,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no address: write http://HOST:PORT");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("https:// isn't spoken here yet: watch on the server's own machine".to_owned()),
            _ => return Err(wrong()),
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        let host = uri.host().ok_or_else(wrong)?.to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(80) })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

/// A server that can be asked.
#[derive(Debug)]
pub(super) struct Server {
    url: Url,
    token: Option<Token>,
}

impl Server {
    pub(super) fn new(url: Url, token: Option<Token>) -> Self {
        Self { url, token }
    }

    /// The server's figures, and at most so many of its channels.
    ///
    /// # Errors
    /// If it is out of reach, doesn't let us watch, or says what makes no sense.
    pub(super) async fn look(&self, sort: Sort, limit: usize) -> Result<Look, Failure> {
        let channels = self.get(&format!("/api/channels?sort={}&limit={limit}", sort.name())).await?;
        let overview = self.get("/api/overview").await?;
        Look::read(&overview, &channels).map_err(|error| {
            let words = format!("what {} says is no answer of a tieline server: {error}", self.url);
            Failure::new(exit::CONFIG, words)
        })
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        let out_of_reach = |error: &dyn fmt::Display| {
            Failure::new(exit::UNAVAILABLE, format!("the server at {} is out of reach: {error}", self.url))
                .line("start one: tieline serve, or say where it is: --http http://HOST:PORT")
        };
        let asked = tokio::time::timeout(PATIENCE, self.ask(path)).await;
        let (status, text) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(out_of_reach(&error)),
            Err(_) => return Err(out_of_reach(&"no answer within 10s")),
        };
        match status {
            StatusCode::OK => Ok(text),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let words = format!("the server at {} doesn't let us watch", self.url);
                Err(Failure::new(77, words).line("it wants a token with the right: tieline token new NAME --watch"))
            }
            status => Err(Failure::new(exit::FAILED, format!("the server at {} says {status}", self.url)).line(text)),
        }
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect((self.url.host.trim_matches(['[', ']']), self.url.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::get(path).header(HOST, format!("{}:{}", self.url.host, self.url.port));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await?.to_bytes();
            Ok((status, String::from_utf8(body.into())?))
        };
        tokio::select! {
            answer = answer => answer,
            // It ends with the answer at the earliest.
            ended = connection => Err(ended.err().map_or("it closed the connection".into(), Into::into)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let shown = |text: &str| text.parse::<Url>().map(|url| url.to_string());
        assert_eq!(shown("http://127.0.0.1:7071").unwrap(), "http://127.0.0.1:7071");
        assert_eq!(shown("http://[::1]:7071/").unwrap(), "http://[::1]:7071");
        assert_eq!(shown("http://bus.example").unwrap(), "http://bus.example:80");
        for wrong in ["", "127.0.0.1:7071", "tcp://127.0.0.1:7071", "http://x/path", "http://x?y"] {
            assert!(shown(wrong).unwrap_err().contains("write http://HOST:PORT"), "{wrong}");
        }
        assert!(shown("https://x").unwrap_err().contains("isn't spoken"));
    }
}
