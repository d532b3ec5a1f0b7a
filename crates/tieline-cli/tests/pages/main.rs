//! The documents' commands do what the documents say: each page is run as somebody would who follows it, in a folder of
//! its own, from its first command to its last.
//!
//! - A block of `sh` is run; each command must succeed.
//! - A block of `sh background` is a terminal of its own: it is begun, and ended with the page. The page goes on when it
//!   has said something.
//! - A block of `console` has commands behind `$ ` and, below them, what they print; `…` stands for anything within a
//!   line, and for any lines where it stands alone.
//! - A block below a comment `<!-- not run: REASON -->` isn't run, nor is what is in another language.

mod page;
#[path = "../support/ports.rs"]
mod ports;
mod shell;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use page::{Block, Kind};
use shell::Shell;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Runs a page, and sees that so many blocks of it were run at least: one that has none proves nothing.
#[track_caller]
fn follow(document: &str, least: usize) {
    let text = std::fs::read_to_string(Path::new(ROOT).join(document)).expect("the document is there");
    let blocks = page::blocks(&text);
    let mut shell = Shell::start();
    let mut run = 0;
    for block in &blocks {
        let Block { kind, code, line } = block;
        let place = format!("{document}:{line}");
        match kind {
            Kind::Script => shell.script(code, &place),
            Kind::Terminal => shell.terminal(code, &place),
            Kind::Session => shell.session(code, &place),
            Kind::NotRun => continue,
        }
        run += 1;
    }
    assert!(run >= least, "{document}: only {run} blocks were run");
}

#[test]
fn the_readme_can_be_followed() {
    follow("README.md", 5);
}

#[test]
fn the_page_of_map_can_be_followed() {
    follow("docs/map.md", 6);
}

#[test]
fn the_page_of_web_services_can_be_followed() {
    follow("docs/web-services.md", 5);
}

#[test]
fn the_page_of_bench_can_be_followed() {
    follow("docs/bench.md", 5);
}

#[test]
fn the_page_of_the_examples_can_be_followed() {
    follow("examples/README.md", 6);
}

#[test]
fn the_page_of_running_can_be_followed() {
    follow("docs/running.md", 2);
}

#[test]
fn the_pages_on_metrics_and_the_api_can_be_followed() {
    follow("docs/metrics.md", 2);
    follow("docs/api.md", 2);
}

#[test]
fn the_page_on_traces_can_be_followed() {
    follow("docs/tracing.md", 6);
}

#[test]
fn the_page_on_http_can_be_followed() {
    follow("docs/http.md", 11);
}
