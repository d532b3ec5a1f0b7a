//! Every field of the header wrong in every way, for every frame that there is: the connection dies of it, before any
//! payload comes.

use tieline_protocol::{ChannelId, ClientId, Code, Flags, Header, RequestId};

use crate::stage::{Case, Cast, MEETING, case, expelled, play};

/// A row of the document's table of all frames, as a client may send it.
struct Row {
    name: &'static str,
    frame_type: u8,
    direction: u16,
    also: u16,
    /// Whether it bears a request id, a client id, a channel id.
    ids: (bool, bool, bool),
    value_free: bool,
    least: u32,
    most: u32,
}

const fn row(name: &'static str, frame_type: u8, direction: u16, also: u16, ids: (bool, bool, bool)) -> Row {
    Row { name, frame_type, direction, also, ids, value_free: false, least: 0, most: 0 }
}

impl Row {
    const fn any_value(mut self) -> Self {
        self.value_free = true;
        self
    }

    const fn payload(mut self, least: u32, most: u32) -> Self {
        self.least = least;
        self.most = most;
        self
    }

    /// A header that would be taken.
    fn legal(&self) -> Header {
        let id = |set: bool, number| if set { number } else { 0 };
        Header {
            version: 1,
            frame_type: self.frame_type,
            flags: Flags::from_bits(self.direction),
            length: self.least,
            value: 0,
            request: RequestId::from_u128(id(self.ids.0, 1)),
            client: ClientId::from_u128(id(self.ids.1, 1 << 90)),
            channel: if self.ids.2 { ChannelId::of_name(MEETING) } else { ChannelId::NIL },
        }
    }
}

const NO_ID: (bool, bool, bool) = (false, false, false);
const OF_CHANNEL: (bool, bool, bool) = (false, false, true);
const ALL_IDS: (bool, bool, bool) = (true, true, true);
const REQUEST: u16 = 1;
const RECEIVE: u16 = 4;
const RESPONSE: u16 = 8;
const FINAL: u16 = 0x100;
const BODY: u32 = 65_536;

/// All that a client may send, by the document.
const ROWS: [Row; 18] = [
    row("hello", 1, 0, 0, (false, true, false)).payload(0, 16_384),
    row("ping", 8, 0, 0, NO_ID).any_value(),
    row("ping+RESPONSE", 8, RESPONSE, 0, NO_ID).any_value(),
    row("end", 6, 0, 0, NO_ID),
    row("error", 3, 0, 0, NO_ID).payload(2, 4096),
    row("start+RECEIVE", 4, RECEIVE, 0, OF_CHANNEL).any_value().payload(2, 16_386),
    row("ack+RECEIVE", 7, RECEIVE, 0, OF_CHANNEL).any_value(),
    row("end+RECEIVE", 6, RECEIVE, 0, OF_CHANNEL),
    row("start+REQUEST", 4, REQUEST, 0x130, ALL_IDS).any_value().payload(2, BODY),
    row("chunk+REQUEST", 5, REQUEST, FINAL, ALL_IDS).any_value().payload(1, BODY),
    row("end+REQUEST", 6, REQUEST, 0, ALL_IDS).any_value().payload(0, 1024),
    row("error+REQUEST", 3, REQUEST, 0, ALL_IDS).payload(2, 4096),
    row("ack+REQUEST", 7, REQUEST, 0, ALL_IDS).any_value(),
    row("start+RESPONSE", 4, RESPONSE, FINAL, ALL_IDS).payload(2, BODY),
    row("chunk+RESPONSE", 5, RESPONSE, FINAL, ALL_IDS).any_value().payload(1, BODY),
    row("end+RESPONSE", 6, RESPONSE, 0, ALL_IDS).any_value().payload(0, 1024),
    row("error+RESPONSE", 3, RESPONSE, 0, ALL_IDS).payload(2, 4096),
    row("ack+RESPONSE", 7, RESPONSE, 0, ALL_IDS).any_value(),
];

/// The header alone, from a client that was greeted.
fn fatal(name: String, header: Header, code: Code, words: &'static str) -> Case {
    case(name, move |cast: Cast| async move {
        let mut offender = cast.client().await;
        offender.write(&header.encode()).await;
        expelled(&mut offender, code, words).await;
        drop(offender);
        cast.nobody_left().await;
    })
}

#[tokio::test]
async fn a_wrong_version_on_any_frame() {
    let mut cases = Vec::new();
    for row in &ROWS {
        for version in [0, 2, 255] {
            let header = Header { version, ..row.legal() };
            cases.push(fatal(
                format!("{} of version {version}", row.name),
                header,
                Code::UnsupportedVersion,
                "version",
            ));
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn a_type_that_there_is_not() {
    let types = [0x00, 0x02, 0x09, 0x0a, 0x10, 0x7f, 0x80, 0xc0, 0xff];
    let header = |frame_type, flags| Header { frame_type, flags: Flags::from_bits(flags), ..ROWS[1].legal() };
    let mut cases = Vec::new();
    for of in types {
        let name = format!("type {of:#04x}");
        cases.push(fatal(name.clone(), header(of, 0), Code::InvalidFrame, "type"));
        cases.push(fatal(format!("{name} with all flags"), header(of, 0xffff), Code::InvalidFrame, ""));
    }
    play(cases).await;
}

#[tokio::test]
async fn a_flag_that_a_frame_may_not_bear() {
    let mut cases = Vec::new();
    for row in &ROWS {
        for bit in [0x0002, 0x0010, 0x0020, 0x0040, 0x0080, 0x0100, 0x0200, 0x8000] {
            if row.also & bit == 0 {
                let header = Header { flags: Flags::from_bits(row.direction | bit), ..row.legal() };
                cases.push(fatal(format!("{} with flag {bit:#06x}", row.name), header, Code::InvalidFrame, row.name));
            }
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn a_direction_that_a_type_has_not() {
    let mut cases = Vec::new();
    for (frame_type, type_name) in
        [(1, "hello"), (3, "error"), (4, "start"), (5, "chunk"), (6, "end"), (7, "ack"), (8, "ping")]
    {
        for direction in 0..16_u16 {
            let legal = ROWS.iter().any(|row| row.frame_type == frame_type && row.direction == direction);
            // The bit 0x0002 is no direction; it has its own cases.
            if !legal && direction & 2 == 0 {
                let header = Header { frame_type, flags: Flags::from_bits(direction), length: 2, ..ROWS[8].legal() };
                let name = format!("{type_name} with directions {direction:#06x}");
                cases.push(fatal(name, header, Code::InvalidFrame, type_name));
            }
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn an_id_that_is_nil_or_is_not() {
    let mut cases = Vec::new();
    for row in &ROWS {
        let legal = row.legal();
        let flip = |id: u128, set: bool| if set { 0 } else { id.max(5) };
        let request = RequestId::from_u128(flip(legal.request.as_u128(), row.ids.0));
        let client = ClientId::from_u128(flip(legal.client.as_u128(), row.ids.1));
        let channel = ChannelId::from_u128(flip(legal.channel.as_u128(), row.ids.2));
        for (which, header) in [
            ("request", Header { request, ..legal }),
            ("client", Header { client, ..legal }),
            ("channel", Header { channel, ..legal }),
            ("every", Header { request, client, channel, ..legal }),
        ] {
            cases.push(fatal(format!("{} with {which} id wrong", row.name), header, Code::InvalidFrame, row.name));
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn a_value_where_there_must_be_none() {
    let mut cases = Vec::new();
    for row in ROWS.iter().filter(|row| !row.value_free) {
        for value in [1, u64::MAX] {
            let header = Header { value, ..row.legal() };
            cases.push(fatal(format!("{} with value {value}", row.name), header, Code::InvalidFrame, row.name));
        }
    }
    play(cases).await;
}

#[tokio::test]
async fn a_payload_of_the_wrong_length() {
    let mut cases = Vec::new();
    for row in &ROWS {
        for (what, length) in [("one too many", row.most + 1), ("4 GiB", u32::MAX)] {
            let header = Header { length, ..row.legal() };
            cases.push(fatal(format!("{} with {what}", row.name), header, Code::TooLarge, row.name));
        }
        for length in 0..row.least {
            let header = Header { length, ..row.legal() };
            cases.push(fatal(format!("{} with {length} bytes", row.name), header, Code::InvalidFrame, row.name));
        }
    }
    play(cases).await;
}
