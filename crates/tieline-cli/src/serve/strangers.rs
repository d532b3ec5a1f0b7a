//! Variables that look like a setting and are none: `TIELINE_MEMROY` must not be a silent fallback to the default.
//!
//! They are told, not refused: some platforms set variables named after a service (`TIELINE_PORT_7070_TCP`).

use clap::Args as _;

use super::args::Args;
use crate::nearest::nearest;

/// A sentence for each variable `TIELINE_*` among `present` that is near a setting's name and isn't one.
pub(super) fn notes(present: impl Iterator<Item = String>) -> Vec<String> {
    let flags = Args::augment_args(clap::Command::new("serve"));
    let known: Vec<String> =
        flags.get_arguments().filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned)).collect();
    let word = |name: &str| name.strip_prefix("TIELINE_").map(str::to_owned);
    let words: Vec<String> = known.iter().filter_map(|name| word(name)).collect();
    present
        .filter_map(|name| word(&name))
        .filter(|name| !words.contains(name) && !ELSEWHERE.contains(&name.as_str()))
        .filter_map(|name| {
            let near = nearest(&name, words.iter().map(String::as_str))?;
            Some(format!("TIELINE_{name} means nothing; did you mean TIELINE_{near}?"))
        })
        .collect()
}

/// Variables that other commands read.
const ELSEWHERE: &[&str] = &[
    "SERVER",
    "SERVER_NAME",
    "CA",
    "CERT",
    "KEY",
    "TOKEN",
    "TOKEN_FILE",
    "CONNECT_TIMEOUT",
    "LOG",
    "CHANNEL",
    "REQUEST_ID",
    "REMAINING_MS",
    "PORT",
    "HTTP_URL",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_and_others_are_left_alone() {
        let present = ["TIELINE_MEMROY", "TIELINE_MEMORY", "TIELINE_CHANNEL", "TIELINE_PORT_7070_TCP", "PATH"];
        let notes = notes(present.into_iter().map(str::to_owned));
        assert_eq!(notes, ["TIELINE_MEMROY means nothing; did you mean TIELINE_MEMORY?"]);
    }
}
