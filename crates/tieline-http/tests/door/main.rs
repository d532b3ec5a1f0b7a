//! The gateway before a real server, at its socket: what comes in and goes out over HTTP/1.1, HTTP/2, TLS and WebSocket.

mod drain;
mod ends;
mod exchanges;
mod frames;
mod guarding;
mod hostile;
mod hostile_http2;
mod http2;
mod raw;
mod stage;
mod tls;
mod tokens;
mod websocket;
mod websocket_http2;
