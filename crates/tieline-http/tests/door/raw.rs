//! HTTP/1.1 by the byte: what is written is what is sent, and what comes is looked at as it came.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{Stage, within};

pub(crate) struct Raw<S = TcpStream> {
    pub(crate) io: S,
    /// What came and wasn't looked at.
    came: Vec<u8>,
}

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Its end was said.
    pub(crate) is_complete: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The body, as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Sees to it that this is an error of this status and name.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, name: &str, outcome: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("tieline-error"), Some(name), "{self:?}");
        assert_eq!(self.header("tieline-outcome"), Some(outcome), "{self:?}");
        if self.header("content-type") == Some("application/json") {
            let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
            assert_eq!((json["error"].as_str(), json["outcome"].as_str()), (Some(name), Some(outcome)));
            assert!(!json["message"].as_str().unwrap().is_empty());
            assert_eq!(json["request_id"].as_str(), self.header("tieline-request-id"));
        }
    }
}

impl Raw {
    pub(crate) async fn to(stage: &Stage) -> Self {
        Self::over(TcpStream::connect(stage.address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(io: S) -> Self {
        Self { io, came: Vec::new() }
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        within("the server takes bytes", self.io.write_all(bytes.as_ref())).await.unwrap();
        within("the server takes bytes", self.io.flush()).await.unwrap();
    }

    /// Asks for a body of chunks to be taken: to be followed by chunks.
    pub(crate) async fn open(&mut self, target: &str, headers: &str) {
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{headers}\r\n");
        self.say(head).await;
    }

    pub(crate) async fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.say([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await;
    }

    pub(crate) async fn last_chunk(&mut self) {
        self.say("0\r\n\r\n").await;
    }

    /// Reads more; whether there was more.
    async fn more(&mut self) -> bool {
        let mut buf = vec![0; 16 * 1024];
        // A reset is an end, too: no clean one, but what came before it counts.
        let read = within("the server says something", self.io.read(&mut buf)).await.unwrap_or(0);
        self.came.extend_from_slice(&buf[..read]);
        read > 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.came.drain(..count).collect()
    }

    /// The next line without its end; `None` at the end of everything.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.came.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(at + 2);
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The status and the headers of the next answer, if one comes; 100 is one.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        let mut head = self.line().await?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            match self.line().await?.as_str() {
                "" => return Some(Answer { status, head, body: Vec::new(), is_complete: false }),
                line => head = format!("{head}\n{line}"),
            }
        }
    }

    /// The next chunk of an answer; empty is the last; `None`: it was cut off.
    pub(crate) async fn piece(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await?, 16).unwrap();
        while self.came.len() < length + 2 {
            if !self.more().await {
                return None;
            }
        }
        let piece = self.take(length);
        assert_eq!(self.take(2), b"\r\n");
        Some(piece)
    }

    /// The next bytes of an answer's body, which must be these.
    pub(crate) async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let mut got = Vec::new();
        while got.len() < bytes.as_ref().len() {
            got.extend(self.piece().await.expect("the body goes on"));
        }
        assert_eq!(got, bytes.as_ref());
    }

    /// The next whole answer, behind any 100.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await.expect("an answer");
        while answer.status == 100 {
            answer = self.head().await.expect("an answer");
        }
        self.rest_of(&mut answer).await;
        answer
    }

    /// The body of an answer, to its end.
    pub(crate) async fn rest_of(&mut self, answer: &mut Answer) {
        if answer.status == 204 {
            answer.is_complete = true;
            return;
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            while self.came.len() < length && self.more().await {}
            answer.is_complete = self.came.len() >= length;
            answer.body = self.take(length.min(self.came.len()));
            return;
        }
        while let Some(piece) = self.piece().await {
            if piece.is_empty() {
                answer.is_complete = true;
                return;
            }
            answer.body.extend(piece);
        }
    }

    /// All that still comes until the server closes.
    pub(crate) async fn all(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.came)).into_owned()
    }

    /// Whether the server closes without another word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.came.is_empty() && !self.more().await
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(stage: &Stage, request: impl AsRef<[u8]>) -> Answer {
    let mut raw = Raw::to(stage).await;
    raw.say(request).await;
    raw.answer().await
}

/// A `POST` with this body.
pub(crate) async fn post(stage: &Stage, target: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    ask(stage, format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"))
        .await
}
