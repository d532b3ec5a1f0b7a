//! Which requests are sent again, and when.

use std::time::Duration;

use tieline_protocol::Code;

use crate::error::{Error, Outcome};
use crate::link::backoff::Backoff;

/// Whether a request that failed is sent again without being asked for.
///
/// Only what is safe is ever sent again: the request is either certainly unstarted or marked
/// [idempotent](crate::SendRequest::idempotent), and its [body](crate::Body) can be had once more. Nothing is sent again once a response was handed to the
/// program, or when the request's time is up.
///
/// The default sends again, on the next connection, what is safe and failed because its connection was lost or its
/// server shut down.
///
/// ```
/// use std::time::Duration;
/// use tieline::Retry;
///
/// let patient = Retry::up_to(5).backoff(Duration::from_millis(200), Duration::from_secs(10));
/// assert_ne!(patient, Retry::none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    policy: Policy,
    first: Duration,
    most: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Policy {
    Never,
    OnLostConnection,
    UpTo(u32),
}

impl Default for Retry {
    fn default() -> Self {
        Self::with(Policy::OnLostConnection)
    }
}

impl Retry {
    /// Never sends again.
    pub const fn none() -> Self {
        Self::with(Policy::Never)
    }

    /// Sends again up to so many times, also what failed because no receiver was ready, the channel was full, the
    /// server overloaded, or (if idempotent) the receiver lost. A request that a server sent away unstarted because it
    /// ends, or that never left, moves on without being counted, unless `times` is 0.
    pub const fn up_to(times: u32) -> Self {
        Self::with(Policy::UpTo(times))
    }

    /// The pause before the first time, doubled for each further one up to the most. 100 ms and 10 s unless set.
    #[must_use]
    pub const fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.first = first;
        self.most = most;
        self
    }

    /// Whether nothing is ever sent again.
    pub(crate) const fn is_never(self) -> bool {
        matches!(self.policy, Policy::Never | Policy::UpTo(0))
    }

    const fn with(policy: Policy) -> Self {
        Self { policy, first: Duration::from_millis(100), most: Duration::from_secs(10) }
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    policy: Policy,
    backoff: Backoff,
    is_idempotent: bool,
}

impl Tries {
    pub(crate) fn new(retry: Retry, is_idempotent: bool) -> Self {
        let policy = if retry.is_never() { Policy::Never } else { retry.policy };
        Self { policy, backoff: Backoff::new(retry.first, retry.most), is_idempotent }
    }

    /// How long to pause before sending again, if the body can be had once more; `None` if it isn't to be.
    pub(crate) fn again(&mut self, error: &Error) -> Option<Duration> {
        let is_unstarted = error.outcome() == Outcome::Unstarted;
        if !is_unstarted && !self.is_idempotent {
            return None;
        }
        match &mut self.policy {
            Policy::Never => None,
            // The next connection has a pause of its own.
            Policy::OnLostConnection => lost_its_way(error).then_some(Duration::ZERO),
            Policy::UpTo(_) if is_unstarted && lost_its_way(error) => Some(Duration::ZERO),
            Policy::UpTo(0) => None,
            Policy::UpTo(left) => {
                if !may_go_better(error) {
                    return None;
                }
                *left -= 1;
                let asked = error.fault().and_then(|fault| fault.retry_after).unwrap_or_default();
                Some(self.backoff.next().max(asked))
            }
        }
    }
}

/// Whether the request failed for want of a way to its receiver.
fn lost_its_way(error: &Error) -> bool {
    match error {
        Error::ConnectionLost { .. } => true,
        Error::Failed { fault, .. } => matches!(fault.code, Code::ShuttingDown | Code::ServerLost),
        _ => false,
    }
}

/// Whether the same request may fare better another time.
fn may_go_better(error: &Error) -> bool {
    match error {
        Error::ConnectionLost { .. } => true,
        Error::Failed { fault, .. } => matches!(
            fault.code,
            Code::TooManyInFlight
                | Code::ChannelFull
                | Code::Overloaded
                | Code::NoReceiver
                | Code::ReceiverLost
                | Code::ServerLost
                | Code::ShuttingDown
                | Code::Internal
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tieline_protocol::Fault;

    fn failed(code: Code, outcome: Outcome) -> Error {
        Error::Failed { fault: Fault::new(code), outcome }
    }

    #[test]
    fn by_default_what_is_safe_is_sent_again_for_want_of_a_connection_and_nothing_else_is() {
        let again = |idempotent, error: &Error| Tries::new(Retry::default(), idempotent).again(error).is_some();
        let lost = |outcome| Error::ConnectionLost { reason: String::new(), outcome };
        for idempotent in [false, true] {
            assert!(again(idempotent, &lost(Outcome::Unstarted)));
            assert!(again(idempotent, &failed(Code::ShuttingDown, Outcome::Unstarted)));
            assert_eq!(again(idempotent, &lost(Outcome::Unknown)), idempotent);
            assert!(!again(idempotent, &failed(Code::NoReceiver, Outcome::Unstarted)));
            assert!(!again(idempotent, &failed(Code::ReceiverLost, Outcome::Unknown)));
        }
    }

    #[test]
    fn what_may_have_run_is_sent_again_only_if_it_is_idempotent() {
        let error = failed(Code::ReceiverLost, Outcome::Unknown);
        assert!(Tries::new(Retry::up_to(1), false).again(&error).is_none());
        assert!(Tries::new(Retry::up_to(1), true).again(&error).is_some());
    }

    #[test]
    fn being_sent_away_unstarted_is_no_try_that_counts() {
        let away = failed(Code::ShuttingDown, Outcome::Unstarted);
        let mut tries = Tries::new(Retry::up_to(1), true);
        for _ in 0..9 {
            assert_eq!(tries.again(&away), Some(Duration::ZERO));
        }
        assert!(tries.again(&failed(Code::ShuttingDown, Outcome::Unknown)).is_some());
        assert!(tries.again(&failed(Code::ShuttingDown, Outcome::Unknown)).is_none(), "it may have run each time");
        assert!(tries.again(&away).is_some());
        assert!(Tries::new(Retry::up_to(0), true).again(&away).is_none());
    }

    #[test]
    fn tries_are_counted_and_the_servers_wish_for_a_pause_is_kept() {
        let mut tries = Tries::new(Retry::up_to(2).backoff(Duration::ZERO, Duration::ZERO), false);
        let mut fault = Fault::new(Code::Overloaded);
        fault.retry_after = Some(Duration::from_secs(3));
        let error = Error::Failed { fault, outcome: Outcome::Unstarted };
        assert_eq!(tries.again(&error), Some(Duration::from_secs(3)));
        assert!(tries.again(&error).is_some());
        assert!(tries.again(&error).is_none());
    }

    #[test]
    fn what_would_fail_the_same_way_is_not_sent_again() {
        let mut tries = Tries::new(Retry::up_to(9), true);
        assert!(tries.again(&failed(Code::ForbiddenChannel, Outcome::Unstarted)).is_none());
        assert!(tries.again(&failed(Code::Application, Outcome::Accepted)).is_none());
    }
}
