//! The same over HTTP/2: streams at once, resets in place of clean ends, and floods of them.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use tieline::{Code, Metadata, Request};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::stage::{Stage, within};

pub(crate) type Client = SendRequest<Bytes>;

pub(crate) async fn connect(stage: &Stage) -> Client {
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    within("the connection is ready", client.ready()).await.unwrap()
}

pub(crate) fn post(path: &str) -> axum::http::Request<()> {
    axum::http::Request::post(format!("http://localhost{path}")).body(()).unwrap()
}

async fn read(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = within("the body goes on", body.data()).await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test]
async fn both_bodies_stream_at_once_on_many_streams_of_one_connection() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut client = connect(&stage).await;
    let mut open = Vec::new();
    for number in 0..5 {
        let (response, mut up) = client.send_request(post("/c/echo"), false).unwrap();
        let mut down = within("the head", response).await.unwrap().into_body();
        up.send_data(format!("first {number}").into(), false).unwrap();
        let piece = within("the first piece", down.data()).await.unwrap().unwrap();
        assert_eq!(piece, format!("first {number}"));
        open.push((up, down));
    }
    for (mut up, mut down) in open {
        up.send_data(Bytes::from_static(b"last"), true).unwrap();
        assert_eq!(read(&mut down).await.unwrap(), b"last");
    }
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn a_response_that_fails_in_its_middle_is_reset_and_its_neighbours_go_on() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let fail = stage.half("half").await;
    let mut client = connect(&stage).await;
    let (neighbour, mut up) = client.send_request(post("/c/echo"), false).unwrap();
    let (response, _) = client.send_request(post("/c/half"), true).unwrap();
    let mut body = within("the head", response).await.unwrap().into_body();
    assert_eq!(within("the half", body.data()).await.unwrap().unwrap(), "half");
    fail.notify_one();
    let error = read(&mut body).await.unwrap_err();
    assert!(error.is_reset() && error.reason() != Some(Reason::NO_ERROR), "{error}");
    up.send_data(Bytes::from_static(b"still here"), true).unwrap();
    let mut body = within("the head", neighbour).await.unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap(), b"still here");
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn an_upload_that_is_reset_is_never_taken_for_complete() {
    let stage = Stage::open().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    stage
        .handle("up", move |mut request: Request| {
            let tell = tell.clone();
            async move {
                let _ = tell.send(request.body().bytes(1 << 20).await.map_err(|error| error.code()));
                Ok(())
            }
        })
        .await;
    let mut client = connect(&stage).await;
    let (_response, mut up) = client.send_request(post("/c/up"), false).unwrap();
    up.send_data(Bytes::from_static(b"begun"), false).unwrap();
    stage.wait_until("the receiver has it", |status| status.counts.busy == 1).await;
    up.send_reset(Reason::CANCEL);
    let read = within("the receiver is told", told.recv()).await.unwrap();
    assert!(matches!(read, Err(Code::Cancelled | Code::Application)), "{read:?}");
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn metadata_behind_a_response_is_its_trailer() {
    let stage = Stage::open().await;
    stage
        .handle("sum", async |request| {
            let mut writer = request.respond().start().await?;
            writer.send("body").await?;
            let mut trailer = Metadata::new();
            trailer.push("sha256", "abc")?;
            writer.finish_with(trailer).await
        })
        .await;
    let mut client = connect(&stage).await;
    let (response, _) = client.send_request(post("/c/sum"), true).unwrap();
    let mut body = within("the head", response).await.unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap(), b"body");
    let trailer = within("the trailer", body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailer["tieline-meta-sha256"], "abc");
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn a_flood_of_resets_ends_that_connection_and_nobody_elses() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let mut bystander = connect(&stage).await;
    let mut client = connect(&stage).await;
    let mut sent = 0;
    // Far more than anybody needs; each is opened and reset before it is answered.
    while sent < 20_000 {
        let Ok(ready) = within("the connection is ready, or over", client.clone().ready()).await else { break };
        client = ready;
        let Ok((_response, mut up)) = client.send_request(post("/c/nobody"), false) else { break };
        up.send_reset(Reason::CANCEL);
        sent += 1;
        tokio::task::yield_now().await;
    }
    assert!(sent < 20_000, "nobody ended it");
    let (response, _) = bystander.send_request(post("/c/echo"), true).unwrap();
    assert_eq!(within("the bystander's answer", response).await.unwrap().status(), 200);
    stage.wait_until("nothing waits", |status| status.counts.waiting == 0).await;
    drop((client, bystander));
    stage.ended().await;
}
