//! A server with tokens, and clients that bring one.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use tieline_protocol::{ExchangeId, Flags, Frame, Kind, Metadata, StartPayload};
use tieline_server::{Access, Config, TokenDigest, TokenRule};

use crate::common::{RawClient, TestServer, channel};

/// A token that may do everything.
pub const ALL: &str = "tieline_all";

/// What a rule is made of: the token's name is its text as well.
pub fn rule(token: &str, send: &[&str], receive: &[&str]) -> TokenRule {
    let mut rule = TokenRule::new(token, TokenDigest::of(token.as_bytes()));
    rule.send = send.iter().map(|text| text.parse().unwrap()).collect();
    rule.receive = receive.iter().map(|text| text.parse().unwrap()).collect();
    rule
}

pub fn all() -> TokenRule {
    rule(ALL, &["*"], &["*"])
}

/// A server with these tokens and the one that may do everything, and the handle to replace them.
pub async fn server(mut rules: Vec<TokenRule>) -> (TestServer, Access) {
    rules.push(all());
    let mut config = Config::default();
    config.access = Access::with_tokens(rules).unwrap();
    let access = config.access.clone();
    (TestServer::with(config).await, access)
}

/// A hello with this token.
pub fn hello(client: &RawClient, token: &[u8]) -> Frame {
    let mut metadata = Metadata::new();
    metadata.push("token", token).unwrap();
    Frame::new(Kind::Hello, client.hello().header, metadata.wire().clone())
}

/// One of the machine's own addresses.
pub fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A client that has said hello with a token.
pub async fn guest(server: &TestServer, id: u128, token: &str) -> RawClient {
    guest_from(server, loopback(1), id, token).await
}

pub async fn guest_from(server: &TestServer, source: IpAddr, id: u128, token: &str) -> RawClient {
    let mut client = RawClient::connect_from(source, server.address, id).await;
    let hello = hello(&client, token.as_bytes());
    client.send(&hello).await;
    client.expect(Kind::HelloAnswer).await;
    client
}

/// A start+REQUEST on the channel `id_of`, which says that it is called `named`.
pub async fn start_on(client: &mut RawClient, id_of: &str, named: Option<&str>, body: &[u8]) -> ExchangeId {
    let id = client.exchange(channel(id_of));
    let mut header = Kind::StartRequest.header().exchange(id);
    header.flags |= Flags::FINAL;
    client.send(&Frame::new(Kind::StartRequest, header, StartPayload::join(&names(named), body))).await;
    id
}

/// A start+RECEIVE of one request, likewise.
pub async fn receive_on(client: &mut RawClient, id_of: &str, named: Option<&str>) {
    let header = Kind::StartReceive.header().channel(channel(id_of)).value(1);
    client.send(&Frame::new(Kind::StartReceive, header, StartPayload::join(&names(named), &[]))).await;
}

pub fn names(named: Option<&str>) -> Metadata {
    let mut metadata = Metadata::new();
    if let Some(name) = named {
        metadata.push("channel", name).unwrap();
    }
    metadata
}

/// Sends a request on a channel, has it answered, and sees that the answer is the right one.
pub async fn exchange(sender: &mut RawClient, receiver: &mut RawClient, name: &str, body: &[u8]) {
    receive_on(receiver, name, Some(name)).await;
    receiver.settle().await;
    let id = start_on(sender, name, Some(name), body).await;
    let request = receiver.expect(Kind::StartRequest).await;
    assert_eq!(crate::common::body(&request), body);
    receiver.send(&crate::common::start(Kind::StartResponse, id, Flags::FINAL, body)).await;
    assert_eq!(crate::common::body(&sender.expect(Kind::StartResponse).await), body);
    let withdraw = Kind::EndReceive.header().channel(channel(name));
    receiver.send(&Frame::new(Kind::EndReceive, withdraw, Bytes::new())).await;
    receiver.expect(Kind::EndReceive).await;
}
