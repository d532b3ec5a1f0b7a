//! The server's way from one socket to another: the real decoder, session, core and outbox behind the locks that the
//! server has, glued together as it does it, without sockets and without a runtime. Whoever changes the order of things
//! there (`connection`, `hub`, `peer`) changes it here.
//!
//! Not mirrored: TLS, tokens and what they limit, and how tasks are woken.

mod connection;
mod hub;
mod peer;

use std::sync::Arc;
use std::time::Duration;

use tieline_broker::Counts;
use tieline_protocol::ClientId;

use crate::wire::Wire;
use connection::Connection;
use hub::Hub;

/// The function whose instructions are counted, with all that it calls; as callgrind's option names it.
pub const COUNTED: &str = "*tieline_micro::rig::counted*";

/// A server without sockets. Connections are named by their places, from 0 on.
#[derive(Debug)]
pub struct Rig {
    hub: Hub,
    connections: Vec<Option<Box<Connection>>>,
    /// Connections whose writers were woken.
    woken: Vec<usize>,
    counts: bool,
}

/// What the server has to do next.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// A connection comes.
    Enter(usize),
    /// Before a read.
    MakeRoom(usize),
    /// Behind a read of so many bytes: all that follows from it.
    Serve(usize, usize),
    /// A connection is gone.
    Leave(usize),
}

impl Default for Rig {
    fn default() -> Self {
        Self { hub: Hub::new(), connections: Vec::new(), woken: Vec::new(), counts: false }
    }
}

impl Rig {
    /// From now on the server's work is done within [`COUNTED`].
    pub fn begin_counting(&mut self) {
        self.counts = true;
    }

    /// How much of everything there is in the core.
    pub fn counts(&self) -> Counts {
        self.hub.counts()
    }

    /// The client id of a connection.
    pub const fn client(place: usize) -> ClientId {
        // Spread as drawn ids are, so that the lower bits alone don't tell them apart.
        ClientId::from_u128((place as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    /// So many connections that have greeted, and nothing else.
    pub fn with_connections(number: usize) -> Self {
        let mut rig = Self::default();
        let mut wire = Wire::default();
        for place in 0..number {
            rig.connections.push(None);
            rig.greet(place, &mut wire);
        }
        rig
    }

    /// A connection comes to a place that is free, and greets.
    ///
    /// # Panics
    /// If the greeting isn't legal.
    pub fn greet(&mut self, place: usize, wire: &mut Wire) {
        self.work(Work::Enter(place));
        self.arrive(place, wire.hello(Self::client(place)));
    }

    /// The connection at a place is gone.
    pub fn leave(&mut self, place: usize) {
        self.work(Work::Leave(place));
    }

    /// Bytes of a client are read, and all that follows from them is done and written. A millisecond passes.
    ///
    /// # Panics
    /// If they aren't legal, or there is no such connection.
    pub fn arrive(&mut self, place: usize, wire: &mut Wire) {
        self.hub.now = self.hub.now + Duration::from_millis(1);
        self.work(Work::MakeRoom(place));
        if let Some(connection) = &mut self.connections[place] {
            // The kernel's part.
            connection.buffer.extend_from_slice(wire.bytes());
        }
        self.work(Work::Serve(place, wire.bytes().len()));
        wire.clear();
    }

    /// From now on a connection's written bytes are kept.
    pub fn listen(&mut self, place: usize) {
        if let Some(connection) = &mut self.connections[place] {
            connection.written = Some(Vec::new());
        }
    }

    /// What a connection has written since it is listened to, or since the last call.
    pub fn heard(&mut self, place: usize) -> Vec<u8> {
        self.connections[place].as_mut().and_then(|c| c.written.as_mut()).map(std::mem::take).unwrap_or_default()
    }

    fn work(&mut self, work: Work) {
        if self.counts { counted(self, work) } else { self.do_work(work) }
    }

    #[inline(never)]
    fn do_work(&mut self, work: Work) {
        match work {
            Work::Enter(place) => self.connections[place] = Some(Box::new(Connection::new(place, &self.hub))),
            Work::Leave(place) => {
                if let Some(mut connection) = self.connections[place].take() {
                    connection.leave(&self.hub);
                    self.wake(&mut connection);
                }
            }
            Work::MakeRoom(place) => {
                if let Some(connection) = &mut self.connections[place] {
                    connection.make_room(&mut self.hub);
                }
            }
            Work::Serve(place, read) => self.serve(place, read),
        }
        while let Some(place) = self.woken.pop() {
            self.write(place);
        }
    }

    fn serve(&mut self, place: usize, read: usize) {
        let Some(mut connection) = self.connections[place].take() else { return };
        connection.take_in(&self.hub, read).expect("clients here keep the rules");
        self.wake(&mut connection);
        connection.write(&self.hub);
        self.wake(&mut connection);
        // The next read finds nothing.
        connection.make_room(&mut self.hub);
        self.hub.put_away(&mut connection.buffer);
        self.connections[place] = Some(connection);
    }

    fn write(&mut self, place: usize) {
        let Some(mut connection) = self.connections[place].take() else { return };
        connection.write(&self.hub);
        self.wake(&mut connection);
        self.connections[place] = Some(connection);
    }

    /// Wakes whom the last steps of a connection brought news; it looks by itself.
    fn wake(&mut self, connection: &mut Connection) {
        for port in connection.touched.drain(..) {
            port.0.unmark();
            if !Arc::ptr_eq(&port.0, &connection.peer) {
                self.woken.push(port.0.place);
            }
        }
    }
}

/// See [`COUNTED`].
#[inline(never)]
fn counted(rig: &mut Rig, work: Work) {
    rig.do_work(work);
}
