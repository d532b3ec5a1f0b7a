//! Bodies far larger than the memory of anybody on their way.

mod support;

use std::io::Read;
use std::process::{Command, Stdio};

use support::{Ended, Running, Server, peak_memory};

/// What the server and each client must stay under, in bytes.
const BOUND: u64 = 64 << 20;

#[test]
fn a_body_of_256_mib_leaves_the_memory_of_all_three_flat() {
    stream(256 << 20);
}

/// `head -c 5G /dev/zero | tieline send sum` to `tieline receive sum -- sha256sum`. Takes a while: run it with
/// `--ignored`, and `--release`.
#[test]
#[ignore = "5 GiB take a while"]
fn a_body_of_5_gib_leaves_the_memory_of_all_three_flat() {
    stream(5 << 30);
}

fn stream(bytes: u64) {
    let server = Server::start();
    let receiver = server.receive("sum", &["sha256sum"]);
    let echo = server.receive("echo", &["cat"]);
    let source = |bytes: u64| {
        let mut head = Command::new("head");
        head.args(["-c", &bytes.to_string(), "/dev/zero"]).stdout(Stdio::piped()).spawn().unwrap()
    };

    let mut head = source(bytes);
    let expected = digest(bytes);
    let sender = Running::start(server.send("sum", &[]).stdin(head.stdout.take().unwrap()));
    let ended = sender.wait().code(0);
    head.wait().unwrap();
    assert_eq!(String::from_utf8(ended.stdout).unwrap().split(' ').next().unwrap(), expected);

    // Both ways at once. The sender can't end as long as more than a pipe holds hasn't been read.
    let mut head = source(bytes);
    let mut sender = server.send("echo", &[]).stdin(head.stdout.take().unwrap()).spawn().unwrap();
    let mut stdout = sender.stdout.take().unwrap();
    expect_zeros(&mut stdout, bytes - (1 << 20));
    let peak = peak_memory(sender.id());
    expect_zeros(&mut stdout, 1 << 20);
    Ended::from(sender.wait_with_output().unwrap()).code(0);
    head.wait().unwrap();

    for (who, peak) in [
        ("sender", peak),
        ("server", peak_memory(server.running.id())),
        ("receiver", peak_memory(receiver.id())),
        ("echo", peak_memory(echo.id())),
    ] {
        assert!(peak < BOUND, "the {who} used {} MiB", peak >> 20);
    }
}

fn expect_zeros(stream: &mut impl Read, mut bytes: u64) {
    let mut buffer = vec![0; 64 * 1024];
    while bytes > 0 {
        let piece = bytes.min(64 * 1024) as usize;
        stream.read_exact(&mut buffer[..piece]).unwrap();
        assert!(buffer[..piece].iter().all(|byte| *byte == 0));
        bytes -= piece as u64;
    }
}

/// The SHA-256 of so many zeros, by the same program without Tieline.
fn digest(bytes: u64) -> String {
    let script = format!("head -c {bytes} /dev/zero | sha256sum");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
