//! The tokens file: TOML, a table `[[token]]` for each. It holds no secret, only what shows that somebody has one.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tieline_server::TokenRule;
use toml::Spanned;

use super::entry::Entry;
use crate::exit::Failure;
use crate::toml_file::{self, line_of};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    token: Vec<Spanned<Entry>>,
}

/// Reads the file.
///
/// # Errors
/// If it can't be read, or says something that means nothing; with file and line.
pub(crate) fn read(path: &Path) -> Result<Vec<TokenRule>, Failure> {
    let text = toml_file::text(path)?;
    parse(&text).map_err(|words| toml_file::wrong(path, &words))
}

/// Reads the file's text; an error begins with the number of its line.
pub(super) fn parse(text: &str) -> Result<Vec<TokenRule>, String> {
    let written: Written = toml_file::parse(text)?;
    let mut names = HashMap::new();
    let mut digests = HashMap::new();
    let mut rules = Vec::new();
    for entry in written.token {
        let line = line_of(text, entry.span().start);
        let entry = entry.into_inner();
        if let Some(first) = names.insert(entry.name.as_str().to_owned(), line) {
            return Err(format!("{line}: there is another token '{}' in line {first}", entry.name.as_str()));
        }
        if let Some(first) = digests.insert(entry.sha256, line) {
            return Err(format!("{line}: '{}' is the same token as the one in line {first}", entry.name.as_str()));
        }
        rules.push(entry.rule().map_err(|words| format!("{line}: {words}"))?);
    }
    Ok(rules)
}

/// An entry as it stands in the file.
///
/// # Errors
/// If it can't be written in TOML.
pub(super) fn show(entry: &Entry) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File<'a> {
        token: [&'a Entry; 1],
    }
    toml::to_string(&File { token: [entry] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn entry(more: &str) -> String {
        format!("[[token]]\nname = 'one'\nsha256 = '{SHA}'\n{more}\n")
    }

    fn wrong(more: &str) -> String {
        parse(&entry(more)).unwrap_err()
    }

    #[test]
    fn an_entry_says_what_a_token_may_do() {
        let text = entry(
            "send = ['thumbs', 'img-*']\nreceive = ['*']\nwatch = true\nconnections = 3\nrequests = 10\nbytes-per-second = '1MiB'\n\
             expires = 2027-01-01T00:00:00Z",
        );
        let rules = parse(&text).unwrap();
        let rule = &rules[0];
        assert_eq!((rule.name.as_str(), rule.digest.to_string().as_str()), ("one", SHA));
        assert!(rule.send[1].matches("img-1") && rule.receive[0].matches("anything"));
        assert_eq!((rule.watch, rule.connections, rule.requests), (true, Some(3), Some(10)));
        assert_eq!(rule.bytes_per_second.unwrap().get(), 1 << 20);
        assert!(rule.expires.is_some());
        // What is written from it is read back the same.
        let written: Written = toml_file::parse(&text).unwrap();
        let shown = show(written.token[0].get_ref()).unwrap();
        assert_eq!(parse(&shown).unwrap(), rules, "{shown}");
    }

    #[test]
    fn a_token_may_do_nothing_that_is_not_said() {
        let rules = parse(&entry("")).unwrap();
        assert!(rules[0].send.is_empty() && rules[0].receive.is_empty() && !rules[0].watch);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_means_nothing_is_told_with_its_line() {
        assert_eq!(wrong("recieve = []"), "4: unknown key 'recieve'; did you mean 'receive'?");
        assert!(
            parse("[[tokens]]\nname = 'x'\n").unwrap_err().starts_with("1: unknown key 'tokens'; did you mean 'token'")
        );
        for (more, words) in [
            ("send = ['a*b']", "4: 'a*b': a '*' may only stand at the end"),
            ("send = ['']", "4: a channel's name has 1 to 255 bytes"),
            ("send = 'a'", "4: "),
            ("connections = 0", "4: "),
            ("bytes-per-second = '1KiB'", "4: 1 KiB a second are too few; at least 64 KiB"),
            ("expires = 2027-01-01", "1: write the moment of expiry with its offset"),
        ] {
            let error = wrong(more);
            assert!(error.starts_with(words), "{more}: {error}");
        }
        let error = parse("\n[[token]]\nname = 'x'\nsha256 = 'tieline_secret'\n").unwrap_err();
        assert!(error.starts_with("4: a SHA-256") && !error.contains("secret"), "{error}");
        assert!(parse("[[token]]\nname = 'x'\n").unwrap_err().contains("sha256"));
    }

    #[test]
    fn a_name_or_a_token_that_comes_twice_is_told_with_both_lines() {
        let twice = format!("{}{}", entry(""), entry(""));
        assert_eq!(parse(&twice).unwrap_err(), "5: there is another token 'one' in line 1");
        let same = format!("{}{}", entry(""), entry("").replace("'one'", "'two'"));
        assert_eq!(parse(&same).unwrap_err(), "5: 'two' is the same token as the one in line 1");
    }
}
