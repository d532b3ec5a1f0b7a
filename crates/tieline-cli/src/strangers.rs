//! Variables that look like a setting and are none: `TIELINE_MEMROY` must not be a silent fallback to the default.
//!
//! They are told, not refused: some platforms set variables named after a service (`TIELINE_PORT_7070_TCP`).

use clap::Command;

use crate::nearest::nearest;

/// A sentence for each variable `TIELINE_*` among `present` that is near one that a command reads, and isn't one.
pub(crate) fn notes(command: &Command, present: impl Iterator<Item = String>) -> Vec<String> {
    let flags = command.get_subcommands().flat_map(Command::get_arguments);
    let mut words: Vec<String> = flags
        .filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix(PREFIX).map(str::to_owned))
        .chain(BESIDE_FLAGS.iter().map(|&word| word.to_owned()))
        .collect();
    words.sort_unstable();
    words.dedup();
    present
        .filter_map(|name| name.strip_prefix(PREFIX).map(str::to_owned))
        .filter(|name| !words.contains(name) && !OTHERS.iter().any(|begin| name.starts_with(begin)))
        .filter_map(|name| {
            let near = nearest(&name, words.iter().map(String::as_str))?;
            Some(format!("TIELINE_{name} means nothing; did you mean TIELINE_{near}?"))
        })
        .collect()
}

const PREFIX: &str = "TIELINE_";

/// Variables that are read, and are no flag's.
const BESIDE_FLAGS: &[&str] = &["TOKEN", "LOG"];

/// How variables begin that somebody else sets: `receive` for its commands, and platforms for a service of that name.
const OTHERS: &[&str] = &["CHANNEL", "REQUEST_ID", "REMAINING_MS", "META_", "PORT", "SERVICE_"];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_misspelt_variable_is_told_and_others_are_left_alone() {
        let present = [
            "TIELINE_MEMROY",
            "TIELINE_MEMORY",
            "TIELINE_SERVR",
            "TIELINE_CA",
            "TIELINE_TOKEN",
            "TIELINE_CHANNEL",
            "TIELINE_META_SERVER",
            "TIELINE_PORT_7070_TCP",
            "TIELINE_SERVICE_HOST",
            "PATH",
        ];
        let notes = notes(&Cli::command(), present.into_iter().map(str::to_owned));
        assert_eq!(
            notes,
            [
                "TIELINE_MEMROY means nothing; did you mean TIELINE_MEMORY?",
                "TIELINE_SERVR means nothing; did you mean TIELINE_SERVER?"
            ]
        );
    }
}
