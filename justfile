# Commands that people repeat. `just` lists them.

_default:
    @just --list --unsorted

# Everything that must hold before a change lands.
test *ARGS:
    scripts/test {{ARGS}}

# Requests streaming through a bus inside one process, verified.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# The long ones: 5,000 large requests over 64 and 64 clients, 5 GiB through a pipe. Minutes, and a release build.
soak:
    cargo test --workspace --exclude tieline-bench --release -- --ignored

# 5 GiB by curl, up and back, over HTTP/1.1 and HTTP/2, with the server's memory flat; tells how long it took.
http-large:
    cargo test --release -p tieline-cli --test http -- --ignored --nocapture

# Real processes killed with -9, stopped and drained under load, every outcome verified; seconds of killing.
kill-soak SECONDS="60":
    TIELINE_SOAK_SECONDS={{SECONDS}} cargo test -p tieline-cli --test kill_soak

# Hostile clients of every class against a real server; prints the table of their classes and how a bystander fared.
hostile:
    mkdir -p target && rm -f target/hostile.jsonl
    TIELINE_HOSTILE_FIGURES="$PWD/target/hostile.jsonl" cargo test --release -p tieline-server --test hostile -- --test-threads=1
    cargo run --release -p tieline-gates -- --cases target/hostile.jsonl

# Traces through four processes to a small collector, in a build with the feature otel.
otel:
    cargo test -p tieline-cli --features otel --test otel

# Numbers that must be reached, measured on the real server; all gates, or those that are named. Prints the table.
gates *NAMES:
    cargo build --release -p tieline-cli -p tieline-gates
    cargo run --release -p tieline-gates -- {{NAMES}}

# The pages in a real browser: the client for pages and the dashboard. It needs Chromium.
browser *ARGS:
    cargo test -p tieline-cli --test browser -- {{ARGS}}

# How the dashboard feels with 2,000 channels and 5,000 receivers: the longest task of the page.
dashboard-load:
    cargo test --release -p tieline-cli --test browser -- --ignored --nocapture responsive

# Dashboard and alerts of dashboards/ as a real Prometheus understands them. It needs Debian's prometheus, or another's.
prometheus:
    cargo test -p tieline-cli --test prometheus -- --ignored

# A server replaced again and again under load: no request may fail, and each must run once. How many restarts?
rolling-restart RESTARTS="40":
    TIELINE_RESTARTS={{RESTARTS}} cargo test -p tieline-cli --test rolling_restart -- --nocapture

# One seed of the simulator, with all that happens in it.
sim SEED:
    cargo run --release -p tieline-sim -- --seed {{SEED}} --trace

# The simulator for so many minutes, with seeds nobody has seen; or from a given seed on.
sim-soak MINUTES="10" FROM="":
    cargo run --release -p tieline-sim -- --minutes {{MINUTES}} {{ if FROM == "" { "" } else { "--seeds " + FROM + "..18446744073709551615" } }}

# Plants faults in the pure crates, one at a time: the tests must notice each. All of them, or those that are named.
mutants *NAMES:
    cargo run -p tieline-mutants -- {{NAMES}}

# Instructions of the usual ways through the pure crates, compared with the committed ones; all of them, or those named.
instructions *SCENARIOS:
    cargo run --release -p tieline-micro -- check {{SCENARIOS}}

# Takes the instructions as they are now for the ones to compare with.
instructions-bless:
    cargo run --release -p tieline-micro -- bless

# Micro-benchmarks of codec, outbox and core; all of them, or those whose names contain this. They take minutes.
bench-micro *FILTER:
    cargo bench -p tieline-micro --features criterion -- {{FILTER}}

# Every state of the routing core within bounds: small, large (an hour), or a bound by its name.
model BOUND="small" *ARGS:
    cargo run --profile model -p tieline-model -- --bound {{BOUND}} {{ARGS}}

# Who wakes whom in the server, in very many orders of its threads; so many seconds for each kind of them and scene.
interleavings SECONDS="10":
    TIELINE_INTERLEAVINGS={{SECONDS}} cargo test -p tieline-server --features interleavings --lib -- interleavings:: --nocapture

# One fuzz target for so many seconds: header, stream, metadata, outbox, core, configuration, sessions.
fuzz TARGET SECONDS="60":
    scripts/fuzz {{TARGET}} {{SECONDS}}

# Every fuzz target for so many seconds.
fuzz-all SECONDS="60":
    scripts/fuzz all {{SECONDS}}

# Takes what fuzzing found anew into the committed corpus, as few inputs as reach it all.
fuzz-keep TARGET:
    scripts/fuzz keep {{TARGET}}

# Tieline beside its peers and the machine's limits, all workloads; half an hour or more. bench/peers.sh gets the peers.
bench *ARGS:
    cargo run --release -p tieline-bench -- compare {{ARGS}}

# The same in short, with few peers: a look, nothing to quote. As `just bench-quick --only W1,W2`.
bench-quick *ARGS:
    cargo run --release -p tieline-bench -- compare --quick --rounds 2 --peers tieline,nats,redis,relay-fixed,relay-pull {{ARGS}}

# Lints and tests of the comparison with all its peers; scripts/test leaves their clients out.
bench-check:
    cargo clippy -p tieline-bench --all-targets -- -D warnings
    cargo test -p tieline-bench

# The Debian package, in target/packages.
deb:
    cargo build --release -p tieline-cli
    packaging/deb/build "${CARGO_TARGET_DIR:-target}/release/tieline" target/packages

# The Debian package in a small Debian: installed, used, upgraded, removed, purged. Needs root and debootstrap.
deb-test: deb
    packaging/tests/in-chroot "$(ls -t target/packages/tieline_*.deb | head -n 1)" "${CARGO_TARGET_DIR:-target}/debian"

# The Debian package under a real systemd, in an emulated machine without a network; minutes. Needs root, debootstrap and qemu.
vm-test: deb
    packaging/tests/in-vm "$(ls -t target/packages/tieline_*.deb | head -n 1)" "${CARGO_TARGET_DIR:-target}/debian"

# One static binary for Linux; needs the Rust target x86_64-unknown-linux-musl, and musl-gcc (Debian: musl-tools).
static:
    cargo build --release -p tieline-cli --target x86_64-unknown-linux-musl

# An image that holds the static binary and nothing else, named tieline; needs buildah, podman or docker.
container: static
    packaging/container/build "${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-musl/release/tieline"

# That image built and run with TLS and tokens, in a network of its own. Needs root and buildah.
container-test: static
    packaging/container/test "${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-musl/release/tieline"

# Rewrites what is printed from the code: the tables in docs/protocol.md, docs/limits.md and docs/http.md, the golden vectors.
bless:
    TIELINE_BLESS=1 cargo test -p tieline-protocol
    TIELINE_BLESS=1 cargo test -p tieline-server --test limits_document
    TIELINE_BLESS=1 cargo test -p tieline-http --test document
    TIELINE_BLESS=1 cargo test -p tieline-http --test watching documents::the_tables

# Known vulnerabilities in dependencies; needs the advisory database.
advisories:
    cargo deny check advisories

# The documentation of all crates.
doc:
    cargo doc --workspace --exclude tieline-bench --no-deps --open
