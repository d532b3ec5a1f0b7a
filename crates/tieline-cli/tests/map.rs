//! `tieline map` as a user runs it: what comes out in which order, what is logged, resumed and given up.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use support::{Running, Server, entries, peak_memory, run, wait_until};
use tempfile::TempDir;

/// A folder with files `0`, `1`, …, each holding its number.
fn files(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..count {
        fs::write(folder.path().join(number.to_string()), format!("{number}\n")).unwrap();
    }
    folder
}

/// `tieline map CHANNEL` in this folder.
fn map(server: &Server, folder: &Path, channel: &str, flags: &[&str]) -> Command {
    let mut command = support::tieline(["map", channel, "--server", &server.address]);
    command.args(flags).current_dir(folder);
    command
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn responses_come_out_in_the_order_of_the_files_whoever_is_first() {
    let server = Server::start();
    let folder = files(12);
    // The first file is answered only when the last one was.
    let last = folder.path().join("last");
    let script = format!(
        "read n; if [ $n = 0 ]; then while [ ! -e {0} ]; do sleep 0.01; done; fi; [ $n = 11 ] && touch {0}; echo got $n",
        last.display()
    );
    let _receiver = server.receive_with("order", &["--jobs", "4"], &["sh", "-c", &script]);
    let expected = numbers(12).into_iter().map(|number| format!("got {number}\n")).collect::<Vec<_>>().concat();
    run(map(&server, folder.path(), "order", &[]).args(numbers(12)), "").code(0).wrote(expected);
}

#[test]
fn only_so_many_are_under_way_at_once() {
    let server = Server::start();
    let folder = files(6);
    let script = "read n; touch run$n; while [ ! -e go ]; do sleep 0.01; done; ls | grep -c run; rm run$n";
    let script = format!("cd {}; {script}", folder.path().display());
    let _receiver = server.receive_with("bound", &["--jobs", "8"], &["sh", "-c", &script]);
    let mapping = Running::start(map(&server, folder.path(), "bound", &["--jobs", "2"]).args(numbers(6)));
    wait_until("two run", || entries(folder.path()).iter().filter(|name| name.starts_with("run")).count() == 2);
    fs::write(folder.path().join("go"), "").unwrap();
    let ended = mapping.wait().code(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.lines().all(|count| count == "1" || count == "2"), "{text}");
    assert_eq!(text.lines().count(), 6);
}

#[test]
fn files_appear_whole_under_the_path_by_which_their_inputs_were_named() {
    let server = Server::start();
    let folder = files(3);
    fs::create_dir(folder.path().join("deep")).unwrap();
    fs::write(folder.path().join("deep/er"), "deeper").unwrap();
    let _receiver = server.receive_with("files", &["--jobs", "2"], &["tr", "a-z", "A-Z"]);
    let flags = ["--output-dir", "out", "--suffix", ".txt", "0", "deep/er"];
    run(&mut map(&server, folder.path(), "files", &flags), "").code(0).wrote("");
    assert_eq!(fs::read_to_string(folder.path().join("out/deep/er.txt")).unwrap(), "DEEPER");
    assert_eq!(entries(&folder.path().join("out")), ["0.txt", "deep"]);
    run(&mut map(&server, folder.path(), "files", &["--suffix", ".up", "deep/er"]), "").code(0);
    assert_eq!(entries(&folder.path().join("deep")), ["er", "er.up"]);
    run(&mut map(&server, folder.path(), "files", &["--output-dir", "out", "../x"]), "").code(74).says(&["lead out"]);
}

#[test]
fn a_response_never_takes_the_place_of_its_own_input() {
    let server = Server::start();
    let folder = files(2);
    let _receiver = server.receive("files", &["sh", "-c", "cat; echo more"]);
    let before = fs::read_to_string(folder.path().join("0")).unwrap();
    let ended = run(&mut map(&server, folder.path(), "files", &["--output-dir", ".", "0"]), "").code(74);
    ended.says(&["0: its response would take its own place", "--suffix"]);
    let whole = folder.path().join("0");
    run(&mut map(&server, folder.path(), "files", &["--output-dir", "/", whole.to_str().unwrap()]), "").code(74);
    assert_eq!(fs::read_to_string(whole).unwrap(), before);
}

#[test]
fn a_response_never_takes_the_place_of_a_file_that_is_to_be_sent_too() {
    let server = Server::start();
    let folder = files(2);
    let _receiver = server.receive("files", &["cat"]);
    fs::write(folder.path().join("0.out"), "an input").unwrap();
    let words = "0: its response would take the place of ./0.out, which is to be sent too";
    run(&mut map(&server, folder.path(), "files", &["--suffix", ".out", "1", "0", "./0.out"]), "")
        .code(74)
        .says(&[words]);
    assert_eq!(entries(folder.path()), ["0", "0.out", "1"], "nothing was sent");
    assert_eq!(fs::read_to_string(folder.path().join("0.out")).unwrap(), "an input");
    // On stdout nothing is in anybody's way.
    run(&mut map(&server, folder.path(), "files", &["0", "0.out"]), "").code(0).wrote("0\nan input");
}

#[test]
fn two_files_whose_responses_would_share_a_place_are_refused() {
    let server = Server::start();
    let folder = files(1);
    let whole = folder.path().join("0");
    let from_root = whole.to_str().unwrap();
    // The same name without the leading '/', of another file.
    let from_here = from_root.trim_start_matches('/');
    fs::create_dir_all(folder.path().join(from_here).parent().unwrap()).unwrap();
    fs::write(folder.path().join(from_here), "another").unwrap();
    let ran = folder.path().join("ran");
    let script = format!("echo ran >> {}; cat", ran.display());
    let _receiver = server.receive("share", &["sh", "-c", &script]);
    let into = |flags: &[&str]| map(&server, folder.path(), "share", &[&["--output-dir", "out"][..], flags].concat());
    let words = format!("tieline: {from_here}: its response would take the place of the one to {from_root}: out/");

    run(&mut into(&["-j1", from_root, from_here]), "").code(74).wrote("").says(&[&words]);
    assert!(!ran.exists() && !folder.path().join("out").exists(), "both were known before anything was sent");

    // From a list, when it comes. Another run, with what is there by then, doesn't take it for done.
    let mut mapping = Running::start(into(&["--files-from", "-"]).stdin(Stdio::piped()));
    mapping.write(format!("{from_root}\n"));
    let place = folder.path().join("out").join(from_here);
    wait_until("the first is done", || place.exists());
    mapping.write(format!("{from_here}\n"));
    mapping.wait().code(74).says(&[&words]);
    run(&mut into(&["--files-from", "-", "--resume"]), format!("{from_root}\n{from_here}\n")).code(74).says(&[&words]);
    assert_eq!(fs::read_to_string(&place).unwrap(), "0\n");
    assert_eq!(fs::read_to_string(&ran).unwrap(), "ran\n");

    // One file named twice is no two files, also where it has both names.
    let twice = format!("./{from_here}");
    run(&mut into(&[from_here, &twice, from_here]), "").code(0);
    assert_eq!(fs::read_to_string(&place).unwrap(), "another");
    let out = folder.path().join("out");
    let flags = ["--output-dir", out.to_str().unwrap(), from_root, from_here];
    run(&mut map(&server, Path::new("/"), "share", &flags), "").code(0);
    assert_eq!(fs::read_to_string(&place).unwrap(), "0\n");

    // Done before, says the joblog; yet its file is about to be that of the other.
    run(&mut map(&server, folder.path(), "share", &["--joblog", "log", from_here]), "").code(0);
    let flags = ["--files-from", "-", "--joblog", "log", "--resume"];
    run(&mut into(&flags), format!("{from_root}\n{from_here}\n")).code(74).says(&[&words]);
}

#[test]
fn a_file_that_fails_leaves_nothing_and_the_rest_goes_on() {
    let server = Server::start();
    let folder = files(5);
    let script = "read n; echo part; [ $n != 2 ] || { echo no twos >&2; exit 3; }";
    let _receiver = server.receive_with("fails", &["--jobs", "3"], &["sh", "-c", script]);
    let ended = run(map(&server, folder.path(), "fails", &["--joblog", "log"]).args(numbers(5)), "");
    ended.code(1).wrote("part\n".repeat(4)).says(&[
        "tieline: 2: the receiver on 'fails' failed: exit status 3",
        "no twos",
        "4 of the files succeeded, 1 failed",
    ]);
    run(map(&server, folder.path(), "fails", &["--output-dir", "out"]).args(numbers(5)), "").code(1);
    assert_eq!(entries(&folder.path().join("out")), ["0", "1", "3", "4"]);
    let rows = rows(&folder.path().join("log"));
    assert_eq!(rows.iter().map(|row| row[8].as_str()).collect::<Vec<_>>(), numbers(5));
    assert_eq!(rows.iter().map(|row| row[6].as_str()).collect::<Vec<_>>(), ["0", "0", "1", "0", "0"]);
    assert_eq!((rows[0][4].as_str(), rows[0][5].as_str()), ("2", "5"), "bytes sent and received");
}

#[test]
fn halting_soon_begins_no_more() {
    let server = Server::start();
    let folder = files(50);
    let _receiver = server.receive("halts", &["sh", "-c", "exit 3"]);
    let ended = run(map(&server, folder.path(), "halts", &["--halt", "soon", "-j1"]).args(numbers(50)), "");
    let ended = ended.code(1).says(&["0 of the files succeeded, 1 failed; the rest was not begun"]);
    assert_eq!(ended.stderr.matches("exit status 3").count(), 1, "{}", ended.stderr);
}

#[test]
fn halting_now_cancels_what_runs_and_says_that_it_may_have_run() {
    let server = Server::start();
    let folder = files(3);
    let script = "read n; if [ $n = 0 ]; then while [ ! -e pid ]; do sleep 0.01; done; exit 3; fi; \
                  echo $$ > pid.new; mv pid.new pid; exec sleep 600";
    let script = format!("cd {}; {script}", folder.path().display());
    let _receiver = server.receive_with("now", &["--jobs", "2"], &["sh", "-c", &script]);
    let ended = run(map(&server, folder.path(), "now", &["--halt", "now", "-j2"]).args(numbers(3)), "");
    ended
        .code(1)
        .wrote("")
        .says(&["0 of the files succeeded, 1 failed, 1 was cancelled and may have run", "not begun"]);
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    support::wait_for_end_of(pid.trim().parse().unwrap());
}

#[test]
fn resuming_does_what_is_missing_and_nothing_else() {
    let server = Server::start();
    let folder = files(4);
    let bad = folder.path().join("bad");
    fs::write(&bad, "").unwrap();
    let script = format!("read n; echo $n >> {0}.ran; [ $n = 1 ] && [ -e {0} ] && exit 3; echo got $n", bad.display());
    let _receiver = server.receive("again", &["sh", "-c", &script]);
    let flags = ["--joblog", "log", "--resume"];
    let again = || run(map(&server, folder.path(), "again", &flags).args(numbers(4)), "");
    again().code(1).wrote("got 0\ngot 2\ngot 3\n");
    fs::remove_file(&bad).unwrap();
    again().code(0).wrote("got 1\n");
    again().code(0).wrote("");
    let mut ran: Vec<_> =
        fs::read_to_string(folder.path().join("bad.ran")).unwrap().lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["0", "1", "1", "2", "3"]);
}

#[test]
fn resuming_into_files_does_those_whose_file_is_not_there() {
    let server = Server::start();
    let folder = files(3);
    let _receiver = server.receive("into", &["cat"]);
    for joblog in [&[][..], &["--joblog", "log"]] {
        let again = || {
            let mut command = map(&server, folder.path(), "into", &["--output-dir", "out", "--resume"]);
            run(command.args(joblog).args(numbers(3)), "").code(0)
        };
        again();
        fs::write(folder.path().join("out/0"), "kept").unwrap();
        fs::remove_file(folder.path().join("out/1")).unwrap();
        again();
        assert_eq!(fs::read_to_string(folder.path().join("out/0")).unwrap(), "kept");
        assert_eq!(fs::read_to_string(folder.path().join("out/1")).unwrap(), "1\n");
        fs::remove_dir_all(folder.path().join("out")).unwrap();
    }
    run(&mut map(&server, folder.path(), "into", &["--resume", "0"]), "").code(2).says(&["--joblog"]);
}

#[test]
fn a_list_is_read_as_it_comes() {
    let server = Server::start();
    let folder = files(2);
    fs::write(folder.path().join("a\nb"), "odd name").unwrap();
    let _receiver = server.receive("list", &["cat"]);
    let mut mapping = Running::start(map(&server, folder.path(), "list", &["--files-from", "-"]).stdin(Stdio::piped()));
    mapping.write("0\n");
    mapping.expect("0\n");
    mapping.write("1\n");
    mapping.expect("1\n");
    mapping.wait().code(0);
    run(&mut map(&server, folder.path(), "list", &["-0", "--files-from", "-"]), "a\nb\x001\0")
        .code(0)
        .wrote("odd name1\n");
    run(&mut map(&server, folder.path(), "list", &["--files-from", "none"]), "").code(66);
}

#[test]
fn the_exit_status_says_whether_anything_was_started() {
    let server = Server::start();
    let folder = files(2);
    let flags = |more: &[&'static str]| [more, &["0", "1"]].concat();
    run(&mut map(&server, folder.path(), "none", &flags(&["--no-wait"])), "").code(69).says(&["safe to send again"]);
    run(&mut map(&server, folder.path(), "none", &flags(&["--wait", "1s"])), "").code(75);
    run(&mut map(&server, folder.path(), "none", &["missing"]), "").code(66).says(&["missing can't be read"]);
}

#[test]
fn told_to_end_once_it_finishes_what_runs_and_twice_it_cancels() {
    let server = Server::start();
    let folder = files(9);
    // The file is there only with its number in it.
    let script = "read n; echo $$ > part; mv part pid; while [ ! -e go ]; do sleep 0.01; done; echo got $n";
    let script = format!("cd {}; {script}", folder.path().display());
    let _receiver = server.receive("told", &["sh", "-c", &script]);
    let at_work = || wait_until("one runs", || folder.path().join("pid").exists());
    let start = || Running::start(map(&server, folder.path(), "told", &["-j1"]).args(numbers(9)));

    let mapping = start();
    at_work();
    mapping.signal(Signal::SIGINT);
    mapping.line_with("beginning no more");
    fs::write(folder.path().join("go"), "").unwrap();
    mapping.wait().code(75).wrote("got 0\n").says(&["1 of the files succeeded, 0 failed; the rest was not begun"]);

    fs::remove_file(folder.path().join("go")).unwrap();
    fs::remove_file(folder.path().join("pid")).unwrap();
    let mapping = start();
    at_work();
    mapping.signal(Signal::SIGINT);
    mapping.line_with("beginning no more");
    mapping.signal(Signal::SIGINT);
    mapping.wait().code(130).wrote("").says(&["1 was cancelled and may have run"]);
    wait_until("the command ended", || {
        let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
        !support::lives(pid.trim().parse().unwrap())
    });
}

#[test]
fn large_responses_that_wait_for_their_turn_stay_out_of_the_memory() {
    let server = Server::start();
    let folder = files(8);
    let script = "read n; if [ $n = 0 ]; then while [ $(ls | grep -c done) -lt 7 ]; do sleep 0.01; done; fi; \
                  head -c 16M /dev/zero; touch done$n";
    let script = format!("cd {}; {script}", folder.path().display());
    let _receiver = server.receive_with("large", &["--jobs", "8"], &["sh", "-c", &script]);
    let mut mapping = map(&server, folder.path(), "large", &["-j8"]).args(numbers(8)).spawn().unwrap();
    let mut stdout = mapping.stdout.take().unwrap();
    let mut buffer = vec![1; 1 << 20];
    for _ in 0..127 {
        std::io::Read::read_exact(&mut stdout, &mut buffer).unwrap();
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
    // It can't have ended: more than a pipe holds hasn't been read.
    let peak = peak_memory(mapping.id());
    let read = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(read, 1 << 20);
    assert!(mapping.wait().unwrap().success());
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
}

#[test]
fn a_file_whose_receiver_is_killed_is_sent_again_if_that_is_safe() {
    let server = Server::start();
    let folder = files(1);
    let first = server.receive("killed", &["sh", "-c", "echo begun; exec sleep 600"]);
    let flags = ["--idempotent", "--retry", "5", "--joblog", "log", "--output-dir", "out", "0"];
    let mapping = Running::start(&mut map(&server, folder.path(), "killed", &flags));
    wait_until("the response has begun", || {
        let Ok(parts) = fs::read_dir(folder.path().join("out")) else { return false };
        parts.into_iter().any(|part| part.unwrap().metadata().is_ok_and(|part| part.len() == 6))
    });
    first.signal(Signal::SIGKILL);
    let _second = server.receive("killed", &["echo", "from the second"]);
    mapping.wait().code(0);
    assert_eq!(fs::read_to_string(folder.path().join("out/0")).unwrap(), "from the second\n");
    assert_eq!(rows(&folder.path().join("log")).len(), 1);
}

/// The joblog's rows, without its header.
fn rows(joblog: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(joblog).unwrap();
    let mut rows: Vec<Vec<_>> = text.lines().skip(1).map(|row| row.split('\t').map(str::to_owned).collect()).collect();
    rows.sort_by_key(|row| row[0].parse::<u64>().unwrap());
    rows
}

#[test]
fn what_is_wrong_with_a_file_is_said_once_with_what_another_run_would_need() {
    let server = Server::start();
    let folder = files(1);
    let _receiver = server.receive("echo", &["cat"]);
    let said = |flags: &[&str]| run(map(&server, folder.path(), "echo", flags).args(["gone", "0"]), "").code(66).stderr;
    let told = said(&[]);
    assert!(told.starts_with("tieline: gone can't be read: "), "{told}");
    assert!(told.contains("--joblog FILE") && told.contains("1 of the files succeeded, 1 failed"), "{told}");
    assert!(said(&["--joblog", "log"]).ends_with("--resume and the same --joblog"));
    assert!(said(&["--output-dir", "out"]).ends_with("run it again with --resume"));
}
