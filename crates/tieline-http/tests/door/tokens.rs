//! Tokens over HTTP: the bus's own, judged by the bus, and wrong ones counted against where they come from.

use tieline_http::HttpConfig;
use tieline_server::{Access, Config, Rate, TokenDigest, TokenRule};

use crate::raw::{Answer, post};
use crate::stage::Stage;

fn rule(name: &str) -> TokenRule {
    let mut rule = TokenRule::new(name, TokenDigest::of(name.as_bytes()));
    rule.send = vec!["open-*".parse().unwrap()];
    rule.receive = vec!["*".parse().unwrap()];
    rule
}

async fn open(rules: Vec<TokenRule>) -> (Stage, Access) {
    let mut config = Config::default();
    config.access = Access::with_tokens(rules).unwrap();
    config.wrong_tokens = Rate { per_second: 1, burst: 3 };
    let access = config.access.clone();
    (Stage::with(config, HttpConfig::default(), None).await, access)
}

async fn echo(stage: &Stage, channel: &str) {
    let receiver = stage.bus_with(Some("worker")).receive(channel).ready(8).open().await.unwrap();
    tokio::spawn(receiver.serve(8, async |mut request: tieline::Request| {
        let body = request.body().bytes(1 << 20).await?;
        request.reply(body).await
    }));
}

async fn with(stage: &Stage, token: &str, channel: &str) -> Answer {
    post(stage, &format!("/c/{channel}"), &format!("Authorization: Bearer {token}\r\n"), "x").await
}

#[tokio::test]
async fn a_token_may_what_the_server_says_and_others_are_401() {
    let (stage, _) = open(vec![rule("worker"), rule("web")]).await;
    echo(&stage, "open-1").await;
    assert_eq!(with(&stage, "web", "open-1").await.text(), "x");
    with(&stage, "web", "closed").await.is_error(403, "forbidden-channel", "unstarted");
    let answer = with(&stage, "wrong", "open-1").await;
    answer.is_error(401, "unauthorized", "unstarted");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    post(&stage, "/c/open-1", "", "x").await.is_error(401, "unauthorized", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn too_many_wrong_tokens_bar_their_address_also_for_a_right_one() {
    let (stage, _) = open(vec![rule("worker"), rule("web")]).await;
    echo(&stage, "open-1").await;
    // There is a connection for it already, and it is no way around.
    assert_eq!(with(&stage, "web", "open-1").await.status, 200);
    let mut barred = with(&stage, "wrong", "open-1").await;
    for guess in 0..20 {
        if barred.status == 503 {
            break;
        }
        barred.is_error(401, "unauthorized", "unstarted");
        barred = with(&stage, &format!("wrong-{guess}"), "open-1").await;
    }
    barred.is_error(503, "overloaded", "unstarted");
    assert!(barred.header("retry-after").is_some());
    with(&stage, "web", "open-1").await.is_error(503, "overloaded", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn a_token_that_is_taken_away_is_401_from_then_on() {
    let (stage, access) = open(vec![rule("worker"), rule("web")]).await;
    echo(&stage, "open-1").await;
    assert_eq!(with(&stage, "web", "open-1").await.status, 200);
    let before = stage.status().connections;
    access.replace([rule("worker")]).unwrap();
    stage.wait_until("its connection is closed", |status| status.connections < before).await;
    with(&stage, "web", "open-1").await.is_error(401, "unauthorized", "unstarted");
    stage.ended().await;
}

#[tokio::test]
async fn the_limits_of_a_token_hold_over_http() {
    let mut few = rule("few");
    few.requests = Some(1);
    let (stage, _) = open(vec![rule("worker"), few]).await;
    let mut waiting = crate::raw::Raw::to(&stage).await;
    waiting.open("/c/open-none", "Authorization: Bearer few\r\n").await;
    stage.wait_until("one request waits", |status| status.counts.waiting == 1).await;
    let answer = with(&stage, "few", "open-none").await;
    answer.is_error(429, "too-many-in-flight", "unstarted");
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(waiting);
    stage.ended().await;
}
