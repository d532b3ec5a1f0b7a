//! `tieline receive --http` with a service that does what a test wants: what goes up, what comes back, what fails.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver as Inbox};
use std::thread;

use nix::sys::signal::Signal;
use support::{PATIENCE, Running, Server, run, tieline};

/// A service that answers each connection in a thread of its own.
struct Service {
    address: String,
}

impl Service {
    fn start(answer: impl Fn(Asked) + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", answer)
    }

    fn at(address: &str, answer: impl Fn(Asked) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = std::sync::Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = std::sync::Arc::clone(&answer);
                // One that only looks whether somebody is there asks nothing.
                thread::spawn(move || Asked::read(stream).map(|asked| answer(asked)));
            }
        });
        Self { address }
    }

    fn receive(&self, server: &Server, channel: &str, flags: &[&str]) -> Running {
        let receiver = start_receive(server, channel, &format!("http://{}/do?it=1", self.address), flags);
        receiver.line_with(" ready");
        receiver
    }
}

fn start_receive(server: &Server, channel: &str, url: &str, flags: &[&str]) -> Running {
    let mut command = tieline(["receive", channel, "--server", &server.address, "--http", url]);
    Running::start(command.args(flags))
}

/// A request that came to the service.
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    reader: BufReader<TcpStream>,
}

impl Asked {
    fn read(stream: TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Some(Self { line: lines[0].clone(), headers, reader })
    }

    fn length(&self) -> Option<usize> {
        self.headers.get("content-length").map(|length| length.parse().unwrap())
    }

    /// The next chunk of the body; empty at its end, `None` if it was cut off.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        if self.reader.read_line(&mut size).ok()? == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        Some(chunk)
    }

    /// All of the body; `None` if it was cut off.
    fn body(&mut self) -> Option<Vec<u8>> {
        if let Some(length) = self.length() {
            let mut body = vec![0; length];
            return self.reader.read_exact(&mut body).ok().map(|()| body);
        }
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Some(body);
            }
            body.extend(chunk);
        }
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // The other side may have gone.
        let _ = self.reader.get_mut().write_all(bytes.as_ref());
    }

    fn write_chunk(&mut self, bytes: &[u8]) {
        let size = bytes.len();
        self.write([format!("{size:x}\r\n").as_bytes(), bytes, b"\r\n"].concat());
    }

    /// A whole response.
    fn reply(&mut self, status: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        self.write(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()));
        self.write(body);
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn body_and_metadata_go_up_and_come_back() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        let body = asked.body().unwrap();
        let told = ["content-type", "tieline-meta-user", "tieline-channel", "traceparent"].map(|name| {
            let value = asked.headers.get(name);
            format!("{name}={}\n", value.map_or("", String::as_str))
        });
        let id = asked.headers["tieline-request-id"].len();
        let text = format!("{}\n{}{id}\n{}", asked.line, told.concat(), String::from_utf8_lossy(&body));
        asked.reply("201 Created", "Content-Type: text/x\r\nTieline-Meta-Who: me\r\n", text);
    });
    let _receiver = service.receive(&server, "web", &[]);
    let meta = ["--meta", "content-type=text/y", "--meta", "user=ann", "--meta", "traceparent=00-1-2-3"];
    run(&mut server.send("web", &meta), "hello").code(0).wrote(
        "POST /do?it=1 HTTP/1.1\ncontent-type=text/y\ntieline-meta-user=ann\ntieline-channel=web\n\
         traceparent=00-1-2-3\n36\nhello",
    );
}

#[test]
fn both_bodies_stream_at_the_same_time() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        asked.write(CHUNKED);
        while let Some(chunk) = asked.chunk() {
            let is_last = chunk.is_empty();
            asked.write_chunk(&chunk.to_ascii_uppercase());
            if is_last {
                return;
            }
        }
    });
    let _receiver = service.receive(&server, "upper", &[]);
    let mut sender = Running::start(server.send("upper", &[]).stdin(Stdio::piped()));
    for line in ["one\n", "two\n", "three\n"] {
        sender.write(line);
        sender.expect(line.to_uppercase());
    }
    sender.wait().code(0);
}

#[test]
fn large_bodies_go_both_ways_bit_for_bit() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        let body = asked.body().unwrap();
        asked.reply("200 OK", "", body);
    });
    let receiver = service.receive(&server, "echo", &[]);
    let body: Vec<u8> = (0..24 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let ended = run(&mut server.send("echo", &[]), &body).code(0);
    assert!(ended.stdout == body, "{} bytes came back", ended.stdout.len());
    assert!(support::peak_memory(receiver.id()) < 64 << 20);
}

#[test]
fn events_pass_one_by_one_before_the_response_is_over() {
    let server = Server::start();
    let (go, going) = mpsc::channel::<()>();
    let going = std::sync::Mutex::new(going);
    let service = Service::start(move |mut asked| {
        asked.body();
        asked.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for number in 0..3 {
            going.lock().unwrap().recv().unwrap();
            asked.write_chunk(format!("data: {number}\n\n").as_bytes());
        }
        asked.write_chunk(b"");
    });
    let _receiver = service.receive(&server, "events", &[]);
    let mut sender = Running::start(&mut server.send("events", &[]));
    for number in 0..3 {
        go.send(()).unwrap();
        sender.expect(format!("data: {number}\n\n"));
    }
    sender.wait().code(0);
}

#[test]
fn a_status_other_than_2xx_fails_the_response_with_the_beginning_of_its_body() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        asked.body();
        asked.reply("422 Unprocessable Entity", "", format!("no such size\n{}", "x".repeat(100_000)));
    });
    let _receiver = service.receive(&server, "web", &[]);
    let ended = run(&mut server.send("web", &[]), "hello").code(1).wrote("");
    assert!(ended.stderr.len() < 2_000, "{} bytes", ended.stderr.len());
    ended.says(&["the service answered with status 422 Unprocessable Entity", "no such size"]);
}

#[test]
fn a_service_that_dies_amid_its_response_never_makes_a_clean_end() {
    let server = Server::start();
    let heads = ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(), format!("{CHUNKED}4\r\nhalf\r\n")];
    for head in heads {
        let service = Service::start(move |mut asked| {
            asked.body();
            asked.write(&head);
        });
        let _receiver = service.receive(&server, "dies", &[]);
        run(&mut server.send("dies", &[]), "x").code(1).wrote("half").says(&["the service broke off", "after 4 B"]);
    }
    let service = Service::start(|mut asked| {
        asked.body();
    });
    let _receiver = service.receive(&server, "dies", &[]);
    run(&mut server.send("dies", &[]), "x").code(1).wrote("").says(&["the service gave no response"]);
}

#[test]
fn a_response_whose_end_can_not_be_told_from_a_death_is_refused_unless_it_is_trusted() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        asked.body();
        asked.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
    });
    let receiver = service.receive(&server, "old", &[]);
    run(&mut server.send("old", &[]), "x").code(1).wrote("").says(&["--trust-close"]);
    drop(receiver);
    let _receiver = service.receive(&server, "old", &["--trust-close"]);
    run(&mut server.send("old", &[]), "x").code(0).wrote("all of it");
}

#[test]
fn a_buffered_body_goes_with_its_length_and_a_longer_one_in_chunks() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        let length = asked.length();
        let body = asked.body().unwrap();
        asked.reply("200 OK", "", format!("{length:?} {}", body.len()));
    });
    let _receiver = service.receive(&server, "length", &["--buffer", "1KiB", "--method", "PUT"]);
    let mut sender = Running::start(server.send("length", &[]).stdin(Stdio::piped()));
    sender.write("he");
    sender.write("llo");
    sender.wait().code(0).wrote("Some(5) 5");
    run(&mut server.send("length", &[]), vec![0; 2000]).code(0).wrote("None 2000");
}

#[test]
fn a_body_goes_up_by_a_method_that_seldom_has_one() {
    let server = Server::start();
    let (came, coming) = mpsc::channel();
    let service = Service::start(move |mut asked| {
        came.send(()).unwrap();
        let method = asked.line.split(' ').next().unwrap().to_owned();
        let body = if asked.headers.contains_key("transfer-encoding") { asked.body().unwrap() } else { Vec::new() };
        asked.reply("200 OK", "", format!("{method} {}", body.len()));
    });
    let _receiver = service.receive(&server, "get", &["--method", "GET"]);
    let mut sender = Running::start(server.send("get", &[]).stdin(Stdio::piped()));
    sender.write("he");
    coming.recv_timeout(PATIENCE).unwrap();
    // The rest comes later than the request.
    sender.write("llo");
    sender.wait().code(0).wrote("GET 5");
}

#[test]
fn a_service_that_knows_no_chunks_never_answers_a_request_that_it_has_not_read() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        let body = asked.length().map(|_| asked.body().unwrap()).unwrap_or_default();
        let length = body.len();
        asked.write(format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        asked.write(body);
    });
    let _receiver = service.receive(&server, "plain", &[]);
    let _buffering = service.receive(&server, "buffered", &["--buffer", "1KiB"]);
    let begin = |channel: &str| {
        let mut sender = Running::start(server.send(channel, &[]).stdin(Stdio::piped()));
        sender.write("he");
        sender
    };
    // Its end is still to come, so it has no length.
    begin("plain").wait_with_open_stdin().code(1).wrote("").says(&["HTTP/1.0", "--buffer"]);
    let mut sender = begin("buffered");
    sender.write("llo");
    sender.wait().code(0).wrote("hello");
}

/// A service that begins a response and then waits; what it says of the request's end.
fn waiting_service() -> (Service, Inbox<&'static str>) {
    let (tell, told) = mpsc::channel();
    let service = Service::start(move |mut asked| {
        asked.write(CHUNKED);
        asked.write_chunk(b"begun\n");
        let whole = loop {
            match asked.chunk() {
                Some(chunk) if chunk.is_empty() => break true,
                Some(_) => {}
                None => break false,
            }
        };
        let mut rest = [0];
        let closed = !matches!(asked.reader.read(&mut rest), Ok(1..));
        let _ = tell.send(if whole {
            "whole"
        } else if closed {
            "cut off"
        } else {
            "confused"
        });
    });
    (service, told)
}

#[test]
fn a_sender_that_goes_closes_the_request_to_the_service() {
    let server = Server::start();
    let (service, told) = waiting_service();
    let _receiver = service.receive(&server, "waits", &[]);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut sender = Running::start(server.send("waits", &[]).stdin(Stdio::piped()));
        sender.write("half a body");
        sender.expect("begun\n");
        sender.signal(signal);
        assert_eq!(told.recv_timeout(PATIENCE), Ok("cut off"), "a part must not look like the whole");
    }
}

#[test]
fn a_deadline_closes_the_request_to_the_service() {
    let server = Server::start();
    let (service, told) = waiting_service();
    let _receiver = service.receive(&server, "waits", &[]);
    let mut sender = Running::start(server.send("waits", &["--timeout", "1s"]).stdin(Stdio::piped()));
    sender.expect("begun\n");
    assert_eq!(told.recv_timeout(PATIENCE), Ok("cut off"));
    sender.wait_with_open_stdin().code(124);
}

#[test]
fn a_receiver_is_ready_only_while_its_service_is_there() {
    let server = Server::start();
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap().to_string();
    drop(place);
    let receiver = start_receive(&server, "comes", &format!("http://{address}/"), &[]);
    receiver.line_with("waiting for http://");
    run(&mut server.send("comes", &["--no-wait"]), "x").code(69);
    let service = Service::at(&address, |mut asked| {
        asked.body();
        asked.reply("200 OK", "", "there");
    });
    receiver.line_with("comes  1 ready");
    run(&mut server.send("comes", &[]), "x").code(0).wrote("there");
    drop(service);
}

/// A receiver that is ready for a service that is gone meanwhile, and where that was.
fn bereft(server: &Server, channel: &str, flags: &[&str]) -> (Running, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let receiver = start_receive(server, channel, &format!("http://{address}/"), flags);
    receiver.line_with(" ready");
    (receiver, address)
}

#[test]
fn a_request_that_its_service_never_saw_goes_to_another_receiver() {
    let server = Server::start();
    let (gone, _) = bereft(&server, "shared", &["--jobs", "4"]);
    let sender = Running::start(&mut server.send("shared", &[]));
    gone.line_with("taking no more until it can");
    gone.line_with("given back: the service has seen nothing of it");
    let service = Service::start(|mut asked| {
        asked.body();
        asked.reply("200 OK", "", "from the other one");
    });
    let _other = service.receive(&server, "shared", &[]);
    sender.wait().code(0).wrote("from the other one");
}

#[test]
fn a_long_request_that_its_service_never_saw_goes_to_another_receiver_whole() {
    let server = Server::start();
    let (gone, _) = bereft(&server, "shared", &[]);
    let body = vec![b'x'; 2 << 20];
    let mut sender = server.send("shared", &[]);
    let sending = thread::spawn({
        let body = body.clone();
        move || run(&mut sender, body)
    });
    gone.line_with("given back");
    let service = Service::start(|mut asked| {
        let body = asked.body().unwrap();
        asked.reply("200 OK", "", body);
    });
    let _other = service.receive(&server, "shared", &[]);
    let ended = sending.join().unwrap().code(0);
    assert!(ended.stdout == body, "{} bytes came back", ended.stdout.len());
}

#[test]
fn a_request_that_its_service_never_saw_is_told_to_be_unstarted() {
    let server = Server::start();
    let (_gone, _) = bereft(&server, "gone", &[]);
    let safe = ["no receiver", "Nothing was started: safe to send again."];
    run(&mut server.send("gone", &["--no-wait"]), "x").code(69).says(&safe);
    let (_gone, _) = bereft(&server, "late", &[]);
    let safe = ["before its deadline", "Nothing was started: safe to send again."];
    run(&mut server.send("late", &["--timeout", "500ms"]), "x").code(75).says(&safe);
}

#[test]
fn a_request_waits_for_a_service_that_is_being_restarted() {
    let server = Server::start();
    let (receiver, address) = bereft(&server, "again", &[]);
    let sender = Running::start(&mut server.send("again", &[]));
    receiver.line_with("taking no more until it can");
    // Nobody is ready, and nobody is thought to be.
    run(&mut server.send("again", &["--no-wait"]), "x").code(69);
    let _service = Service::at(&address, |mut asked| {
        asked.body();
        asked.reply("200 OK", "", "here again");
    });
    sender.wait().code(0).wrote("here again");
    receiver.line_with("again  1 ready");
}

#[test]
fn told_to_end_once_it_finishes_what_runs_and_twice_it_breaks_off() {
    let server = Server::start();
    let (service, _told) = waiting_service();
    let receiver = service.receive(&server, "ends", &[]);
    let mut sender = Running::start(server.send("ends", &[]).stdin(Stdio::piped()));
    sender.expect("begun\n");
    receiver.signal(Signal::SIGTERM);
    receiver.line_with("taking no more");
    receiver.signal(Signal::SIGTERM);
    receiver.wait().code(0);
    sender.wait_with_open_stdin().code(1).says(&["told to end at once"]);
}

#[test]
fn a_service_that_answers_early_is_heard_while_the_body_is_still_coming() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        asked.chunk();
        asked.reply("200 OK", "", "enough");
        // It reads on, as a well-behaved service does.
        while asked.chunk().is_some_and(|chunk| !chunk.is_empty()) {}
    });
    let _receiver = service.receive(&server, "early", &[]);
    let mut sender = Running::start(server.send("early", &[]).stdin(Stdio::piped()));
    sender.write("the first of many");
    sender.expect("enough");
    sender.wait_with_open_stdin().code(0);
}

/// A file for `--http-header-file`, for its owner alone.
fn headers(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_service_that_wants_a_token_is_shown_one_that_stands_on_no_command_line() {
    let server = Server::start();
    let service = Service::start(|mut asked| {
        asked.body();
        match asked.headers.get("authorization").map(String::as_str) {
            Some("Bearer of-the-service") => asked.reply("200 OK", "", "let in"),
            _ => asked.reply("401 Unauthorized", "", "who are you?"),
        }
    });
    let stranger = service.receive(&server, "guarded", &[]);
    run(&mut server.send("guarded", &[]), "x").code(1).says(&["401 Unauthorized", "who are you?"]);
    drop(stranger);
    let file = headers("# for the service\nAuthorization: Bearer of-the-service\nX-Team: bus\n");
    let known = service.receive(&server, "guarded", &["--http-header-file", file.path().to_str().unwrap()]);
    // What a sender says of itself is another header, and takes the place of none.
    for meta in ["user=me", "authorization=Bearer of-the-sender"] {
        run(&mut server.send("guarded", &["--meta", meta]), "x").code(0).wrote("let in");
    }
    known.signal(Signal::SIGTERM);
    let ended = known.wait().code(0);
    assert!(!ended.stderr.contains("of-the-service"), "{}", ended.stderr);
}

#[test]
fn headers_that_can_not_be_added_end_the_receiver_before_it_begins() {
    let receive = |file: &str| {
        run(&mut tieline(["receive", "x", "--http", "http://127.0.0.1:1/", "--http-header-file", file]), "").code(78)
    };
    receive("/nowhere/headers").says(&["/nowhere/headers can't be read"]);
    for (text, words) in [
        ("Authorization: Bearer 5ecret\nTransfer-Encoding: 5ecret\n", "line 2: transfer-encoding can't be added"),
        ("5ecret\n", "line 1: this is no header"),
    ] {
        let file = headers(text);
        let ended = receive(file.path().to_str().unwrap()).says(&[words]);
        assert!(!ended.stderr.contains("5ecret"), "{}", ended.stderr);
    }
    let file = headers("X-Key: 1\n");
    let path = file.path().to_str().unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let receiver =
        Running::start(&mut tieline(["receive", "x", "--http", "http://127.0.0.1:1/", "--http-header-file", path]));
    receiver.line_with("everybody on this machine can read or change");
    run(&mut tieline(["receive", "x", "--http-header-file", path, "--", "cat"]), "").code(2);
}

#[test]
fn a_service_that_comes_and_goes_is_tried_with_growing_pauses_and_told_of_once() {
    let server = Server::start();
    let (receiver, address) = bereft(&server, "flaps", &[]);
    let sender = Running::start(&mut server.send("flaps", &[]));
    receiver.line_with("can't be reached");
    // There for a look, and gone when the request comes again. The third time, it is nobody's.
    for line in ["comes and goes", "given back: the service has seen nothing of it"] {
        // Nothing is handed out before it is gone.
        server.running.signal(Signal::SIGSTOP);
        let look = TcpListener::bind(&address).unwrap();
        look.accept().unwrap();
        drop(look);
        server.running.signal(Signal::SIGCONT);
        receiver.line_with(line);
    }
    sender.wait().code(69).says(&["Nothing was started: safe to send again."]);
    let _service = Service::at(&address, |mut asked| {
        asked.body();
        asked.reply("200 OK", "", "here to stay");
    });
    run(&mut server.send("flaps", &[]), "x").code(0).wrote("here to stay");
    // When it has stayed for a while, that is said.
    receiver.line_with("flaps  1 ready");
    receiver.signal(Signal::SIGTERM);
    let ended = receiver.wait().code(0);
    assert!(!ended.stderr.contains("can't be reached"), "{}", ended.stderr);
}
