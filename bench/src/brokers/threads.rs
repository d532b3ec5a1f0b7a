//! The same as `fixed`, with a blocking thread for each direction.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Bytes of a read, at most.
const READ: usize = 256 * 1024;

/// Ties connections until the process is ended.
///
/// # Errors
/// If nothing more can be accepted.
pub fn run(front: &TcpListener, back: &TcpListener) -> anyhow::Result<()> {
    loop {
        let (receiver, _) = back.accept()?;
        let (sender, _) = front.accept()?;
        for stream in [&sender, &receiver] {
            stream.set_nodelay(true)?;
        }
        (&receiver).read_exact(&mut [0; crate::peers::relay::Header::LEN])?;
        for (from, to) in [(sender.try_clone()?, receiver.try_clone()?), (receiver, sender)] {
            thread::spawn(move || {
                // Whatever ends it, both are closed.
                let _ = copy(&from, &to);
                let _ = to.shutdown(std::net::Shutdown::Both);
                let _ = from.shutdown(std::net::Shutdown::Both);
            });
        }
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; READ];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            len => to.write_all(&buffer[..len])?,
        }
    }
}
