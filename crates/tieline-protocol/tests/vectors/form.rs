//! How things stand in the file of vectors, and how they are read from it.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tieline_protocol::{Code, Fault, Metadata, Role};

use crate::support::hex;

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

pub(crate) fn role(value: &Value) -> Role {
    match text(value) {
        "client" => Role::Client,
        "server" => Role::Server,
        other => panic!("nobody is called {other}"),
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// The bytes that a string of hexadecimal digits says.
pub(crate) fn bytes(value: &Value) -> Bytes {
    let digits = text(value).as_bytes();
    assert!(digits.len().is_multiple_of(2));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The code with this name.
pub(crate) fn code(value: &Value) -> Code {
    tieline_protocol::error::TABLE
        .iter()
        .find(|entry| entry.name == text(value))
        .unwrap_or_else(|| panic!("no error is called {value}"))
        .code
}

pub(crate) fn entries(metadata: &Metadata) -> Value {
    metadata.iter().map(|(name, value)| json!({ "name": name, "value_hex": hex(value) })).collect()
}

pub(crate) fn metadata(value: &Value) -> Metadata {
    let mut metadata = Metadata::new();
    for entry in list(value) {
        metadata.push(text(&entry["name"]), bytes(&entry["value_hex"])).unwrap();
    }
    metadata
}

pub(crate) fn fault(fault: &Fault) -> Value {
    let mut map = Map::new();
    map.insert("code".to_owned(), fault.code.name().into());
    map.insert("message".to_owned(), fault.message.as_str().into());
    if let Some(detail) = &fault.detail {
        map.insert("detail".to_owned(), detail.as_str().into());
    }
    for (name, number) in [
        ("retry_after_ms", fault.retry_after.map(|after| after.as_millis() as u64)),
        ("free", fault.free),
        ("busy", fault.busy),
    ] {
        if let Some(number) = number {
            map.insert(name.to_owned(), number.into());
        }
    }
    Value::Object(map)
}

pub(crate) fn to_fault(value: &Value) -> Fault {
    let mut fault = Fault::because(code(&value["code"]), text(&value["message"]));
    let number = |name: &str| value.get(name).map(number);
    fault.detail = value.get("detail").map(|detail| text(detail).to_owned());
    fault.retry_after = number("retry_after_ms").map(std::time::Duration::from_millis);
    fault.free = number("free");
    fault.busy = number("busy");
    fault
}
