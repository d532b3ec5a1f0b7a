//! The known name that somebody probably meant.

/// The name among `known` nearest to `word`; `None` if none is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (name, strsim::jaro_winkler(word, name)))
        .filter(|(_, likeness)| *likeness > 0.8)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name_and_nonsense_none() {
        let known = ["memory", "connections", "channel-places", "drain"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("channel-place", known), Some("channel-places"));
        assert_eq!(nearest("xyzzy", known), None);
    }
}
