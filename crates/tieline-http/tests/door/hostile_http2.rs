//! Clients of HTTP/2 that mean harm in single frames, and honest ones that look like them.

use std::time::Duration;

use tieline::Request;
use tieline_http::HttpConfig;
use tieline_server::Config;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::frames::{
    ACK, CONTINUATION, Came, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, head,
};
use crate::http2;
use crate::raw::post;
use crate::stage::{Stage, within};

/// More frames than could wait if each cost what it costs inside of a library for HTTP/2.
const MANY: usize = 60_000;

/// A server whose clocks run out soon.
async fn hasty() -> Stage {
    let mut http = HttpConfig::default();
    http.clocks.head = Duration::from_millis(300);
    http.clocks.stall = Duration::from_millis(300);
    let stage = Stage::with(Config::default(), http, None).await;
    stage.echo("echo").await;
    stage
}

async fn bystander_is_served(stage: &Stage) {
    assert_eq!(post(stage, "/c/echo", "", "hello").await.text(), "hello");
}

/// A receiver that tells what came.
async fn receive(stage: &Stage, channel: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
    let (tell, told) = mpsc::unbounded_channel();
    stage
        .handle(channel, move |mut request: Request| {
            let tell = tell.clone();
            async move {
                let body = request.body().bytes(16 << 20).await?;
                let _ = tell.send(body.to_vec());
                request.reply("taken").await
            }
        })
        .await;
    told
}

/// Single bytes, each in a frame of its own.
fn crumbs(stream: u32, bytes: impl Iterator<Item = u8>) -> Vec<u8> {
    bytes.flat_map(|byte| frame(DATA, 0, stream, [byte])).collect()
}

fn pattern(length: usize) -> impl Iterator<Item = u8> {
    (0..length).map(|at| (at % 251) as u8)
}

#[tokio::test]
async fn single_bytes_that_nobody_takes_yet_wait_joined_and_come_whole() {
    let stage = Stage::open().await;
    let mut client = Frames::open(&stage).await;
    // Two bodies whose beginning fills what the bus takes of them, so that the rest waits before it.
    for stream in [1, 3] {
        client.post(stream, "/c/later").await;
        for _ in 0..10 {
            client.say(frame(DATA, 0, stream, [7; 0x4000])).await;
        }
    }
    for stream in [1, 3] {
        client.say(crumbs(stream, pattern(MANY))).await;
        client.say(frame(DATA, END_STREAM, stream, [])).await;
    }
    // They are all there before anybody wants them.
    client.say(frame(PING, 0, 0, [5; 8])).await;
    let pong = client.next_of(PING, 0).await.expect("the connection stands");
    assert_eq!((pong.flags & ACK, pong.payload), (ACK, vec![5; 8]));
    let mut told = receive(&stage, "later").await;
    for _ in 0..2 {
        let body = within("a body", told.recv()).await.unwrap();
        assert_eq!(body.len(), 10 * 0x4000 + MANY);
        assert!(body[10 * 0x4000..].iter().copied().eq(pattern(MANY)));
    }
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn lines_without_number_pass_if_they_are_taken_beside_a_body_that_is_not() {
    let stage = Stage::open().await;
    let mut told = receive(&stage, "lines").await;
    let mut client = Frames::open(&stage).await;
    client.post(1, "/c/nobody").await;
    client.post(3, "/c/lines").await;
    let line = frame(DATA, 0, 3, b"a line\n");
    let crumb = frame(DATA, 0, 1, b"x");
    let rounds = 2_000;
    let (mut reader, mut writer) = client.0.into_split();
    let writing = tokio::spawn(async move {
        // Within both windows' first length, so that none has to be waited for.
        for _ in 0..rounds {
            writer.write_all(&[line.repeat(15), crumb.clone()].concat()).await.unwrap();
        }
        writer.write_all(&frame(DATA, END_STREAM, 3, [])).await.unwrap();
        writer
    });
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    assert_eq!(within("the lines", told.recv()).await.unwrap(), b"a line\n".repeat(15 * rounds));
    drop(within("all is written", writing).await.unwrap());
    let _ = within("the end", reading).await;
    stage.ended().await;
}

#[tokio::test]
async fn padding_and_frames_of_unknown_kinds_between_bytes_change_nothing() {
    let stage = Stage::open().await;
    let mut told = receive(&stage, "padded").await;
    let mut client = Frames::open(&stage).await;
    client.post(1, "/c/padded").await;
    let mut padded = vec![200, b'x'];
    padded.resize(2 + 200, 0);
    for _ in 0..500 {
        client.say([frame(DATA, 8, 1, &padded), frame(0xee, 0, 0, [0; 4_000])].concat()).await;
    }
    client.say(frame(DATA, END_STREAM, 1, [])).await;
    assert_eq!(within("the body", told.recv()).await.unwrap(), [b'x'; 500]);
    drop(client);
    stage.ended().await;
}

/// Writes this until the server has enough; whether it ever had.
async fn flood(client: &mut Frames, bytes: &[u8]) -> bool {
    for _ in 0..20_000 {
        match tokio::time::timeout(Duration::from_secs(10), client.0.write_all(bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

#[tokio::test]
async fn who_asks_and_never_reads_the_answers_is_closed() {
    let stage = hasty().await;
    for flood_of in [frame(PING, 0, 0, [1; 8]), frame(SETTINGS, 0, 0, [])] {
        let mut client = Frames::open(&stage).await;
        assert!(flood(&mut client, &flood_of.repeat(1_000)).await, "nobody ended it");
        bystander_is_served(&stage).await;
    }
    stage.ended().await;
}

#[tokio::test]
async fn what_breaks_the_rules_of_windows_headers_or_frames_ends_its_connection_alone() {
    let stage = hasty().await;
    let open = frame(HEADERS, END_HEADERS, 1, head("/c/nobody"));
    let unended = frame(HEADERS, 0, 1, head("/c/nobody"));
    let with_window = |by: u32, stream| frame(WINDOW_UPDATE, 0, stream, by.to_be_bytes());
    for (what, bytes) in [
        ("a window that grows by nothing", with_window(0, 0)),
        ("a window that is too large", [with_window(0x7fff_ffff, 0), with_window(0x7fff_ffff, 0)].concat()),
        ("a header block without an end", [unended.clone(), frame(CONTINUATION, 0, 1, []).repeat(100)].concat()),
        ("a header block that is huge", [unended, frame(CONTINUATION, 0, 1, [0x82; 0x4000]).repeat(100)].concat()),
        ("empty frames of a body", [open.clone(), frame(DATA, 0, 1, []).repeat(1_000)].concat()),
        ("data of no stream", frame(DATA, 0, 0, b"x")),
        ("a frame that is too long", [open.clone(), frame(DATA, 0, 1, vec![0; 0x4001])].concat()),
        ("more than all windows", [open, frame(DATA, 0, 1, [0; 0x4000]).repeat(40)].concat()),
    ] {
        let mut client = Frames::open(&stage).await;
        // It may be refused before all of it was taken.
        let _ = client.0.write_all(&bytes).await;
        let mut last = None;
        while let Some(came) = client.next().await {
            if matches!(came.kind, GOAWAY | RST_STREAM) {
                last = Some(came);
                break;
            }
        }
        assert!(last.is_some() || client.next().await.is_none(), "{what} was passed over");
        bystander_is_served(&stage).await;
    }
    stage.ended().await;
}

#[tokio::test]
async fn more_headers_than_http_1_1_may_have_are_431() {
    let stage = hasty().await;
    let mut client = http2::connect(&stage).await;
    // Short ones: four bytes each on the wire, a hundred in memory.
    let mut asked = axum::http::Request::post("http://localhost/c/echo");
    for _ in 0..101 {
        asked = asked.header("a", "");
    }
    let (answer, _) = client.send_request(asked.body(()).unwrap(), false).unwrap();
    assert_eq!(within("an answer", answer).await.unwrap().status(), 431);
    // The connection goes on.
    let (answer, _) = client.send_request(http2::post("/c/echo"), true).unwrap();
    assert_eq!(within("an answer", answer).await.unwrap().status(), 200);
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn who_answers_no_ping_is_closed_and_who_answers_stays() {
    let stage = hasty().await;
    let mut mute = Frames::open(&stage).await;
    let mut honest = Frames::open(&stage).await;
    for _ in 0..3 {
        let asked = loop {
            if let Came { flags: 0, payload, .. } = honest.next_of(PING, 0).await.expect("the connection stands") {
                break payload;
            }
        };
        honest.say(frame(PING, ACK, 0, asked)).await;
    }
    while mute.next().await.is_some() {}
    honest.post(1, "/c/echo").await;
    honest.say(frame(DATA, END_STREAM, 1, b"hello")).await;
    assert_eq!(honest.body(1).await.as_deref(), Some(&b"hello"[..]));
    drop(honest);
    stage.ended().await;
}
