//! The window of a body grows with the way that this end measures, on virtual time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::limits::WINDOW_FIRST;
use tieline_protocol::{ChannelId, ExchangeId, Flags, Frame, Kind, Metadata, StartPayload};
use tokio::time::advance;

use super::{Conn, SendLink, greeted, of_exchange, send, take_in, write};

const KIB: u64 = 1024;

/// A response of which each byte comes `way` after it was granted, and is read at once: how far a grant was ahead of
/// what was read, at most.
async fn stream(conn: &Arc<Conn>, link: &mut SendLink, way: Duration, turns: usize) -> u64 {
    let client = conn.step(|state, _| state.session.client());
    let id = ExchangeId { client, request: link.request(), channel: ChannelId::of_name("x") };
    take_in(conn, of_exchange(Kind::StartResponse, id, Flags::NONE, StartPayload::join(&Metadata::new(), b"")));
    let cx = Context::from_waker(Waker::noop());
    let granted = || conn.step(|state, _| state.sends[&id.request].flows.inflow.granted());
    let (mut sent, mut consumed, mut ahead) = (0, 0, 0);
    assert!(matches!(link.poll_head(&cx), Poll::Ready(Ok(_))));
    for _ in 0..turns {
        let to = granted();
        advance(way).await;
        while sent < to {
            let piece = (to - sent).min(64 * KIB);
            let header = Kind::ChunkResponse.header().exchange(id).value(sent);
            take_in(conn, Frame::new(Kind::ChunkResponse, header, Bytes::from(vec![0; piece as usize])));
            sent += piece;
        }
        while let Poll::Ready(piece) = link.poll_chunk(&cx, &mut None) {
            consumed += piece.unwrap().unwrap().len() as u64;
            ahead = ahead.max(granted() - consumed);
        }
        write(conn);
    }
    ahead
}

#[tokio::test(start_paused = true)]
async fn on_a_long_way_the_window_grows_to_the_largest() {
    let conn = greeted();
    let mut link = send(&conn, b"all", true).await;
    assert_eq!(stream(&conn, &mut link, Duration::from_millis(20), 12).await, 1024 * KIB);
}

#[tokio::test(start_paused = true)]
async fn the_window_begins_as_large_as_is_said() {
    let conn = greeted();
    let mut link = send(&conn, b"all", true).await;
    assert_eq!(stream(&conn, &mut link, Duration::from_millis(20), 1).await, WINDOW_FIRST);
}
