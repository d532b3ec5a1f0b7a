//! Starts that are cancelled at once, 100,000 a second: offenders are closed, memory stays flat, and a bystander's
//! requests take no longer than twice their time.
//!
//! The attackers share the machine with the server, so a round has three parts: the bystander alone; beside the same
//! flood that goes to a sink, which shows what it costs to send it; and beside the flood that goes to the server. What
//! the server does to the bystander is the third against the second.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tieline_protocol::{ChannelId, ClientId, Code, Decoder, ExchangeId, Fault, Flags, Frame, Kind, RequestId, Role};

use super::Effort;
use crate::bystander::Bystander;
use crate::process::ServerProcess;
use crate::raw::{of, start};
use crate::row::{Row, Verdict};
use crate::stats::{median, percentile, size, span, spread};

/// Pairs of a start and its cancel, in all.
const RATE: u64 = 100_000;
const ATTACKERS: u64 = 4;
/// Pairs in one write.
const BURST: u64 = 100;
const ROUND: Duration = Duration::from_millis(1500);
/// Behind it nobody is at it any more.
const PAUSE: Duration = Duration::from_millis(300);
/// A p99 that is short is noise; what is shorter counts as this.
const NOISE: Duration = Duration::from_micros(100);

/// What all attackers have done.
#[derive(Debug, Default)]
struct Tally {
    on: AtomicBool,
    /// They go to the sink instead of the server.
    elsewhere: AtomicBool,
    over: AtomicBool,
    pairs: AtomicU64,
    closed: AtomicU64,
    told: AtomicU64,
    connections: AtomicU64,
}

/// Floods whenever it is told to, on one connection after the other.
fn attack(server: SocketAddr, sink: SocketAddr, number: u64, tally: &Tally) {
    let mut life = 0;
    while !tally.over.load(Relaxed) {
        if !tally.on.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        life += 1;
        let client = ClientId::from_u128((1 << 110) + (u128::from(number) << 64) + life);
        let is_real = !tally.elsewhere.load(Relaxed);
        // Whatever goes wrong with one connection, the next is made.
        let _ = one_connection(if is_real { server } else { sink }, client, tally, is_real);
    }
}

/// Floods one connection until it is closed, or all are told to stop. Only what goes to the server counts.
fn one_connection(server: SocketAddr, client: ClientId, tally: &Tally, is_real: bool) -> std::io::Result<()> {
    let one = u64::from(is_real);
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    tally.connections.fetch_add(one, Relaxed);
    let mut hello = Kind::Hello.header();
    hello.client = client;
    stream.write_all(&Frame::new(Kind::Hello, hello, bytes::Bytes::new()).to_bytes())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = Reader { decoder: Decoder::new(Role::Server), buffer: BytesMut::new() };
    let pause = Duration::from_secs(1) * (BURST * ATTACKERS) as u32 / RATE as u32;
    let cancelled = Fault::new(Code::Cancelled).encode();
    let channel = ChannelId::of_name("nobody is here");
    let mut request = 0_u128;
    let mut next = Instant::now();
    stream.set_nonblocking(true)?;
    while tally.on.load(Relaxed) {
        let mut burst = Vec::with_capacity(BURST as usize * 160);
        for _ in 0..BURST {
            request += 1;
            let id = ExchangeId { client, request: RequestId::from_u128(request), channel };
            burst.extend_from_slice(&start(Kind::StartRequest, id, Flags::NONE, b"").to_bytes());
            burst.extend_from_slice(&of(Kind::ErrorRequest, id, 0, &cancelled).to_bytes());
        }
        let mut rest = &burst[..];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_micros(200)),
                Err(_) => {
                    reader.drain(&mut stream, tally);
                    tally.closed.fetch_add(one, Relaxed);
                    return Ok(());
                }
            }
            if reader.drain(&mut stream, tally) {
                tally.closed.fetch_add(one, Relaxed);
                return Ok(());
            }
        }
        tally.pairs.fetch_add(one * BURST, Relaxed);
        next += pause;
        if let Some(early) = next.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
    }
    Ok(())
}

/// Listens somewhere, and reads and throws away whatever comes: a flood that goes there costs the machine what it costs
/// to send it, and the server nothing.
fn sink() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            std::thread::spawn(move || {
                let mut waste = vec![0; 65_536];
                while let Ok(1..) = stream.read(&mut waste) {}
            });
        }
    });
    Ok(address)
}

struct Reader {
    decoder: Decoder,
    buffer: BytesMut,
}

impl Reader {
    /// Takes in what has come; whether the server has ended the connection.
    fn drain(&mut self, stream: &mut TcpStream, tally: &Tally) -> bool {
        let mut bytes = vec![0; 65_536];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(read) => self.buffer.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
            while let Ok(Some(frame)) = self.decoder.next(&mut self.buffer) {
                let is_flood = || Fault::decode(&frame.payload).is_some_and(|fault| fault.code == Code::Flood);
                if frame.kind == Kind::ErrorConnection && is_flood() {
                    tally.told.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

/// The bystander's round while the attackers are at it.
async fn while_flooded(bystander: &mut Bystander, tally: &Tally) -> anyhow::Result<Vec<Duration>> {
    tally.on.store(true, Relaxed);
    let samples = bystander.work(ROUND).await;
    tally.on.store(false, Relaxed);
    tokio::time::sleep(PAUSE).await;
    samples
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let rounds = effort.of(10).max(2);
    let server = ServerProcess::start(&[])?;
    let mut bystander = Bystander::arrive(server.address).await?;
    bystander.work(ROUND).await?;
    let tally = Arc::new(Tally::default());
    let sink = sink()?;
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|number| {
            let (server, tally) = (server.address, Arc::clone(&tally));
            std::thread::spawn(move || attack(server, sink, number, &tally))
        })
        .collect();
    let (mut ratios, mut alone_all, mut beside_all, mut under_all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut flooded) = (Vec::new(), Duration::ZERO);
    let before = server.read()?;
    let mut cpu = Duration::ZERO;
    for _ in 0..rounds {
        let alone = bystander.work(ROUND).await?;
        tally.elsewhere.store(true, Relaxed);
        let beside = while_flooded(&mut bystander, &tally).await?;
        tally.elsewhere.store(false, Relaxed);
        let (began, cpu_before) = (Instant::now(), server.read()?.cpu);
        let under = while_flooded(&mut bystander, &tally).await?;
        flooded += began.elapsed().saturating_sub(PAUSE);
        let now = server.read()?;
        cpu += now.cpu.saturating_sub(cpu_before);
        memory.push(now.memory as f64);
        let p99 = |samples: &[Duration]| percentile(samples, 99.0).max(NOISE).as_secs_f64();
        ratios.push(p99(&under) / p99(&beside));
        alone_all.extend(alone);
        beside_all.extend(beside);
        under_all.extend(under);
    }
    tally.over.store(true, Relaxed);
    for attacker in attackers {
        let _ = attacker.join();
    }
    let peak = server.read()?.peak;
    let rate = tally.pairs.load(Relaxed) as f64 / flooded.as_secs_f64();
    let (connections, closed, told) =
        (tally.connections.load(Relaxed), tally.closed.load(Relaxed), tally.told.load(Relaxed));
    // Flat: the last rounds hold no more than the first.
    let half = memory.len() / 2;
    let growth = median(&memory[half..]) - median(&memory[..half]);
    let is_flat = growth < 4.0 * 1_048_576.0 && peak < before.memory + (64 << 20);
    let kept = median(&ratios) <= 2.0 && is_flat && told > 0 && rate >= 0.95 * RATE as f64;
    Ok(vec![
        Row::new(
            "start-and-cancel flood of 100,000 a second",
            "HTTP/2 servers fell (CVE-2023-44487)",
            "bystander's p99 ≤ 2× that beside the same flood to a sink, memory flat, offender closed",
        )
        .measured(
            format!(
                "{rate:.0} pairs/s: bystander's p50 and p99 {} and {} alone, {} and {} beside a sink's flood, {} and {} \
                 under the server's; p99's ratio by rounds {}; memory {}, grew {}; {closed} connections closed, {told} of them told *flood*; {:.0} % of a core",
                span(percentile(&alone_all, 50.0)),
                span(percentile(&alone_all, 99.0)),
                span(percentile(&beside_all, 50.0)),
                span(percentile(&beside_all, 99.0)),
                span(percentile(&under_all, 50.0)),
                span(percentile(&under_all, 99.0)),
                spread(&ratios),
                size(median(&memory)),
                size(growth),
                cpu.as_secs_f64() / flooded.as_secs_f64() * 100.0,
            ),
            Verdict::of(kept),
        )
        .figure("pairs_per_s", rate)
        .figure("p99_alone_us", percentile(&alone_all, 99.0).as_secs_f64() * 1e6)
        .figure("p99_beside_us", percentile(&beside_all, 99.0).as_secs_f64() * 1e6)
        .figure("p99_under_us", percentile(&under_all, 99.0).as_secs_f64() * 1e6)
        .figure("p99_ratios", ratios)
        .figure("memory_bytes", memory)
        .figure("peak_bytes", peak)
        .figure("connections", connections)
        .figure("closed", closed)
        .figure("told_flood", told),
    ])
}
