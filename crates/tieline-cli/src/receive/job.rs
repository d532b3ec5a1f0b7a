//! One request, from its command's start to its end.
//!
//! ```text
//!            the command ends well, its stdout too
//!  running ───────────────────────────────────────► the response ends
//!     │ │    it ends otherwise
//!     │ └─────────────────────────────────────────► the response fails
//!     │ cancelled, deadline, sender or server lost
//!     ▼            ended, or the grace is over
//!   TERM ──────────────────────────────────────► KILL to what is left; nobody is there to be told
//! ```

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use tieline::{Code, Fault, Request, RequestBody, RequestId, ResponseWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::{Program, Running};
use super::ending;
use super::group::Group;
use super::guard::Held;
use super::shim;
use super::stderr::Follower;
use crate::otel::Otel;
use crate::terminal::{say, short};
use crate::trace::Position;

/// What all jobs of a receiver have in common.
pub(super) struct Work {
    /// The channel's name.
    pub(super) channel: String,
    /// What to run.
    pub(super) program: Program,
    /// How long a command may take to end after TERM.
    pub(super) grace: Duration,
    /// Set when the commands must end at once.
    pub(super) now: CancellationToken,
    pub(super) otel: Otel,
}

/// What is read from a command's stdout at once, at most; the size of a pipe.
const PIECE: usize = 64 * 1024;

/// Shorter pieces are copied, so that they don't hold on to a whole buffer.
const COPY_BELOW: usize = 4 * 1024;

/// How long the last words of a command are waited for that left somebody behind who holds its stderr open.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Work {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request) {
        let id = request.id();
        let traced = self.otel.processing(&self.channel, Position::of_request(&request));
        let ended = match self.program.start(&request, traced.position()) {
            Ok(running) => self.see_through(id, running, request).await,
            Err(error) if is_shortage(&error) => {
                let words = format!("'{}' can't be started now: {error}; given back", self.program.name());
                self.note(id, &words);
                // One that is over needs nobody.
                let _ = request.give_back().await;
                Err(Fault::because(Code::Returned, words))
            }
            Err(error) => {
                let words = format!("'{}' can't be started: {error}", self.program.name());
                self.note(id, &words);
                // Whoever isn't there to be told has another reason already.
                let _ = request.fail(words.clone()).await;
                Err(Fault::because(Code::Application, words))
            }
        };
        traced.processed(id, ended.err().as_ref());
    }

    /// # Errors
    /// Why the request failed.
    async fn see_through(&self, id: RequestId, running: Running, request: Request) -> Result<(), Fault> {
        let Running { mut child, group, stdin, mut stdout, stderr, watched, held } = running;
        let (body, responder) = request.into_parts();
        let mut writer = responder.writer();
        let feeding = tokio::spawn(feed(body, stdin, held));
        let hurry = CancellationToken::new();
        let telling = tokio::spawn(tell(stderr, hurry.clone()));
        let ended = tokio::select! {
            ended = run(group, &mut stdout, &mut writer) => ended,
            () = self.now.cancelled() => Err(Fault::because(Code::Application, "its receiver was told to end at once")),
        };
        if ended.is_err() {
            self.end_group(group, &mut stdout).await;
        }
        // Behind here the command's own process has ended; this reaches those that it left behind.
        group.signal(Signal::SIGKILL);
        let status = child.wait().await;
        drop(watched);
        feeding.abort();
        let tail = last_words(telling, &hurry).await;
        match (ended, status) {
            (Err(over), _) => Err(self.give_up(id, writer, over).await),
            (Ok(()), Ok(status)) => self.conclude(id, writer, status, tail).await,
            (Ok(()), Err(error)) => {
                Err(self.give_up(id, writer, Fault::because(Code::Application, error.to_string())).await)
            }
        }
    }

    /// The command ran to its end: the response ends, or fails, as the command did.
    async fn conclude(
        &self,
        id: RequestId,
        writer: ResponseWriter,
        status: ExitStatus,
        tail: Option<String>,
    ) -> Result<(), Fault> {
        let mut ended = Ok(());
        let told = match ending::failure(status, writer.bytes_sent()) {
            None => writer.finish().await,
            Some(words) => {
                self.note(id, &words);
                let fault = Fault::because(Code::Application, words);
                ended = Err(fault.clone());
                writer.fail_with(tail.into_iter().fold(fault, Fault::with_detail)).await
            }
        };
        if let Err(error) = told {
            self.note(id, &error.to_string());
            ended = ended.and(Err(Fault::because(error.code(), error.to_string())));
        }
        ended
    }

    /// The request is over for another reason. If it is ours, its sender is told; else it knows.
    async fn give_up(&self, id: RequestId, writer: ResponseWriter, over: Fault) -> Fault {
        self.note(id, &over.message);
        let _ = writer.fail_with(over.clone()).await;
        over
    }

    /// TERM to the group; returns when its processes have ended, as far as it shows, or the grace is over.
    async fn end_group(&self, group: Group, stdout: &mut ChildStdout) {
        group.signal(Signal::SIGTERM);
        let ended = async {
            // What still comes is for nobody, but a full pipe must not keep the command from ending.
            let mut nowhere = tokio::io::sink();
            let _ = tokio::join!(group.ended(), tokio::io::copy(stdout, &mut nowhere));
        };
        tokio::select! {
            _ = timeout(self.grace, ended) => {}
            () = self.now.cancelled() => {}
        }
    }

    fn note(&self, id: RequestId, words: &str) {
        say(format!("{}  {}  {words}", self.channel, short(id)));
    }
}

/// Whether this machine lacks something that another may have, or that may be there later: processes, memory, files.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
    error.raw_os_error().is_some_and(|number| shortages.contains(&Errno::from_raw(number)))
}

/// Runs a command to its end and passes on what it writes.
///
/// # Errors
/// Why the request is over before the command was.
async fn run(group: Group, stdout: &mut ChildStdout, writer: &mut ResponseWriter) -> Result<(), Fault> {
    let mut ended = pin!(group.ended());
    let mut has_ended = false;
    {
        let mut copied = pin!(copy(stdout, writer));
        loop {
            tokio::select! {
                copied = &mut copied => break copied?,
                well = &mut ended, if !has_ended => {
                    has_ended = true;
                    if !well.unwrap_or(true) {
                        // Its response fails; whom it left behind with its stdout must not put that off.
                        group.signal(Signal::SIGKILL);
                    }
                }
            }
        }
    }
    // A command may close its stdout and run on.
    tokio::select! {
        _ = ended, if !has_ended => Ok(()),
        over = writer.cancelled(), if !has_ended => Err(over),
        else => Ok(()),
    }
}

/// Passes on what the command writes, as it comes, to the end of its stdout.
async fn copy(stdout: &mut ChildStdout, writer: &mut ResponseWriter) -> Result<(), Fault> {
    let mut buffer = BytesMut::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        let read = tokio::select! {
            read = stdout.read_buf(&mut buffer) => read,
            over = writer.cancelled() => return Err(over),
        };
        match read {
            // A pipe that can't be read has ended as well; the command's own end says how.
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) if writer.send(piece(&mut buffer)).await.is_err() => return Err(writer.cancelled().await),
            Ok(_) => {}
        }
    }
}

/// What has been read, leaving the buffer empty.
fn piece(buffer: &mut BytesMut) -> Bytes {
    if buffer.len() >= COPY_BELOW {
        return buffer.split().freeze();
    }
    let copy = Bytes::copy_from_slice(buffer);
    buffer.clear();
    copy
}

/// Passes the request's body to the command's stdin. Returns the stdin of a body that was cut off: as long as it
/// stays open, the command can't take what came for the whole.
async fn feed(mut body: RequestBody, mut stdin: ChildStdin, mut held: Held) -> Option<ChildStdin> {
    held.is_held().await;
    if stdin.write_all(shim::GO).await.is_err() {
        return None;
    }
    loop {
        match body.chunk().await {
            // A command that doesn't read its input is no error; the rest of the body stays where it is.
            Ok(Some(bytes)) if stdin.write_all(&bytes).await.is_err() => return None,
            Ok(Some(_)) => {}
            Ok(None) => {
                held.let_go();
                return None;
            }
            Err(_) => return Some(stdin),
        }
    }
}

/// Shows the command's stderr on ours, and returns its tail when it ends or `hurry` says so.
async fn tell(stderr: ChildStderr, hurry: CancellationToken) -> Option<String> {
    let mut follower = Follower::new(|lines| {
        let _ = io::stderr().lock().write_all(lines);
    });
    tokio::select! {
        _ = follower.follow(stderr) => {}
        () = hurry.cancelled() => {}
    }
    follower.finish()
}

/// The tail of the stderr of a command that has ended.
async fn last_words(mut telling: JoinHandle<Option<String>>, hurry: &CancellationToken) -> Option<String> {
    let told = if let Ok(told) = timeout(LAST_WORDS, &mut telling).await {
        told
    } else {
        hurry.cancel();
        telling.await
    };
    told.ok().flatten()
}
