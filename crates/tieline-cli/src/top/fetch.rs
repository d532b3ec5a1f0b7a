//! Asks a server's `/api`.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tieline::{Https, Token};
use tieline_server::observe::Sort;
use tokio::time::timeout;

use super::figures::Look;
use crate::exit::{self, Failure};
use crate::terminal::say;
use crate::tls;
use crate::web::{Dialer, NoConnection};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A look that takes so long is mentioned, so that nobody wonders why nothing happens.
const MENTION_AFTER: Duration = Duration::from_secs(2);

/// An answer that is longer is none of a server's.
const ANSWER_MAX: usize = 16 << 20;

/// A server that can be asked.
#[derive(Debug)]
pub(super) struct Server {
    dialer: Dialer,
    token: Option<Token>,
}

impl Server {
    pub(super) const fn new(dialer: Dialer, token: Option<Token>) -> Self {
        Self { dialer, token }
    }

    /// The server's figures, and at most so many of its channels.
    ///
    /// # Errors
    /// If it is out of reach, doesn't let us watch, or says what makes no sense.
    pub(super) async fn look(&self, sort: Sort, limit: usize) -> Result<Look, Failure> {
        let channels = self.get(&format!("/api/channels?sort={}&limit={limit}", sort.name())).await?;
        let overview = self.get("/api/overview").await?;
        Look::read(&overview, &channels).map_err(|error| {
            let words = format!("what {} says is no answer of a tieline server: {error}", self.dialer.url());
            Failure::new(exit::CONFIG, words)
        })
    }

    /// The same, and what is waited for is said on stderr if that takes a while.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn look_aloud(&self, sort: Sort, limit: usize) -> Result<Look, Failure> {
        let mut looking = pin!(self.look(sort, limit));
        if let Ok(look) = timeout(MENTION_AFTER, &mut looking).await {
            return look;
        }
        say(format!("tieline: waiting for {}: no answer yet", self.dialer.url()));
        looking.await
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        let url = self.dialer.url();
        let out_of_reach = |error: &dyn fmt::Display| {
            Failure::new(exit::UNAVAILABLE, format!("the server at {url} is out of reach: {error}"))
                .line("start one: tieline serve, or say where it is: --http http://HOST:PORT")
        };
        let asked = timeout(PATIENCE, self.ask(path)).await;
        let (status, text) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(NoAnswer::NoConnection(NoConnection::Refused(trouble, reason)))) => {
                return Err(tls::refused_with_advice(&url.to_string(), trouble, &reason, ""));
            }
            Ok(Err(NoAnswer::NoConnection(error))) => return Err(out_of_reach(&error)),
            Ok(Err(NoAnswer::BrokenOff(words))) if url.is_https() => return Err(out_of_reach(&words)),
            Ok(Err(NoAnswer::BrokenOff(words))) => {
                return Err(out_of_reach(&words).line("if it speaks TLS: --http https://HOST:PORT"));
            }
            Err(_) => return Err(out_of_reach(&"no answer within 10s")),
        };
        match status {
            StatusCode::OK => Ok(text),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let words = format!("the server at {url} doesn't let us watch");
                Err(Failure::new(77, words).line("it wants a token with the right: tieline token new NAME --watch"))
            }
            status => Err(Failure::new(exit::FAILED, format!("the server at {url} says {status}")).line(text)),
        }
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, String), NoAnswer> {
        let stream = self.dialer.connect().await.map_err(NoAnswer::NoConnection)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::get(path).header(HOST, &self.dialer.url().authority);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(broken_off)?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            if response.headers().get("tieline-error").is_some_and(|name| name == "tls-wanted") {
                return Err(broken_off("it speaks TLS"));
            }
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(broken_off)?;
            Ok((status, String::from_utf8(body.to_bytes().into()).map_err(broken_off)?))
        };
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // It ends with the answer at the earliest.
            ended = connection => match (ended, answer.await) {
                (Ok(()), Err(NoAnswer::BrokenOff(_))) => Err(broken_off("it closed the connection")),
                (Err(error), Err(NoAnswer::BrokenOff(_))) => Err(error.into()),
                (_, answer) => answer,
            },
        }
    }
}

/// Why a question has no answer.
enum NoAnswer {
    NoConnection(NoConnection),
    /// What came is no answer, or not all of one.
    BrokenOff(String),
}

impl From<hyper::Error> for NoAnswer {
    fn from(error: hyper::Error) -> Self {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match source.and_then(Https::refusal) {
            Some((trouble, reason)) => Self::NoConnection(NoConnection::Refused(trouble, reason)),
            None => broken_off(error),
        }
    }
}

fn broken_off(why: impl fmt::Display) -> NoAnswer {
    NoAnswer::BrokenOff(why.to_string())
}
