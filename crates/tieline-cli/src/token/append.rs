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

/// Adds the entry. A file that isn't there is made, for its owner alone.
///
/// # Errors
/// If the file holds a token of this name, can't be read as it is, or can't be written; then it is as before.
pub(super) fn append(path: &Path, entry: &Entry) -> Result<(), Failure> {
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
    replace(&target, &folder, &text).map_err(cannot)
}

fn replace(target: &Path, folder: &Path, text: &str) -> io::Result<()> {
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
    file.persist(target)?;
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
