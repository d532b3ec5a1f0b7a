//! What fuzzers try of the command: all that reads words which people write into a configuration. Any text is read or
//! refused with words; what is read prints, and reads back as the same.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use tieline::Address;

use crate::exit;
use crate::serve::config::{config, threads};
use crate::serve::file::parse as parse_file;
use crate::serve::settings::Settings;
use crate::units::{Size, Span};

/// Reads a text as a configuration file, and each of its lines as a value.
///
/// # Panics
/// If a promise is broken. Nothing but this text is looked at.
#[doc(hidden)]
pub fn try_configuration(text: &str) {
    file(text);
    for line in text.lines() {
        round::<Span>(line);
        round::<Address>(line);
        if let Ok(size) = line.parse() {
            shown(size);
        }
    }
}

/// What prints reads back as the same.
fn round<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    assert!(printed.parse().is_ok_and(|again: T| again == value), "{text:?} was read, and is printed as {printed:?}");
}

/// A size is printed for people, in two digits: what they read is near to what it is.
fn shown(size: Size) {
    let printed = size.to_string();
    let (number, unit) = printed.split_once(' ').unwrap_or_default();
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = units.iter().position(|known| *known == unit).map(|power| (1_u64 << (10 * power)) as f64);
    let near = unit.zip(number.parse::<f64>().ok()).map(|(unit, number)| number * unit);
    let exact = size.0 as f64;
    assert!(near.is_some_and(|near| (near - exact).abs() <= exact * 0.06), "{exact} bytes are printed as {printed:?}");
}

fn file(text: &str) {
    match parse_file(text) {
        Ok(settings) => {
            let printed = printed(&settings);
            assert_eq!(parse_file(&printed).as_ref(), Ok(&settings), "{text:?} is printed as {printed:?}");
            match threads(&settings).and_then(|_| config(&settings, None)) {
                Ok(config) => assert!(config.validate().is_ok(), "{printed}"),
                Err(failure) => assert_eq!(failure.status, exit::CONFIG, "{failure}"),
            }
            // A setting that is made twice stays as it was.
            assert_eq!(settings.clone().or(settings.clone()), settings);
        }
        Err(words) => {
            let (line, reason) = words.split_once(": ").unwrap_or_default();
            let lines = text.lines().count() + 1;
            assert!(line.parse().is_ok_and(|line: usize| (1..=lines).contains(&line)), "{words:?} of {lines} lines");
            assert!(!reason.is_empty(), "{words:?}");
        }
    }
}

/// Settings as a file says them: each key, so that a new one can't be left out.
fn printed(settings: &Settings) -> String {
    let Settings {
        listen,
        http,
        no_http,
        http_host,
        http_origin,
        http_connections,
        http_requests,
        tls_cert,
        tls_key,
        tls_client_ca,
        tokens,
        threads,
        memory,
        channel_places,
        connections,
        requests,
        receives,
        payload,
        window,
        initial,
        deadline,
        ping,
        drain,
        flood_rate,
        flood_burst,
        wrong_tokens,
    } = settings;
    let quoted = |value: &dyn Display| toml::Value::String(value.to_string()).to_string();
    let listen = listen.iter().map(|address| quoted(address)).collect::<Vec<_>>().join(", ");
    let list =
        |list: &[String]| Some(format!("[{}]", list.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", ")));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| quoted(&path.display()));
    let size = |size: &Option<Size>| size.map(|size| quoted(&size.0));
    let span = |span: &Option<Span>| span.map(|span| quoted(&span));
    let count = |count: &Option<u64>| count.map(|count| count.to_string());
    let values = [
        ("listen", Some(format!("[{listen}]"))),
        ("http", http.as_ref().map(|address| quoted(address))),
        ("no-http", no_http.map(|no| no.to_string())),
        ("http-host", list(http_host)),
        ("http-origin", list(http_origin)),
        ("http-connections", count(http_connections)),
        ("http-requests", count(http_requests)),
        ("tls-cert", path(tls_cert)),
        ("tls-key", path(tls_key)),
        ("tls-client-ca", path(tls_client_ca)),
        ("tokens", path(tokens)),
        ("threads", threads.map(|threads| threads.to_string())),
        ("memory", size(memory)),
        ("channel-places", count(channel_places)),
        ("connections", count(connections)),
        ("requests", count(requests)),
        ("receives", count(receives)),
        ("payload", size(payload)),
        ("window", size(window)),
        ("initial", size(initial)),
        ("deadline", span(deadline)),
        ("ping", span(ping)),
        ("drain", span(drain)),
        ("flood-rate", count(flood_rate)),
        ("flood-burst", count(flood_burst)),
        ("wrong-tokens", count(wrong_tokens)),
    ];
    let set = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
    set.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n")
}
