//! `/api` shows channels, requests and connections as they are.

use bytes::Bytes;
use serde_json::{Value, json};
use tieline_protocol::{ChannelId, ClientId, ExchangeId, Frame, Kind, Metadata, RequestId, StartPayload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::Stage;

#[tokio::test]
async fn a_channel_without_a_receiver_shows_what_would_start_one() {
    let stage = Stage::start().await;
    let sender = stage.client().await;
    let waiting = tokio::spawn(async move { sender.send("upper").body("hello").await });
    let path = "/api/channels/upper";
    let detail = loop {
        let answer = stage.get(path).await;
        if answer.status == 200 {
            break serde_json::from_str::<Value>(&answer.body).unwrap();
        }
        tokio::task::yield_now().await;
    };
    let channel = &detail["channel"];
    assert_eq!(channel["name"], "upper");
    assert_eq!(channel["waiting"], 1);
    assert_eq!(channel["stalled_on"], "receiver");
    assert_eq!(channel["start_one"], "tieline receive upper -- CMD");
    let request = &detail["requests"][0];
    assert_eq!(request["state"], "waiting");
    assert_eq!(request["receiver"], Value::Null);
    assert_eq!(request["request"]["bytes"], 5);
    assert_eq!(request["request"]["closed"], true);
    assert_eq!(request["sender"]["from"], "127.0.0.1");
    let by_id = format!("/api/channels/{}", ChannelId::of_name("upper"));
    assert_eq!(stage.json(&by_id).await["channel"]["name"], "upper");
    let one = stage.json(&format!("/api/requests/{}", request["id"].as_str().unwrap())).await;
    assert_eq!(one["id"], request["id"]);
    let by_request_id = format!("/api/requests/{}", request["request_id"].as_str().unwrap());
    assert_eq!(stage.json(&by_request_id).await["id"], request["id"]);
    let overview = stage.until("/api/overview", |overview| overview["oldest_wait_seconds"] != Value::Null).await;
    assert_eq!(overview["waiting"], 1);
    waiting.abort();
    stage.end().await;
}

#[tokio::test]
async fn a_request_in_hand_shows_who_has_it_and_who_is_waited_for() {
    let stage = Stage::start().await;
    let client = stage.client().await;
    let mut receiver = client.receive("slow").await.unwrap();
    let sender = stage.client().await;
    let sent = tokio::spawn(async move { sender.send("slow").body(vec![7; 64 << 20]).await });
    let mut request = receiver.next().await.unwrap().unwrap();
    // It reads a byte and no more, so the sender uses up its credit: a window and what has left, at most.
    let first = request.body().chunk().await.unwrap().unwrap();
    assert!(!first.is_empty());
    let detail =
        stage.until("/api/channels/slow", |detail| detail["requests"][0]["request"]["stalled_on"] != Value::Null).await;
    let view = &detail["requests"][0];
    assert_eq!(view["request"]["stalled_on"], "receiver");
    assert_eq!(view["request"]["credit"], 0);
    assert_eq!(view["state"], "accepted");
    assert_eq!(view["receiver"]["connection"], detail["receivers"][0]["connection"]);
    assert_ne!(view["receiver"]["connection"], view["sender"]["connection"]);
    // It was handed out at once, and isn't answered yet.
    assert!(view["waited_seconds"].as_f64().is_some_and(|waited| waited <= view["age_seconds"].as_f64().unwrap()));
    assert_eq!(view["first_byte_seconds"], Value::Null);
    assert_eq!(detail["channel"]["stalled_on"], "receiver");
    assert_eq!(detail["channel"]["busy"], 1);
    assert_eq!(detail["receivers"][0]["busy"], 1);
    sent.abort();
    stage.end().await;
}

#[tokio::test]
async fn channels_come_in_pages_that_leave_none_out_and_none_is_longer_than_asked_for() {
    let stage = Stage::start().await;
    let client = stage.client().await;
    let mut receives = Vec::new();
    for n in 0..25 {
        receives.push(client.receive(format!("channel-{n:02}")).await.unwrap());
    }
    stage.until("/api/channels?limit=1", |page| page["total"] == 25).await;
    let mut names = Vec::new();
    let mut path = "/api/channels?sort=name&limit=10".to_owned();
    loop {
        let page = stage.json(&path).await;
        let channels = page["channels"].as_array().unwrap();
        assert!(channels.len() <= 10);
        names.extend(channels.iter().map(|channel| channel["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/channels?sort=name&limit=10&after={next}");
    }
    assert_eq!(names, (0..25).map(|n| format!("channel-{n:02}")).collect::<Vec<_>>());
    assert_eq!(stage.json("/api/channels?limit=0").await["channels"], json!([]));
    let found = stage.json("/api/channels?find=NEL-1&sort=name&limit=3").await;
    assert_eq!((&found["total"], &found["channels"][0]["name"]), (&json!(10), &json!("channel-10")));
    assert_eq!(stage.json("/api/channels?find=nothing").await["total"], 0);
    for (wrong, word) in [("sort=size", "is no order"), ("after=x", "'after' is the id"), ("page=2", "unknown field")] {
        let answer = stage.get(&format!("/api/channels?{wrong}")).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(word), "{}", answer.body);
    }
    stage.end().await;
}

#[tokio::test]
async fn rates_are_those_between_two_looks() {
    let stage = Stage::start().await;
    let _receiver = stage.upper("upper").await;
    let sender = stage.client().await;
    assert_eq!(stage.json("/api/overview").await["rates"], Value::Null, "one look has no rate");
    sender.send("upper").body("hello").await.unwrap().bytes(10).await.unwrap();
    let page = stage.until("/api/channels", |page| page["channels"][0]["rates"] != Value::Null).await;
    let rates = &page["channels"][0]["rates"];
    let [requests, bytes] = ["requests", "request_bytes"].map(|name| rates[name].as_f64().unwrap());
    assert!(requests > 0.0 && requests <= 1.0, "{page}");
    assert!((bytes / requests - 5.0).abs() < 1e-6, "{page}");
    assert!(page["channels"][0]["p50_seconds"].as_f64().is_some(), "{page}");
    // How long they took is of those that ended lately, too: one, and soon none.
    stage.until("/api/overview", |all| all["duration_lately"]["count"] == 0).await;
    assert_eq!(stage.json("/api/overview").await["duration"]["count"], 1);
    stage.end().await;
}

#[tokio::test]
async fn connections_are_shown_with_where_they_come_from_in_pages() {
    let stage = Stage::start().await;
    let clients = [stage.client().await, stage.client().await, stage.client().await];
    let _receive = clients[0].receive("a").await.unwrap();
    let page = stage.until("/api/connections?limit=2", |page| page["connections"][0]["receives"] == 1).await;
    assert_eq!((&page["total"], page["connections"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(page["connections"][0]["from"], "127.0.0.1");
    let rest = stage.json(&format!("/api/connections?limit=2&after={}", page["next"])).await;
    assert_eq!((rest["connections"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    stage.end().await;
}

#[tokio::test]
async fn events_bring_snapshots_until_nobody_reads() {
    let stage = Stage::start().await;
    let client = stage.client().await;
    let _receive = client.receive("a").await.unwrap();
    let mut socket = stage.ask("/api/events?sort=name", "").await;
    let mut text = String::new();
    while text.matches("event: snapshot").count() < 2 {
        let mut piece = [0; 4096];
        let len = socket.read(&mut piece).await.unwrap();
        assert!(len > 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..len]));
    }
    assert!(text.to_ascii_lowercase().contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains(r#"data: {"overview":{"version""#), "{text}");
    drop(socket);
    stage.end().await;
}

#[tokio::test]
async fn requests_that_share_an_id_are_told_apart_by_their_names() {
    let stage = Stage::start().await;
    let channel = ChannelId::of_name("upper");
    let request = RequestId::from_u128(1);
    let mut senders = Vec::new();
    for client in [7, 8].map(ClientId::from_u128) {
        let mut hello = Kind::Hello.header();
        hello.client = client;
        let start = Kind::StartRequest.header().exchange(ExchangeId { client, request, channel });
        let payload = StartPayload::join(&Metadata::new(), b"hello");
        let frames = [Frame::new(Kind::Hello, hello, Bytes::new()), Frame::new(Kind::StartRequest, start, payload)];
        let mut sender = TcpStream::connect(stage.bus.strip_prefix("tcp://").unwrap()).await.unwrap();
        sender.write_all(&frames.map(|frame| frame.to_bytes()).concat()).await.unwrap();
        senders.push(sender);
        let name = format!("{client}.1.{channel}");
        while stage.get(&format!("/api/requests/{name}")).await.status != 200 {
            tokio::task::yield_now().await;
        }
    }
    let path = format!("/api/requests/{request}");
    let answer = stage.get(&path).await;
    assert_eq!(answer.status, 400);
    for client in [7, 8].map(ClientId::from_u128) {
        let name = format!("{client}.1.{channel}");
        assert!(answer.body.contains(&name), "{}", answer.body);
        assert_eq!(stage.json(&format!("/api/requests/{name}")).await["id"], name);
    }
    senders.pop();
    while stage.get(&path).await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.json(&path).await["id"], format!("{}.1.{channel}", ClientId::from_u128(7)));
    drop(senders);
    stage.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_not_to_be() {
    let stage = Stage::start().await;
    assert_eq!(stage.get("/api/channels/nobody").await.status, 404);
    assert_eq!(stage.get("/api/requests/x").await.status, 400);
    let id = format!("{0}.1.{0}", ChannelId::of_name("x"));
    assert_eq!(stage.get(&format!("/api/requests/{id}")).await.status, 404);
    assert_eq!(stage.get(&format!("/api/requests/{}", ChannelId::of_name("x"))).await.status, 404);
    assert_eq!(stage.get("/api/nothing").await.status, 404);
    // Nor is a parameter.
    assert_eq!(stage.get("/api/overview?find=x").await.status, 400);
    assert_eq!(stage.get(&format!("/api/requests/{id}?limit=1")).await.status, 400);
    stage.end().await;
}
