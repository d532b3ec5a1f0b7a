//! Chunks of a body that never ends, with the grants of a consumer that takes them at once.

use tieline_protocol::flow::Window;
use tieline_protocol::limits::{INITIAL_DEFAULT, WINDOW_DEFAULT, initial_credit};
use tieline_protocol::{ExchangeId, Flags, Kind, Time};

use super::Course;
use super::crowd::{Crowd, Place, READY};
use crate::rig::Rig;

/// A request whose receiver has accepted it.
#[derive(Debug)]
pub(super) struct Stream {
    place: Place,
    id: ExchangeId,
    window: Window,
    offset: u64,
    piece: Vec<u8>,
    each: usize,
}

impl Stream {
    /// Chunks of so many bytes, so many in a run.
    pub(super) fn new(chunk: usize, each: usize) -> Self {
        let mut place = Place::new(Crowd::ALONE, READY);
        let id = place.next(0, 0);
        let about = &place.channels[0].metadata;
        let credit = initial_credit(INITIAL_DEFAULT, about.wire_len());
        place.rig.arrive(0, place.wire.start(Kind::StartRequest, id, Flags::NONE, about, &[]));
        let mut window = Window::new(WINDOW_DEFAULT, credit);
        let to = window.open(credit, || Time::ZERO).expect("a window beyond the initial one");
        place.rig.arrive(1, place.wire.note(Kind::AckRequest, id, to));
        Self { place, id, window, offset: 0, piece: vec![7; chunk], each }
    }
}

impl Course for Stream {
    fn run(&mut self) {
        let Place { rig, wire, .. } = &mut self.place;
        for _ in 0..self.each {
            rig.arrive(0, wire.chunk(Kind::ChunkRequest, self.id, self.offset, &self.piece));
            let len = self.piece.len() as u64;
            self.offset += len;
            if let Some(to) = self.window.consume(len, self.offset, || Time::ZERO) {
                rig.arrive(1, wire.note(Kind::AckRequest, self.id, to));
            }
        }
    }

    fn begin_counting(&mut self) {
        self.place.rig.begin_counting();
    }

    fn rig(&mut self) -> Option<&mut Rig> {
        Some(&mut self.place.rig)
    }
}
