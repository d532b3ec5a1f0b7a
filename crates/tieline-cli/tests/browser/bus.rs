//! The client for pages, over `/ws`, against a real server and real receivers.

use std::io::Write;

use serde_json::json;

use crate::chromium::Page;
use crate::support::Server;

/// Bytes of the file that a page sends.
const FILE: usize = 256 << 20;

/// What the browser may take more than before while it sends the file and reads the answer. It grows by 60 to 140 MiB of
/// pieces that its allocators haven't given back, whatever the size; were the file or the answer held, by more than its size.
const GROWTH: u64 = 200 << 20;

#[test]
fn a_page_reads_and_writes_every_golden_vector() {
    let server = Server::start();
    let mut page = Page::open(&server.http);
    let vectors = include_str!("../../../tieline-protocol/vectors/v1.json");
    let check = include_str!("vectors.js");
    let result = page.eval(&format!("import('/tieline/wire.js').then((wire) => ({check})(wire, {vectors}))"));
    assert_eq!(result["wrong"], json!([]));
    assert!(result["checked"].as_u64().expect("a number") > 200, "{result}");
}

#[test]
fn the_window_of_a_page_grows_only_where_the_way_is_longer_than_it() {
    let server = Server::start();
    let mut page = Page::open(&server.http);
    // A third of a window is granted at a time, every `each` ms; what a grant allowed comes `way` ms later.
    page.eval(
        "window.grow = async (way, each) => {
           const { Growth } = await import('/tieline/growth.js');
           const KIB = 1024;
           let at = 0;
           const growth = new Growth(1024 * KIB, () => at);
           const sizes = [];
           for (let arrived = 0, round = 0; round < 8; round += 1) {
             const granted = arrived + growth.size * 2 / 3;
             growth.granting(granted, arrived);
             sizes.push(growth.size / KIB);
             at += way;
             growth.came(granted + 1);
             at += Math.max(0, 3 * each - way);
             arrived += growth.size;
           }
           return sizes;
         }",
    );
    let long = page.eval("window.grow(10, 0)");
    assert_eq!(long, json!([384, 384, 768, 1024, 1024, 1024, 1024, 1024]), "a window comes in each way there and back");
    let short = page.eval("window.grow(10, 5)");
    assert_eq!(short, json!([384, 384, 384, 384, 384, 384, 384, 384]), "two thirds of a window came meanwhile");
}

#[test]
fn a_page_sends_a_file_and_streams_the_answer_back_with_flat_memory() {
    let server = Server::start();
    let _echo = server.receive("echo", &["cat"]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let piece: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for number in 0..FILE / piece.len() {
        // No two pieces are the same, so none can stand for another.
        let mut piece = piece.clone();
        piece[..8].copy_from_slice(&number.to_be_bytes());
        file.write_all(&piece).expect("the file takes it");
    }
    let mut page = Page::open(&server.http);
    page.eval("document.body.insertAdjacentHTML('beforeend', '<input type=file id=given>')");
    page.choose_file("#given", file.path());
    page.eval(
        "window.transfer = async (size) => {
           const { Client } = await import('/tieline/index.js');
           const client = new Client();
           const file = document.getElementById('given').files[0].slice(0, size);
           const response = await client.send('echo', file);
           let at = 0;
           for (const reader = response.body.getReader(); ; ) {
             const { value, done } = await reader.read();
             if (done) break;
             const sent = new Uint8Array(await file.slice(at, at + value.length).arrayBuffer());
             if (value.some((byte, i) => byte !== sent[i])) throw new Error(`another byte near ${at}`);
             at += value.length;
           }
           await client.close();
           return at;
         }",
    );
    // Once in short, so that what the page needs anyway is there.
    assert_eq!(page.eval("window.transfer(32 << 20)"), 32 << 20);
    page.tidy();
    let before = page.memory();
    page.eval(
        "void window.transfer(1 << 30).then((at) => (window.came = at), (error) => (window.failed = String(error)))",
    );
    let mut most = 0;
    loop {
        // What is garbage isn't held, however long the browser leaves it.
        page.tidy();
        most = most.max(page.memory());
        if page.eval("(window.came ?? window.failed) !== undefined") == json!(true) {
            break;
        }
    }
    assert_eq!(page.eval("window.came ?? window.failed"), FILE);
    let grown = most.saturating_sub(before);
    println!("the browser grew by {} MiB", grown >> 20);
    assert!(grown < GROWTH, "the browser grew by {} MiB", grown >> 20);
    let peak = crate::support::peak_memory(server.running.id());
    assert!(peak < 64 << 20, "the server used {} MiB", peak >> 20);
}

#[test]
fn a_page_hears_lines_as_they_are_said_and_its_cancel_ends_the_command() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("over");
    let script = format!("trap 'touch {}' EXIT; while read -r line; do echo \"heard $line\"; done", mark.display());
    let _talk = server.receive("talk", &["bash", "-c", &script]);
    let mut page = Page::open(&server.http);
    page.eval(
        "(async () => {
           const { Client } = await import('/tieline/index.js');
           const lines = new TransformStream();
           window.writer = lines.writable.getWriter();
           window.stop = new AbortController();
           window.client = new Client();
           const sending = window.client.send('talk', lines.readable, { signal: window.stop.signal });
           await window.writer.write(new TextEncoder().encode('one\\n'));
           window.reader = (await sending).body.pipeThrough(new TextDecoderStream()).getReader();
         })()",
    );
    assert_eq!(page.eval("window.reader.read().then(({ value }) => value)"), "heard one\n");
    page.eval("window.writer.write(new TextEncoder().encode('two\\n'))");
    assert_eq!(page.eval("window.reader.read().then(({ value }) => value)"), "heard two\n");
    page.eval("window.stop.abort()");
    assert_eq!(page.eval("window.reader.read().catch((error) => error.code)"), "cancelled");
    crate::support::wait_until("the command ends", || mark.exists());
}

#[test]
fn a_page_answers_requests_and_its_failures_are_told() {
    let server = Server::start();
    let mut page = Page::open(&server.http);
    page.eval(
        "import('/tieline/index.js').then(({ Client }) => {
           window.stop = new AbortController();
           void new Client().receive('page', async (request) => {
             const text = await request.text();
             if (text === 'fail') throw new Error('it was told to');
             return { body: text.toUpperCase(), metadata: { 'content-type': 'text/plain' } };
           }, { signal: window.stop.signal });
         })",
    );
    for _ in 0..3 {
        crate::support::run(&mut server.send("page", &[]), "hello").code(0).wrote("HELLO");
    }
    crate::support::run(&mut server.send("page", &[]), "fail").code(1).says(&["it was told to"]);
    // Larger than any window, both ways.
    let large = "abcdefgh".repeat(512 << 10);
    crate::support::run(&mut server.send("page", &[]), &large).code(0).wrote(large.to_uppercase());
    page.eval("window.stop.abort()");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

#[test]
fn a_page_is_told_why_and_whether_anything_was_started() {
    let server = Server::start();
    let _fails = server.receive("fails", &["sh", "-c", "echo some; echo why >&2; exit 3"]);
    let mut page = Page::open(&server.http);
    page.eval(
        "import('/tieline/index.js').then(({ Client }) => {
           const client = new Client();
           window.told = (channel, options) => client.send(channel, 'x', options).then((response) => response.text())
             .catch(({ code, outcome, detail }) => ({ code, outcome, detail }));
         })",
    );
    let told = page.eval("window.told('nobody', { noWait: true })");
    assert_eq!((&told["code"], &told["outcome"]), (&json!("no-receiver"), &json!("unstarted")));
    let told = page.eval("window.told('nobody', { wait: 50 })");
    assert_eq!((&told["code"], &told["outcome"]), (&json!("wait-limit"), &json!("unstarted")));
    let told = page.eval("window.told('fails')");
    assert_eq!((&told["code"], &told["outcome"]), (&json!("application"), &json!("accepted")));
    assert!(told["detail"].as_str().is_some_and(|detail| detail.contains("why")), "{told}");
}
