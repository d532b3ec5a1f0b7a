//! Act three: a body far larger than any memory bound goes to a receiver and comes back while it is still being
//! sent. Sender, server and receiver are this process, so its memory is theirs.

use std::time::Instant;

use anyhow::{Context, ensure};
use tieline::{Body, BodySender};

use super::digest::{Digest, Pieces, Running};
use super::memory::Span;
use super::stage::Stage;
use super::{heading, show};
use crate::units::Size;

const CHANNEL: &str = "demo-big";

/// By how much the memory of this process may grow: three sides with two windows of 1 MiB each, and room for what
/// an allocator keeps.
const BOUND: Size = Size(64 << 20);

/// Plays the act.
pub(super) async fn play(stage: &Stage, size: Size) -> anyhow::Result<()> {
    heading(&format!("One body of {size}, sent and echoed at the same time, while memory stays flat."));
    let receiver = stage.echo(CHANNEL, "echo").await?;
    let client = stage.client().await?;

    let begun = Instant::now();
    let (body_sender, body) = Body::channel();
    let sending = tokio::spawn(send(body_sender, size));
    let (received, memory) = Span::watch(async {
        let mut response = client.send(CHANNEL).body(body).await?;
        Digest::of_response(&mut response).await
    })
    .await;
    let elapsed = begun.elapsed().as_secs_f64();
    let received = received.context("the body didn't come back")?;
    let sent = sending.await??;
    ensure!(sent.length == size.0, "{} bytes were sent", sent.length);
    ensure!(received == sent, "it came back as something else: {received:?}, sent was {sent:?}");

    let rate = 2.0 * size.0 as f64 / elapsed / f64::from(1 << 20);
    show(format!("  {size} up, {size} down in {elapsed:.1} s ({rate:.0} MiB/s both ways together)"));
    show(format!("  sha256 {}…  right", received.short()));
    match memory {
        Some(memory) => {
            memory.ensure_flat(BOUND)?;
            let shown = |bytes| Size(bytes).to_string();
            show(format!(
                "  memory {} before, {} at most, {} after: grew by less than {BOUND}",
                shown(memory.before.resident),
                shown(memory.during),
                shown(memory.after.resident)
            ));
        }
        None => show("  memory isn't shown: this system doesn't say"),
    }
    ensure!(receiver.close().await? == 1, "the receiver ran something else as well");
    Ok(())
}

/// Sends a body of this size, and returns its digest.
async fn send(mut body: BodySender, size: Size) -> anyhow::Result<Digest> {
    let mut digest = Running::default();
    for piece in Pieces::new(size.0) {
        digest.update(&piece);
        body.send(piece).await?;
    }
    body.finish();
    Ok(digest.finish())
}
