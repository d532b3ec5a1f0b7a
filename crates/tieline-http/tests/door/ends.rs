//! Ends that aren't clean: whoever goes, or fails, the other side never takes a part for the whole.

use std::sync::Arc;

use tieline::{Code, Error, Metadata, Request};
use tokio::sync::mpsc;

use crate::raw::Raw;
use crate::stage::{Stage, within};

/// A receiver that tells how the body of its request ended, and how the request did.
async fn told(stage: &Stage, channel: &str) -> mpsc::UnboundedReceiver<(Result<usize, Error>, Option<Code>)> {
    let (tell, told) = mpsc::unbounded_channel();
    let tell = Arc::new(tell);
    stage
        .handle(channel, move |mut request: Request| {
            let tell = Arc::clone(&tell);
            async move {
                let mut length = 0;
                let read = loop {
                    match request.body().chunk().await {
                        Ok(Some(piece)) => length += piece.len(),
                        Ok(None) => break Ok(length),
                        Err(error) => break Err(error),
                    }
                };
                let fault = if read.is_err() { Some(request.cancelled().await.code) } else { None };
                let _ = tell.send((read, fault));
                Ok(())
            }
        })
        .await;
    told
}

#[tokio::test]
async fn a_client_that_goes_while_it_waits_cancels_its_request() {
    let stage = Stage::open().await;
    let (begun, mut has_begun) = mpsc::unbounded_channel();
    let (tell, mut told) = mpsc::unbounded_channel();
    stage
        .handle("work", move |mut request: Request| {
            let (begun, tell) = (begun.clone(), tell.clone());
            async move {
                request.body().bytes(100).await?;
                let _ = begun.send(());
                let _ = tell.send(request.cancelled().await.code);
                Ok(())
            }
        })
        .await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/work", "").await;
    raw.last_chunk().await;
    within("the receiver begins", has_begun.recv()).await.unwrap();
    drop(raw);
    let code = within("the receiver is told", told.recv()).await.unwrap();
    assert_eq!(code, Code::Cancelled);
    stage.wait_until("nothing is left", |status| status.counts.busy == 0).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_client_that_goes_while_the_response_comes_cancels_its_request() {
    let stage = Stage::open().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    stage
        .handle("drip", move |request: Request| {
            let tell = tell.clone();
            async move {
                let mut writer = request.respond().start().await?;
                writer.send("first").await?;
                writer.flush().await?;
                let _ = tell.send(writer.cancelled().await.code);
                Ok(())
            }
        })
        .await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/drip", "").await;
    raw.last_chunk().await;
    raw.head().await.unwrap();
    raw.expect("first").await;
    drop(raw);
    assert_eq!(within("the receiver is told", told.recv()).await.unwrap(), Code::Cancelled);
    stage.ended().await;
}

#[tokio::test]
async fn an_upload_that_is_cut_off_is_never_taken_for_complete() {
    let stage = Stage::open().await;
    let mut told = told(&stage, "up").await;
    // By chunks: without the last, and within one.
    for rest in ["5\r\nhello\r\n", "5\r\nhel", "5"] {
        let mut raw = Raw::to(&stage).await;
        raw.open("/c/up", "").await;
        raw.chunk("begun").await;
        raw.say(rest).await;
        drop(raw);
        let (read, code) = within("the receiver is told", told.recv()).await.unwrap();
        assert!(read.is_err(), "{rest:?} was taken for complete");
        assert!(matches!(code, Some(Code::Cancelled | Code::Application)), "{code:?}");
    }
    // By its length.
    let mut raw = Raw::to(&stage).await;
    raw.say("PUT /c/up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly so much").await;
    drop(raw);
    assert!(within("the receiver is told", told.recv()).await.unwrap().0.is_err());
    stage.ended().await;
}

#[tokio::test]
async fn a_response_that_fails_in_its_middle_is_broken_off_and_never_ended() {
    let stage = Stage::open().await;
    let fail = stage.half("half").await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/half", "").await;
    raw.last_chunk().await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.expect("half").await;
    fail.notify_one();
    assert_eq!(raw.piece().await, None, "neither more nor an end");
    assert!(raw.is_closed().await);
    stage.ended().await;
}

#[tokio::test]
async fn a_response_whose_receiver_is_lost_is_broken_off() {
    let stage = Stage::open().await;
    let bus = stage.bus();
    let mut receiver = bus.receive("lost").ready(1).open().await.unwrap();
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/lost", "").await;
    raw.last_chunk().await;
    let request = receiver.next().await.unwrap().unwrap();
    let mut writer = request.respond().start().await.unwrap();
    writer.send("begun").await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.expect("begun").await;
    bus.close_now();
    assert_eq!(raw.piece().await, None);
    stage.ended().await;
}

#[tokio::test]
async fn metadata_behind_a_body_is_left_out_of_http_1_1_and_trailers_of_requests_mean_nothing() {
    let stage = Stage::open().await;
    stage
        .handle("sum", async |request| {
            let (mut body, responder) = request.into_parts();
            let mut writer = responder.start().await?;
            while let Some(piece) = body.chunk().await? {
                writer.send(piece).await?;
            }
            let mut trailer = Metadata::new();
            trailer.push("sha256", "abc")?;
            writer.finish_with(trailer).await
        })
        .await;
    let mut raw = Raw::to(&stage).await;
    raw.open("/c/sum", "TE: trailers\r\nTrailer: X-Sum\r\n").await;
    raw.chunk("body").await;
    raw.say("0\r\nX-Sum: 1\r\nContent-Type: text/html\r\n\r\n").await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.text(), answer.is_complete), (200, "body", true));
    assert!(!answer.head.contains("sha256") && !answer.head.contains("text/html"), "{}", answer.head);
    // The connection goes on behind it.
    raw.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(raw.answer().await.text(), "alive\n");
    stage.ended().await;
}
