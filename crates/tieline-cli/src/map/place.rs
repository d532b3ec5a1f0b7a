//! Where the response to a file goes: to stdout, or to a file whose name follows from the input's.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::exit::{self, Failure};

/// How places are found, and which were given out.
#[derive(Clone, Debug)]
pub(super) struct Places {
    folder: Option<PathBuf>,
    suffix: Option<String>,
    given: Given,
}

impl Places {
    /// Files in `folder`, or beside their inputs with a suffix; stdout if neither is given.
    pub(super) fn new(folder: Option<PathBuf>, suffix: Option<String>) -> Self {
        // Without a suffix, a file beside its input would be its input.
        let suffix = suffix.filter(|suffix| !suffix.is_empty());
        Self { folder, suffix, given: Given::default() }
    }

    /// Whether responses go to files.
    pub(super) fn are_files(&self) -> bool {
        self.folder.is_some() || self.suffix.is_some()
    }

    /// Whether each of these inputs has a place, and none that of another, or another itself. It gives none out.
    ///
    /// # Errors
    /// As of the first that hasn't.
    pub(super) fn suffice_for(&self, inputs: &[PathBuf]) -> Result<(), Failure> {
        if !self.are_files() {
            return Ok(());
        }
        let mut places = self.clone();
        let found: HashMap<_, _> = inputs.iter().filter_map(|input| Some((identity(input)?, input))).collect();
        for input in inputs {
            let place = places.of(input)?;
            if let Some(other) = place.and_then(|place| found.get(&identity(&place)?)) {
                let (input, other) = (input.display(), other.display());
                let words = format!("{input}: its response would take the place of {other}, which is to be sent too");
                return Err(
                    Failure::new(exit::NO_OUTPUT, words).line("leave one of them out, or give another --suffix")
                );
            }
        }
        Ok(())
    }

    /// The file for the response to `input`; `None` is stdout.
    ///
    /// In a folder it has the path by which the input was named: two inputs never share one, and the same input has
    /// the same one the next time.
    ///
    /// # Errors
    /// If the name would lead out of the folder, to the input itself, or to the place of another input.
    pub(super) fn of(&mut self, input: &Path) -> Result<Option<PathBuf>, Failure> {
        if !self.are_files() {
            return Ok(None);
        }
        let mut path = self.folder.clone().unwrap_or_default();
        let mut inner = PathBuf::new();
        if self.folder.is_none() {
            path.push(input);
        } else {
            for part in input.components() {
                match part {
                    Component::Normal(name) => {
                        path.push(name);
                        inner.push(name);
                    }
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
        if self.folder.is_some()
            && let Some(other) = self.given.enter(input, &inner)
        {
            let (input, other) = (input.display(), other.display());
            let words = format!("{input}: its response would take the place of the one to {other}: {}", path.display());
            return Err(Failure::new(exit::NO_OUTPUT, words).line("send one of them in another run, to another folder"));
        }
        Ok(Some(path))
    }
}

/// Which names in the folder were given out: numbers drawn from them, for there may be millions.
///
/// Two files share a name only if one is named from the root and the other is not. So only in a list of both kinds may
/// chance refuse one that has a name of its own: in fewer than one of ten million lists of a million.
#[derive(Clone, Default, Debug)]
struct Given {
    numbers: RandomState,
    from_root: HashSet<u64>,
    from_here: HashSet<u64>,
}

impl Given {
    /// Notes that `input` has the name `inner`; or tells the other input that has it already, if it is another file.
    fn enter(&mut self, input: &Path, inner: &Path) -> Option<PathBuf> {
        let number = self.numbers.hash_one(inner);
        let (same, others, other) = if input.has_root() {
            (&mut self.from_root, &self.from_here, inner.to_owned())
        } else {
            (&mut self.from_here, &self.from_root, Path::new("/").join(inner))
        };
        if others.contains(&number) && !is_same_file(input, &other) {
            return Some(other);
        }
        same.insert(number);
        None
    }
}

/// Whether both are there, and are one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

/// What tells a file that is there from all others.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino())).ok()
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
    fn two_files_never_share_a_place_and_one_file_keeps_its_own() {
        let mut places = Places::new(Some("out".into()), Some(".txt".into()));
        let mut of = |input: &str| places.of(Path::new(input));
        for input in ["/in/a", "//in/./a", "in/b", "./in/b", "/in/c"] {
            assert!(of(input).is_ok(), "{input}");
        }
        for (input, other) in [("in/a", "/in/a"), ("./in//a", "/in/a"), ("/in/b", "in/b")] {
            let failure = of(input).unwrap_err();
            assert_eq!(failure.status, exit::NO_OUTPUT);
            let place = format!("out/in/{}.txt", other.chars().last().unwrap());
            let words = format!("{input}: its response would take the place of the one to {other}: {place}\n");
            assert!(failure.words.starts_with(&words), "{failure}");
        }
        // What was refused took nothing.
        assert!(of("/in/a").is_ok() && of("in/b").is_ok());
        // Beside their inputs each has a place of its own.
        let mut beside = Places::new(None, Some(".txt".into()));
        assert!(beside.of(Path::new("/in/a")).is_ok() && beside.of(Path::new("in/a")).is_ok());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let mut places = Places::new(Some("out".into()), None);
        assert_eq!(places.of(Path::new("in/../../a")).unwrap_err().status, exit::NO_OUTPUT);
    }
}
