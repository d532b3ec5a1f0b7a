//! The figures in columns, as people read them.

use std::time::Duration;

use super::figures::{Channel, Look, Rates};
use crate::units::{Size, Span};

/// The columns; all but the first and the last are numbers.
pub(super) const HEADER: [&str; 11] =
    ["CHANNEL", "WAIT", "OLDEST", "FREE", "BUSY", "REQ/S", "IN/S", "OUT/S", "p50", "p99", "STALLED ON"];

/// The longest name that is shown whole, in characters.
const NAME_MAX: usize = 40;

/// One channel, a text for each column.
pub(super) fn cells(channel: &Channel) -> [String; 11] {
    let rate = |get: fn(Rates) -> String| channel.rates.map_or("-".to_owned(), get);
    [
        name(channel),
        channel.waiting.to_string(),
        channel.oldest_wait_seconds.map_or("-".to_owned(), time),
        channel.free.to_string(),
        channel.busy.to_string(),
        rate(|rates| per_second(rates.requests)),
        rate(|rates| size(rates.request_bytes)),
        rate(|rates| size(rates.response_bytes)),
        channel.p50_seconds.map_or("-".to_owned(), time),
        channel.p99_seconds.map_or("-".to_owned(), time),
        channel.stalled_on.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

/// The whole server, in parts that each stand for themselves.
pub(super) fn summary(look: &Look) -> Vec<String> {
    let server = &look.server;
    let up = Span(Duration::from_secs(whole(server.uptime_seconds)));
    let mut parts = vec![
        format!("tieline {}", printable(&server.version)),
        format!("up {up}{}", if server.draining { ", draining" } else { "" }),
        counted(server.connections, "connection"),
        counted(look.page.total as u64, "channel"),
        format!("{} waiting", server.waiting),
        format!("{} free", server.free),
        format!("{} busy", server.busy),
    ];
    if let Some(rates) = server.rates {
        parts.push(format!("{} req/s", per_second(rates.requests)));
        parts.push(format!("in {}/s", size(rates.request_bytes)));
        parts.push(format!("out {}/s", size(rates.response_bytes)));
    }
    parts.push(format!("memory {} of {}", Size(server.promised), Size(server.memory)));
    parts
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// How wide each column is, with its header.
pub(super) fn widths<'a>(rows: impl IntoIterator<Item = &'a [String; 11]>) -> [usize; 11] {
    let mut widths = HEADER.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

/// What there is to say where no channel is.
pub(super) const NO_CHANNELS: &str =
    "Nobody uses a channel yet. Start a receiver:  tieline receive upper -- sed -u 's/.*/\\U&/'";

/// What would help, for channels on which requests wait and nobody receives.
pub(super) fn advice(look: &Look) -> impl Iterator<Item = String> {
    let lacking =
        look.page.channels.iter().filter_map(|channel| channel.start_one.as_ref().map(|start| (channel, start)));
    lacking.map(|(channel, start)| {
        format!("{}: {} waiting, no receiver. Start one:  {}", name(channel), channel.waiting, printable(start))
    })
}

/// All of it, for paper and pipes.
pub(super) fn plain(look: &Look) -> String {
    let rows: Vec<_> = std::iter::once(HEADER.map(str::to_owned)).chain(look.page.channels.iter().map(cells)).collect();
    let widths = widths(&rows);
    let mut text = summary(look).join("  ") + "\n";
    if look.page.channels.is_empty() {
        return text + NO_CHANNELS + "\n";
    }
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let is_text = column == 0 || column + 1 == row.len();
            let (left, right) = if is_text { (cell, &pad) } else { (&pad, cell) };
            line.extend([left, right, "  "]);
        }
        text += line.trim_end();
        text.push('\n');
    }
    for line in advice(look) {
        text += &line;
        text.push('\n');
    }
    text
}

/// What people call it, or its id. A name may hold anything, and a terminal obeys some of that.
fn name(channel: &Channel) -> String {
    let name = printable(channel.name.as_ref().unwrap_or(&channel.id));
    if name.chars().count() <= NAME_MAX { name } else { name.chars().take(NAME_MAX - 1).chain(['…']).collect() }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn per_second(rate: f64) -> String {
    if rate >= 9.95 || rate == 0.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}

fn size(bytes: f64) -> String {
    Size(whole(bytes)).to_string()
}

#[allow(clippy::cast_sign_loss, reason = "what is below 0, which no server says, becomes 0")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Two digits that say most: `640us`, `12ms`, `1.2s`, `5m`.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0}us", s * 1e6),
        s if s < 0.0095 => format!("{:.1}ms", s * 1e3),
        s if s < 1.0 => format!("{:.0}ms", s * 1e3),
        s if s < 9.5 => format!("{s:.1}s"),
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7200.0 => format!("{:.0}m", s / 60.0),
        s => format!("{:.0}h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(name: &str) -> Look {
        let overview = json!({
            "version": "0.1.0", "uptime_seconds": 61.5, "draining": false, "connections": 3, "waiting": 2, "free": 0,
            "busy": 3, "promised": 36_864, "memory": 2_147_483_648_u64,
            "rates": { "requests": 12.0, "request_bytes": 1024.0, "response_bytes": 0.0 },
        });
        let channel = json!({
            "id": "x", "name": name, "waiting": 2, "oldest_wait_seconds": 1.25, "free": 0, "busy": 3,
            "rates": { "requests": 12.0, "request_bytes": 100_663_296.0, "response_bytes": 0.0 },
            "p50_seconds": 0.31, "p99_seconds": null, "stalled_on": "receiver",
            "start_one": "tieline receive thumbs -- CMD",
        });
        Look::read(&overview.to_string(), &json!({ "total": 1, "channels": [channel] }).to_string()).unwrap()
    }

    #[test]
    fn a_table_has_a_line_for_each_channel_under_its_columns_and_says_what_would_help() {
        assert_eq!(
            plain(&look("thumbs")),
            "tieline 0.1.0  up 1m1s  3 connections  1 channel  2 waiting  0 free  3 busy  12 req/s  in 1 KiB/s  \
             out 0 B/s  memory 36 KiB of 2 GiB\n\
             CHANNEL  WAIT  OLDEST  FREE  BUSY  REQ/S    IN/S  OUT/S    p50  p99  STALLED ON\n\
             thumbs      2    1.2s     0     3     12  96 MiB    0 B  310ms    -  receiver\n\
             thumbs: 2 waiting, no receiver. Start one:  tieline receive thumbs -- CMD\n"
        );
    }

    #[test]
    fn where_no_channel_is_it_says_how_to_begin() {
        let mut look = look("x");
        look.page.channels.clear();
        let text = plain(&look);
        assert_eq!(text.lines().nth(1), Some(NO_CHANNELS));
        assert!(NO_CHANNELS.ends_with(r"sed -u 's/.*/\U&/'"), "{NO_CHANNELS}");
    }

    #[test]
    fn a_name_cannot_command_the_terminal_nor_push_the_table_aside() {
        let text = plain(&look(&format!("\u{1b}[2J\n{}", "x".repeat(200))));
        assert!(!text.contains('\u{1b}') && text.contains("\u{fffd}[2J\u{fffd}xxx") && text.contains("x…  "), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
