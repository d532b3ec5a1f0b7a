//! A position in a trace, as commands hand it on: in the environment, by the variables `TRACEPARENT` and `TRACESTATE`, as
//! other tools for the command line do.

use std::ffi::OsStr;

use tieline::{Request, SendRequest, TraceParent};
use tieline_protocol::trace::is_trace_state;

/// The variable of the position.
const PARENT: &str = "TRACEPARENT";

/// The variable of what tracing systems say beside it.
const STATE: &str = "TRACESTATE";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    pub(crate) parent: TraceParent,
    pub(crate) state: Option<String>,
}

impl Position {
    /// The one that this process was started with. What isn't one is none.
    pub(crate) fn of_environment() -> Option<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let parent = variable(PARENT)?.parse().ok()?;
        Some(Self { parent, state: variable(STATE).filter(|state| is_trace_state(state.as_bytes())) })
    }

    /// The one that a request came with.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        Some(Self { parent: request.trace()?, state: request.trace_state().map(str::to_owned) })
    }

    /// The request, at this position.
    pub(crate) fn give(&self, request: SendRequest) -> SendRequest {
        request.trace(self.parent).trace_state(self.state.as_deref().unwrap_or_default())
    }

    /// The variables for who is to work under it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.state.clone().map(|state| (STATE, state));
        std::iter::once((PARENT, self.parent.to_string())).chain(state)
    }
}

/// Whether a variable is of a trace: one's own must not be mistaken for a request's.
pub(crate) fn is_variable(name: &OsStr) -> bool {
    [PARENT, STATE].iter().any(|ours| name == OsStr::new(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(parent: &str, state: &str) -> Vec<(&'static str, String)> {
        let variable = |name: &str| Some(if name == PARENT { parent } else { state }.to_owned());
        Position::read(variable).iter().flat_map(Position::variables).collect()
    }

    #[test]
    fn what_is_read_is_handed_on_and_what_is_no_position_is_not() {
        let both = vec![(PARENT, TEXT.to_owned()), (STATE, "a=1".to_owned())];
        assert_eq!(read(TEXT, "a=1"), both);
        assert_eq!(read(TEXT, "A=1"), both[..1]);
        assert_eq!(read("nonsense", "a=1"), []);
        assert_eq!(Position::read(|_| None), None);
    }
}
