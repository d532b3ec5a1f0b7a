//! Files in TOML that people write: what is wrong in one is told with its line, and an unknown key with the nearest
//! known one. An unknown key is an error, never passed over.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::exit::{self, Failure};
use crate::nearest::nearest;

/// Reads a file.
///
/// # Errors
/// If it can't be read, isn't TOML, or has a key or a value that means nothing; with file and line.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    parse(&text(path)?).map_err(|words| wrong(path, &words))
}

/// A file's text.
///
/// # Errors
/// If it can't be read.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(exit::CONFIG, format!("{} can't be read: {error}", path.display())))
}

/// What is said of a file in which something is wrong; the words begin with the number of a line.
pub(crate) fn wrong(path: &Path, words: &str) -> Failure {
    Failure::new(exit::CONFIG, format!("{}:{words}", path.display()))
}

/// Reads the text of a file; an error begins with the number of its line.
///
/// # Errors
/// If it isn't TOML, or has a key or a value that means nothing.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let line = line_of(text, span.start);
        let message = error.message().lines().next().unwrap_or_default();
        match message.strip_prefix("unknown field ") {
            Some(rest) => format!("{line}: {}", unknown(text.get(span).unwrap_or_default(), rest)),
            None => format!("{line}: {message}"),
        }
    })
}

/// The number of the line in which a byte stands.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// What is said about a key that isn't known; `rest` is what serde says of it: the key and the known ones, in
/// backticks.
fn unknown(key: &str, rest: &str) -> String {
    let known: Vec<_> = rest.split('`').skip(1).step_by(2).skip(1).collect();
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key '{key}'; did you mean '{near}'?"),
        None => format!("unknown key '{key}'; there are: {}", known.join(", ")),
    }
}
