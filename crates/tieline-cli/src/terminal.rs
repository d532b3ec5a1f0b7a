//! Talk to people: always on stderr, never in the way of the payload.

use std::io::{self, IsTerminal, Write};

use tieline_protocol::RequestId;

/// Says a line on stderr. That nobody listens there is no error.
///
/// The words may be those of a stranger: what a program elsewhere wrote, a channel's name. So none of them commands the
/// terminal.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut text = shown(line.as_ref());
    text.push('\n');
    // One write, so that lines of several processes on one terminal don't mix.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A text without what commands a terminal, but for its lines and columns.
fn shown(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.replace("\r\n", "\n").chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect()
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
    fn no_words_command_the_terminal() {
        assert_eq!(shown("one\r\ntwo\tthree é 日"), "one\ntwo\tthree é 日");
        assert_eq!(shown("\u{1b}]0;title\u{7}\rover\u{9b}2J"), "\u{fffd}]0;title\u{fffd}\u{fffd}over\u{fffd}2J");
    }

    #[test]
    fn a_short_id_shows_both_ends() {
        assert_eq!(short(RequestId::from_u128(0x0198_0000_0000_0000_0000_0000_0000_00b2)), "0198…b2");
    }
}
