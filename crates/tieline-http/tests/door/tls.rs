//! HTTP over TLS: the server's own certificates, both protocols, and who doesn't speak it.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tieline_http::HttpConfig;
use tieline_server::{Config, Tls, TlsConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::raw::{Raw, ask};
use crate::stage::{Stage, within};

async fn open() -> (Stage, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = Tls::new(TlsConfig::from_pem(chain.as_bytes(), key.as_bytes(), None).unwrap());
    let stage = Stage::with(Config::default(), HttpConfig::default(), Some(tls)).await;
    stage.echo("echo").await;
    (stage, made.cert.der().clone())
}

async fn connect(stage: &Stage, root: &CertificateDer<'static>, speaks: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = speaks.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within("the handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls_as_the_client_chooses() {
    let (stage, root) = open().await;
    for speaks in [&[b"http/1.1".as_slice()][..], &[]] {
        let mut raw = Raw::over(connect(&stage, &root, speaks).await);
        raw.open("/c/echo", "Origin: https://localhost\r\n").await;
        raw.chunk("hello").await;
        raw.last_chunk().await;
        assert_eq!(raw.answer().await.text(), "hello");
    }
    let stream = connect(&stage, &root, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let request = axum::http::Request::post("https://localhost/c/echo").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(within("the head", response).await.unwrap().status(), 200);
    drop(client);
    stage.ended().await;
}

#[tokio::test]
async fn plain_http_is_told_to_use_tls() {
    let (stage, _) = open().await;
    let answer = ask(&stage, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    answer.is_error(400, "tls-wanted", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn a_page_served_without_tls_is_not_our_own() {
    let (stage, root) = open().await;
    let mut raw = Raw::over(connect(&stage, &root, &[]).await);
    raw.open("/c/echo", "Origin: http://localhost\r\n").await;
    raw.last_chunk().await;
    raw.answer().await.is_error(403, "foreign-origin", "unstarted");
    stage.ended().await;
}
