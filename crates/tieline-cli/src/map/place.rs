//! Where the response to a file goes: to stdout, or to a file whose name follows from the input's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::exit::{self, Failure};

/// How places are found.
#[derive(Clone, Debug)]
pub(super) struct Places {
    folder: Option<PathBuf>,
    suffix: Option<String>,
}

impl Places {
    /// Files in `folder`, or beside their inputs with a suffix; stdout if neither is given.
    pub(super) fn new(folder: Option<PathBuf>, suffix: Option<String>) -> Self {
        // Without a suffix, a file beside its input would be its input.
        let suffix = suffix.filter(|suffix| !suffix.is_empty());
        Self { folder, suffix }
    }

    /// Whether responses go to files.
    pub(super) fn are_files(&self) -> bool {
        self.folder.is_some() || self.suffix.is_some()
    }

    /// The file for the response to `input`; `None` is stdout.
    ///
    /// In a folder it has the path by which the input was named: two inputs never share one, and the same input has
    /// the same one the next time.
    ///
    /// # Errors
    /// If the name would lead out of the folder, or to the input itself.
    pub(super) fn of(&self, input: &Path) -> Result<Option<PathBuf>, Failure> {
        if !self.are_files() {
            return Ok(None);
        }
        let mut path = self.folder.clone().unwrap_or_default();
        if self.folder.is_none() {
            path.push(input);
        } else {
            for part in input.components() {
                match part {
                    Component::Normal(name) => path.push(name),
                    Component::ParentDir => {
                        let words = format!("{}: '..' would lead out of --output-dir", input.display());
                        return Err(Failure::new(exit::NO_OUTPUT, words).line("name it from the folder that it is in"));
                    }
                    Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
                }
            }
        }
        if let Some(suffix) = &self.suffix {
            let mut name = OsString::from(path);
            name.push(suffix);
            path = name.into();
        }
        if is_same_file(&path, input) {
            let words = format!("{}: its response would take its own place", input.display());
            return Err(Failure::new(exit::NO_OUTPUT, words).line("give a --suffix, or another --output-dir"));
        }
        Ok(Some(path))
    }
}

/// Whether both are there, and are one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

/// Makes the folders that `path` needs.
///
/// # Errors
/// If one can't be made.
pub(super) fn prepare(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::create_dir_all(folder).map_err(|error| {
            Failure::new(exit::NO_OUTPUT, format!("the folder {} can't be made: {error}", folder.display()))
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: Option<&str>, suffix: Option<&str>, input: &str) -> Option<PathBuf> {
        Places::new(folder.map(PathBuf::from), suffix.map(str::to_owned)).of(Path::new(input)).unwrap()
    }

    #[test]
    fn a_file_keeps_the_path_by_which_it_was_named() {
        assert_eq!(of(None, None, "a.ppm"), None);
        assert_eq!(of(None, Some(""), "a.ppm"), None, "it would be its own input");
        assert_eq!(of(None, Some(".out"), "in/a.ppm"), Some("in/a.ppm.out".into()));
        assert_eq!(of(Some("out"), None, "./in/a.ppm"), Some("out/in/a.ppm".into()));
        assert_eq!(of(Some("out"), Some(".txt"), "/in/a.ppm"), Some("out/in/a.ppm.txt".into()));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let places = Places::new(Some("out".into()), None);
        assert_eq!(places.of(Path::new("in/../../a")).unwrap_err().status, exit::NO_OUTPUT);
    }
}
