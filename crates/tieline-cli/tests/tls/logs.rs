//! What a server writes into its log when it writes all it can: never a secret.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use tieline::{Client, TlsOptions, Token};
use tieline_protocol::{ClientId, Frame, Kind, Metadata};

use crate::Certs;
use crate::support::{Running, tieline};

const SECRET: &str = "sEcReT-0123456789";

/// A hello in the clear, with a token.
fn hello() -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.push("token", SECRET).unwrap();
    let mut header = Kind::Hello.header();
    header.client = ClientId::from_u128(7);
    Frame::new(Kind::Hello, header, metadata.wire().clone()).to_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_and_no_key_stands_in_the_log() {
    let certs = Certs::new(&[]);
    let mut serve = tieline(["serve", "--listen", "127.0.0.1:0"]);
    serve.args(["--tls-cert", &certs.file("server.pem"), "--tls-key", &certs.file("server-key.pem")]);
    let server = Running::start(serve.env("TIELINE_LOG", "trace").env("NO_COLOR", "1"));
    let address = server.line_with("  bus ").split_whitespace().last().unwrap().to_owned();
    let socket = address.strip_prefix("tls://").unwrap();

    // Where it belongs, in the clear by mistake, and in the midst of garbage.
    let options = TlsOptions::new().authority_file(certs.path("ca.pem"));
    let client = Client::builder().server(&address).tls(options).token(Token::new(SECRET));
    client.connect().await.unwrap().close().await;
    for bytes in [hello(), [&[22, 3, 1, 0, 40], SECRET.as_bytes(), &[0; 40]].concat()] {
        let mut stream = TcpStream::connect(socket).unwrap();
        stream.write_all(&bytes).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    server.signal(Signal::SIGTERM);
    // All behind the banner: no line was taken out of it meanwhile.
    let ended = server.wait().code(0).says(&["a handshake of TLS failed", "connection over"]);
    let said = ended.stderr;
    let key = fs::read_to_string(certs.path("server-key.pem")).unwrap();
    for secret in [SECRET, key.lines().nth(1).unwrap()] {
        assert!(!said.contains(secret), "{said}");
    }
}
