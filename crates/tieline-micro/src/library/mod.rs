//! The client library's way: two clients of one runtime on one thread, one that sends and one that receives, and between
//! them a server that does no more than pass frames on.
//!
//! All of it is counted: the program's futures, the runtime that polls them, the library, and the little that the server
//! does. What a socket and the kernel cost isn't, nor what it costs to wake another thread.

mod server;

use bytes::Bytes;
use tieline::{Body, Client, Request};
use tieline_protocol::limits::WINDOW_FIRST;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::scenario::Course;
use server::Server;

/// The function whose instructions are counted, with all that it calls; as callgrind's option names it.
pub const COUNTED: &str = "*tieline_micro::library::counted*";

/// Bytes of a small request, and of its response.
const SMALL: usize = 128;

/// Requests that the receiver takes at once.
const PLACES: usize = 16;

/// The channel of all requests.
const CHANNEL: &str = "micro";

/// What a run of [`Library`] is.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// So many tasks, each with so many small requests one after the other.
    Small {
        /// Tasks.
        at_once: usize,
        /// Requests of each.
        each: usize,
    },
    /// One request with a body of so many pieces of 64 KiB.
    Stream {
        /// Pieces.
        pieces: usize,
    },
}

/// Two clients, ready to exchange requests.
#[derive(Debug)]
pub struct Library {
    runtime: Runtime,
    sender: Client,
    load: Load,
    small: Bytes,
    piece: Bytes,
    counts: bool,
}

impl Library {
    /// Connects both clients and has the receiver serve.
    ///
    /// # Panics
    /// If the runtime can't be built, or the library finds fault with the server in between.
    pub fn new(load: Load) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
        let server = Server::default();
        let sender = runtime.block_on(async {
            let receiving = connect(&server).await;
            let receiver = receiving.receive(CHANNEL).await.expect("the server takes the receive");
            tokio::spawn(receiver.serve(PLACES, answer));
            connect(&server).await
        });
        let small = Bytes::from(vec![b's'; SMALL]);
        Self { runtime, sender, load, small, piece: Bytes::from(vec![b'p'; 64 * 1024]), counts: false }
    }

    fn round(&self) {
        match self.load {
            Load::Small { at_once, each } => self.runtime.block_on(self.small_requests(at_once, each)),
            Load::Stream { pieces } => self.runtime.block_on(self.stream(pieces)),
        }
    }

    async fn small_requests(&self, at_once: usize, each: usize) {
        let mut tasks = JoinSet::new();
        for _ in 0..at_once {
            let (sender, body) = (self.sender.clone(), self.small.clone());
            tasks.spawn(async move {
                for _ in 0..each {
                    let response = sender.send(CHANNEL).body(body.clone()).await.expect("an answer");
                    assert_eq!(response.bytes(SMALL).await.expect("all of it").len(), SMALL);
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no task fails");
        }
    }

    async fn stream(&self, pieces: usize) {
        let (mut writer, body) = Body::channel();
        let writing = async {
            for _ in 0..pieces {
                writer.send(self.piece.clone()).await.expect("the receiver reads on");
            }
            writer.finish();
        };
        let asking = async { self.sender.send(CHANNEL).body(body).await.expect("an answer") };
        let (response, ()) = tokio::join!(asking, writing);
        assert_eq!(response.bytes(SMALL).await.expect("all of it").len(), size_of::<u64>());
    }
}

impl Course for Library {
    fn run(&mut self) {
        if self.counts { counted(self) } else { self.round() }
    }

    fn begin_counting(&mut self) {
        self.counts = true;
    }
}

/// See [`COUNTED`].
#[inline(never)]
fn counted(library: &Library) {
    library.round();
}

async fn connect(server: &Server) -> Client {
    let server = server.clone();
    let dial = move || std::future::ready(Ok(server.accept()));
    // A window that can't grow: whether it does goes by the clock, and under valgrind beside other work every way is long.
    let client = Client::builder().server("micro").transport(dial).window(WINDOW_FIRST);
    client.connect().await.expect("the server greets")
}

/// Sends a small body back, and of a large one its length.
async fn answer(mut request: Request) -> Result<(), tieline::Error> {
    let first = request.body().chunk().await?.unwrap_or_default();
    let mut length = first.len() as u64;
    if length == SMALL as u64 {
        return request.reply(first).await;
    }
    while let Some(piece) = request.body().chunk().await? {
        length += piece.len() as u64;
    }
    request.reply(Bytes::copy_from_slice(&length.to_be_bytes())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_requests_and_a_stream_come_through() {
        for load in [Load::Small { at_once: 3, each: 2 }, Load::Stream { pieces: 40 }] {
            let mut library = Library::new(load);
            library.run();
            library.begin_counting();
            library.run();
        }
    }
}
