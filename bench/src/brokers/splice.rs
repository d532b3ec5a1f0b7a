//! The fixed pair again, by splice(2): bytes go from socket to socket through a pipe, and never into user space.

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

use super::fixed::Carry;

/// What a pipe is asked to hold.
const PIPE: i32 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Splicing;

/// The pipe between two connections, and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    holds: usize,
}

impl Default for Pipe {
    fn default() -> Self {
        // Out of descriptors: there is nothing left to do for a relay.
        let Ok((out, into)) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK) else {
            eprintln!("no pipe");
            std::process::exit(1);
        };
        // A smaller one does too.
        let _ = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE));
        Self { out, into, holds: 0 }
    }
}

impl Carry for Splicing {
    type Between = Pipe;

    fn carry(&mut self, from: &TcpStream, to: &TcpStream, pipe: &mut Pipe) -> bool {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        loop {
            let is_dry = match splice(from.as_fd(), None, &pipe.into, None, PIPE as usize, flags) {
                Ok(0) => return false,
                Ok(taken) => {
                    pipe.holds += taken;
                    false
                }
                Err(Errno::EAGAIN) => true,
                Err(_) => return false,
            };
            while pipe.holds > 0 {
                match splice(&pipe.out, None, to.as_fd(), None, pipe.holds, flags) {
                    Ok(given) => pipe.holds -= given,
                    Err(Errno::EAGAIN) => return true,
                    Err(_) => return false,
                }
            }
            if is_dry {
                return true;
            }
        }
    }
}
