//! Scenes of whole connections around a real hub: what one's task does while another's ends.
//!
//! Each begins on one thread, so that only what is in question is run in many orders: the connections say hello and settle,
//! what they will read next is laid ready, and then each task gets a thread. The clock stands still: no timer helps.

use std::sync::Arc;

use bytes::Bytes;
use tieline_protocol::{ChannelId, ClientId, ExchangeId, Frame, Kind, RequestId};

use super::clients::{Connection, all};
use crate::Config;
use crate::hub::Hub;

fn channel() -> ChannelId {
    ChannelId::of_name("thumbs")
}

fn request(number: u128) -> ExchangeId {
    ExchangeId { client: ClientId::from_u128(0), request: RequestId::from_u128(number), channel: channel() }
}

fn hub() -> Arc<Hub> {
    Hub::new(Config { shards: 1, ..Config::default() }, (1, 2), "test".into())
}

#[test]
fn a_connection_that_waits_for_its_last_responses_ends_with_them() {
    all("the last responses", 1, || {
        let hub = hub();
        let mut receivers = [1, 2].map(|id| Connection::new(&hub, id));
        for receiver in &mut receivers {
            receiver.client.receive(channel());
            receiver.settle();
        }
        let mut sender = Connection::new(&hub, 3);
        for number in [1, 2] {
            sender.client.start(Kind::StartRequest, request(number));
        }
        sender.client.end();
        sender.settle();
        let mut tasks = Vec::new();
        for receiver in &mut receivers {
            receiver.settle();
            let came = receiver.client.came();
            let start = came.iter().find(|frame| frame.kind == Kind::StartRequest).unwrap();
            receiver.client.start(Kind::StartResponse, start.header.exchange_id());
            receiver.client.close();
            tasks.push(receiver.run());
        }
        tasks.push(sender.run());
        let kinds = sender.client.came_till_the_end();
        assert_eq!(kinds.iter().filter(|kind| **kind == Kind::StartResponse).count(), 2, "{kinds:?}");
        for task in tasks {
            task.join().unwrap();
        }
    });
}

#[test]
fn a_connection_that_ends_is_told_before_that_its_last_request_was_given_up() {
    all("the last request", 2, || {
        let hub = hub();
        let mut receiver = Connection::new(&hub, 1);
        receiver.client.receive(channel());
        receiver.settle();
        let mut sender = Connection::new(&hub, 2);
        sender.client.start(Kind::StartRequest, request(1));
        sender.settle();
        receiver.client.end();
        receiver.settle();
        let came = receiver.client.came();
        assert!(came.iter().any(|frame| frame.kind == Kind::StartRequest), "{came:?}");
        // The sender is gone; at the same time, the receiver's task is woken for something else.
        sender.client.close();
        receiver.client.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(7), Bytes::new()));
        let tasks = [sender.run(), receiver.run()];
        let kinds = receiver.client.came_till_the_end();
        assert!(kinds.contains(&Kind::ErrorRequest), "{kinds:?}");
        for task in tasks {
            task.join().unwrap();
        }
    });
}
