//! Web pages that reach for this machine's ports, and those that may.

use tieline_http::HttpConfig;
use tieline_server::Config;

use crate::raw::{Answer, ask};
use crate::stage::Stage;

/// A small request, with these headers in place of `Host: localhost`.
async fn with(stage: &Stage, method: &str, path: &str, headers: &str) -> Answer {
    ask(stage, format!("{method} {path} HTTP/1.1\r\nContent-Length: 0\r\n{headers}\r\n")).await
}

async fn open() -> Stage {
    let mut http = HttpConfig::default();
    http.hosts = vec!["bus.example".into()];
    http.origins = vec!["https://app.example".into()];
    let stage = Stage::with(Config::default(), http, None).await;
    stage.echo("echo").await;
    stage
}

const PATHS: [(&str, &str); 8] = [
    ("POST", "/c/echo"),
    ("PUT", "/c/echo"),
    ("GET", "/c/echo"),
    ("OPTIONS", "/c/echo"),
    ("GET", "/ws"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/nothing"),
];

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_is_refused_on_all_paths() {
    let stage = open().await;
    for (method, path) in PATHS {
        let answer = with(&stage, method, path, "Host: rebound.example:7071\r\n").await;
        answer.is_error(421, "foreign-host", "unstarted");
        with(&stage, method, path, "").await.is_error(400, "bad-header", "unstarted");
        with(&stage, method, path, "Host: localhost\r\nHost: evil.example\r\n").await.is_error(
            400,
            "bad-header",
            "unstarted",
        );
    }
    assert_eq!(with(&stage, "POST", "/c/echo", "Host: bus.example\r\n").await.status, 200);
    stage.ended().await;
}

#[tokio::test]
async fn a_foreign_page_is_refused_on_all_paths_and_methods() {
    let stage = open().await;
    for (method, path) in PATHS {
        for says in [
            "Origin: https://evil.example",
            "Origin: null",
            "Origin: http://localhost:1",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
        ] {
            let answer = with(&stage, method, path, &format!("Host: localhost\r\n{says}\r\n")).await;
            answer.is_error(403, "foreign-origin", "unstarted");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{says}");
        }
    }
    assert_eq!(stage.status().counts.waiting, 0);
    stage.ended().await;
}

#[tokio::test]
async fn a_websocket_of_a_foreign_page_is_refused() {
    let stage = open().await;
    let upgrade = "Host: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer = with(&stage, "GET", "/ws", &format!("{upgrade}Origin: https://evil.example\r\n")).await;
    answer.is_error(403, "foreign-origin", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn a_plain_client_and_our_own_pages_pass() {
    let stage = open().await;
    let own = format!("Host: {0}\r\nOrigin: http://{0}\r\nSec-Fetch-Site: same-origin\r\n", stage.address);
    for headers in ["Host: localhost\r\n", "Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\n", &own] {
        assert_eq!(with(&stage, "POST", "/c/echo", headers).await.status, 200, "{headers}");
    }
    stage.ended().await;
}

#[tokio::test]
async fn a_listed_origin_may_ask_send_and_read_all_headers() {
    let stage = open().await;
    let origin = "Host: localhost\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
    let asks =
        "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: tieline-meta-width, authorization\r\n";
    let answer = with(&stage, "OPTIONS", "/c/echo", &format!("{origin}{asks}")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("tieline-meta-width, authorization"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
    let answer = with(&stage, "PUT", "/c/echo", origin).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://app.example")));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("tieline-request-id"));
    assert!(answer.header("vary").unwrap().contains("origin"));
    // Errors may be read as well.
    let answer = with(&stage, "PUT", "/c/none", &format!("{origin}Tieline-No-Wait: 1\r\n")).await;
    answer.is_error(503, "no-receiver", "unstarted");
    assert!(answer.header("access-control-expose-headers").unwrap().contains("tieline-error"));
    stage.ended().await;
}
