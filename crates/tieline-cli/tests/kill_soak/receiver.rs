//! A receiver process with the client library. It writes down when it begins with a request, when it is done, or why it
//! couldn't be. The end of stdin withdraws it in good order.

use std::convert::Infallible;
use std::io::{Read, stdin};
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, raise};
use tieline::{Client, Error, Request, RequestBody, ResponseWriter};
use tokio::sync::oneshot;

use crate::journal::Journal;
use crate::plan::{Act, Channel, Checker, Direction, Plan};
use crate::rng::Rng;
use crate::sender::{cut, pause};

/// Requests that it works on at once.
const PLACES: usize = 4;

/// Receives until stdin ends.
pub(crate) async fn run(server: &str, journal: Journal) {
    let client = Client::builder()
        .server(server)
        .connect_timeout(Some(Duration::from_mins(2)))
        .build()
        .expect("the address is right");
    let (end, ended) = oneshot::channel::<Infallible>();
    std::thread::spawn(move || {
        let _ = stdin().lock().read_to_end(&mut Vec::new());
        drop(end);
    });
    let receiver = client.receive(Channel::Program.name()).await.expect("the server takes the receive");
    println!("ready");
    let handler = move |request: Request| handle(request, journal.clone());
    let stop = async {
        let _ = ended.await;
    };
    receiver.serve_until(PLACES, handler, stop).await.expect("the server keeps the receive");
    client.close().await;
}

async fn handle(request: Request, journal: Journal) -> Result<(), Failure> {
    let number = request.metadata().get("number").and_then(|text| std::str::from_utf8(text).ok());
    let number = number.and_then(|text| u64::from_str_radix(text, 16).ok()).expect("a request has its number");
    let plan = Plan::of(number);
    journal.note(number, "begin", "");
    let answered = answer(&plan, request, &journal).await;
    match &answered {
        Ok(()) => {}
        Err(Failure::Over(error)) => journal.note(number, &format!("cut:{}", error.code()), &error.to_string()),
        Err(Failure::Wrong(words)) => journal.note(number, "wrong", words),
    }
    answered
}

enum Failure {
    Over(Error),
    Wrong(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Over(error) => error.fmt(f),
            Self::Wrong(words) => f.write_str(words),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Over(error)
    }
}

async fn answer(plan: &Plan, request: Request, journal: &Journal) -> Result<(), Failure> {
    let (mut body, responder) = request.into_parts();
    match plan.act {
        Act::DieAtBegin => die(plan, journal),
        Act::Early => {
            let _ = body.chunk().await?;
        }
        Act::Both => {}
        Act::Answer | Act::Fail | Act::DieAtEnd | Act::DieAfterAnswer => read(plan, &mut body).await?,
    }
    if plan.act == Act::Fail {
        journal.note(plan.number, "failed", "");
        return Ok(responder.fail("as planned").await?);
    }
    let mut writer = responder.writer();
    if plan.act == Act::Both {
        tokio::try_join!(read(plan, &mut body), write(plan, &mut writer))?;
    } else {
        write(plan, &mut writer).await?;
    }
    journal.note(plan.number, "end", "");
    if plan.act == Act::DieAtEnd {
        die(plan, journal);
    }
    // Whoever waited for it may be gone meanwhile; it ran all the same.
    let _ = writer.finish().await;
    if plan.act == Act::DieAfterAnswer {
        die(plan, journal);
    }
    Ok(())
}

async fn read(plan: &Plan, body: &mut RequestBody) -> Result<(), Failure> {
    let mut checker = Checker::new(plan, Direction::Request);
    let mut rng = Rng::new(plan.number ^ 1);
    while let Some(piece) = body.chunk().await? {
        checker.piece(&piece).map_err(Failure::Wrong)?;
        pause(plan, &mut rng).await;
    }
    checker.end().map_err(Failure::Wrong)
}

async fn write(plan: &Plan, writer: &mut ResponseWriter) -> Result<(), Failure> {
    let mut rng = Rng::new(plan.number ^ 2);
    let mut rest = Bytes::from(plan.body(Direction::Response));
    while let ControlFlow::Continue(piece) = cut(&mut rest, &mut rng) {
        writer.send(piece).await?;
        pause(plan, &mut rng).await;
    }
    Ok(())
}

/// kill -9, by the victim itself, at an exact place.
pub(crate) fn die(plan: &Plan, journal: &Journal) -> ! {
    journal.note(plan.number, "dies", "");
    let _ = raise(Signal::SIGKILL);
    unreachable!("nobody survives this")
}
