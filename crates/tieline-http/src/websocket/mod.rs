//! `/ws`: the bus itself over a WebSocket, for browsers. Its bytes go through the server's ordinary door, so that hello,
//! credit, limits and liveness are those of any connection.

mod messages;

use std::future::poll_fn;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use h2::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tieline_server::websocket_message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::connection::Caller;
use crate::crowd::Place;
use crate::http2::OnTunnel;
use crate::refusal::Refusal;
use crate::routes::App;
use messages::Messages;

/// What is read from the socket at once, in bytes.
const READ: usize = 16 * 1024;

/// The name of what is spoken, for clients that ask for it.
const PROTOCOL: &str = "tieline.v1";

/// What a request that asks for a WebSocket leads to, once it is answered.
enum Way {
    /// The rest of a connection of HTTP/1.1, if its client has this proof that it speaks WebSocket.
    Http1(OnUpgrade, HeaderValue),
    /// A stream of HTTP/2 (RFC 8441).
    Http2(OnTunnel),
}

/// Turns a connection of HTTP/1.1, or a stream of HTTP/2, into a WebSocket, and serves it.
pub(crate) async fn websocket(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    let way = match find(&mut parts) {
        Ok(_) if app.stop.is_draining() => return Refusal::draining().into_response(),
        Ok(way) => way,
        Err(why) => return Refusal::no_websocket(&why).into_response(),
    };
    let config = app.control.config();
    let Some(place) = app.requests.enter(config.http_requests) else { return Refusal::crowded().into_response() };
    let most = usize::try_from(websocket_message(&config)).unwrap_or(usize::MAX);
    let mut response = Response::new(Body::empty());
    if offers(&parts.headers, header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    match way {
        Way::Http1(upgrade, accept) => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    serve(TokioIo::new(upgraded), most, app, caller, place).await;
                }
            });
        }
        Way::Http2(tunnel) => {
            tokio::spawn(async move {
                if let Some(tunnel) = tunnel.wait().await {
                    serve(tunnel, most, app, caller, place).await;
                }
            });
        }
    }
    response
}

/// Sees whether a request asks for a WebSocket; else, why it doesn't.
fn find(parts: &mut request::Parts) -> Result<Way, &'static str> {
    let headers = &parts.headers;
    let is_version = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    if let Some(tunnel) = parts.extensions.remove::<OnTunnel>() {
        let is_websocket = parts.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
        return match (is_websocket, is_version) {
            (false, _) => Err("`:protocol` isn't `websocket`"),
            (true, false) => Err("`Sec-WebSocket-Version` isn't 13"),
            (true, true) => Ok(Way::Http2(tunnel)),
        };
    }
    if parts.method != Method::GET {
        return Err("its method isn't GET");
    }
    if !offers(headers, header::CONNECTION, "upgrade") {
        return Err("`Connection` doesn't say `upgrade`");
    }
    if !headers.get(header::UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err("`Upgrade` isn't `websocket`");
    }
    if !is_version {
        return Err("`Sec-WebSocket-Version` isn't 13");
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or("there is no `Sec-WebSocket-Key`")?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| "its key is none")?;
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or("it comes over what can't become one")?;
    Ok(Way::Http1(upgrade, accept))
}

/// Whether a header that holds a list has this in it.
fn offers(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let mut listed = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    listed.any(|entry| entry.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

async fn serve<S>(io: S, most: usize, app: App, caller: Caller, place: Place)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let config = WebSocketConfig::default().read_buffer_size(READ).write_buffer_size(0);
    let config = config.max_message_size(Some(most)).max_frame_size(Some(most));
    let mut messages = Messages::new(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await);
    app.entrance.serve(&mut messages, caller.source).await;
    // Whatever comes of it, the connection is over; its places are free from here on.
    let _ = poll_fn(|cx| messages.poll_close(cx)).await;
    drop((caller, place));
}
