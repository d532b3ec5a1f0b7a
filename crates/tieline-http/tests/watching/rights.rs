//! With tokens, only one that may watch sees anything.

use tieline_server::{Access, Config, TokenDigest, TokenRule};

use crate::stage::Stage;

#[tokio::test]
async fn with_tokens_only_one_that_may_watch_sees_anything() {
    let mut watcher = TokenRule::new("watcher", TokenDigest::of(b"eyes"));
    watcher.watch = true;
    let mut worker = TokenRule::new("worker", TokenDigest::of(b"hands"));
    worker.send = vec!["*".parse().unwrap()];
    let mut config = Config::default();
    config.access = Access::with_tokens([watcher, worker]).unwrap();
    let access = config.access.clone();
    let stage = Stage::with(config).await;
    for path in ["/metrics", "/api/overview", "/api/channels", "/api/channels/x", "/api/connections", "/api/events"] {
        let none = stage.get(path).await;
        assert_eq!(none.status, 401, "{path}");
        assert!(none.head.contains("tieline-error: unauthorized"), "{none:?}");
        let other = stage.get_as(path, "authorization: Bearer hands\r\n").await;
        assert_eq!(other.status, 403, "{path}: {other:?}");
    }
    for path in ["/metrics", "/api/overview", "/api/channels", "/api/connections"] {
        assert_eq!(stage.get_as(path, "authorization: bearer eyes\r\n").await.status, 200, "{path}");
    }
    access.replace([TokenRule::new("watcher", TokenDigest::of(b"eyes"))]).unwrap();
    assert_eq!(stage.get_as("/metrics", "authorization: Bearer eyes\r\n").await.status, 403, "taken away");
    stage.end().await;
}

#[tokio::test]
async fn who_guesses_tokens_is_barred_here_as_on_the_bus() {
    let mut config = Config::default();
    config.access = Access::with_tokens([TokenRule::new("one", TokenDigest::of(b"one"))]).unwrap();
    config.wrong_tokens.burst = 3;
    let stage = Stage::with(config).await;
    let mut statuses = Vec::new();
    for n in 0..6 {
        statuses.push(stage.get_as("/metrics", &format!("authorization: Bearer guess{n}\r\n")).await.status);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[5], 503, "{statuses:?}");
    stage.end().await;
}
