//! The tables of types, flags, shapes, effects and errors, printed.

use tieline_protocol::error::{Resend, TABLE};
use tieline_protocol::header::{Flags, FrameType};
use tieline_protocol::rules::{EFFECTS, Ids, SHAPES, Shape, Value};

/// A table in Markdown.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut lines = vec![line(&head.iter().map(ToString::to_string).collect::<Vec<_>>())];
    lines.push(format!("|{}\n", "---|".repeat(head.len())));
    for row in rows {
        assert_eq!(row.len(), head.len());
        lines.push(line(&row));
    }
    lines.concat()
}

pub(crate) fn types() -> String {
    let about = |frame_type| match frame_type {
        FrameType::Hello => "Opens a connection, and answers its opening.",
        FrameType::Error => "Ends an exchange, a receive or the connection, with a reason.",
        FrameType::Start => "Opens a request, a response or a receive.",
        FrameType::Chunk => "Carries a piece of a body.",
        FrameType::End => "Ends a body, a receive or the connection in good order.",
        FrameType::Ack => "Grants credit for a body, or readiness for requests.",
        FrameType::Ping => "Asks for a sign of life, and is one.",
    };
    table(
        &["type", "name", "what it does"],
        FrameType::ALL.iter().map(|t| vec![format!("`0x{:02x}`", *t as u8), t.name().to_owned(), about(*t).to_owned()]),
    )
}

pub(crate) fn flags() -> String {
    let about = |flag| match flag {
        Flags::REQUEST => {
            "The frame belongs to the request direction of an exchange. The `ack` of that direction bears it too, though it travels the other way."
        }
        Flags::RECEIVE => "The frame belongs to a receive.",
        Flags::RESPONSE => {
            "The frame belongs to the response direction of an exchange; its `ack` bears it too, though it travels the other way. On `hello` and `ping`: this is the answer."
        }
        Flags::NO_WAIT => "On a sender's start+REQUEST: fail at once with *no-receiver* if no receiver is ready now.",
        Flags::IDEMPOTENT => "On start+REQUEST: running the request twice does no harm.",
        Flags::UNSTARTED => {
            "On the server's error+RESPONSE: it is certain that no receiver's program saw any of the request."
        }
        Flags::FINAL => "On `start` and `chunk` of an exchange: the body of the direction ends with this frame.",
        _ => unreachable!("a flag without a sentence"),
    };
    table(
        &["bit", "name", "meaning"],
        Flags::ALL
            .iter()
            .map(|(flag, name)| vec![format!("`0x{:04x}`", flag.bits()), (*name).to_owned(), about(*flag).to_owned()]),
    )
}

pub(crate) fn shapes() -> String {
    let who = |allowed: Option<Flags>| match allowed {
        None => "–".to_owned(),
        Some(Flags::NONE) => "yes".to_owned(),
        Some(flags) => format!("yes, also {}", flags.to_string().replace('+', ", ")),
    };
    let ids = |ids| match ids {
        Ids::None => "none",
        Ids::Client => "client",
        Ids::Channel => "channel",
        Ids::Exchange => "request, client, channel",
    };
    let value = |value| match value {
        Value::Zero => "0".to_owned(),
        Value::Number(what) => what.to_owned(),
        Value::ZeroFromClient(what) => format!("0 from a client; {what} from the server"),
    };
    table(
        &["frame", "type", "flag", "from a client", "from the server", "ids", "value", "payload, in bytes"],
        SHAPES.iter().map(|shape| {
            let flag = if shape.direction == Flags::NONE { "none".to_owned() } else { shape.direction.to_string() };
            vec![
                shape.kind.name(),
                format!("`0x{:02x}`", shape.frame_type as u8),
                flag,
                who(shape.from_client),
                who(shape.from_server),
                ids(shape.ids).to_owned(),
                value(shape.value),
                payload(shape),
            ]
        }),
    )
}

fn payload(shape: &Shape) -> String {
    let bounds = match (shape.payload_min, shape.payload_max) {
        (0, Some(0)) => return "none".to_owned(),
        (min, None) => format!("{min} to the payload limit"),
        (min, Some(max)) => format!("{min} to {max}"),
    };
    match shape.frame_type {
        FrameType::Hello | FrameType::End => format!("{bounds}: metadata"),
        FrameType::Error => format!("{bounds}: u16 code, metadata"),
        FrameType::Start if shape.direction == Flags::RECEIVE => format!("{bounds}: u16 length, metadata"),
        FrameType::Start => format!("{bounds}: u16 length, metadata, body"),
        FrameType::Chunk => format!("{bounds}, or 0 with FINAL: body"),
        FrameType::Ack | FrameType::Ping => bounds,
    }
}

pub(crate) fn effects() -> String {
    let mut parts = Vec::new();
    for part in EFFECTS {
        parts.push(format!("### {}\n\n", part.title));
        for state in part.states {
            parts.push(format!("- **{}**: {}\n", state.name(), state.sentence()));
        }
        let head: Vec<_> = std::iter::once("frame").chain(part.states.iter().map(|state| state.name())).collect();
        let rows = part.rows.iter().map(|(kind, effects)| {
            std::iter::once(kind.name()).chain(effects.iter().map(|effect| effect.word().to_owned())).collect()
        });
        parts.push(format!("\n{}\n", table(&head, rows)));
    }
    parts.concat()
}

pub(crate) fn errors() -> String {
    table(
        &["code", "name", "what happened", "who gets it", "what dies of it"],
        TABLE.iter().map(|entry| {
            vec![
                entry.code.number().to_string(),
                entry.name.to_owned(),
                entry.sentence.to_owned(),
                entry.to.to_owned(),
                entry.ends.word().to_owned(),
            ]
        }),
    )
}

pub(crate) fn outcomes() -> String {
    let resend = |resend| match resend {
        Resend::Safe => "yes",
        Resend::IfUnstarted => "if UNSTARTED is set, or the request is idempotent",
        Resend::No => "no",
    };
    table(
        &["name", "may the same request be sent again?", "exit status", "HTTP status"],
        TABLE.iter().map(|entry| {
            vec![entry.name.to_owned(), resend(entry.resend).to_owned(), entry.exit.to_string(), entry.http.to_string()]
        }),
    )
}
