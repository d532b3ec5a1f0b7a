//! A minimal broker that pulls: a request goes to a receiver that has credit, a response back by its route. One thread,
//! edge-triggered epoll; what one round of events brings for a connection is written at once.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::peers::relay::Header;

/// Bytes that are read into at once, at least.
const READ: usize = 256 * 1024;

/// A frame as large as this is written from where it was read, if nothing is before it.
const DIRECT: usize = 8 * 1024;

/// Events that are taken at once.
const EVENTS: usize = 1024;

/// What events call the listeners.
const FRONT: u64 = u64::MAX;
const BACK: u64 = u64::MAX - 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Sender,
    Receiver,
}

struct Conn {
    stream: TcpStream,
    side: Side,
    /// What was read, and is no whole frame yet.
    partial: Vec<u8>,
    out: Out,
    /// Requests that a receiver takes now.
    credit: u32,
    /// Its hello was read.
    is_known: bool,
}

/// What a connection has to write.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    written: usize,
    /// It is in the list of those that are written at the end of the round.
    is_listed: bool,
}

struct Pull {
    epoll: Epoll,
    conns: Vec<Option<Conn>>,
    /// Receivers in turn.
    receivers: Vec<usize>,
    turn: usize,
    /// Requests that no receiver has credit for.
    waiting: VecDeque<Vec<u8>>,
    listed: Vec<usize>,
    /// What connections are read into, so that one that waits holds no buffer.
    buffer: Vec<u8>,
}

/// Relays until the process is ended.
///
/// # Errors
/// If epoll fails.
pub fn run(front: &TcpListener, back: &TcpListener) -> anyhow::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (listener, name) in [(front, FRONT), (back, BACK)] {
        listener.set_nonblocking(true)?;
        epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, name))?;
    }
    let mut pull = Pull {
        epoll,
        conns: Vec::new(),
        receivers: Vec::new(),
        turn: 0,
        waiting: VecDeque::new(),
        listed: Vec::new(),
        buffer: Vec::new(),
    };
    let mut events = vec![EpollEvent::empty(); EVENTS];
    loop {
        let count = pull.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            match event.data() {
                FRONT => pull.accept(front, Side::Sender)?,
                BACK => pull.accept(back, Side::Receiver)?,
                place => pull.serve(place as usize, event.events()),
            }
        }
        pull.flush();
    }
}

impl Pull {
    fn accept(&mut self, listener: &TcpListener, side: Side) -> anyhow::Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let place = self.conns.len();
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
            self.epoll.add(&stream, EpollEvent::new(flags, place as u64))?;
            let out = Out::default();
            self.conns.push(Some(Conn { stream, side, partial: Vec::new(), out, credit: 0, is_known: false }));
        }
        Ok(())
    }

    fn serve(&mut self, place: usize, events: EpollFlags) {
        if events.contains(EpollFlags::EPOLLOUT) {
            self.write(place);
        }
        if events.intersects(!EpollFlags::EPOLLOUT) {
            self.read(place);
        }
    }

    /// Reads a connection until it has nothing more, and passes on what came.
    fn read(&mut self, place: usize) {
        // It is out of its place meanwhile; nothing that it sends comes back to itself.
        let Some(mut conn) = self.conns[place].take() else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut len = conn.partial.len();
        buffer.resize(buffer.len().max(len + READ), 0);
        buffer[..len].copy_from_slice(&conn.partial);
        let is_open = loop {
            if buffer.len() - len < READ {
                buffer.resize(len + READ, 0);
            }
            let space = buffer.len() - len;
            match conn.stream.read(&mut buffer[len..]) {
                Ok(0) => break false,
                Ok(read) => {
                    let passed = self.pass_on(place, &mut conn, &mut buffer[..len + read]);
                    buffer.copy_within(passed..len + read, 0);
                    len = len + read - passed;
                    // Less than there was room for: the socket is empty, and the next byte makes an event.
                    if read < space {
                        break true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        conn.partial.clear();
        conn.partial.extend_from_slice(&buffer[..len]);
        self.buffer = buffer;
        if is_open {
            self.conns[place] = Some(conn);
            self.hand_out_waiting();
        } else {
            self.receivers.retain(|&receiver| receiver != place);
        }
    }

    /// Passes on the frames that are whole; gives how many bytes they had.
    fn pass_on(&mut self, place: usize, conn: &mut Conn, read: &mut [u8]) -> usize {
        let mut start = 0;
        while let Some(header) = Header::decode(&read[start..]) {
            let end = start + Header::LEN + header.len as usize;
            if end > read.len() {
                break;
            }
            match conn.side {
                Side::Sender => {
                    let routed = Header { route: place as u32, ..header }.encode();
                    read[start..start + Header::LEN].copy_from_slice(&routed);
                    match self.next_receiver() {
                        Some(receiver) => self.put(receiver, &read[start..end]),
                        None => self.waiting.push_back(read[start..end].to_vec()),
                    }
                }
                Side::Receiver if conn.is_known => {
                    conn.credit += 1;
                    self.put(header.route as usize, &read[start..end]);
                }
                Side::Receiver => {
                    conn.is_known = true;
                    conn.credit = header.route;
                    self.receivers.push(place);
                }
            }
            start = end;
        }
        start
    }

    /// A receiver with credit, in turn; its credit is used.
    fn next_receiver(&mut self) -> Option<usize> {
        for _ in 0..self.receivers.len() {
            self.turn = (self.turn + 1) % self.receivers.len();
            let place = self.receivers[self.turn];
            if let Some(conn) = &mut self.conns[place]
                && conn.credit > 0
            {
                conn.credit -= 1;
                return Some(place);
            }
        }
        None
    }

    fn hand_out_waiting(&mut self) {
        while !self.waiting.is_empty()
            && let Some(receiver) = self.next_receiver()
            && let Some(frame) = self.waiting.pop_front()
        {
            self.put(receiver, &frame);
        }
    }

    /// Has a frame written to a connection; to one that is gone, nothing.
    fn put(&mut self, place: usize, mut frame: &[u8]) {
        let Some(Some(conn)) = self.conns.get_mut(place) else { return };
        if frame.len() >= DIRECT && conn.out.bytes.is_empty() {
            let written = conn.stream.write(frame).unwrap_or(0);
            frame = &frame[written..];
        }
        conn.out.bytes.extend_from_slice(frame);
        if !conn.out.is_listed && !conn.out.bytes.is_empty() {
            conn.out.is_listed = true;
            self.listed.push(place);
        }
    }

    fn flush(&mut self) {
        for place in std::mem::take(&mut self.listed) {
            if let Some(conn) = &mut self.conns[place] {
                conn.out.is_listed = false;
            }
            self.write(place);
        }
    }

    /// Writes what a connection takes; the rest when it is writable again.
    fn write(&mut self, place: usize) {
        let Some(Conn { stream, out, .. }) = &mut self.conns[place] else { return };
        while out.written < out.bytes.len() {
            match stream.write(&out.bytes[out.written..]) {
                Ok(written) => out.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The reader sees that it is lost.
                Err(_) => break,
            }
        }
        out.bytes.clear();
        out.written = 0;
    }
}
