//! What the test of the document and the test of the vectors share: the exchange that both show, and small tools.
#![allow(dead_code, reason = "each of the two tests uses its part")]

pub(crate) mod story;

use std::path::{Path, PathBuf};

/// The bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compares a file with what the code says it should be; writes it instead if `TIELINE_BLESS` is set.
pub(crate) fn compare_or_bless(path: &Path, wanted: &str) {
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found == wanted {
        return;
    }
    if std::env::var_os("TIELINE_BLESS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(found.lines().count().min(wanted.lines().count()));
    panic!(
        "{} is not what the code says, from line {}:\n  found  {}\n  wanted {}\nTIELINE_BLESS=1 writes it anew",
        path.display(),
        line + 1,
        found.lines().nth(line).unwrap_or("the end"),
        wanted.lines().nth(line).unwrap_or("the end"),
    );
}

/// A path from this crate's folder.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}
