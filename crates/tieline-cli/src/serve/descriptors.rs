//! File descriptors: each connection takes one, and the usual soft limit is far below what a server may have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors beside those of connections: connections that are over and read why, listeners, the runtime's own,
/// standard streams.
const OTHERS: u64 = tieline_server::LINGERING_MAX as u64 + 64;

/// Raises the soft limit as far as the hard one allows, if so many connections need it. What stays too low is told.
pub(super) fn raise_limit(connections: usize) -> Option<String> {
    let wanted = connections as u64 + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft >= wanted {
        return None;
    }
    let reached =
        if setrlimit(Resource::RLIMIT_NOFILE, hard.min(wanted), hard).is_ok() { hard.min(wanted) } else { soft };
    (reached < wanted).then(|| {
        format!(
            "at most {reached} files may be open, so about {} connections instead of {connections}: raise the limit \
             (ulimit -n), or lower --connections",
            reached.saturating_sub(OTHERS)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_suffices_is_left_alone_and_one_that_cannot_suffice_is_told() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_limit(1), None);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (soft, hard));
        if hard < u64::from(u32::MAX) {
            let words = raise_limit(u32::MAX as usize).unwrap();
            assert!(words.contains("--connections"), "{words}");
            assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
        }
    }
}
