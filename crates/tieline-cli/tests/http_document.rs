//! `docs/http.md` is true: each of its commands is run, against a server of this build, and answers as it says.
//!
//! A block `sh` is one command that goes on for long: `tieline receive` is started and stays, `tieline serve` is looked at
//! with `--check`. A block `console` has commands behind `$ `, each with what it writes; `…` stands for the rest of it.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Running, Server, run, tieline};

const DOCUMENT: &str = include_str!("../../../docs/http.md");

/// The address that the document uses for HTTP.
const SHOWN: &str = "http://127.0.0.1:7071";

/// The blocks of the document: the language, and the lines.
fn blocks() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut lines = DOCUMENT.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            blocks.push((language, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    blocks
}

/// A command of the document, as a shell runs it.
fn shell(server: &Server, folder: &Path, command: &str) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_tieline")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &command.replace(SHOWN, &server.http)]).current_dir(folder);
    shell.env("PATH", path).env("TIELINE_SERVER", &server.address).env("TIELINE_HTTP", "127.0.0.1:0");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn every_command_of_the_document_does_what_it_says() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // What the commands for networks name.
    run(tieline(["cert", "dev"]).current_dir(folder), "").code(0);
    run(tieline(["token", "new", "web", "--send", "*", "--file", "tokens.toml"]).current_dir(folder), "").code(0);
    let mut receivers = Vec::new();
    let mut answered = 0;
    for (language, lines) in blocks() {
        match language {
            "sh" => {
                let [command] = lines[..] else { panic!("more than one command: {lines:?}") };
                if command.starts_with("tieline receive ") {
                    let receiver = Running::start(&mut shell(&server, folder, &format!("exec {command}")));
                    receiver.line_with(" ready");
                    receivers.push(receiver);
                } else {
                    assert!(command.starts_with("tieline serve"), "{command}");
                    run(&mut shell(&server, folder, &format!("{command} --check")), "").code(0);
                }
            }
            "console" => answered += console(&server, folder, &lines),
            other => panic!("a block of {other}"),
        }
    }
    assert!(answered >= 8, "only {answered} commands were found: are they still written as here?");
}

/// Runs the commands of a block; how many have an answer.
fn console(server: &Server, folder: &Path, lines: &[&str]) -> usize {
    let mut answered = 0;
    for (command, expected) in commands(lines) {
        let ended = run(&mut shell(server, folder, command), "");
        let wrote = String::from_utf8(ended.stdout).unwrap();
        match expected.strip_suffix("…\n") {
            Some(front) => assert!(wrote.starts_with(front), "{command}\n{wrote}"),
            None => assert_eq!(wrote.trim_end(), expected.trim_end(), "{command}\n{}", ended.stderr),
        }
        answered += usize::from(!expected.is_empty());
    }
    answered
}

/// The commands of a block, with what each writes.
fn commands<'a>(lines: &[&'a str]) -> Vec<(&'a str, String)> {
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command, String::new())),
            (None, Some((_, expected))) => expected.extend([line, "\n"]),
            (None, None) => panic!("words before a command: {line}"),
        }
    }
    commands
}

/// The README's section is run by the same rules, as far as it is about HTTP.
#[test]
fn the_readmes_words_on_http_are_true() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("By HTTP\n")).expect("a section on HTTP");
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let _upper = server.receive("upper", &["sed", "-u", "s/.*/\\U&/"]);
    let _sum = server.receive("sum", &["sha256sum"]);
    fs::write(folder.path().join("photo.png"), "a photo").unwrap();
    let block = section.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
    assert!(console(&server, folder.path(), &block.lines().collect::<Vec<_>>()) >= 2);
}
