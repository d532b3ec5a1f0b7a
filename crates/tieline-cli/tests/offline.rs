//! What needs no server: names, help, completions, man pages, and a command line that is wrong.

mod support;

use std::process::Stdio;

use support::{entries, run, tieline};

#[test]
fn channel_prints_the_id_alone() {
    let ended = run(&mut tieline(["channel", "upper"]), "").code(0);
    let id = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(id.len(), 37, "{id}");
    assert_eq!(id.trim_end().matches('-').count(), 4);
    assert_eq!(ended.stderr, "");
    run(&mut tieline(["channel", "upper"]), "").wrote(id);
}

#[test]
fn a_wrong_command_line_is_exit_2_with_words_on_stderr() {
    for wrong in [
        &["sned", "upper"][..],
        &["send"],
        &["send", ""],
        &["send", "upper", "--wait", "5"],
        &["send", "upper", "--wait", "5s", "--no-wait"],
        &["send", "upper", "--meta", "Upper=1"],
        &["send", "upper", "--server", "http://host:1"],
        &["receive", "upper"],
        &["receive", "upper", "--jobs", "0", "--", "cat"],
    ] {
        let ended = run(&mut tieline(wrong), "").code(2).wrote("");
        assert!(!ended.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_told_before_anything_is_received() {
    run(&mut tieline(["receive", "upper", "--", "no-such-program"]), "")
        .code(2)
        .says(&["no program 'no-such-program'"]);
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = run(&mut tieline(["--help"]), "").code(0);
    assert!(String::from_utf8(help.stdout).unwrap().contains("124  deadline passed"));
    run(&mut tieline(["--version"]), "").code(0).wrote(concat!("tieline ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_and_man_pages_are_made_from_the_command_line() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&mut tieline(["completions", shell]), "").code(0);
        assert!(String::from_utf8(ended.stdout).unwrap().contains("receive"), "{shell}");
    }
    let page = run(&mut tieline(["man"]), "").code(0);
    assert!(String::from_utf8(page.stdout).unwrap().contains(".TH tieline"));
    let folder = tempfile::tempdir().unwrap();
    run(tieline(["man", "--out"]).arg(folder.path()), "").code(0).wrote("");
    let pages = entries(folder.path());
    for page in ["tieline.1", "tieline-send.1", "tieline-receive.1", "tieline-serve.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
}

#[test]
fn a_reader_of_the_help_that_went_away_is_no_panic() {
    let mut child = tieline(["completions", "bash"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = support::Ended::from(child.wait_with_output().unwrap());
    assert!(matches!(ended.status.code(), Some(0 | 74)), "{ended:?}");
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
}
