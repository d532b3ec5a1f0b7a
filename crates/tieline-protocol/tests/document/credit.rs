//! The worked example of credit, run by the code that judges it.

use tieline_protocol::Time;
use tieline_protocol::flow::{Inbound, Outbound, Window};
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};

use crate::tables::table;

const KIB: u64 = 1024;

/// A consumer with a window of 64 KiB reads a body of 200 KiB, and its program consumes 32 KiB at a time.
pub(crate) fn example() -> String {
    const BODY: u64 = 200 * KIB;
    const BITE: u64 = 32 * KIB;
    let credit = initial_credit(INITIAL_WINDOW, 1024);
    let mut producer = Outbound::new(credit);
    let mut judge = Inbound::new(credit);
    let mut window = Window::new(64 * KIB, credit);
    let mut rows = Vec::new();
    let row = |rows: &mut Vec<Vec<String>>, what: String, producer: &Outbound, window: &Window, judge: &Inbound| {
        let kib = |bytes: u64| format!("{} KiB", bytes / KIB);
        rows.push(vec![what, kib(producer.sent()), kib(window.consumed()), kib(judge.granted())]);
    };
    let send = |producer: &mut Outbound, judge: &mut Inbound| {
        let bytes = producer.credit().min(BODY - producer.sent());
        judge.data(producer.sent(), bytes as usize).unwrap();
        producer.spend(bytes);
        if producer.sent() == BODY {
            judge.close(Some(BODY)).unwrap();
        }
        bytes
    };

    send(&mut producer, &mut judge);
    let first = "The start leaves with 1 KiB of metadata, and with as much of the body as the initial credit allows.";
    row(&mut rows, first.to_owned(), &producer, &window, &judge);
    let mut grant = window.open(producer.sent(), || Time::ZERO);
    let mut why = "The program is handed the body: consumed + 64 KiB is granted at once.";
    loop {
        if let Some(to) = grant.take() {
            judge.grant(to);
            producer.granted(to);
            row(&mut rows, format!("{why} The `ack` says {to}."), &producer, &window, &judge);
            let sent = send(&mut producer, &mut judge);
            let end = if judge.is_closed() { ", and its end" } else { "" };
            let what = format!("The producer sends the next {} KiB{end}.", sent / KIB);
            row(&mut rows, what, &producer, &window, &judge);
        }
        if window.consumed() == BODY {
            break;
        }
        let bite = BITE.min(BODY - window.consumed());
        if judge.is_closed() {
            window.consume(bite, judge.arrived(), || Time::ZERO);
            let what = "The program consumes the next. The end was seen, so there is no `ack` any more.".to_owned();
            row(&mut rows, what, &producer, &window, &judge);
        } else {
            grant = window.consume(bite, judge.arrived(), || Time::ZERO);
            why = "More than a third of a window was consumed since the last grant.";
        }
    }
    table(&["what happens", "sent", "consumed", "granted up to"], rows)
}
