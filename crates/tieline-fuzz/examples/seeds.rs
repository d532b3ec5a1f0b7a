//! Writes the inputs that fuzzing begins with into `fuzz/corpus`: the golden vectors, and sequences that tests use.
//!
//! What a fuzzer finds from there is committed beside them; see `just fuzz`.

use std::fs;
use std::path::Path;

use serde_json::Value;

type Seeds = Vec<Vec<u8>>;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = fs::read_to_string(root.join("../tieline-protocol/vectors/v1.json"))?;
    let vectors: Value = serde_json::from_str(&vectors)?;
    for (target, seeds) in [
        ("header", header(&vectors)),
        ("stream", stream(&vectors)),
        ("metadata", metadata(&vectors)),
        ("outbox", outbox()),
        ("core", core()),
        ("configuration", configuration()),
        ("sessions", sessions()),
    ] {
        let corpus = root.join("../../fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        println!("{target}: {} seeds", seeds.len());
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}

fn list<'a>(vectors: &'a Value, key: &str) -> &'a [Value] {
    vectors[key].as_array().map_or(&[], Vec::as_slice)
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap_or_default();
    (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()).collect()
}

/// The headers of all frames, legal or not.
fn header(vectors: &Value) -> Seeds {
    let frames = list(vectors, "frames").iter().chain(list(vectors, "invalid"));
    let mut seeds: Seeds = frames.map(|vector| bytes(&vector["hex"])).filter(|bytes| bytes.len() >= 64).collect();
    for seed in &mut seeds {
        seed.truncate(64);
    }
    seeds
}

/// Every frame and every sequence, cut in several ways.
fn stream(vectors: &Value) -> Seeds {
    let join = |list: &Value| list.as_array().into_iter().flatten().flat_map(bytes).collect::<Vec<u8>>();
    let whole = list(vectors, "frames").iter().chain(list(vectors, "invalid")).map(|v| (v, bytes(&v["hex"])));
    let orders = list(vectors, "orders").iter().map(|v| (v, join(&v["frames"])));
    let streams = list(vectors, "streams").iter().map(|v| (v, join(&v["pieces"])));
    let cuts: [[u8; 8]; 3] = [[1; 8], [63, 1, 2, 64, 100, 7, 0x81, 33], [64, 0x80, 5, 127, 3, 0x90, 66, 12]];
    whole
        .chain(orders)
        .chain(streams)
        .enumerate()
        .map(|(number, (vector, wire))| {
            let from_client = vector["from"] == "client";
            // Payloads of 64 KiB, as the vectors have it.
            let mut seed = vec![if from_client { 2 } else { 3 }];
            seed.extend(cuts[number % cuts.len()]);
            seed.extend(wire);
            seed
        })
        .collect()
}

/// All metadata, payloads of errors, and hellos.
fn metadata(vectors: &Value) -> Seeds {
    let groups = ["metadata", "faults"].into_iter().flat_map(|group| {
        ["valid", "invalid"]
            .into_iter()
            .flat_map(move |kind| list(&vectors[group], kind).iter().map(move |v| (group, v)))
    });
    let mut seeds: Seeds = groups
        .map(|(group, vector)| {
            let mut seed = vec![if group == "faults" { 2 } else { 0 }];
            seed.extend(bytes(&vector["hex"]));
            seed
        })
        .collect();
    let hellos = list(vectors, "frames").iter().filter(|v| v["type"] == "hello" || v["type"] == "error");
    seeds.extend(hellos.map(|vector| [&[0], &bytes(&vector["hex"])[64..]].concat()));
    seeds.retain(|seed| seed.len() < 8 * 1024);
    seeds
}

/// Lives of lanes: whole and cut off, large and small, taken out at each moment.
fn outbox() -> Seeds {
    // Acts, as `outbox::run` reads them.
    const REQUEST: &[u8] = &[0, 0];
    const RESPONSE: &[u8] = &[0, 3, 2, 10];
    const BODY: &[u8] = &[2, 0, 1, 90];
    const LARGE: &[u8] = &[2, 0, 6, 90];
    const END: &[u8] = &[5, 2, 0];
    const TRAILER: &[u8] = &[5, 1, 0];
    const FAIL: &[u8] = &[5, 0, 0];
    const ABORT: &[u8] = &[6, 1, 0];
    const ACK: &[u8] = &[7, 9, 9, 0];
    const RETRACT: &[u8] = &[8, 0];
    const FINISH: &[u8] = &[9, 1, 1, 0];
    const DISCARD: &[u8] = &[10, 0];
    const PROMISE: &[u8] = &[11, 60, 0, 1, 0];
    const RAISE: &[u8] = &[13, 0, 0];
    const RECEIVE: &[u8] = &[14, 16];
    const MORE: &[u8] = &[14, 18];
    const WITHDRAW: &[u8] = &[14, 6];
    const PING: &[u8] = &[16, 1];
    const PONG: &[u8] = &[16, 2];
    const REFUSE: &[u8] = &[17, 1, 40];
    const CLAIM: &[u8] = &[18, 1, 200];
    const WRITTEN: &[u8] = &[22];
    let lives: &[&[&[u8]]] = &[
        &[REQUEST, BODY, END, CLAIM, WRITTEN, FINISH],
        &[REQUEST, BODY, CLAIM, BODY, TRAILER, ACK, CLAIM, WRITTEN, FINISH],
        &[RESPONSE, LARGE, LARGE, CLAIM, CLAIM, ACK, END, FINISH, CLAIM, WRITTEN, CLAIM, WRITTEN],
        &[RESPONSE, BODY, FAIL, CLAIM, WRITTEN, FINISH],
        &[REQUEST, BODY, ABORT, CLAIM, WRITTEN, FINISH],
        &[REQUEST, CLAIM, BODY, END, CLAIM, ABORT, CLAIM, WRITTEN, FINISH],
        &[REQUEST, BODY, RETRACT, REQUEST, CLAIM, RETRACT, DISCARD, WRITTEN],
        &[REQUEST, RESPONSE, BODY, LARGE, PROMISE, CLAIM, PROMISE, WRITTEN, PROMISE, DISCARD, CLAIM],
        &[RECEIVE, MORE, CLAIM, RESPONSE, RAISE, BODY, MORE, END, CLAIM, WITHDRAW, RECEIVE, CLAIM, WRITTEN],
        &[RECEIVE, RESPONSE, RAISE, WITHDRAW, RECEIVE, FINISH, MORE, CLAIM, WITHDRAW, CLAIM, WRITTEN],
        &[PING, PONG, REFUSE, CLAIM, PONG, REFUSE, REFUSE, REQUEST, CLAIM, PONG, CLAIM, WRITTEN],
        &[REQUEST, REQUEST, REQUEST, LARGE, LARGE, LARGE, ACK, CLAIM, ACK, CLAIM, WRITTEN, CLAIM, WRITTEN],
    ];
    let both = lives.iter().flat_map(|life| [0, 1, 2, 5].map(|how| [&[how], life.concat().as_slice()].concat()));
    both.collect()
}

/// Exchanges of two clients, one of each end that there is, as the stories of the core tell them.
fn core() -> Seeds {
    // Acts, as `core::run` reads them: what, which client, which exchange, a length, more.
    type Act = [u8; 6];
    const READY: Act = [8, 1, 1, 0, 0, 0];
    const READY_TOO: Act = [8, 2, 1, 0, 0, 0];
    const MORE: Act = [9, 1, 1, 0, 0, 0];
    const WITHDRAW: Act = [10, 1, 0, 0, 0, 0];
    const ASK_WHOLE: Act = [0, 0, 0x08, 0, 1, 50];
    const ASK: Act = [0, 0, 0, 0, 1, 50];
    const ASK_LARGE: Act = [0, 0, 0, 0, 5, 255];
    const ASK_TWICE: Act = [0, 0, 0x88, 0, 1, 50];
    const ASK_NOW: Act = [0, 0, 0x78, 0, 1, 50];
    const ASK_SOON: Act = [0, 0, 0x08, 0x85, 1, 50];
    const ASK_BRIEFLY: Act = [0, 0, 0x08, 0x45, 1, 50];
    const CHUNK: Act = [3, 0, 0, 6, 128, 0];
    const LAST: Act = [3, 0, 0, 1, 9, 1];
    const END: Act = [5, 0, 0, 0, 0, 0];
    const CANCEL: Act = [6, 0, 0, 0, 0, 0];
    const GRANT_RESPONSE: Act = [7, 0, 0, 6, 128, 0];
    const GRANT: Act = [11, 1, 0, 6, 128, 0];
    const ANSWER: Act = [12, 1, 0, 1, 80, 1];
    const BEGIN: Act = [12, 1, 0, 5, 255, 0];
    const GO_ON: Act = [12, 1, 0, 6, 0, 0];
    const CLOSE: Act = [15, 1, 0, 0, 0, 0];
    const FAIL: Act = [16, 1, 0, 0, 0, 0];
    const RETURN: Act = [17, 1, 0, 0, 0, 0];
    const OVERRUN: Act = [18, 0, 0, 0, 0, 0];
    const GAP: Act = [18, 0, 0, 1, 0, 0];
    const MEDDLE: Act = [19, 3, 0, 0, 5, 0];
    const MEDDLE_WITH_CANCEL: Act = [19, 3, 0, 0, 2, 0];
    const KILL_SENDER: Act = [20, 0, 0, 0, 0, 0];
    const KILL_RECEIVER: Act = [20, 1, 0, 0, 0, 0];
    const KILL_SILENTLY: Act = [0x94, 1, 0, 0, 0, 0];
    const STALL: Act = [21, 1, 0, 0, 0, 0];
    const CLAIM: Act = [23, 1, 0, 0, 0, 0];
    const SETTLE: Act = [26, 0, 0, 0, 0, 0];
    const LEAVE: Act = [27, 1, 1, 0, 0, 0];
    const LATER: Act = [28, 0, 200, 0, 0, 0];
    const DRAIN: Act = [29, 0, 1, 0, 0, 0];
    const RAW: Act = [30, 0, 3, 0x40, 5, 11];
    let stories: &[&[Act]] = &[
        &[READY, ASK_WHOLE, SETTLE, ANSWER, SETTLE],
        &[ASK, SETTLE, READY, SETTLE, GRANT, SETTLE, CHUNK, LAST, SETTLE, BEGIN, GRANT_RESPONSE, SETTLE, GO_ON, CLOSE],
        &[
            READY,
            ASK_LARGE,
            SETTLE,
            GRANT,
            SETTLE,
            CHUNK,
            CHUNK,
            END,
            SETTLE,
            BEGIN,
            SETTLE,
            GRANT_RESPONSE,
            SETTLE,
            GO_ON,
        ],
        &[READY, ASK, SETTLE, CANCEL, SETTLE, ASK, CANCEL, SETTLE],
        &[READY, READY_TOO, ASK, SETTLE, RETURN, SETTLE, MORE, SETTLE, ANSWER, SETTLE],
        &[READY, ASK_TWICE, SETTLE, KILL_RECEIVER, READY_TOO, SETTLE, [12, 2, 0, 1, 80, 1], SETTLE],
        &[READY, ASK_WHOLE, SETTLE, KILL_RECEIVER, SETTLE],
        &[READY, STALL, ASK_WHOLE, KILL_SILENTLY, READY_TOO, SETTLE, [12, 2, 0, 1, 80, 1], SETTLE],
        &[READY, ASK, SETTLE, KILL_SENDER, SETTLE],
        &[ASK_NOW, SETTLE, READY, ASK_NOW, SETTLE, FAIL, SETTLE],
        &[ASK_SOON, ASK_BRIEFLY, SETTLE, LATER, SETTLE, READY, ASK_BRIEFLY, SETTLE, LATER, SETTLE],
        &[READY, ASK, SETTLE, OVERRUN, SETTLE, READY, ASK, SETTLE, GAP, SETTLE],
        &[READY, ASK_WHOLE, STALL, ASK_WHOLE, WITHDRAW, CLAIM, CANCEL, SETTLE],
        &[READY, ASK, SETTLE, MEDDLE, SETTLE, ANSWER, SETTLE],
        &[READY, ASK, SETTLE, MEDDLE_WITH_CANCEL, SETTLE, ANSWER, SETTLE],
        &[READY, ASK, SETTLE, LEAVE, SETTLE, ANSWER, SETTLE],
        &[READY, ASK, ASK_WHOLE, SETTLE, DRAIN, SETTLE, ANSWER, SETTLE],
        &[ASK, ASK, ASK, ASK, ASK, ASK, READY, MORE, MORE, SETTLE, ANSWER, ANSWER, SETTLE],
        &[READY, ASK, SETTLE, RAW, SETTLE, ANSWER, SETTLE],
        &[READY, ASK, SETTLE, FAIL, SETTLE],
        &[READY, ASK, CANCEL, SETTLE],
        &[READY, ASK_SOON, LATER, SETTLE, ASK_TWICE, SETTLE, [18, 0, 0, 1, 0, 0], SETTLE],
    ];
    let worlds: [[u8; 4]; 4] = [[0xff, 0, 0, 0], [0xff, 0x83, 1, 0], [0, 0, 0, 0], [1, 0x99, 0, 0]];
    stories.iter().flat_map(|story| worlds.map(|world| [&world[..], &story.concat()].concat())).collect()
}

/// Files, right and wrong, and values as their tests have them.
fn configuration() -> Seeds {
    let texts = [
        "listen = ['127.0.0.1:0', 'unix:a']\nmemory = '64MiB'\nchannel-places = 7\ndrain = '5s'\n",
        "listen = '127.0.0.1:0'",
        "listen = [\"tcp://[::1]:7070\", \"unix:/run/tieline.sock\"]\nconnections = 100\n",
        "# first\nmemory = '1MiB'\nchanel-places = 3\n",
        "xyzzy = 1",
        "\n\nmemory = 'much'\n",
        "drain = 5\n",
        "memory = \n",
        "memory = 1048576\npayload = '64KiB'\nwindow = '1MiB'\ndeadline = '24h'\nping = '15s'\n",
        "requests = 16384\nreceives = 1024\nconnections = 0\n",
        "listen = []\n",
        "[listen]\na = 1\n",
        "ping = \"\u{e4}\"\n",
        "250ms\n30s\n5m\n1h30m\n2d\n0s\n1m 30s",
        "1.5s\n-1s\n1y\n1s x\n99999999999999999999s\n999999999999999999d",
        "512\n64KiB\n3 GiB\n2MB\n20000000TiB\n1.5MiB",
        "tcp://127.0.0.1:7070\nlocalhost:1\ntcp://[::1]:7070/\nunix:/run/tieline.sock\nunix:///run/tieline.sock",
        ":7070\nhost:http\n::1:7070\nunix:\nhttp://host:80\ntls://host:1\nme@host:1\nhost:70700",
        "",
        "listen = 'a:1'\nlisten = 'b:2'\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Every plan of the programs without anybody meddling; then each way to meddle on each stream.
fn sessions() -> Seeds {
    let mut seeds = Seeds::new();
    for answer in 0..7 {
        for manner in 0..6 {
            let pieces = (answer + manner) % 4;
            seeds.push(vec![0, manner, [1, 5, 6, 7][usize::from(pieces)], 100, pieces, manner, answer, 0]);
        }
    }
    for stream in [1, 2, 4, 8] {
        for what in 0..20 {
            let plan = [stream, 1, 5, 200, what % 3, 0, [0, 3][usize::from(what) % 2], 0];
            let acts = [2 + what % 5, what, 8 + what * 3, 0x41 + what];
            seeds.push([&plan[..], &acts].concat());
        }
    }
    seeds
}
