//! Talk to people: always on stderr, never in the way of the payload.

use std::io::{self, IsTerminal, Write};

use tieline_protocol::RequestId;

/// Says a line on stderr. That nobody listens there is no error.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut text = line.as_ref().to_owned();
    text.push('\n');
    // One write, so that lines of several processes on one terminal don't mix.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether stderr may be coloured, and redrawn: it is a terminal, and nobody asked for plain output.
pub(crate) fn shows_colour() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !plain && io::stderr().is_terminal()
}

/// A request's id, short enough for a line that people read: `0198…b2`.
pub(crate) fn short(id: RequestId) -> String {
    let id = id.to_string();
    format!("{}…{}", &id[..4], &id[id.len() - 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_shows_both_ends() {
        assert_eq!(short(RequestId::from_u128(0x0198_0000_0000_0000_0000_0000_0000_00b2)), "0198…b2");
    }
}
