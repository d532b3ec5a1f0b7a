//! What becomes of metadata in HTTP headers, and back: as the server's own HTTP door has it.
//!
//! | metadata | header |
//! |---|---|
//! | `content-type`, `traceparent`, `tracestate` | the same |
//! | any other `NAME` | `tieline-meta-NAME` |
//!
//! What can't stand in a header is left out; other headers say nothing about the request.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tieline::{Metadata, MetadataError};

/// Before the names of metadata.
const META: &str = "tieline-meta-";

/// Metadata whose header has the same name.
const SAME: [&str; 3] = ["content-type", "traceparent", "tracestate"];

/// Writes a request's metadata as headers.
pub(super) fn write(metadata: &Metadata, into: &mut HeaderMap) {
    for (name, value) in metadata.iter() {
        // The channel's name is in the metadata of every request, and has a header of its own.
        let header = match name {
            "channel" => continue,
            name if SAME.contains(&name) => HeaderName::try_from(name),
            name => HeaderName::try_from(format!("{META}{name}")),
        };
        if let (Ok(header), Ok(value)) = (header, HeaderValue::from_bytes(value)) {
            into.append(header, value);
        }
    }
}

/// Reads a response's metadata.
///
/// # Errors
/// If it is more than there may be.
pub(super) fn read(headers: &HeaderMap) -> Result<Metadata, MetadataError> {
    let mut metadata = Metadata::new();
    for (name, value) in headers {
        let name = name.as_str();
        if let Some(name) = name.strip_prefix(META).or(SAME.contains(&name).then_some(name)) {
            metadata.push(name, value.as_bytes())?;
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_headers_and_back() {
        let mut metadata = Metadata::new();
        for (name, value) in [("content-type", "text/plain"), ("user", "one"), ("user", "two"), ("traceparent", "00-1")]
        {
            metadata.push(name, value).unwrap();
        }
        let mut headers = HeaderMap::new();
        write(&metadata, &mut headers);
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers.get_all("tieline-meta-user").iter().count(), 2);
        headers.insert("server", HeaderValue::from_static("nobody's business"));
        assert_eq!(read(&headers).unwrap(), metadata);
    }

    #[test]
    fn what_can_not_stand_in_a_header_is_left_out() {
        let mut metadata = Metadata::new();
        for (name, value) in [("channel", "upper"), ("a,b", "x"), ("c", "line\nend"), ("d", "fine")] {
            metadata.push(name, value).unwrap();
        }
        let mut headers = HeaderMap::new();
        write(&metadata, &mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["tieline-meta-d"], "fine");
    }
}
