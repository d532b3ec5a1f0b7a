//! The kill soak: a server, receivers and senders as processes of their own, killed with -9, stopped and sent away under
//! load, and every outcome of every request held against what was really run.
//!
//! It runs only when `TIELINE_SOAK_SECONDS` says how long processes are killed: `just kill-soak`. `TIELINE_SOAK_SEED`
//! repeats the choices of an earlier soak; times and the system's scheduling are others each time.
//!
//! | module | what it holds |
//! |---|---|
//! | [`plan`], [`rng`] | what a request is like, and its bytes, from its number alone |
//! | [`journal`] | lines that survive whoever writes them |
//! | [`sender`], [`receiver`], [`command`] | the processes: this same program in other roles |
//! | [`child`], [`stage`], [`chaos`] | starting, killing, healing and ending them |
//! | [`verify`] | what must be true of all that was written down |
#![forbid(unsafe_code)]

mod chaos;
mod child;
mod command;
mod journal;
mod plan;
#[path = "../support/ports.rs"]
mod ports;
mod receiver;
mod rng;
mod sender;
mod stage;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::thread;
use std::time::{Duration, Instant};

use child::{Living, become_program, die_with_parent};
use journal::{Journal, now};
use rng::Rng;
use stage::Stage;
use verify::{Evidence, verify};

/// What healing, ending and verifying may take behind that. Then the watchdog ends everything.
const BEHIND: Duration = Duration::from_mins(6);

/// What a server may use, whatever is done to its clients, in bytes.
const MEMORY: u64 = 64 << 20;

fn main() -> ExitCode {
    match std::env::var("SOAK_ROLE") {
        Ok(role) => self::role(&role),
        Err(_) if !is_wanted() => ExitCode::SUCCESS,
        Err(_) => soak(),
    }
}

/// What this process is, when the soak has started it.
fn role(role: &str) -> ExitCode {
    // A command's end is the business of `tieline receive`.
    if role != "command" {
        die_with_parent();
    }
    let folder = PathBuf::from(std::env::var_os("SOAK_FOLDER").expect("a role has a folder"));
    let mut words = std::env::args().skip(1);
    match role {
        "server" => return become_program(words, None),
        "commands" => return become_program(words, Some("command")),
        "command" => return command::run(&Journal::open(&folder.join("runs"))),
        _ => {}
    }
    let server = words.next().expect("the server's address");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    match role {
        "receiver" => runtime.block_on(receiver::run(&server, Journal::open(&folder.join("runs")))),
        "sender" => {
            let base = words.next().and_then(|base| base.parse().ok()).expect("the first number");
            runtime.block_on(sender::run(&server, base, Journal::open(&folder.join("sends"))));
        }
        _ => panic!("there is no role '{role}'"),
    }
    ExitCode::SUCCESS
}

/// Whether the test runner's arguments ask for this test. It is the only one here, and never ignored.
fn is_wanted() -> bool {
    let (mut is_wanted, mut is_listed) = (true, false);
    let mut names = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => is_listed = true,
            "--ignored" => is_wanted = false,
            "--skip" => is_wanted &= words.next().is_none_or(|name| !"kill_soak".contains(&name)),
            "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => drop(words.next()),
            _ if word.starts_with('-') => {}
            _ => names.push(word),
        }
    }
    if is_listed && is_wanted {
        println!("kill_soak: test");
    }
    is_wanted && !is_listed && (names.is_empty() || names.iter().any(|name| "kill_soak".contains(name.as_str())))
}

fn soak() -> ExitCode {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let Some(seconds) = number("TIELINE_SOAK_SECONDS") else {
        println!("kill soak: not run, for TIELINE_SOAK_SECONDS is not set");
        return ExitCode::SUCCESS;
    };
    let seed = number("TIELINE_SOAK_SEED").unwrap_or_else(|| now() % 1_000_000);
    println!("kill soak: {seconds} s, TIELINE_SOAK_SEED={seed}");

    let folder = tempfile::Builder::new().prefix("tieline-soak-").tempdir().expect("a folder for journals");
    let living = Living::default();
    watch(Duration::from_secs(seconds) + BEHIND, living.clone());
    let began = Instant::now();
    let mut rng = Rng::new(seed);
    let mut stage = Stage::new(folder.path(), living);
    chaos::run(&mut stage, &mut rng, Duration::from_secs(seconds));
    let killed = began.elapsed();
    let healing = Instant::now();
    stage.heal();
    println!("killing took {killed:.0?}, healing and ending {:.1?}", healing.elapsed());

    let unexplained = judge(&mut stage, folder.path());
    if unexplained.is_empty() {
        println!("{:>8}  unexplained, with TIELINE_SOAK_SEED={seed}", 0);
        return ExitCode::SUCCESS;
    }
    for words in unexplained.iter().take(50) {
        println!("UNEXPLAINED {words}");
    }
    println!("{} unexplained, with TIELINE_SOAK_SEED={seed}; see {}", unexplained.len(), folder.keep().display());
    ExitCode::FAILURE
}

/// Prints the counts; returns what is unexplained.
fn judge(stage: &mut Stage, folder: &Path) -> Vec<String> {
    let mut unexplained = std::mem::take(&mut stage.unexplained);
    let evidence = Evidence {
        sends: journal::read(&folder.join("sends")),
        runs: journal::read(&folder.join("runs")),
        events: std::mem::take(&mut stage.events),
        lived: std::mem::take(&mut stage.lived),
    };
    let verdict = verify(&evidence);
    unexplained.extend(verdict.unexplained);
    let mut counts = verdict.counts;
    let mut deeds = BTreeMap::<_, u64>::new();
    for event in &evidence.events {
        *deeds.entry(format!("{} {}", event.kind.name(), event.what)).or_default() += 1;
    }
    counts.extend(deeds);
    let kills = evidence.events.iter().filter(|event| event.what.starts_with("killed")).count() as u64;
    counts.insert("kills in all".to_owned(), kills);
    for (what, count) in &counts {
        println!("{count:>8}  {what}");
    }
    println!("{:>8}  servers started while the one before drained", stage.successions);
    println!("{:>8}  MiB at most used by a server", stage.memory >> 20);
    if stage.memory > MEMORY {
        unexplained.push(format!("a server used {} MiB", stage.memory >> 20));
    }
    let stderr = fs::read_to_string(folder.join("stderr")).unwrap_or_default();
    unexplained.extend(stderr.lines().filter(|line| line.contains("panicked")).map(|line| format!("stderr: {line}")));
    unexplained
}

/// Ends everything if it takes longer than this.
fn watch(limit: Duration, living: Living) {
    thread::spawn(move || {
        thread::sleep(limit);
        living.end();
        println!("UNEXPLAINED the soak didn't come to its end within {limit:?}");
        exit(1);
    });
}
