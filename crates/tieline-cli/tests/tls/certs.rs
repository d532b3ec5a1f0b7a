//! `tieline cert dev`, and the files that `serve` is given.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::Certs;
use crate::support::{Running, run, tieline};

/// The commands that `cert dev` prints are the ones that work.
#[test]
fn the_printed_commands_work() {
    let certs = Certs(tempfile::tempdir().unwrap());
    let made = run(&mut tieline(["cert", "dev", "--dir", &certs.dir()]), "").code(0).wrote("");
    let made = made.says(&["localhost, 127.0.0.1, ::1", "90 days", "was not kept"]);
    let printed = |begin: &str| {
        let line = made.stderr.lines().find_map(|line| line.trim_start().strip_prefix(begin)).expect(begin);
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let server = Running::start(tieline(["serve", "--listen", "127.0.0.1:0"]).args(printed("tieline serve ")));
    let address = server.line_with("  bus        tls://127.0.0.1:");
    let port = address.rsplit_once(':').unwrap().1;
    let to_server = |words: Vec<String>| -> Vec<String> {
        words.into_iter().map(|word| word.replace("CHANNEL", "echo").replace("7070", port)).collect()
    };
    let mut receive = to_server(printed("tieline send "));
    receive.extend(["--", "cat"].map(str::to_owned));
    let receiver = Running::start(tieline(["receive"]).args(receive));
    receiver.line_with(" ready");
    run(tieline(["send"]).args(to_server(printed("tieline send "))), "over TLS\n").code(0).wrote("over TLS\n");
    for (name, mode) in [("ca.pem", 0o644), ("server.pem", 0o644), ("server-key.pem", 0o600)] {
        assert_eq!(fs::metadata(certs.path(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(fs::read_dir(certs.dir()).unwrap().count(), 3, "the authority's key is nowhere");
}

#[test]
fn certificates_are_not_replaced_unless_it_is_said() {
    let certs = Certs::new(&[]);
    let before = fs::read(certs.path("ca.pem")).unwrap();
    let again = run(&mut tieline(["cert", "dev", "--dir", &certs.dir()]), "");
    again.code(74).says(&["is there already", "--force"]);
    assert_eq!(fs::read(certs.path("ca.pem")).unwrap(), before);
    certs.make(&["--force"]);
    assert_ne!(fs::read(certs.path("ca.pem")).unwrap(), before);
    run(&mut tieline(["cert", "dev", "--client", "../x"]), "").code(2).says(&["letters, digits"]);
}

#[test]
fn files_that_can_not_be_used_are_told_by_name() {
    let (certs, others) = (Certs::new(&[]), Certs::new(&[]));
    let (cert, key, foreign) = (certs.file("server.pem"), certs.file("server-key.pem"), others.file("server-key.pem"));
    for (flags, words) in [
        (&["--tls-cert", &cert][..], "tls-key is not"),
        (&["--listen", "tls://127.0.0.1:0"][..], "tieline cert dev"),
        (&["--tls-cert", &cert, "--tls-key", &foreign][..], &*foreign),
        (&["--tls-cert", &key, "--tls-key", &key][..], "no certificate in it"),
        (&["--tls-cert", &cert, "--tls-key", "/nowhere/key.pem"][..], "/nowhere/key.pem can't be read"),
        (&["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &key][..], "the authority of clients"),
    ] {
        run(tieline(["serve"]).args(flags), "").code(78).says(&[words]);
    }
}

#[test]
fn certificates_can_be_named_in_the_environment_and_in_the_file() {
    let certs = Certs::new(&[]);
    let file = certs.path("tieline.toml");
    let text = format!("tls-key = '{}'\ntls-client-ca = '{}'\n", certs.file("server-key.pem"), certs.file("ca.pem"));
    fs::write(&file, text).unwrap();
    let mut check = tieline(["serve", "--check", "--config"]);
    let checked = run(check.arg(&file).env("TIELINE_TLS_CERT", certs.path("server.pem")), "").code(0);
    let line = |key: &str| checked.stderr.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert!(line("tls-cert ").ends_with("environment"), "{}", line("tls-cert "));
    assert!(line("tls-key ").ends_with("file"));
    assert!(line("tls-client-ca ").contains("ca.pem"));
    checked.says(&["TLS: 72 KiB a connection"]);
}

#[test]
fn a_private_key_that_everybody_can_read_is_warned_of() {
    let certs = Certs::new(&["--client", "worker"]);
    let (cert, key) = (certs.file("server.pem"), certs.file("server-key.pem"));
    let check = || tieline(["serve", "--check", "--tls-cert", &cert, "--tls-key", &key]);
    assert!(!run(&mut check(), "").code(0).stderr.contains("chmod"));
    fs::set_permissions(certs.path("server-key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    run(&mut check(), "").code(0).says(&["everybody on this machine can read", "chmod 600"]);
}

#[test]
fn tls_alone_is_not_enough_for_a_public_address() {
    let certs = Certs::new(&[]);
    let (cert, key) = (certs.file("server.pem"), certs.file("server-key.pem"));
    let serve = || tieline(["serve", "--listen", "0.0.0.0:0", "--tls-cert", &cert, "--tls-key", &key]);
    run(&mut serve(), "").code(78).says(&["other machines", "no tokens", "--insecure"]);
    let server = Running::start(serve().arg("--insecure"));
    server.line_with("  bus        tls://0.0.0.0:");
    server.line_with("  note       no tokens");
    server.signal(Signal::SIGTERM);
    server.wait().code(0);
}
