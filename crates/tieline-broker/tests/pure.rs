//! The pure crates stay pure: their dependency tree holds no runtime, no sockets and no source of randomness.

use std::process::Command;

const IMPURE: [&str; 10] =
    ["tokio", "mio", "socket2", "getrandom", "rand", "rand_core", "async-std", "smol", "nix", "libc"];

/// The names of all crates that a crate of this workspace is built from.
fn dependencies(of: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", of, "-e", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names of crates are text");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn nothing_that_the_pure_crates_are_built_from_does_io_or_draws_random_numbers() {
    for of in ["tieline-broker", "tieline-protocol"] {
        let names = dependencies(of);
        assert!(names.iter().any(|name| name == "bytes"), "the tree was read: {names:?}");
        for impure in IMPURE {
            assert!(!names.iter().any(|name| name == impure), "{of} is built with {impure}: {names:?}");
        }
    }
}
