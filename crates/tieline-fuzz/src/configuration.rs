//! What people write into a configuration: the file of `tieline serve`, addresses, sizes and durations.

/// Reads the bytes, as far as they are text, as a file and its lines as values.
///
/// # Panics
/// If a text is neither read nor refused, or what was read doesn't print as itself.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        tieline_cli::try_configuration(text);
    }
}
