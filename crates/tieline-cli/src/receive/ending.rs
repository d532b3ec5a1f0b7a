//! How a command ended, in the words that its sender reads.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use crate::units::Size;

/// What went wrong with a command; `None` if it ended well.
pub(super) fn failure(status: ExitStatus, response: u64) -> Option<String> {
    let how = match (status.code(), status.signal()) {
        (Some(0), _) => return None,
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {signal}"),
        },
        (None, None) => "ended in an unknown way".to_owned(),
    };
    Some(match response {
        0 => how,
        bytes => format!("{how}, after {} of response", Size(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exit_status_0_is_a_good_end() {
        assert_eq!(failure(ExitStatus::from_raw(0), 7), None);
        assert_eq!(failure(ExitStatus::from_raw(3 << 8), 0).unwrap(), "exit status 3");
        assert_eq!(
            failure(ExitStatus::from_raw(3 << 8), 1_258_291).unwrap(),
            "exit status 3, after 1.2 MiB of response"
        );
        assert_eq!(failure(ExitStatus::from_raw(9), 0).unwrap(), "killed by SIGKILL");
        assert_eq!(failure(ExitStatus::from_raw(15 | 0x80), 1).unwrap(), "killed by SIGTERM, after 1 B of response");
        assert_eq!(failure(ExitStatus::from_raw(40), 0).unwrap(), "killed by signal 40");
    }
}
