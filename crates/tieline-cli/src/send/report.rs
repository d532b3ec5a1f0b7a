//! What is said of a request that failed: what happened, what is left of the response, whether to send it again.

use tieline::{Code, Error, Fault, Outcome, RequestId};
use tieline_server::observe::start_one;

use crate::channel::Name;
use crate::exit::{self, Failure, Started};
use crate::reach::Reach;
use crate::terminal::short;
use crate::units::Span;

/// What was asked for, as far as it matters to whoever reads of its failure.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The channel it was sent to.
    pub(crate) channel: &'a Name,
    /// Where the server is.
    pub(crate) reach: &'a Reach,
    /// Running it twice was said to do no harm.
    pub(crate) idempotent: bool,
}

/// A request that failed, with what is known of it.
pub(crate) struct Failed<'a> {
    /// What was asked for.
    pub(crate) asked: Asked<'a>,
    /// The request's id, if its response had begun.
    pub(crate) request: Option<RequestId>,
    /// What is to be said of the output, if some of the response came.
    pub(crate) remains: Option<String>,
}

impl Failed<'_> {
    /// The words and the exit status for a request that ended with `error`.
    pub(crate) fn failure(self, error: &Error) -> Failure {
        let outcome = error.outcome();
        match error {
            Error::Unreachable { reason, .. } => {
                return self.asked.reach.unreachable(reason, &format!(" {}", self.safety(outcome)));
            }
            Error::Tls { trouble, reason, .. } => {
                return self.asked.reach.no_tls(*trouble, reason, &format!(" {}", self.safety(outcome)));
            }
            Error::Body { source, .. } => {
                let failure = Failure::new(exit::NO_INPUT, format!("the input can't be read: {source}"));
                return self.with_end(failure, outcome);
            }
            _ => {}
        }
        let started = if outcome == Outcome::Unstarted { Started::No } else { Started::Maybe };
        let status = exit::status_of(error.code(), started);
        let mut what = self.what(error);
        if let Some(id) = self.request {
            what = format!("{what} (request {})", short(id));
        }
        let failure = match outcome {
            Outcome::Unstarted => Failure::new(status, format!("{what}. {}", self.safety(outcome))),
            _ => Failure::new(status, what),
        };
        let failure = error.fault().into_iter().fold(failure, |failure, fault| self.with_fault(failure, fault));
        if outcome == Outcome::Unstarted { failure } else { self.with_end(failure, outcome) }
    }

    /// The words and the exit status for a request that we cancelled ourselves.
    pub(crate) fn cancelled(self, why: &str, outcome: Outcome) -> Failure {
        match outcome {
            Outcome::Unstarted => {
                let status = exit::status_of(Code::Cancelled, Started::No);
                Failure::new(status, format!("{why}. {}", self.safety(outcome)))
            }
            _ => self.with_end(Failure::new(exit::status_of(Code::Cancelled, Started::Maybe), why), outcome),
        }
    }

    /// What happened, without a full stop.
    fn what(&self, error: &Error) -> String {
        let channel = &self.asked.channel;
        let server = &self.asked.reach.server;
        let unstarted = error.outcome() == Outcome::Unstarted;
        let message = |fault: &Fault| fault.message.trim_end_matches('.').to_owned();
        match (error, error.code(), error.fault()) {
            (Error::ConnectionLost { reason, .. }, ..) => {
                format!("the connection to {server} was lost with the request under way: {reason}")
            }
            (_, Code::NoReceiver, Some(fault)) if unstarted && fault.free.is_none() => {
                format!("no receiver on '{channel}' took the request: each that was given it gave it back")
            }
            (_, Code::NoReceiver, Some(fault)) if unstarted => {
                format!("no receiver is ready on '{channel}'{}", receivers(fault))
            }
            (_, Code::WaitLimit, Some(fault)) => {
                format!("no receiver took the request on '{channel}' within its wait{}", receivers(fault))
            }
            (_, Code::DeadlineExceeded, fault) if unstarted => {
                let receivers = fault.map(receivers).unwrap_or_default();
                format!("no receiver took the request on '{channel}' before its deadline{receivers}")
            }
            (_, Code::DeadlineExceeded, _) => format!("the request on '{channel}' was not over by its deadline"),
            (_, Code::ReceiverLost, _) => format!("the receiver on '{channel}' was lost with the request in its hands"),
            (_, Code::Application, Some(fault)) => format!("the receiver on '{channel}' failed: {}", message(fault)),
            (_, code, Some(fault)) => format!("the request on '{channel}' failed, {code}: {}", message(fault)),
            (error, ..) => format!("the request on '{channel}' failed: {error}"),
        }
    }

    /// The lines that the fault itself brings: its detail, what to start, when to try again.
    fn with_fault(&self, mut failure: Failure, fault: &Fault) -> Failure {
        if let Some(detail) = &fault.detail {
            failure = failure.line(detail);
        }
        if let Some(after) = fault.retry_after {
            failure = failure.line(format!("try again in {}", Span(after)));
        }
        let nobody_took_it = matches!(fault.code, Code::NoReceiver | Code::WaitLimit | Code::DeadlineExceeded);
        match fault.busy {
            Some(busy) if nobody_took_it && fault.free.unwrap_or(0) == 0 => {
                let one = if busy == 0 { "start one:" } else { "start another:" };
                failure.line(format!("{one}  {}", start_one(Some(self.asked.channel.as_str()))))
            }
            _ => failure,
        }
    }

    /// The last line: what is left of the response, and whether to send again.
    fn with_end(&self, failure: Failure, outcome: Outcome) -> Failure {
        let safety = self.safety(outcome);
        failure.line(match &self.remains {
            Some(remains) => format!("{remains} {safety}"),
            None => safety.to_owned(),
        })
    }

    fn safety(&self, outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Unstarted => "Nothing was started: safe to send again.",
            Outcome::Accepted if self.asked.idempotent => {
                "The program ran; the request is idempotent: safe to send again."
            }
            Outcome::Unknown if self.asked.idempotent => {
                "The program may have run; the request is idempotent: safe to send again."
            }
            Outcome::Accepted => "The program ran: sending again may repeat its effects.",
            Outcome::Unknown => "The program may have run: sending again may repeat its effects.",
        }
    }
}

/// How many receivers are there, where the fault says so.
fn receivers(fault: &Fault) -> String {
    match (fault.free, fault.busy) {
        (Some(free), Some(busy)) => format!(" ({free} free, {busy} busy)"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Args;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn failure(flags: &[&str], error: &Error, request: Option<u128>, remains: Option<&str>) -> Failure {
        let line = Line::parse_from(["send", "upper"].iter().chain(flags));
        let request = request.map(RequestId::from_u128);
        Failed { asked: line.args.asked(), request, remains: remains.map(str::to_owned) }.failure(error)
    }

    fn failed(fault: Fault, outcome: Outcome) -> Error {
        Error::Failed { fault, outcome }
    }

    #[test]
    fn no_receiver_says_who_is_there_and_how_to_start_one() {
        let error = failed(Fault::new(Code::NoReceiver).with_receivers(0, 0), Outcome::Unstarted);
        let failure = failure(&[], &error, None, None);
        assert_eq!(
            failure.words,
            "no receiver is ready on 'upper' (0 free, 0 busy). Nothing was started: safe to send again.\n  \
             start one:  tieline receive upper -- CMD"
        );
        assert_eq!(failure.status, 69);
    }

    #[test]
    fn a_failed_program_says_how_with_its_last_words_and_what_is_left() {
        let fault = Fault::because(Code::Application, "exit status 3, after 1.2 MiB of response");
        let error = failed(fault.with_detail("resize: not a PNG file"), Outcome::Accepted);
        let failure =
            failure(&[], &error, Some(0x0198_0000_0000_0000_0000_0000_0000_00b2), Some("out.png is incomplete."));
        assert_eq!(
            failure.words,
            "the receiver on 'upper' failed: exit status 3, after 1.2 MiB of response (request 0198…b2)\n  \
             resize: not a PNG file\n  \
             out.png is incomplete. The program ran: sending again may repeat its effects."
        );
        assert_eq!(failure.status, 1);
    }

    #[test]
    fn a_deadline_says_whether_anybody_had_it() {
        let error = failed(Fault::new(Code::DeadlineExceeded), Outcome::Unstarted);
        let queue = failure(&[], &error, None, None);
        assert_eq!(queue.status, 75);
        assert!(queue.words.contains("safe to send again"), "{queue}");
        let error = failed(Fault::new(Code::DeadlineExceeded), Outcome::Accepted);
        let run = failure(&[], &error, None, None);
        assert_eq!(run.status, 124);
        assert!(run.words.contains("may repeat its effects"), "{run}");
    }

    #[test]
    fn an_idempotent_request_may_always_be_sent_again() {
        let error = Error::ConnectionLost { reason: "reset".into(), outcome: Outcome::Unknown };
        let failure = failure(&["--idempotent"], &error, None, None);
        assert!(failure.words.ends_with("idempotent: safe to send again."), "{failure}");
    }

    #[test]
    fn a_server_out_of_reach_says_how_to_start_one() {
        let error = Error::Unreachable { server: String::new(), reason: "connection refused".into() };
        let failure = failure(&[], &error, None, None);
        assert_eq!(failure.status, 69);
        assert!(failure.words.contains("tcp://127.0.0.1:7070 is out of reach: connection refused. Nothing was"));
        assert!(failure.words.ends_with("start one:  tieline serve"));
    }
}
