//! The least that a broker could do: the first sender's connection is tied to the first receiver's, and so on, and
//! bytes are carried from one to the other. It knows of nothing but bytes. One thread, edge-triggered epoll: blocking
//! threads, one for each direction, were no faster and took twice the CPU time.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::peers::relay::Header;

/// Bytes of a read, at most.
const READ: usize = 256 * 1024;

/// Events that are taken at once.
const EVENTS: usize = 1024;

/// How bytes are carried from one connection to the other.
pub trait Carry {
    /// What a direction has between its two connections.
    type Between: Default;

    /// Carries what there is, until the one has no more or the other takes no more; whether both are open.
    fn carry(&mut self, from: &TcpStream, to: &TcpStream, between: &mut Self::Between) -> bool;
}

/// A connection, by its place: it and its partner's are 2n and 2n + 1.
struct Conn<B> {
    stream: TcpStream,
    /// What it read and its partner didn't take.
    between: B,
}

/// Ties connections until the process is ended.
///
/// # Errors
/// If epoll fails, or nothing more can be accepted.
pub fn run(front: &TcpListener, back: &TcpListener, mut carry: impl Carry) -> anyhow::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    // A receiver connects before its sender does, so accepting in this order ends.
    epoll.add(back, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX))?;
    let mut conns = Vec::new();
    let mut events = vec![EpollEvent::empty(); EVENTS];
    let mut waiting = Vec::new();
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == u64::MAX {
                waiting.push(accept(back)?);
                if waiting.len() == 1 {
                    epoll.add(front, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX - 1))?;
                }
                continue;
            }
            if event.data() == u64::MAX - 1 {
                let sender = accept(front)?;
                let receiver = waiting.remove(0);
                if waiting.is_empty() {
                    epoll.delete(front)?;
                }
                skip_hello(&receiver)?;
                for stream in [sender, receiver] {
                    stream.set_nonblocking(true)?;
                    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                    epoll.add(&stream, EpollEvent::new(flags, conns.len() as u64))?;
                    conns.push(Conn { stream, between: Default::default() });
                }
                continue;
            }
            let place = event.data() as usize;
            let flags = event.events();
            let mut is_open = true;
            if flags.intersects(!EpollFlags::EPOLLOUT) {
                is_open &= step(&mut carry, &mut conns, place);
            }
            // What its partner read may have waited for it.
            if flags.contains(EpollFlags::EPOLLOUT) {
                is_open &= step(&mut carry, &mut conns, place ^ 1);
            }
            if !is_open {
                for place in [place, place ^ 1] {
                    let _ = conns[place].stream.shutdown(std::net::Shutdown::Both);
                }
            }
        }
    }
}

/// Carries from the connection at this place to its partner.
fn step<C: Carry>(carry: &mut C, conns: &mut [Conn<C::Between>], place: usize) -> bool {
    let (pair, _) = conns[place & !1..].split_at_mut(2);
    let [first, second] = pair else { return false };
    let (from, to) = if place & 1 == 0 { (first, second) } else { (second, first) };
    carry.carry(&from.stream, &to.stream, &mut from.between)
}

fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A receiver says first how many requests it takes at once; here it gets whatever comes.
fn skip_hello(mut receiver: &TcpStream) -> std::io::Result<()> {
    receiver.read_exact(&mut [0; Header::LEN])
}

/// Carries by read and write, through one buffer for all; what isn't taken is kept.
#[derive(Debug)]
pub struct Copying(Vec<u8>);

impl Default for Copying {
    fn default() -> Self {
        Self(vec![0; READ])
    }
}

impl Carry for Copying {
    type Between = Vec<u8>;

    fn carry(&mut self, mut from: &TcpStream, mut to: &TcpStream, between: &mut Vec<u8>) -> bool {
        if !between.is_empty() {
            match to.write(between) {
                Ok(written) => drop(between.drain(..written)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            if !between.is_empty() {
                return true;
            }
        }
        loop {
            let read = match from.read(&mut self.0) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            let written = match to.write(&self.0[..read]) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return false,
            };
            if written < read {
                between.extend_from_slice(&self.0[written..read]);
                return true;
            }
            // Less than there was room for: the socket is empty, and the next byte makes an event.
            if read < self.0.len() {
                return true;
            }
        }
    }
}
