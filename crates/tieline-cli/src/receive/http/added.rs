//! Headers that each request to the service has beside its own, from a file: a token that the service wants to see has no
//! place on a command line, which everybody on the machine can read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::exit::{self, Failure};
use crate::files;
use crate::terminal::say;

/// The longest file, in bytes; a longer one is another.
const LENGTH_MAX: u64 = 64 * 1024;

/// They say where a message ends, or are about a connection: that is the business of whoever makes it.
const OF_THE_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Each request has its own.
const OF_THE_REQUEST: [&str; 3] = ["content-type", "traceparent", "tracestate"];
const OF_TIELINE: &str = "tieline-";

/// Reads the headers in a file: `Name: value`, a line each; lines that are empty or begin with `#` say nothing. Says so if
/// others can read it.
///
/// # Errors
/// If it can't be read, or holds what is no header or not one to be added.
pub(super) fn read(path: &Path) -> Result<HeaderMap, Failure> {
    let place = path.display();
    let wrong = |words: String| Failure::new(exit::CONFIG, words);
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LENGTH_MAX + 1).read_to_end(&mut text))
        .map_err(|error| wrong(format!("the headers in {place} can't be read: {error}")))?;
    if text.len() as u64 > LENGTH_MAX {
        return Err(wrong(format!("{place} holds more than {LENGTH_MAX} bytes, too many for headers")));
    }
    if let Some(warning) = files::open_to_others(path) {
        say(format!("tieline: {warning}"));
    }
    parse(&text).map_err(|(line, words)| wrong(format!("{place}, line {line}: {words}")))
}

/// The number of a line, and what is wrong there. A value isn't repeated: it may be a secret.
type Wrong = (usize, String);

fn parse(text: &[u8]) -> Result<HeaderMap, Wrong> {
    let mut headers = HeaderMap::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            let (name, value) = header(line).map_err(|words| (number + 1, words))?;
            headers.append(name, value);
        }
    }
    Ok(headers)
}

fn header(line: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let no_header = || "this is no header: write Name: value".to_owned();
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(no_header)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| no_header())?;
    let shown = name.as_str();
    if OF_THE_CONNECTION.contains(&shown) {
        return Err(format!("{shown} can't be added: it is about the connection, which tieline makes"));
    }
    if OF_THE_REQUEST.contains(&shown) || shown.starts_with(OF_TIELINE) {
        return Err(format!("{shown} can't be added: each request has its own"));
    }
    let words = || format!("the value of {shown} holds what can't stand in a header");
    let mut value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| words())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_header() {
        let headers = parse(b"# for the service\r\nAuthorization: Bearer a:b\r\n\nX-Key:1\nx-key: 2 \n").unwrap();
        assert_eq!(headers["authorization"], "Bearer a:b");
        assert_eq!(headers.get_all("x-key").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(headers.len(), 3);
        assert!(!format!("{headers:?}").contains("Bearer"));
    }

    #[test]
    fn what_is_no_header_or_not_to_be_added_is_told_by_its_line_and_without_its_value() {
        for (line, words) in [
            ("secret", "no header"),
            (": secret", "no header"),
            ("X Key: secret", "no header"),
            ("X-Key: sec\x01ret", "what can't stand in a header"),
            ("Content-Length: secret", "content-length can't be added"),
            ("transfer-encoding: secret", "about the connection"),
            ("Host: secret", "about the connection"),
            ("Content-Type: secret", "each request has its own"),
            ("Tieline-Meta-User: secret", "each request has its own"),
        ] {
            let (number, said) = parse(format!("a: b\n{line}\n").as_bytes()).unwrap_err();
            assert!(number == 2 && said.contains(words) && !said.contains("sec"), "{line}: {said}");
        }
    }
}
