//! What Tieline is to reach, as multiples of peers and limits in the same rounds, and whether it does.

use std::fmt::Write as _;

use super::stats::{self, Spread};
use crate::compare::{Options, Results, Run};
use crate::plan::{Shape, Workload};

/// One thing to reach.
struct Goal {
    workload: Workload,
    /// Which of the workload's shapes; the last one, where there are fewer.
    shape: usize,
    figure: &'static str,
    against: Against,
    bound: Bound,
    words: &'static str,
}

#[derive(Clone, Copy)]
enum Against {
    /// The same figure of this peer.
    Peer(&'static str),
    /// Tieline's own, in the workload's first shape.
    First,
    /// Nothing: the figure itself is bounded.
    Nothing,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Against::{First, Nothing, Peer};
use Bound::{AtLeast, AtMost};
use Workload::{W1, W2, W3, W4, W5, W6, W7, W8};

const fn goal(
    (workload, shape): (Workload, usize),
    figure: &'static str,
    against: Against,
    bound: Bound,
    words: &'static str,
) -> Goal {
    Goal { workload, shape, figure, against, bound, words }
}

/// The shape of W1 and W8 in which broker and clients have cores of their own.
const APART: usize = 1;
const LAST: usize = usize::MAX;

#[rustfmt::skip]
const GOALS: &[Goal] = &[
    goal((W1, APART), "p50_us", Peer("relay-fixed"), AtMost(1.1), "p50 by the fixed pair's"),
    goal((W1, APART), "p99_us", Peer("relay-fixed"), AtMost(1.2), "p99 by the fixed pair's"),
    goal((W1, APART), "p50_us", Peer("redis"), AtMost(1.0), "p50 by Redis's"),
    goal((W1, APART), "p50_us", Peer("nats"), AtMost(1.0), "p50 by NATS's"),
    goal((W2, 0), "requests_per_s", Peer("nats"), AtLeast(2.0), "requests/s by NATS's"),
    goal((W2, 0), "requests_per_s", Peer("zeromq-proxy"), AtLeast(1.6), "requests/s by ZeroMQ's proxy's"),
    goal((W2, 0), "broker_cpu_us", Peer("relay-pull"), AtMost(1.2), "CPU a request by the pulling relay's"),
    goal((W2, 0), "requests_per_s", Peer("relay-pull"), AtLeast(1.0), "requests/s by the pulling relay's (an aim)"),
    goal((W3, 0), "mb_per_s", Peer("relay-pull"), AtLeast(0.95), "MB/s by the pulling relay's"),
    goal((W3, 0), "mb_per_s", Peer("gearman"), AtLeast(1.2), "MB/s by Gearman's"),
    goal((W4, 0), "gb_per_s", Peer("relay-fixed"), AtLeast(1.0), "GB/s by the fixed pair's"),
    goal((W4, 0), "grown_mib", Nothing, AtMost(2.0), "MiB by which the broker grew"),
    goal((W5, 0), "over_ideal", Nothing, AtMost(1.02), "time by the ideal"),
    goal((W5, 0), "short_p99_over_ideal", Nothing, AtMost(1.1), "short requests' p99 by the ideal's"),
    goal((W6, 0), "kib_a_connection", Nothing, AtMost(4.0), "KiB a connection that waits"),
    goal((W7, LAST), "broker_cpu_us", First, AtMost(1.3), "CPU a request by 2,000 connections and 10,000 channels"),
    goal((W8, APART), "p99_over_alone", Nothing, AtMost(2.0), "p99 by that of W1 alone, on cores of their own"),
    goal((W8, 0), "p99_over_alone", Nothing, AtMost(2.0), "p99 by that of W1 alone, on any core"),
];

/// The goals that can be judged by what was run.
pub fn table(options: &Options, results: &Results) -> String {
    let mut text = String::new();
    for goal in GOALS {
        let Some(spread) = measured(options, results, goal) else { continue };
        let (word, bound, is_reached) = match goal.bound {
            AtMost(bound) => ("at most", bound, spread.median <= bound),
            AtLeast(bound) => ("at least", bound, spread.median >= bound),
        };
        let _ = writeln!(
            text,
            "| {:?} | {} | {word} {bound} | {:.2} ({:.2} to {:.2}) | {} |",
            goal.workload,
            goal.words,
            spread.median,
            spread.least,
            spread.most,
            if is_reached { "reached" } else { "**missed**" },
        );
    }
    if text.is_empty() { text } else { format!("| | Tieline's | is to be | was | |\n|---|---|---|---|---|\n{text}") }
}

fn measured(options: &Options, results: &Results, goal: &Goal) -> Option<Spread> {
    let shapes = goal.workload.shapes(options.effort);
    let shape = *shapes.get(goal.shape.min(shapes.len() - 1))?;
    let of = |name: &str, shape: Shape| -> Vec<&Run> {
        let is_it = |run: &&Run| run.workload == goal.workload && run.shape == shape && run.peer == name;
        results.runs.iter().filter(is_it).collect()
    };
    let ours = of("tieline", shape);
    let ratios = |others: Vec<&Run>| stats::ratios(ours.iter().copied(), others, goal.figure);
    Spread::of(&match goal.against {
        Nothing => stats::values(ours.iter().copied(), goal.figure),
        Peer(name) => ratios(of(name, shape)),
        First => ratios(of("tieline", shapes[0])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Figures;
    use crate::plan::Effort;

    fn options() -> Options {
        Options {
            only: Vec::new(),
            peers: Vec::new(),
            rounds: 1,
            effort: Effort::Full,
            has_spinners: false,
            out: std::path::PathBuf::new(),
        }
    }

    fn run(workload: Workload, shape: usize, peer: &str, figure: &str, value: f64) -> Run {
        let figures = Figures::from([(figure.to_owned(), value)]);
        let shape = workload.shapes(Effort::Full)[shape];
        Run { workload, shape, peer: peer.to_owned(), round: 0, figures, failure: None }
    }

    #[test]
    fn a_goal_is_judged_by_the_peer_in_the_same_shape() {
        let runs = vec![
            run(W1, 1, "tieline", "p50_us", 120.0),
            run(W1, 0, "relay-fixed", "p50_us", 1000.0),
            run(W1, 1, "relay-fixed", "p50_us", 100.0),
            run(W2, 0, "tieline", "requests_per_s", 100.0),
            run(W2, 0, "nats", "requests_per_s", 40.0),
        ];
        let table = table(&options(), &Results { runs, ..Results::default() });
        assert!(table.contains("| at most 1.1 | 1.20 (1.20 to 1.20) | **missed** |"), "{table}");
        assert!(table.contains("| at least 2 | 2.50 (2.50 to 2.50) | reached |"), "{table}");
        assert_eq!(table.lines().count(), 4, "what wasn't run isn't judged: {table}");
    }

    #[test]
    fn growth_is_judged_by_the_first_shape() {
        let last = W7.shapes(Effort::Full).len() - 1;
        let runs = vec![run(W7, 0, "tieline", "broker_cpu_us", 10.0), run(W7, last, "tieline", "broker_cpu_us", 12.0)];
        let table = table(&options(), &Results { runs, ..Results::default() });
        assert!(table.contains("1.20 (1.20 to 1.20) | reached |"), "{table}");
    }

    #[test]
    fn every_goal_names_a_peer_that_can_do_it() {
        for goal in GOALS {
            if let Peer(name) = goal.against {
                let entry = crate::servers::entry(name).expect("a peer");
                assert!(entry.workloads.contains(&goal.workload), "{name} in {:?}", goal.workload);
            }
        }
    }
}
