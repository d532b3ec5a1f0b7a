//! A request's position in a trace, from its sender to its receiver's handler.

use tieline::{Request, TraceParent};

use crate::{Server, bounded};

const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Says what the handler is told of its position.
async fn tell(request: Request) -> Result<(), tieline::Error> {
    let told = request.trace().map(|parent| parent.to_string());
    let state = request.trace_state().map(str::to_owned);
    request.reply(format!("{told:?} {state:?}")).await
}

async fn told(server: &Server, say: impl Fn(tieline::SendRequest) -> tieline::SendRequest) -> String {
    let client = server.client().await;
    let response = say(client.send("told")).await.unwrap();
    String::from_utf8(response.bytes(1 << 10).await.unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_is_told_the_position_that_the_sender_gave_and_nothing_else() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        tokio::spawn(worker.receive("told").await.unwrap().serve(1, tell));
        let parent: TraceParent = TEXT.parse().unwrap();
        assert_eq!(told(&server, |r| r).await, "None None");
        assert_eq!(told(&server, |r| r.trace(parent)).await, format!("Some({TEXT:?}) None"));
        let with_state = told(&server, |r| r.trace(parent).trace_state("a=1,b=2")).await;
        assert_eq!(with_state, format!("Some({TEXT:?}) Some(\"a=1,b=2\")"));
        // What isn't a position is none, and a state says nothing without one.
        assert_eq!(told(&server, |r| r.meta("traceparent", "00-1-2-3").trace_state("a=1")).await, "None None");
        assert_eq!(told(&server, |r| r.trace(parent).trace_state("A=1")).await, format!("Some({TEXT:?}) None"));
        assert_eq!(told(&server, |r| r.trace(parent).meta("tracestate", "?")).await, format!("Some({TEXT:?}) None"));
    })
    .await;
}
