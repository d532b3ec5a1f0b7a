//! A program that has the bus inside: a server, a receiver and a sender in one process, and a door for others.
//!
//! ```sh
//! cargo run -p tieline-cli --example embedded
//! ```
//!
//! The server is the same as `tieline serve`, and serves whoever connects to its address. The program ends it as a signal
//! would: what runs is finished first.

use std::error::Error;

use tieline::{Client, Request};
use tieline_server::{Config, Server, Stop};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in run().await? {
        println!("{line}");
    }
    Ok(())
}

/// Serves, answers three requests, and says how.
pub(crate) async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    // The listener is ours, so the address is known before anybody needs it; port 0 takes a free one.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let stop = Stop::new();
    let server = Server::new(Config::default(), stop.clone())?;
    let watch = server.watch();
    let serving = tokio::spawn(server.run(vec![listener.into()]));

    // A receiver: two requests at once, each answered as its body comes.
    let worker = Client::connect(&address).await?;
    let receiver = worker.receive("upper").await?;
    let working = tokio::spawn(receiver.serve(2, |request: Request| async move {
        let (mut body, responder) = request.into_parts();
        let mut writer = responder.writer();
        while let Some(piece) = body.chunk().await? {
            writer.send(piece.to_ascii_uppercase()).await?;
        }
        writer.finish().await
    }));

    // A sender.
    let client = Client::connect(&address).await?;
    let mut lines = Vec::new();
    for words in ["one", "two", "three"] {
        let response = client.send("upper").body(words).await?.bytes(1 << 20).await?;
        lines.push(format!("{words} became {}", String::from_utf8_lossy(&response)));
    }
    lines.push(format!("{} connections", watch.status().connections));

    // In good order: the clients say goodbye, then the server ends.
    client.close().await;
    worker.close().await;
    working.await??;
    stop.drain();
    serving.await?;
    Ok(lines)
}
