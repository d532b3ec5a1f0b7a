//! Words that are nearly right: what is said of them, and that nothing else is done instead.

mod support;

use support::{Server, run, tieline};

#[test]
fn a_command_without_its_dashes_is_told_where_it_belongs() {
    run(&mut tieline(["receive", "x", "cat"]), "").code(2).says(&["'cat'", "the command stands behind --"]);
    run(&mut tieline(["receive", "x"]), "").code(2).says(&["-- CMD, or --http URL"]);
    // What was meant as a flag is another matter.
    let ended = run(&mut tieline(["receive", "x", "--job", "4", "--", "cat"]), "").code(2);
    ended.says(&["'--jobs'"]);
}

#[test]
fn flags_for_a_service_are_no_flags_for_a_command() {
    for flag in [&["--http-ca", "x"][..], &["--buffer", "1KiB"], &["--method", "PUT"], &["--trust-close"]] {
        run(tieline(["receive", "x"]).args(flag).args(["--", "cat"]), "")
            .code(2)
            .says(&["cannot be used with", flag[0]]);
        run(tieline(["receive", "x"]).args(flag), "").code(2).says(&["--http <URL>"]);
    }
}

#[test]
fn no_jobs_at_all_are_refused_in_words() {
    for line in [&["receive", "x", "--jobs", "0", "--", "cat"][..], &["map", "x", "-j", "0", "file"]] {
        run(&mut tieline(line), "").code(2).says(&["'0' is no number from 1 to 65535"]);
    }
}

#[test]
fn a_time_in_which_nothing_can_be_done_is_refused() {
    for line in [
        ["bench", "x", "--duration", "0s"],
        ["bench", "x", "--timeout", "0s"],
        ["send", "x", "--timeout", "0ms"],
        ["send", "x", "--stall", "0s"],
        ["map", "x", "--timeout", "0s"],
    ] {
        run(&mut tieline(line), "").code(2).says(&[line[2], "in no time, nothing can be done"]);
    }
}

#[test]
fn a_misspelt_variable_is_told_by_every_command_that_would_read_it() {
    let server = Server::start();
    let _receiver = server.receive("echo", &["cat"]);
    let told = ["TIELINE_SERVR means nothing; did you mean TIELINE_SERVER?"];
    run(server.send("echo", &[]).env("TIELINE_SERVR", "elsewhere:1"), "x").code(0).wrote("x").says(&told);
    // What `receive` sets for its commands is nobody's mistake.
    let set = [("TIELINE_CHANNEL", "x"), ("TIELINE_REMAINING_MS", "1"), ("TIELINE_META_SERVER", "x")];
    let ended = run(server.send("echo", &[]).envs(set), "x").code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn an_output_that_can_not_be_made_is_told_by_the_name_that_was_given() {
    let server = Server::start();
    let ended = run(&mut server.send("x", &["-o", "/nowhere/out"]), "").code(74);
    assert_eq!(ended.stderr, "tieline: /nowhere/out can't be written: No such file or directory (os error 2)");
}
