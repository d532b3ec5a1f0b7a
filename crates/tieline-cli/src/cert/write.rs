//! Certificates into files: all or none, each whole or not at all, secrets for their owner alone.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::make::Made;
use crate::exit::{self, Failure};

/// Writes all files into the folder, which is made if it isn't there.
///
/// # Errors
/// If one is there and `force` doesn't allow to replace it, or can't be written.
pub(super) fn all(dir: &Path, made: &[Made], force: bool) -> Result<(), Failure> {
    if !force && let Some(there) = made.iter().map(|made| dir.join(&made.name)).find(|path| path.exists()) {
        return Err(Failure::new(exit::NO_OUTPUT, format!("{} is there already", there.display()))
            .line("to replace all of them, by a new authority:  --force"));
    }
    let failed = |error: &io::Error| {
        Failure::new(exit::NO_OUTPUT, format!("certificates can't be written into {}: {error}", dir.display()))
    };
    fs::create_dir_all(dir).map_err(|error| failed(&error))?;
    // First all contents, then all names: what fails, fails before anything has changed.
    let written: Result<Vec<_>, _> = made.iter().map(|made| contents(dir, made)).collect();
    for (file, made) in written.map_err(|error| failed(&error))?.into_iter().zip(made) {
        let path = dir.join(&made.name);
        let named = if force { file.persist(path) } else { file.persist_noclobber(path) };
        named.map_err(|error| failed(&error.error))?;
    }
    Ok(())
}

/// A file without its name yet. It begins as its owner's alone.
fn contents(dir: &Path, made: &Made) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(made.pem.as_bytes())?;
    let mode = if made.is_secret { 0o600 } else { 0o644 };
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pem: &str) -> Vec<Made> {
        ["ca.pem", "key.pem"]
            .map(|name| Made { name: name.into(), pem: pem.into(), is_secret: name == "key.pem", about: String::new() })
            .into()
    }

    #[test]
    fn nothing_is_replaced_unless_it_is_said_and_then_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        all(&dir, &made("first"), false).unwrap();
        fs::remove_file(dir.join("ca.pem")).unwrap();
        let failure = all(&dir, &made("second"), false).unwrap_err();
        assert!(failure.words.contains("key.pem is there already") && failure.words.contains("--force"), "{failure}");
        assert!(!dir.join("ca.pem").exists());
        all(&dir, &made("second"), true).unwrap();
        assert_eq!(fs::read_to_string(dir.join("key.pem")).unwrap(), "second");
        let mode = |name| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("ca.pem"), mode("key.pem")), (0o644, 0o600));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no file is left over");
    }
}
