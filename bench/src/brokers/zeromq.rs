//! ZeroMQ's two usual brokers: its own proxy, and the guide's least-recently-used queue, where a request goes to the
//! receiver that has been free for longest.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;
use zmq::{DONTWAIT, Message, POLLIN, SNDMORE, Socket};

use crate::peers::zeromq::READY;

fn bind(context: &zmq::Context, kind: zmq::SocketType) -> anyhow::Result<(Socket, String)> {
    let socket = context.socket(kind)?;
    socket.set_sndhwm(0)?;
    socket.set_rcvhwm(0)?;
    socket.bind(&format!("tcp://{}", SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)))?;
    let bound = socket.get_last_endpoint()?.ok().context("no endpoint")?;
    let address = bound.strip_prefix("tcp://").context("no address")?.to_owned();
    Ok((socket, address))
}

/// The proxy: requests go to receivers in turn, free or not.
///
/// # Errors
/// If ZeroMQ fails.
pub fn proxy() -> anyhow::Result<()> {
    let context = zmq::Context::new();
    let (front, front_address) = bind(&context, zmq::ROUTER)?;
    let (back, back_address) = bind(&context, zmq::DEALER)?;
    super::tell(&[front_address, back_address]);
    Ok(zmq::proxy(&front, &back)?)
}

/// The least-recently-used queue.
///
/// # Errors
/// If ZeroMQ fails.
pub fn least_recently_used() -> anyhow::Result<()> {
    let context = zmq::Context::new();
    let (front, front_address) = bind(&context, zmq::ROUTER)?;
    let (back, back_address) = bind(&context, zmq::ROUTER)?;
    super::tell(&[front_address, back_address]);
    let mut free = VecDeque::new();
    loop {
        let mut items = [back.as_poll_item(POLLIN), front.as_poll_item(POLLIN)];
        // Requests wait in the socket while nobody is free.
        let watched = if free.is_empty() { 1 } else { 2 };
        zmq::poll(&mut items[..watched], -1)?;
        let mut parts = Vec::new();
        while receive(&back, &mut parts)? {
            let mut rest = parts.drain(..);
            free.extend(rest.next());
            let rest: Vec<_> = rest.collect();
            if rest.first().is_some_and(|first| &first[..] != READY) {
                send(&front, rest)?;
            }
        }
        while let Some(receiver) = free.pop_front() {
            if !receive(&front, &mut parts)? {
                free.push_front(receiver);
                break;
            }
            send(&back, std::iter::once(receiver).chain(parts.drain(..)))?;
        }
    }
}

fn receive(socket: &Socket, parts: &mut Vec<Message>) -> anyhow::Result<bool> {
    parts.clear();
    loop {
        match socket.recv_msg(DONTWAIT) {
            Ok(part) => parts.push(part),
            Err(zmq::Error::EAGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if !socket.get_rcvmore()? {
            return Ok(true);
        }
    }
}

fn send(socket: &Socket, parts: impl IntoIterator<Item = Message>) -> anyhow::Result<()> {
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        socket.send(part, if parts.peek().is_some() { SNDMORE } else { 0 })?;
    }
    Ok(())
}
