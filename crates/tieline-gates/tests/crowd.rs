//! The crowd on a server in this process, whose books can be looked at: behind it nothing is left of anybody.

use std::time::Duration;

use tieline_gates::crowd::{Crowd, classes, run};
use tieline_server::{Config, Counts, Server, Stop};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a debug build on a busy machine is too slow for the attackers' own clocks; the gates run it in release"]
async fn attackers_of_every_class_among_honest_clients() {
    play(Crowd { attackers: 3 * classes().len(), honest: 20, requests: 4 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "more than a debug build can do; in release it is one of the gates too"]
async fn a_thousand_attackers_among_a_hundred_honest_clients() {
    play(Crowd { attackers: 1000, honest: 100, requests: 4 }).await;
}

async fn play(crowd: Crowd) {
    tieline_gates::process::raise_descriptors().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::new();
    let mut config = Config::default();
    config.memory = 512 << 20;
    let server = Server::new(config, stop.clone()).unwrap();
    let watch = server.watch();
    let serving = tokio::spawn(server.run(vec![listener.into()]));

    let right = crowd.honest / 2 * crowd.requests as usize;
    let outcome = run(address, crowd).await.unwrap();
    assert_eq!(outcome.wrong, Vec::<String>::new());
    assert_eq!(outcome.right, right, "every honest request has its own response, bit by bit");
    assert_eq!(outcome.missing, Vec::<&str>::new(), "every class was there");
    assert_eq!(outcome.attacks.len(), classes().len(), "each class has a name of its own");

    let empty = async {
        while watch.status().connections > 0
            || watch.status().lingering > 0
            || watch.status().promised > 0
            || watch.status().counts != Counts::default()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let left = tokio::time::timeout(Duration::from_mins(1), empty).await;
    assert!(left.is_ok(), "something is left behind: {:?}", watch.status());
    stop.now();
    serving.await.unwrap();
}
