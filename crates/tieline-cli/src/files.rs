//! Files that hold secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The bits by which people who are neither the owner nor of the group may read or change a file.
const OTHERS: u32 = 0o006;

/// A warning, if others can read or change the file.
pub(crate) fn open_to_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        let path = path.display();
        format!("everybody on this machine can read or change {path}:  chmod 600 {path}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_told_and_one_of_the_group_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, is_told) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_to_others(file.path()).is_some(), is_told, "{mode:o}");
        }
        assert_eq!(open_to_others(Path::new("/nowhere")), None);
    }
}
