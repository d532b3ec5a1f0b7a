//! The address that is used where none is given.

/// Loopback, so that nobody is reachable from a network without having said so.
pub(crate) const DEFAULT: &str = "tcp://127.0.0.1:7070";

#[cfg(test)]
mod tests {
    use tieline::Address;

    #[test]
    fn the_default_is_an_address() {
        assert_eq!(super::DEFAULT.parse::<Address>().unwrap().to_string(), super::DEFAULT);
    }
}
