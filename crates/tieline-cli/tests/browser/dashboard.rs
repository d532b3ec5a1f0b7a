//! The dashboard, as a person uses it: by looking, and by keyboard.

use std::path::Path;

use crate::chromium::Page;
use crate::support::{Running, Server, run, tieline};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dashboard");

/// The text of the row of a channel.
fn row(channel: &str) -> String {
    format!(
        "[...document.querySelectorAll('#channel-table tbody tr')].find((row) => row.cells[0].textContent === '{channel}')"
    )
}

#[test]
fn the_dashboard_shows_who_is_free_who_is_busy_and_what_is_missing() {
    let server = Server::start();
    let _free = server.receive_with("thumbs", &["--jobs", "3"], &["cat"]);
    let _slow = server.receive("speech", &["sh", "-c", "cat; sleep 600"]);
    let mut page = Page::open(&server.http);
    page.until(&format!("{}.cells[3].textContent === '3'", row("thumbs")));
    let _runs = Running::start(server.send("speech", &[]).stdin(std::process::Stdio::piped()));
    page.until(&format!("{0}.cells[3].textContent === '0' && {0}.cells[4].textContent === '1'", row("speech")));
    // Nobody receives this one: the page says what is missing, in words that work.
    let waits = Running::start(&mut server.send("missing", &[]));
    page.until("document.querySelector('tr.lacks code')?.textContent === 'tieline receive missing -- CMD'");
    assert_eq!(page.eval(&format!("{}.cells[1].className", row("missing"))), "alarm");
    let _comes = server.receive("missing", &["cat"]);
    waits.wait().code(0);
    page.until("document.querySelector('tr.lacks') === null");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn the_dashboard_can_be_used_by_keyboard_alone() {
    let server = Server::start();
    let _one = server.receive("alpha", &["cat"]);
    let _two = server.receive("beta", &["sh", "-c", "cat; sleep 600"]);
    let mut running = Running::start(server.send("beta", &[]).stdin(std::process::Stdio::piped()));
    running.write("hello");
    let mut page = Page::open(&server.http);
    page.until(&format!("{}.cells[4].textContent === '1'", row("beta")));
    // Finding, from anywhere.
    page.press("/");
    assert_eq!(page.eval("document.activeElement.id"), "find");
    page.write("bet");
    page.until("document.querySelectorAll('#channel-table tbody tr.opens').length === 1");
    // From the search to the first row, which opens on Enter.
    page.press("ArrowDown");
    assert_eq!(page.eval("document.activeElement.textContent"), "beta");
    page.press("Enter");
    page.until(
        "document.getElementById('detail').open && document.getElementById('detail-title').textContent === 'beta'",
    );
    page.until("document.querySelectorAll('#detail tbody tr.opens').length === 1");
    // To its one request, and into its life.
    page.until("document.activeElement.id === 'detail-title'");
    while page.eval("document.activeElement.closest('tbody') === null") == true {
        page.press("Tab");
    }
    page.press("Enter");
    page.until("document.getElementById('detail-title').textContent.startsWith('Request ')");
    page.until("document.querySelector('#detail .lane').textContent.includes('5 B')");
    page.press("Escape");
    page.until("!document.getElementById('detail').open");
    // Back in the list, where it was; the other keys work from there.
    page.until("document.activeElement.textContent === 'beta'");
    page.press("?");
    page.until("document.getElementById('keys').open");
    page.press("Escape");
    page.press("n");
    page.until("document.activeElement.id === 'send-channel'");
    page.press("Escape");
    page.until("document.querySelector('dialog[open]') === null");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn a_life_of_a_request_says_who_is_stalled_and_has_an_address() {
    let server = Server::start();
    let _never_reads = server.receive("slow", &["sh", "-c", "head -c 1 > /dev/null; sleep 600 < /dev/null"]);
    let _sends = Running::start(
        server
            .send("slow", &[])
            .stdin(std::process::Stdio::from(std::fs::File::open("/dev/zero").expect("zeros without end"))),
    );
    let mut page = Page::open(&server.http);
    page.until(&format!("{}.cells[10].textContent === 'stalled on receiver'", row("slow")));
    page.eval(&format!("{}.click()", row("slow")));
    page.until("document.querySelector('#detail tbody tr.opens .badge')?.textContent.startsWith('receiver for ')");
    page.eval("document.querySelector('#detail tbody tr.opens').click()");
    page.until("document.querySelector('#detail .notice').textContent.includes(\"the receiver doesn't take more\")");
    page.until("document.querySelector('#detail .lane').textContent.includes('0 B of credit left')");
    page.until("document.querySelectorAll('#detail .party.blamed')[0].textContent.startsWith('Receiver')");
    page.until("document.querySelector('#detail .steps [aria-current]').textContent.startsWith('Answering')");
    // Its address leads to it again, and going back leads to its channel.
    let title = page.eval("document.getElementById('detail-title').textContent");
    page.eval("location.reload()");
    page.until(&format!("document.getElementById('detail-title')?.textContent === {title}"));
    page.until("document.querySelector('#detail .crumb button').textContent === 'slow'");
    page.eval("history.back()");
    page.until("document.getElementById('detail-title').textContent === 'slow'");
    page.press("Escape");
    page.until("!document.getElementById('detail').open && location.hash === ''");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn nothing_moves_under_somebody_who_is_in_the_list() {
    let server = Server::start();
    let _first = Running::start(&mut server.send("alpha", &[]));
    let mut page = Page::open(&server.http);
    page.until("document.querySelector('tr.lacks button') !== null");
    // About to copy the command that would help, with the row that wants more attention yet to come.
    page.eval("window.button = document.querySelector('tr.lacks button'); window.button.focus()");
    let _more: Vec<_> = (0..2).map(|_| Running::start(&mut server.send("beta", &[]))).collect();
    page.until(&format!("{}.cells[1].textContent === '2'", row("beta")));
    page.until("document.querySelectorAll('tr.lacks').length === 2");
    assert_eq!(page.eval("document.activeElement === window.button && window.button.isConnected"), true);
    let first = "document.querySelector('#channel-table tbody tr').cells[0].textContent";
    assert_eq!(page.eval(first), "alpha");
    // Who leaves the list sees the order that was asked for.
    page.eval("window.button.blur()");
    page.until(&format!("{first} === 'beta'"));
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn an_empty_server_says_how_to_begin() {
    let server = Server::start();
    let mut page = Page::open(&server.http);
    page.until("!document.getElementById('no-channels').hidden");
    assert_eq!(
        page.eval("[...document.querySelectorAll('#no-channels code')].map((code) => code.textContent)"),
        serde_json::json!(["tieline receive upper -- sed -u 's/.*/\\U&/'", "echo hello | tieline send upper"])
    );
    let _one = server.receive("alpha", &["cat"]);
    page.until("document.getElementById('no-channels').hidden");
    page.press("/");
    page.write("nothing like it");
    page.until("!document.getElementById('nothing-found').hidden");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn the_panel_sends_a_request_and_shows_the_answer_as_it_streams_in() {
    let server = Server::start();
    let script = "while read -r line; do echo \"${line^^}\"; done; read -r go < \"$0\"; echo last";
    let folder = tempfile::tempdir().expect("a folder");
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let _upper = server.receive("upper", &["bash", "-c", script, gate.to_str().expect("text")]);
    let mut page = Page::open(&server.http);
    page.until(&format!("{}.cells[3].textContent === '1'", row("upper")));
    page.eval("document.getElementById('open-send').click()");
    page.write("upper");
    page.eval("document.getElementById('send-body').focus()");
    page.write("one\ntwo\n");
    page.eval("document.getElementById('send-go').click()");
    // The beginning is shown while the end is still to come.
    page.until("document.getElementById('send-answer').textContent === 'ONE\\nTWO\\n'");
    assert_eq!(page.eval("document.getElementById('send-progress').className"), "");
    std::fs::write(&gate, "go\n").expect("the command reads it");
    page.until("document.getElementById('send-answer').textContent === 'ONE\\nTWO\\nlast\\n'");
    page.until("document.getElementById('send-progress').className === 'good'");
    // And what goes wrong is told.
    page.eval(
        "document.getElementById('send-channel').value = 'nobody'; document.getElementById('send-wait').value = '0.05'",
    );
    page.eval("document.getElementById('send-go').click()");
    page.until("document.querySelector('#send-advice code')?.textContent === 'tieline receive nobody -- CMD'");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn the_dashboard_asks_for_a_token_that_may_watch() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens.toml");
    let made = |flags: &[&str]| {
        let mut command = tieline(["token", "new"]);
        let ended = run(command.args(flags).arg("--file").arg(&tokens), "").code(0);
        String::from_utf8(ended.stdout).expect("text").trim().to_owned()
    };
    let may = made(&["eyes", "--watch"]);
    let may_not = made(&["web", "--send", "*"]);
    let server = Server::with(&["--tokens", tokens.to_str().expect("text")]);
    let mut page = Page::open(&server.http);
    page.until("document.getElementById('ask-token').open");
    page.write(&may_not);
    page.press("Enter");
    page.until("document.getElementById('token-trouble').textContent !== ''");
    page.eval("document.getElementById('token').value = ''; document.getElementById('token').focus()");
    page.write(&may);
    page.press("Enter");
    page.until("document.getElementById('state').className === 'live'");
}

#[test]
fn the_pictures_in_the_documents_are_of_the_dashboard() {
    let server = Server::start();
    let _thumbs = server.receive_with("thumbs", &["--jobs", "4"], &["sh", "-c", "sleep 0.2; head -c 20000"]);
    let _speech = server.receive_with("speech", &["--jobs", "2"], &["sh", "-c", "cat; sleep 600"]);
    let _summary = server.receive_with("llm/summary", &["--jobs", "2"], &["sh", "-c", "sleep 0.5; cat"]);
    let _transcode =
        server.receive_with("transcode", &["--jobs", "2"], &["sh", "-c", "head -c 9000000 > /dev/null; sleep 600"]);
    let mut open = Vec::new();
    let endless = std::fs::File::open("/dev/zero").expect("zeros without end");
    open.push(Running::start(server.send("transcode", &[]).stdin(std::process::Stdio::from(endless))));
    for channel in ["speech", "speech", "speech", "render"] {
        let mut sending = Running::start(server.send(channel, &[]).stdin(std::process::Stdio::piped()));
        sending.write(vec![b'x'; 10_000]);
        open.push(sending);
    }
    let mut page = Page::open(&server.http);
    page.look(1400, 760, false);
    for round in 0..25_u32 {
        let sends: Vec<_> = (0..3 + round % 3)
            .map(|i| {
                let channel = if i == 0 { "llm/summary" } else { "thumbs" };
                let mut sending = Running::start(server.send(channel, &[]).stdin(std::process::Stdio::piped()));
                sending.write(vec![b'x'; 30_000]);
                sending
            })
            .collect();
        for sending in sends {
            sending.wait().code(0);
        }
    }
    page.until("document.querySelectorAll('#channel-table tbody tr.opens').length === 5");
    picture(&mut page, "light");
    page.look(1400, 760, true);
    picture(&mut page, "dark");
    page.eval(&format!("{}.click()", row("speech")));
    page.until("document.querySelectorAll('#detail tbody tr.opens').length === 3");
    picture(&mut page, "channel");
    page.press("Escape");
    page.look(1400, 760, false);
    page.eval(&format!("{}.click()", row("transcode")));
    page.until("document.querySelector('#detail tbody tr.opens') !== null");
    page.eval("document.querySelector('#detail tbody tr.opens').click()");
    page.until("document.querySelector('#detail .party.blamed') !== null");
    picture(&mut page, "request");
    page.press("Escape");
    page.look(390, 844, true);
    picture(&mut page, "phone");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

/// Takes a picture; with `TIELINE_BLESS` it becomes the documents'.
fn picture(page: &mut Page, name: &str) {
    // What is drawn now is drawn when the page says so twice.
    page.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))");
    let taken = page.picture();
    let path = Path::new(PICTURES).join(format!("{name}.png"));
    let bytes = decode(&taken);
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000, "no picture of {name}");
    if std::env::var_os("TIELINE_BLESS").is_some() {
        std::fs::create_dir_all(PICTURES).expect("a folder");
        std::fs::write(&path, bytes).expect("the picture is written");
    }
    assert!(path.exists(), "no picture of {name} in the documents: TIELINE_BLESS=1 takes it");
}

/// Of base64, as the browser gives pictures.
fn decode(text: &str) -> Vec<u8> {
    let value = |byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits =
            four.iter().enumerate().fold(0_u32, |bits, (i, byte)| bits | u32::from(value(*byte)) << (18 - 6 * i));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}
