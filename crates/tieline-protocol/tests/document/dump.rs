//! The exchange of the story, byte for byte, with a word to each field.

use tieline_protocol::header::{FrameType, HEADER_LEN};
use tieline_protocol::id::CHANNEL_NAMESPACE;
use tieline_protocol::{ChannelId, Fault, Flags, Frame, Kind, Metadata, Role, StartLimits, StartPayload};

use crate::support::hex;
use crate::support::story::{self, Connection, Step};
use crate::tables::table;

pub(crate) fn exchange() -> String {
    let mut parts = Vec::new();
    for (index, step) in story::steps().iter().enumerate() {
        let client = step.on.name();
        let (from, to) = match step.from {
            Role::Client => (client, "server"),
            Role::Server => ("server", client),
        };
        parts.push(format!("**{}. {from} → {to}: {}.** {}\n\n", index + 1, step.frame.kind.name(), step.why));
        parts.push(format!("```text\n{}```\n\n", frame(step)));
    }
    parts.concat()
}

/// Lines of an offset, bytes and what they mean.
struct Lines {
    at: usize,
    text: String,
}

impl Lines {
    /// A line for these bytes; more lines if they are many.
    fn line(&mut self, bytes: &[u8], meaning: &str) {
        for (index, part) in bytes.chunks(16).enumerate() {
            let grouped: Vec<_> = part.chunks(4).map(hex).collect();
            let meaning = if index == 0 { meaning } else { "" };
            self.text += format!("{:04x}  {:<35}  {meaning}", self.at, grouped.join(" ")).trim_end();
            self.text.push('\n');
            self.at += part.len();
        }
    }

    fn metadata(&mut self, metadata: &Metadata) {
        for (name, value) in metadata.iter() {
            let mut bytes = vec![name.len() as u8];
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
            bytes.extend_from_slice(value);
            self.line(&bytes, &format!("{name} = {}", String::from_utf8_lossy(value)));
        }
    }
}

fn frame(step: &Step) -> String {
    let frame = &step.frame;
    let header = &frame.header;
    let bytes = header.encode();
    let mut lines = Lines { at: 0, text: String::new() };
    lines.line(&bytes[0..1], "version 1");
    lines.line(&bytes[1..2], &format!("type: {}", FrameType::from_byte(header.frame_type).unwrap().name()));
    lines.line(
        &bytes[2..4],
        &format!(
            "flags: {}",
            if header.flags == Flags::NONE { "none".to_owned() } else { header.flags.to_string().replace('+', ", ") }
        ),
    );
    lines.line(&bytes[4..8], &format!("payload: {} bytes", header.length));
    lines.line(&bytes[8..16], &value(frame));
    lines.line(
        &bytes[16..32],
        &format!("request id: {}", if header.request.is_nil() { "nil".to_owned() } else { header.request.to_string() }),
    );
    let client = match header.client {
        id if id.is_nil() => "nil".to_owned(),
        id if id == step.on.client() => format!("this {}'s", step.on.name()),
        id if id == Connection::Sender.client() => "the sender's".to_owned(),
        id => id.to_string(),
    };
    lines.line(&bytes[32..48], &format!("client id: {client}"));
    let channel = if header.channel.is_nil() { "nil" } else { "the UUIDv5 of \"upper\"" };
    lines.line(&bytes[48..HEADER_LEN], &format!("channel id: {channel}"));
    payload(&mut lines, frame);
    lines.text
}

fn value(frame: &Frame) -> String {
    let value = frame.header.value;
    match frame.kind {
        Kind::StartRequest => {
            let limits = StartLimits::from_value(value);
            format!("value: wait {} ms, deadline {} ms", limits.wait_ms, limits.deadline_ms)
        }
        Kind::StartReceive | Kind::AckReceive => format!("value: count {value}"),
        Kind::EndReceive if value > 0 => format!("value: {value} delivered"),
        _ => format!("value: {value}"),
    }
}

fn payload(lines: &mut Lines, frame: &Frame) {
    match FrameType::from_byte(frame.header.frame_type).unwrap() {
        FrameType::Hello | FrameType::End => {
            lines.metadata(&Metadata::parse(frame.payload.clone(), usize::MAX).unwrap());
        }
        FrameType::Start => {
            let start = StartPayload::split(&frame.payload).unwrap();
            lines.line(&frame.payload[..2], &format!("metadata: {} bytes", start.metadata.wire_len()));
            lines.metadata(&start.metadata);
            lines.line(&start.body, &format!("body: \"{}\"", String::from_utf8_lossy(&start.body)));
        }
        FrameType::Error => {
            let fault = Fault::decode(&frame.payload).unwrap();
            lines.line(&frame.payload[..2], &format!("code: {}", fault.code));
            lines.metadata(&Metadata::parse(frame.payload.slice(2..), usize::MAX).unwrap());
        }
        FrameType::Chunk => lines.line(&frame.payload, "body"),
        FrameType::Ack | FrameType::Ping => {}
    }
}

pub(crate) fn channels() -> String {
    let namespace = hex(CHANNEL_NAMESPACE.as_bytes());
    let id = ChannelId::of_name("upper");
    let names = ["upper", "Upper", "thumbs", "größe", "a channel with spaces"];
    format!(
        "The namespace is `{CHANNEL_NAMESPACE}`. For the channel `upper`:\n\n\
         ```text\n\
         namespace, 16 bytes       {namespace}\n\
         name, in UTF-8            {}\n\
         what is hashed            {namespace}{}\n\
         id, in a header           {}\n\
         id, where people see it   {id}\n\
         ```\n\n{}",
        hex(b"upper"),
        hex(b"upper"),
        hex(id.as_bytes()),
        table(
            &["name", "channel id"],
            names.iter().map(|name| vec![format!("`{name}`"), format!("`{}`", ChannelId::of_name(name))])
        ),
    )
}
