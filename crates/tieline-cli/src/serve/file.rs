//! The configuration file: TOML, with the keys of [`Settings`]. An unknown key is an error, never passed over.

use std::fs;
use std::path::Path;

use clap::Args as _;

use super::settings::Settings;
use crate::exit::{self, Failure};
use crate::nearest::nearest;

/// Reads the file.
///
/// # Errors
/// If it can't be read, isn't TOML, or has a key or a value that means nothing; with file and line.
pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(exit::CONFIG, format!("{} can't be read: {error}", path.display())))?;
    parse(&text).map_err(|words| Failure::new(exit::CONFIG, format!("{}:{words}", path.display())))
}

/// Reads the file's text; an error begins with the number of its line.
pub(crate) fn parse(text: &str) -> Result<Settings, String> {
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let line = text[..span.start].lines().count().max(1)
            + usize::from(text[..span.start].ends_with('\n') && span.start > 0);
        let key = text.get(span).unwrap_or_default();
        if error.message().starts_with("unknown field") {
            return format!("{line}: {}", unknown(key));
        }
        format!("{line}: {}", error.message().lines().next().unwrap_or_default())
    })
}

/// What is said about a key that isn't known.
fn unknown(key: &str) -> String {
    let keys = keys();
    match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("unknown key '{key}'; did you mean '{near}'?"),
        None => format!("unknown key '{key}'; there are: {}", keys.join(", ")),
    }
}

/// All keys, as they are written in the file.
fn keys() -> Vec<String> {
    let flags = Settings::augment_args(clap::Command::new("serve"));
    flags.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    #[test]
    fn keys_are_the_names_of_the_flags() {
        let settings =
            parse("listen = ['127.0.0.1:0', 'unix:a']\nmemory = '64MiB'\nchannel-places = 7\ndrain = '5s'\n");
        let settings = settings.unwrap();
        assert_eq!(settings.listen.len(), 2);
        assert_eq!(settings.memory, Some(Size(64 << 20)));
        assert_eq!(settings.channel_places, Some(7));
        assert_eq!(parse("listen = '127.0.0.1:0'").unwrap().listen.len(), 1);
        for key in keys() {
            let error = parse(&format!("{key} = {{}}")).unwrap_err();
            assert!(!error.contains("unknown"), "{key} is a flag, and no key of the file: {error}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_name() {
        let error = parse("# first\nmemory = '1MiB'\nchanel-places = 3\n").unwrap_err();
        assert_eq!(error, "3: unknown key 'chanel-places'; did you mean 'channel-places'?");
        let error = parse("xyzzy = 1").unwrap_err();
        assert!(
            error.starts_with("1: unknown key 'xyzzy'; there are: listen, ") && error.contains(", memory, "),
            "{error}"
        );
    }

    #[test]
    fn a_value_without_meaning_is_told_with_its_line() {
        let error = parse("\n\nmemory = 'much'\n").unwrap_err();
        assert!(error.starts_with("3: ") && error.contains("64KiB"), "{error}");
        let error = parse("drain = 5\n").unwrap_err();
        assert!(error.starts_with("1: "), "{error}");
        let error = parse("memory = \n").unwrap_err();
        assert!(error.starts_with("1: "), "{error}");
    }
}
