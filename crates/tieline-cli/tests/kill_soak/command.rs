//! The command of a `tieline receive`: a request's body on stdin, the response on stdout. It writes down the same as
//! the receiver with the library.

use std::io::{Read, Write, stdin, stdout};
use std::os::unix::process::parent_id;
use std::process::ExitCode;

use crate::journal::{Journal, identity};
use crate::plan::{Act, Checker, Direction, Plan};
use crate::receiver::die;
use crate::rng::Rng;

/// Answers the request that the environment tells of.
pub(crate) fn run(journal: &Journal) -> ExitCode {
    let number = std::env::var("TIELINE_META_NUMBER").expect("a command is told the metadata");
    let plan = Plan::of(u64::from_str_radix(&number, 16).expect("a request has its number"));
    journal.note(plan.number, "begin", &identity(parent_id()).to_string());
    match plan.act {
        Act::DieAtBegin => die(&plan, journal),
        Act::Early => {}
        Act::Both => {
            if !write(&plan) {
                return gone(&plan, journal);
            }
            read(&plan, journal);
        }
        Act::Answer | Act::Fail | Act::DieAtEnd | Act::DieAfterAnswer => read(&plan, journal),
    }
    if plan.act == Act::Fail {
        journal.note(plan.number, "failed", "");
        return ExitCode::from(3);
    }
    if plan.act != Act::Both && !write(&plan) {
        return gone(&plan, journal);
    }
    journal.note(plan.number, "end", "");
    if matches!(plan.act, Act::DieAtEnd | Act::DieAfterAnswer) {
        die(&plan, journal);
    }
    ExitCode::SUCCESS
}

/// Nobody reads the response any more.
fn gone(plan: &Plan, journal: &Journal) -> ExitCode {
    journal.note(plan.number, "gone", "");
    ExitCode::FAILURE
}

fn read(plan: &Plan, journal: &Journal) {
    let mut checker = Checker::new(plan, Direction::Request);
    let mut rng = Rng::new(plan.number ^ 1);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stdin().lock().read(&mut buffer).expect("stdin can be read");
        if let Err(words) = checker.piece(&buffer[..read]) {
            journal.note(plan.number, "wrong", &words);
        }
        if read == 0 {
            break;
        }
        pause(plan, &mut rng);
    }
    if let Err(words) = checker.end() {
        journal.note(plan.number, "short", &words);
    }
}

/// Whether it could be written.
fn write(plan: &Plan) -> bool {
    let mut rng = Rng::new(plan.number ^ 2);
    for piece in plan.body(Direction::Response).chunks(50_000) {
        if stdout().lock().write_all(piece).and_then(|()| stdout().lock().flush()).is_err() {
            return false;
        }
        pause(plan, &mut rng);
    }
    true
}

fn pause(plan: &Plan, rng: &mut Rng) {
    if plan.is_slow && rng.percent(20) {
        std::thread::sleep(rng.millis(1, 60));
    }
}
