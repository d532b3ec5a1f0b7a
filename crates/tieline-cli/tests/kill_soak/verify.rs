//! Reads what was written down by all, and finds whatever can't be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::chaos::{SILENCE, SILENCED};
use crate::child::Kind;
use crate::journal::Entry;
use crate::plan::{Act, Channel, Limit, Plan};
use crate::stage::{Event, KILLED_ITSELF};

/// A death is noticed by others within this time, in milliseconds: they may be stopped, or wait for a processor.
const NOTICE: u64 = 10_000;

/// What the processes wrote, and what was done to them.
pub(crate) struct Evidence {
    pub(crate) sends: Vec<Entry>,
    pub(crate) runs: Vec<Entry>,
    pub(crate) events: Vec<Event>,
    /// Senders that came to their end.
    pub(crate) lived: Vec<u64>,
}

pub(crate) struct Verdict {
    /// How often each thing happened.
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) unexplained: Vec<String>,
}

/// What is known of one request.
#[derive(Default)]
struct Request<'a> {
    opens: Vec<&'a Entry>,
    outcomes: Vec<&'a Entry>,
    runs: Vec<&'a Entry>,
}

impl Request<'_> {
    fn count(&self, what: &str) -> usize {
        self.runs.iter().filter(|run| run.what == what).count()
    }
}

pub(crate) fn verify(evidence: &Evidence) -> Verdict {
    let mut requests = BTreeMap::<u64, Request<'_>>::new();
    for entry in &evidence.sends {
        let request = requests.entry(entry.number).or_default();
        if entry.what == "open" { &mut request.opens } else { &mut request.outcomes }.push(entry);
    }
    for entry in &evidence.runs {
        requests.entry(entry.number).or_default().runs.push(entry);
    }
    let judge = Judge::new(evidence);
    let mut verdict = Verdict { counts: BTreeMap::new(), unexplained: Vec::new() };
    for event in &evidence.events {
        let is_suicide = event.what == KILLED_ITSELF;
        if is_suicide && !judge.suicides.iter().any(|(who, _)| *who == event.who) {
            verdict.unexplained.push(format!("{} {} was killed, and nobody did it", event.kind.name(), event.who));
        }
    }
    for (number, request) in &requests {
        tally(*number, request, &mut verdict.counts);
        judge.request(*number, request, &mut |words| {
            let mut text = format!("{number:x}: {words}; {:?}", Plan::of(*number));
            for entry in request.opens.iter().chain(&request.outcomes).chain(&request.runs) {
                let _ = write!(text, "\n    {} by {}: {} {}", entry.at, entry.who, entry.what, entry.detail);
            }
            verdict.unexplained.push(text);
        });
    }
    verdict
}

/// Counts what became of a request.
fn tally(number: u64, request: &Request<'_>, counts: &mut BTreeMap<String, u64>) {
    let mut add = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    add("requests");
    if Plan::of(number).is_healed() {
        add("requests after the last kill");
    }
    match &request.outcomes[..] {
        [] => add("outcome: none, the sender was killed"),
        outcomes => outcomes.iter().for_each(|outcome| add(&format!("outcome: {}", outcome.what))),
    }
    request.runs.iter().for_each(|run| add(&format!("run: {}", run.what)));
    if request.count("begin") > 1 && Plan::of(number).is_idempotent {
        add("run: begun more than once (idempotent)");
    }
}

struct Judge<'a> {
    evidence: &'a Evidence,
    /// Receivers and commands that killed themselves, and when.
    suicides: Vec<(u64, u64)>,
    lived: BTreeSet<u64>,
    /// Everybody who was killed, by us or by itself.
    dead: BTreeSet<u64>,
}

impl<'a> Judge<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let suicides: Vec<_> =
            evidence.runs.iter().filter(|run| run.what == "dies").map(|run| (run.who, run.at)).collect();
        let killed = evidence.events.iter().filter(|event| event.what.starts_with("killed")).map(|event| event.who);
        let dead = killed.chain(suicides.iter().map(|(who, _)| *who)).collect();
        Self { evidence, suicides, lived: evidence.lived.iter().copied().collect(), dead }
    }

    /// Looks at one request in every way.
    fn request(&self, number: u64, request: &Request<'_>, unexplained: &mut dyn FnMut(String)) {
        let plan = Plan::of(number);
        let [open] = request.opens[..] else {
            return unexplained(format!("opened {} times", request.opens.len()));
        };
        match (&request.outcomes[..], self.lived.contains(&open.who)) {
            ([_], _) | ([], false) => {}
            (outcomes, _) => unexplained(format!("its sender was told {} outcomes", outcomes.len())),
        }
        if request.count("begin") > 1 && !plan.is_idempotent {
            unexplained("it isn't idempotent and was begun more than once".to_owned());
        }
        for outcome in &request.outcomes {
            if let Err(words) = self.outcome(&plan, request, open, outcome) {
                unexplained(words);
            }
        }
        for run in &request.runs {
            if let Err(words) = self.run(&plan, request, open, run) {
                unexplained(words);
            }
        }
        self.begun_runs_end(&plan, request, unexplained);
    }

    fn outcome(&self, plan: &Plan, request: &Request<'_>, open: &Entry, outcome: &Entry) -> Result<(), String> {
        let has_begun = request.count("begin") > 0;
        let mut words = outcome.what.split(':');
        match (words.next(), words.next(), words.next()) {
            (Some("ok"), ..) if request.count("end") == 0 => Err("it succeeded and no receiver was done".to_owned()),
            (Some("ok"), ..) if !can_succeed(plan) => Err("it succeeded, and its receiver had failed it".to_owned()),
            (Some("ok"), ..) => Ok(()),
            (Some("dropped"), ..) if plan.dropped_after.is_some() => Ok(()),
            (Some("error"), ..) if plan.is_healed() => Err("it failed with nobody killed any more".to_owned()),
            (Some("error"), Some(_), Some("unstarted")) if has_begun => {
                Err("its sender was told that it is unstarted, and it was begun".to_owned())
            }
            // The library accepts a request in the step that hands it to the program, and a command is accepted when it
            // is started: whoever is killed right then hasn't written a line.
            (Some("error"), Some(_), Some("accepted")) if !has_begun && !self.receivers_died(open.at, outcome.at) => {
                Err("its sender was told that it was accepted, and nobody began with it".to_owned())
            }
            (Some("error"), Some("connection-lost" | "shutting-down"), Some("unstarted"))
                if !self.is_given_up(plan, open, outcome) =>
            {
                Err("it was unstarted, and the library didn't send it again".to_owned())
            }
            (Some("error"), Some(code), Some(_)) if self.is_due(code, plan, open, outcome) => Ok(()),
            _ => Err(format!("nothing brought about the outcome {}", outcome.what)),
        }
    }

    /// Whether a request that nobody began with may end for want of a server: its own time was up, or there was none
    /// for longer than its sender waits.
    fn is_given_up(&self, plan: &Plan, open: &Entry, outcome: &Entry) -> bool {
        matches!(plan.limit, Limit::Wait(_) | Limit::Timeout(_))
            || self.was_silent(open.who, open.at, outcome.at)
            || self.happened(open.at, outcome.at, is_silent_server)
    }

    /// Whether something happened that leads to such an error.
    fn is_due(&self, code: &str, plan: &Plan, open: &Entry, outcome: &Entry) -> bool {
        let (from, to) = (open.at, outcome.at);
        let server =
            |what: &str| self.happened(from, to, |event| event.kind == Kind::Server && event.what.starts_with(what));
        match code {
            "connection-lost" => {
                server("killed") || server("sent away") || server(SILENCED) || self.was_silent(open.who, from, to)
            }
            "shutting-down" => server("sent away"),
            "receiver-lost" => self.receivers_died(from, to),
            // Without a wish not to wait: it was handed out three times in vain.
            "no-receiver" => plan.limit == Limit::NoWait || self.receivers_died(from, to),
            "wait-limit" => matches!(plan.limit, Limit::Wait(_)),
            "deadline-exceeded" => matches!(plan.limit, Limit::Timeout(_)),
            "application" => plan.act == Act::Fail || plan.channel == Channel::Command && !can_succeed(plan),
            _ => false,
        }
    }

    fn receivers_died(&self, from: u64, to: u64) -> bool {
        // Receivers give up a server that is silent; it finds them gone when it wakes.
        let is_death = |event: &Event| {
            is_silent_server(event)
                || matches!(event.kind, Kind::Program | Kind::Commands)
                    && (event.what.starts_with("killed") || event.what == SILENCED)
        };
        self.happened(from, to, is_death) || self.suicides.iter().any(|(_, at)| within(*at, from, to))
    }

    /// Whether a process was stopped until the server took it for lost.
    fn was_silent(&self, who: u64, from: u64, to: u64) -> bool {
        self.happened(from, to, |event| event.who == who && event.what == SILENCED)
    }

    fn run(&self, plan: &Plan, request: &Request<'_>, open: &Entry, run: &Entry) -> Result<(), String> {
        let sender = || self.happened(open.at, run.at, |event| event.who == open.who && event.what != "stopped");
        let server = || self.happened(open.at, run.at, |event| event.kind == Kind::Server && event.what != "stopped");
        let is_explained = match run.what.as_str() {
            "begin" | "end" => true,
            "dies" => matches!(plan.act, Act::DieAtBegin | Act::DieAtEnd | Act::DieAfterAnswer),
            "failed" => plan.act == Act::Fail,
            "cut:cancelled" => plan.dropped_after.is_some() || matches!(plan.limit, Limit::Timeout(_)),
            "cut:sender-lost" => sender(),
            "cut:connection-lost" | "cut:shutting-down" => server() || self.was_silent(run.who, open.at, run.at),
            "cut:deadline-exceeded" => matches!(plan.limit, Limit::Timeout(_)),
            // The receiver of a command was killed, so the command's stdout broke. Its stdin didn't: it is "short" never.
            "gone" => self.is_orphan(request, run.who),
            _ => false,
        };
        if is_explained { Ok(()) } else { Err(format!("nothing brought about {} of {}", run.what, run.who)) }
    }

    /// Whether a command's receiver was killed. A command writes down whose it is when it begins.
    fn is_orphan(&self, request: &Request<'_>, who: u64) -> bool {
        let begin = request.runs.iter().find(|run| run.who == who && run.what == "begin");
        begin.and_then(|begin| begin.detail.parse().ok()).is_some_and(|parent: u64| self.dead.contains(&parent))
    }

    /// Whoever began and wasn't killed has written down how it went on.
    fn begun_runs_end(&self, plan: &Plan, request: &Request<'_>, unexplained: &mut dyn FnMut(String)) {
        if request.count("end") > request.count("begin") {
            unexplained("it came to its end more often than it was begun".to_owned());
        }
        for begin in request.runs.iter().filter(|run| run.what == "begin") {
            let is_closed = request.runs.iter().any(|run| run.who == begin.who && run.what != "begin");
            if is_closed || self.dead.contains(&begin.who) {
                continue;
            }
            // A command is ended, and writes nothing, when its request is over for another reason.
            let is_ended = plan.channel == Channel::Command
                && (self.is_orphan(request, begin.who)
                    || request.outcomes.is_empty()
                    || request.outcomes.iter().all(|outcome| outcome.what != "ok")
                    || plan.is_idempotent);
            if !is_ended {
                unexplained(format!("{} began with it, lived, and never came to an end with it", begin.who));
            }
        }
    }

    fn happened(&self, from: u64, to: u64, is_it: impl Fn(&Event) -> bool) -> bool {
        self.evidence.events.iter().any(|event| {
            let silence = if event.what == SILENCED { SILENCE.as_millis() as u64 } else { 0 };
            event.at + silence + NOTICE >= from && event.at <= to && is_it(event)
        })
    }
}

fn is_silent_server(event: &Event) -> bool {
    event.kind == Kind::Server && event.what == SILENCED
}

/// Whether the receiver answers in good order. A command that dies behind its answer dies before its exit status.
fn can_succeed(plan: &Plan) -> bool {
    match plan.act {
        Act::Answer | Act::Both | Act::Early => true,
        Act::DieAfterAnswer => plan.channel == Channel::Program,
        Act::Fail | Act::DieAtBegin | Act::DieAtEnd => false,
    }
}

/// Whether what happened then can show in this span.
const fn within(at: u64, from: u64, to: u64) -> bool {
    at + NOTICE >= from && at <= to
}
