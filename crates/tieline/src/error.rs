//! What can go wrong, and what it means for the request: [`enum@Error`] and [`Outcome`].
//!
//! Codes and their sentences come from [`tieline_protocol::error::TABLE`]; this file adds what only a client can know.

use std::fmt::{self, Write};
use std::io;
use std::sync::Arc;

use thiserror::Error;
use tieline_protocol::{Code, Fault, MetadataError, Violation};

use crate::trouble::TlsTrouble;

/// What became of a request that ended with an error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Certain: no receiver's program saw any of it. Sending it again does no harm.
    Unstarted,
    /// A receiver's program had been handed it, and so may have started.
    Accepted,
    /// It isn't known whether a receiver's program started with it.
    Unknown,
}

impl Outcome {
    /// What it means for whoever thinks of sending the request again, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unstarted => "Nothing was started: safe to send again.",
            Self::Accepted => "The receiver had taken it: sending again may repeat its effects.",
            Self::Unknown => "It may have run: sending again may repeat its effects.",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unstarted => "unstarted",
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
        })
    }
}

/// Everything that can go wrong in this library.
///
/// Cloning is cheap; an error of the connection reaches everybody who waits on it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address can't be read.
    #[error(
        "'{address}' is not the address of a server: {reason}. Write tcp://HOST:PORT, HOST:PORT, tls://HOST:PORT or unix:PATH"
    )]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A channel's name is empty or longer than 255 bytes.
    #[error("a channel's name has 1 to 255 bytes of UTF-8; '{name}' has {}", name.len())]
    ChannelName {
        /// What was given.
        name: String,
    },
    /// Metadata that the protocol doesn't allow.
    #[error("{0}")]
    Metadata(#[from] MetadataError),
    /// No connection to the server came about in time.
    #[error("the server at {server} is out of reach: {reason}. Nothing was sent: safe to send again")]
    Unreachable {
        /// The server's address.
        server: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// The server doesn't want this client: its token, or the version of its protocol.
    #[error("the server refused the connection: {} ({})", fault.message, fault.code)]
    Refused {
        /// The server's words.
        fault: Fault,
    },
    /// What was said of TLS can't be used: a file can't be read, a key isn't its certificate's.
    #[error("{reason}")]
    TlsOptions {
        /// What can't be used, and why.
        reason: String,
    },
    /// The server is there, and no connection over TLS comes about: one side doesn't accept the other's certificate,
    /// say. Trying again would end the same way.
    #[error("no connection over TLS to {server}: {reason}. Nothing was started")]
    Tls {
        /// The server's address.
        server: String,
        /// What is wrong, for programs.
        trouble: TlsTrouble,
        /// What is wrong, for people.
        reason: String,
    },
    /// The connection was lost while the request was under way.
    #[error("the connection to the server was lost: {reason}. {}", outcome.sentence())]
    ConnectionLost {
        /// What ended the connection.
        reason: String,
        /// What became of the request.
        outcome: Outcome,
    },
    /// The server or the receiver ended the request with an error.
    #[error("{}", failed(fault, *outcome))]
    Failed {
        /// Which error, and its words.
        fault: Fault,
        /// What became of the request.
        outcome: Outcome,
    },
    /// The request's time was up and the server hadn't said so: it was cancelled from here.
    #[error("the request's time is up. {}", outcome.sentence())]
    TimedOut {
        /// What became of the request.
        outcome: Outcome,
    },
    /// The source of the request's body failed, so the request was cancelled.
    #[error("the request's body can't be read: {source}. {}", outcome.sentence())]
    Body {
        /// What the source said.
        source: Arc<io::Error>,
        /// What became of the request.
        outcome: Outcome,
    },
    /// A body is longer than the program wanted to collect.
    #[error(
        "the body is longer than the {limit} bytes that were to be collected; read it as a stream, or raise the limit"
    )]
    TooLarge {
        /// The limit that was given, in bytes.
        limit: usize,
    },
    /// The request is over, so nothing more of it is sent or received.
    #[error("the request is over: nothing more of its bodies is taken or delivered")]
    Over,
    /// A request can't be given back any more: a receiver may do that only before it has begun.
    #[error("the request can't be given back: its body was read, or its response has begun")]
    Begun,
    /// This client receives on the channel already.
    #[error("this client receives on '{channel}' already; take more requests at once with serve() or ready()")]
    AlreadyReceiving {
        /// The channel's name.
        channel: String,
    },
    /// The client was closed.
    #[error("the client was closed; nothing was sent")]
    Closed,
}

impl Error {
    /// Whether sending the same request again certainly repeats nothing: the [outcome](Self::outcome) is unstarted.
    ///
    /// A request whose effects may be repeated ([idempotent](crate::SendRequest::idempotent)) can be sent again
    /// whatever this says.
    pub fn is_safe_to_resend(&self) -> bool {
        self.outcome() == Outcome::Unstarted
    }

    /// Whether connecting again would end the same way until people change something: one side knows the other and
    /// doesn't want it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { fault } => {
                !matches!(fault.code, Code::ShuttingDown | Code::Overloaded | Code::TooManyInFlight | Code::Internal)
            }
            Self::Tls { .. } => true,
            _ => false,
        }
    }

    /// What became of the request.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::ConnectionLost { outcome, .. }
            | Self::Failed { outcome, .. }
            | Self::TimedOut { outcome }
            | Self::Body { outcome, .. } => *outcome,
            Self::TooLarge { .. } | Self::Over | Self::Begun => Outcome::Accepted,
            Self::Address { .. }
            | Self::ChannelName { .. }
            | Self::Metadata(_)
            | Self::Unreachable { .. }
            | Self::TlsOptions { .. }
            | Self::Tls { .. }
            | Self::Refused { .. }
            | Self::AlreadyReceiving { .. }
            | Self::Closed => Outcome::Unstarted,
        }
    }

    /// The nearest row of the protocol's table of errors.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { fault } | Self::Failed { fault, .. } => fault.code,
            Self::Unreachable { .. } | Self::ConnectionLost { .. } => Code::ConnectionLost,
            Self::Tls { .. } => Code::Unauthorized,
            Self::TimedOut { .. } => Code::DeadlineExceeded,
            Self::Body { .. } | Self::Begun => Code::Application,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Over => Code::Cancelled,
            Self::AlreadyReceiving { .. } => Code::TooManyInFlight,
            Self::Closed => Code::ShuttingDown,
            Self::Address { .. } | Self::ChannelName { .. } | Self::Metadata(_) | Self::TlsOptions { .. } => {
                Code::InvalidFrame
            }
        }
    }

    /// The same error of a request that was tried before, with this outcome: the graver of both is what became of it.
    pub(crate) fn after(self, earlier: Outcome) -> Self {
        let graver = |now: Outcome| match (earlier, now) {
            (Outcome::Accepted, _) | (_, Outcome::Accepted) => Outcome::Accepted,
            (Outcome::Unknown, _) | (_, Outcome::Unknown) => Outcome::Unknown,
            (Outcome::Unstarted, Outcome::Unstarted) => Outcome::Unstarted,
        };
        match self {
            Self::ConnectionLost { reason, outcome } => Self::ConnectionLost { reason, outcome: graver(outcome) },
            Self::Failed { fault, outcome } => Self::Failed { fault, outcome: graver(outcome) },
            Self::TimedOut { outcome } => Self::TimedOut { outcome: graver(outcome) },
            Self::Body { source, outcome } => Self::Body { source, outcome: graver(outcome) },
            // These say that nothing was sent, which is true of the last try alone.
            Self::Refused { fault } if earlier != Outcome::Unstarted => Self::Failed { fault, outcome: earlier },
            Self::Unreachable { reason, .. } | Self::Tls { reason, .. } if earlier != Outcome::Unstarted => {
                Self::ConnectionLost { reason, outcome: earlier }
            }
            Self::Closed if earlier != Outcome::Unstarted => {
                Self::ConnectionLost { reason: "the client was closed".to_owned(), outcome: earlier }
            }
            other => other,
        }
    }

    /// The same error with another outcome, where it is about a request that was sent.
    pub(crate) fn with_outcome(mut self, now: Outcome) -> Self {
        if let Self::ConnectionLost { outcome, .. }
        | Self::Failed { outcome, .. }
        | Self::TimedOut { outcome }
        | Self::Body { outcome, .. } = &mut self
        {
            *outcome = now;
        }
        self
    }

    /// What the server or the receiver said, if the error came from there.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused { fault } | Self::Failed { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// The error as a fault, whoever made it.
    pub(crate) fn to_fault(&self) -> Fault {
        self.fault().cloned().unwrap_or_else(|| Fault::because(self.code(), self.to_string()))
    }

    /// The other side broke a rule within one exchange.
    pub(crate) fn broken(violation: &Violation, outcome: Outcome) -> Self {
        Self::Failed { fault: violation.fault(), outcome }
    }
}

/// The same error for programs that read and write bodies through tokio's traits; [`io::Error::get_ref`] has it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::ConnectionLost { .. } => io::ErrorKind::ConnectionReset,
            Error::Unreachable { .. } => io::ErrorKind::NotConnected,
            Error::TimedOut { .. } => io::ErrorKind::TimedOut,
            Error::Over => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn failed(fault: &Fault, outcome: Outcome) -> String {
    let mut text = format!("{} ({}", fault.message.trim_end_matches('.'), fault.code);
    if let (Some(free), Some(busy)) = (fault.free, fault.busy) {
        let _ = write!(text, "; receivers: {free} free, {busy} busy");
    }
    text.push_str("). ");
    text.push_str(outcome.sentence());
    if let Some(detail) = &fault.detail {
        text.push('\n');
        text.push_str(detail.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_and_whether_sending_again_is_safe() {
        let fault = Fault::because(Code::NoReceiver, "no receiver is ready on 'upper'").with_receivers(0, 2);
        let error = Error::Failed { fault, outcome: Outcome::Unstarted };
        assert_eq!(
            error.to_string(),
            "no receiver is ready on 'upper' (no-receiver; receivers: 0 free, 2 busy). \
             Nothing was started: safe to send again."
        );
        assert!(error.is_safe_to_resend());
        assert_eq!(error.code(), Code::NoReceiver);
    }

    #[test]
    fn what_an_earlier_try_may_have_started_no_later_one_undoes() {
        let lost = |outcome| Error::ConnectionLost { reason: "gone".into(), outcome };
        for (earlier, now, both) in [
            (Outcome::Unstarted, Outcome::Unstarted, Outcome::Unstarted),
            (Outcome::Unstarted, Outcome::Unknown, Outcome::Unknown),
            (Outcome::Unknown, Outcome::Unstarted, Outcome::Unknown),
            (Outcome::Accepted, Outcome::Unknown, Outcome::Accepted),
            (Outcome::Unknown, Outcome::Accepted, Outcome::Accepted),
        ] {
            assert_eq!(lost(now).after(earlier).outcome(), both);
        }
        let unreachable = Error::Unreachable { server: "there".into(), reason: "refused".into() };
        let refused = Error::Refused { fault: Fault::new(Code::Unauthorized) };
        let tls = Error::Tls { server: "there".into(), trouble: TlsTrouble::Expired, reason: "expired".into() };
        for error in [unreachable, refused, tls, Error::Closed] {
            assert!(error.clone().after(Outcome::Unstarted).is_safe_to_resend());
            assert_eq!(error.after(Outcome::Unknown).outcome(), Outcome::Unknown);
        }
    }

    #[test]
    fn an_io_error_gives_the_error_back() {
        let error = io::Error::from(Error::Over);
        assert!(matches!(error.get_ref().unwrap().downcast_ref(), Some(Error::Over)));
    }
}
