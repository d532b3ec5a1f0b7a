//! The configuration file: TOML, with the keys of [`Settings`].

use std::path::Path;

use super::settings::Settings;
use crate::exit::Failure;
use crate::toml_file;

/// Reads the file.
///
/// # Errors
/// If it can't be read, isn't TOML, or has a key or a value that means nothing; with file and line.
pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    toml_file::read(path)
}

/// Reads the file's text; an error begins with the number of its line.
///
/// # Errors
/// If it isn't TOML, or has a key or a value that means nothing.
pub(crate) fn parse(text: &str) -> Result<Settings, String> {
    toml_file::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn keys_are_the_names_of_the_flags() {
        let settings =
            parse("listen = ['127.0.0.1:0', 'unix:a']\nmemory = '64MiB'\nchannel-places = 7\ndrain = '5s'\n");
        let settings = settings.unwrap();
        assert_eq!(settings.listen.len(), 2);
        assert_eq!(settings.value("memory"), Some(64 << 20));
        assert_eq!(settings.value("channel-places"), Some(7));
        assert_eq!(parse("listen = '127.0.0.1:0'").unwrap().listen.len(), 1);
        let flags = Settings::augment_args(clap::Command::new("serve"));
        for key in flags.get_arguments().filter_map(|arg| arg.get_long()) {
            let error = parse(&format!("{key} = {{}}")).unwrap_err();
            assert!(!error.contains("unknown"), "{key} is a flag, and no key of the file: {error}");
        }
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_name() {
        let error = parse("# first\nmemory = '1MiB'\nchanel-places = 3\n").unwrap_err();
        assert_eq!(error, "3: unknown key 'chanel-places'; did you mean 'channel-places'?");
        let error = parse("xyzzy = 1").unwrap_err();
        assert!(error.starts_with("1: unknown key 'xyzzy'; there are: listen, "), "{error}");
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
