//! What a command is told in its environment: `TIELINE_CHANNEL`, `TIELINE_REQUEST_ID`, `TIELINE_REMAINING_MS` and
//! `TIELINE_META_NAME` for each piece of the request's metadata.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use tieline_protocol::Metadata;

const META: &str = "TIELINE_META_";

/// The variables of one request.
pub(super) fn variables(
    channel: &str,
    request: &str,
    remaining: Option<Duration>,
    metadata: &Metadata,
) -> Vec<(String, OsString)> {
    let mut all =
        vec![("TIELINE_CHANNEL".to_owned(), channel.into()), ("TIELINE_REQUEST_ID".to_owned(), request.into())];
    if let Some(remaining) = remaining {
        all.push(("TIELINE_REMAINING_MS".to_owned(), remaining.as_millis().to_string().into()));
    }
    for (name, value) in metadata.iter() {
        let name = variable(name);
        // The first of several with one name counts, as for everybody who reads metadata; a value with a NUL
        // can't stand in an environment.
        if !value.contains(&0) && !all.iter().any(|(other, _)| *other == name) {
            all.push((name, OsStr::from_bytes(value).to_owned()));
        }
    }
    all
}

/// Whether a variable of ours would be mistaken for one of the request's: a receiver may itself run in a command.
pub(super) fn is_of_a_request(name: &OsStr) -> bool {
    name.as_bytes().starts_with(META.as_bytes())
        || ["TIELINE_CHANNEL", "TIELINE_REQUEST_ID", "TIELINE_REMAINING_MS"].iter().any(|ours| name == OsStr::new(ours))
}

/// The variable for a piece of metadata: upper-case, `-` as `_`.
fn variable(name: &str) -> String {
    format!("{META}{}", name.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_upper_case_variables_and_the_first_of_a_name_counts() {
        let mut meta = Metadata::new();
        meta.push("content-type", "image/png").unwrap();
        meta.push("user", [0xff]).unwrap();
        meta.push("user", "second").unwrap();
        meta.push("nul", [b'a', 0]).unwrap();
        let all = variables("thumbs", "0198", Some(Duration::from_secs(2)), &meta);
        let get = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_bytes());
        assert_eq!(get("TIELINE_CHANNEL"), Some(&b"thumbs"[..]));
        assert_eq!(get("TIELINE_REQUEST_ID"), Some(&b"0198"[..]));
        assert_eq!(get("TIELINE_REMAINING_MS"), Some(&b"2000"[..]));
        assert_eq!(get("TIELINE_META_CONTENT_TYPE"), Some(&b"image/png"[..]));
        assert_eq!(get("TIELINE_META_USER"), Some(&[0xff][..]));
        assert_eq!(get("TIELINE_META_NUL"), None);
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn variables_of_an_outer_request_are_told_apart_from_settings() {
        assert!(is_of_a_request(OsStr::new("TIELINE_META_USER")));
        assert!(is_of_a_request(OsStr::new("TIELINE_CHANNEL")));
        assert!(!is_of_a_request(OsStr::new("TIELINE_SERVER")));
    }
}
