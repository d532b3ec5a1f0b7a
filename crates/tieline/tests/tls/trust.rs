//! Who trusts whom: each failure has its name, comes at once, and isn't tried for ever.

use std::time::Duration;

use tieline::{Client, Code, Error, Outcome, Status, TlsOptions, TlsTrouble};
use tieline_server::{Config, Stop};
use tokio::net::TcpListener;

use crate::certs::{Authority, Pair};
use crate::{Server, bounded, echo};

/// The failure of a client that would else try for ever.
async fn refused(address: &str, options: Option<TlsOptions>) -> Error {
    let mut builder = Client::builder().server(address).connect_timeout(None);
    if let Some(options) = options {
        builder = builder.tls(options);
    }
    builder.connect().await.expect_err("no trust")
}

#[track_caller]
fn is(error: &Error, expected: TlsTrouble, words: &str) {
    let Error::Tls { trouble, .. } = error else { panic!("{error:?}") };
    assert_eq!(*trouble, expected, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!((error.outcome(), error.code()), (Outcome::Unstarted, Code::Unauthorized));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_trusted_is_told_why() {
    bounded(async {
        let authority = Authority::new();
        let with = async |pair: Pair| Server::with(Authority::new(), pair.config(None)).await;
        let good = with(authority.server(&["127.0.0.1", "bus.example"])).await;
        let expired = with(authority.expired()).await;
        let client = with(authority.client()).await;
        let trusting = || TlsOptions::new().authority(authority.pem());
        let other = TlsOptions::new().authority(Authority::new().pem());

        let address = format!("tls://{}", good.address);
        is(&refused(&address, Some(other)).await, TlsTrouble::UnknownAuthority, "no authority that is trusted here");
        let local = format!("tls://localhost:{}", good.address.port());
        let error = refused(&local, Some(trusting())).await;
        is(&error, TlsTrouble::WrongName, "is for 127.0.0.1, bus.example, not for localhost");
        let error = refused(&format!("tls://{}", expired.address), Some(trusting())).await;
        is(&error, TlsTrouble::Expired, "has expired");
        let error = refused(&format!("tls://{}", client.address), Some(trusting())).await;
        is(&error, TlsTrouble::BadCertificate, "not one for servers");

        let named = good.connect(trusting().server_name("bus.example")).await.unwrap();
        assert_eq!(*named.status().borrow(), Status::Connected);
        good.connect(trusting()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_does_not_trust_an_authority_of_our_own() {
    bounded(async {
        let server = Server::start().await;
        match Client::builder().server(format!("tls://{}", server.address)).build() {
            Ok(_) => {
                let error = refused(&format!("tls://{}", server.address), None).await;
                is(&error, TlsTrouble::UnknownAuthority, "give the one that signed it");
            }
            // A system without authorities says so, and connects to nobody.
            Err(error) => assert!(matches!(error, Error::TlsOptions { .. }), "{error}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_certificates_takes_only_those_of_its_authority() {
    bounded(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let config = authority.server(&["127.0.0.1"]).config(Some(&clients));
        let server = Server::with(authority, config).await;
        let address = format!("tls://{}", server.address);
        let (right, foreign) = (clients.client(), Authority::new().client());

        let error = refused(&address, Some(server.trusting())).await;
        is(&error, TlsTrouble::ClientCertificate, "has none to show");
        let error = refused(&address, Some(server.trusting().identity(foreign.chain, foreign.key))).await;
        is(&error, TlsTrouble::ClientCertificate, "does not accept the certificate");

        let client = server.connect(server.trusting().identity(right.chain, right.key)).await.unwrap();
        tokio::spawn(client.receive("echo").await.unwrap().serve(1, echo));
        assert_eq!(client.send("echo").body("in").await.unwrap().collect().await.unwrap(), "in");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_without_tls_and_a_port_with_it_are_told_apart() {
    bounded(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = listener.local_addr().unwrap();
        let stop = Stop::new();
        tokio::spawn(tieline_server::run(vec![listener.into()], Config::default(), stop));
        let server = Server::start().await;

        let error = refused(&format!("tls://{plain}"), Some(server.trusting())).await;
        is(&error, TlsTrouble::NotSpoken, "tcp://");
        let error = refused(&format!("tcp://{}", server.address), None).await;
        assert!(matches!(&error, Error::Refused { fault } if fault.message.contains("tls://")), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    bounded(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let authority = Authority::new();
        let options = TlsOptions::new().authority(authority.pem());
        let builder = Client::builder().server(format!("tls://{address}")).tls(options).connect_timeout(None);
        let client = builder.build().unwrap();
        let mut status = client.status();
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.send("x").no_wait().await.map(drop) }
        });
        status.wait_for(|status| *status == Status::Connecting).await.unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let tls = tieline_server::Tls::new(authority.server(&["127.0.0.1"]).config(None));
        tokio::spawn(tieline_server::run(
            vec![tieline_server::Listener::tls(listener, tls)],
            Config::default(),
            Stop::new(),
        ));
        assert_eq!(asking.await.unwrap().unwrap_err().code(), Code::NoReceiver);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_is_never_answered_ends_with_the_connect_timeout() {
    bounded(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = TlsOptions::new().authority(Authority::new().pem());
        let error = Client::builder()
            .server(format!("tls://{address}"))
            .tls(options)
            .connect_timeout(Some(Duration::from_millis(100)))
            .connect()
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        drop(listener);
    })
    .await;
}

#[test]
fn options_that_can_not_be_used_are_told_before_anything_is_dialled() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (client, stranger) = (authority.client(), other.client());
    let fine = || TlsOptions::new().authority(authority.pem());
    for (server, options, words) in [
        ("tls://localhost:1", TlsOptions::new().authority("nonsense"), "no certificate"),
        ("tls://localhost:1", TlsOptions::new().authority_file("/nowhere/ca.pem"), "/nowhere/ca.pem"),
        ("tls://localhost:1", fine().identity(client.chain.clone(), "nonsense"), "no private key"),
        ("tls://localhost:1", fine().identity(client.chain.clone(), stranger.key.clone()), "not the key"),
        ("tls://no good:1", fine(), "no good"),
        ("tls://localhost:1", fine().server_name("-"), "neither a name nor an IP address"),
        ("tcp://localhost:1", fine(), "write tls://"),
        ("localhost:1", fine(), "write tls://"),
    ] {
        let error = Client::builder().server(server).tls(options).build().unwrap_err();
        assert!(matches!(error, Error::TlsOptions { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    Client::builder().server("unix:/nowhere/bus").tls(fine()).build().unwrap();
}

#[test]
fn options_never_show_a_key() {
    let pair = Authority::new().client();
    let secret = pair.key.lines().nth(1).unwrap().to_owned();
    let options = TlsOptions::new().identity(pair.chain, pair.key);
    assert!(!format!("{options:?}").contains(&secret));
    assert!(!format!("{:?}", Client::builder().tls(options)).contains(&secret));
}
