//! Adding an entry to the tokens file: whoever reads it meanwhile, or a crash, finds all of it or none.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::entry::Entry;
use super::file;
use crate::exit::{self, Failure};
use crate::toml_file;

/// Adds the entry, once `hand_over` has given its token to whoever wants it. A file that isn't there is made, for its
/// owner alone.
///
/// # Errors
/// If the file holds a token of this name, can't be read as it is, or can't be written, or nobody took the token; then
/// it is as before. Nearly all of it shows before the token is handed over; what doesn't says that the token isn't valid.
pub(super) fn append(
    path: &Path,
    entry: &Entry,
    hand_over: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cannot =
        |error: io::Error| Failure::new(exit::NO_OUTPUT, format!("{} can't be written: {error}", path.display()));
    // Of a link, what it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&target);
    // Two who add at once take turns. The lock is the folder's, for the file itself is replaced.
    let turn = File::open(&folder).map_err(cannot)?;
    turn.lock().map_err(cannot)?;
    let before = match fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot(error)),
    };
    let shown = file::show(entry).map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let gap = match before.as_str() {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let text = format!("{before}{gap}{shown}");
    file::parse(&text).map_err(|words| toml_file::wrong(path, &words))?;
    let written = beside(&target, &folder, &text).map_err(cannot)?;
    hand_over()?;
    written.persist(&target).map_err(|error| cannot(error.error).line("the token that was printed is not valid"))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| {
        cannot(error).line("its new entry is there, and the token that was printed is valid, unless the system crashes")
    })
}

/// A temporary file in the same folder that holds all that `target` is to hold, safe on the disk.
fn beside(target: &Path, folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    // For its owner alone from the beginning.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(before) = fs::metadata(target) {
        let made = file.as_file().metadata()?;
        if (before.uid(), before.gid()) != (made.uid(), made.gid()) {
            chown(file.path(), Some(before.uid()), Some(before.gid()))?;
        }
        file.as_file().set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use tieline_server::TokenDigest;

    use super::*;
    use crate::token::entry::Patterns;

    fn entry() -> Entry {
        Entry {
            name: "one".parse().unwrap(),
            sha256: TokenDigest::of(b"one"),
            send: Patterns::default(),
            receive: Patterns::default(),
            watch: true,
            connections: None,
            requests: None,
            bytes_per_second: None,
            expires: None,
        }
    }

    #[test]
    fn the_entry_is_there_once_its_token_was_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let refused = append(&path, &entry(), || Err(Failure::silent(exit::NO_OUTPUT)));
        assert!(refused.is_err() && fs::read_dir(&folder).unwrap().next().is_none(), "nothing is left of it");
        append(&path, &entry(), || {
            assert!(!path.exists());
            Ok(())
        })
        .unwrap();
        assert_eq!(file::read(&path).unwrap().len(), 1);
    }

    #[test]
    fn a_token_that_was_handed_over_and_has_no_entry_is_told_as_not_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let failure = append(&path, &entry(), || {
            // A folder that is no file's to replace.
            fs::create_dir(&path).unwrap();
            Ok(())
        })
        .unwrap_err();
        assert_eq!(failure.status, exit::NO_OUTPUT);
        assert!(failure.words.contains("tokens.toml can't be written"), "{failure}");
        assert!(failure.words.ends_with("the token that was printed is not valid"), "{failure}");
    }

    #[test]
    fn what_is_refused_hands_nothing_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        fs::write(&path, "no tokens").unwrap();
        assert!(append(&path, &entry(), || panic!("it was handed over")).is_err());
        assert!(append(&folder.path().join("no/folder"), &entry(), || panic!("it was handed over")).is_err());
    }
}
