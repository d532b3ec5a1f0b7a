//! How the dashboard feels with very much to show: `just dashboard-load` prints it, `docs/dashboard.md` has it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chromium::Page;
use crate::load::Load;
use crate::support::{Server, resident_memory};

const CHANNELS: usize = 2_000;
const RECEIVERS: usize = 5_000;

/// How long the page is watched while nobody touches it.
const WATCHED: Duration = Duration::from_secs(20);

/// Watches the page's frames and its long tasks for so many milliseconds.
const FEEL: &str = "(async (millis) => {
    const frames = [], tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((task) => task.duration)));
    observer.observe({ type: 'longtask' });
    let last = performance.now();
    for (const end = last + millis; last < end; ) {
      const now = await new Promise(requestAnimationFrame);
      frames.push(now - last);
      last = now;
    }
    observer.disconnect();
    frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.floor((frames.length - 1) * share)];
    return { frames: frames.length, p50: at(0.5), p99: at(0.99), most: frames.at(-1), tasks: tasks.length, longest: Math.max(0, ...tasks) };
  })";

/// How many milliseconds it takes from something that is done to something that is seen.
const UNTIL: &str = "(async (act, seen) => {
    const from = performance.now();
    act();
    while (!seen()) await new Promise(requestAnimationFrame);
    return performance.now() - from;
  })";

/// How many bytes and events come in so many milliseconds.
const EVENTS: &str = "(async (millis) => {
    const abort = new AbortController();
    const response = await fetch('/api/events?sort=attention&limit=200', { signal: abort.signal });
    const from = performance.now();
    let bytes = 0, events = 0;
    for (const reader = response.body.getReader(); performance.now() - from < millis; ) {
      const { value } = await reader.read();
      bytes += value.length;
      events += new TextDecoder().decode(value).split('event: snapshot').length - 1;
    }
    abort.abort();
    return { bytes, events };
  })";

#[test]
#[ignore = "a measurement, by `just dashboard-load`"]
fn the_dashboard_stays_responsive_with_2000_channels_and_5000_receivers() {
    let server = Server::with(&["--receives", "4096"]);
    let load = Load::start(&server.address, CHANNELS, RECEIVERS);
    let mut page = Page::open(&server.http);
    page.look(1400, 900, false);
    page.until("document.getElementById('channel-count').textContent.includes('2,000')");
    let at_rest = feel(&mut page, WATCHED / 4);
    load.run();
    let before = load.answered();
    let busy = feel(&mut page, WATCHED);
    let rate = (load.answered() - before) / WATCHED.as_secs();
    let first = "document.querySelector('#channel-table tbody tr').cells[0].textContent";
    let sort = until(
        &mut page,
        "document.querySelector('#channel-table th button').click()",
        &format!("{first} === 'channel-0000'"),
    );
    let find = "document.getElementById('find').value = 'channel-1234'; document.getElementById('find').dispatchEvent(new Event('input'))";
    let find = until(&mut page, find, "document.getElementById('channel-count').textContent === '1'");
    let opens = "document.querySelector('#channel-table tbody tr').click()";
    let open = until(&mut page, opens, "document.querySelectorAll('#detail tbody tr').length > 0");
    let events = page.eval(&format!("{EVENTS}(10000)"));
    page.tidy();
    let heap = page.eval("performance.memory.usedJSHeapSize").as_f64().expect("bytes");
    println!("requests answered a second while the page was watched: {rate}");
    for (when, feel) in [("at rest", &at_rest), ("under load", &busy)] {
        println!(
            "{when}: frames p50 {} ms, p99 {} ms, longest {} ms; tasks over 50 ms: {}, the longest {} ms; the page's thread works {:.0} ms in a second",
            rounded(feel, "p50"),
            rounded(feel, "p99"),
            rounded(feel, "most"),
            feel["tasks"],
            rounded(feel, "longest"),
            feel["worked"].as_f64().expect("a share") * 1000.0,
        );
    }
    println!(
        "from a click to the other order: {sort:.0} ms; from a key to what was found: {find:.0} ms; to an open channel: {open:.0} ms"
    );
    println!(
        "events: {:.0} KiB each of {} in 10 s",
        events["bytes"].as_f64().expect("bytes") / events["events"].as_f64().expect("events") / 1024.0,
        events["events"]
    );
    println!(
        "memory: {:.1} MiB of the page's heap, {} MiB of all the browser's processes, {} MiB of the server",
        heap / 1_048_576.0,
        page.memory() >> 20,
        resident_memory(server.running.id()) >> 20
    );
    // Of a processor, for a machine that does other things as well makes any task long.
    let share = busy["worked"].as_f64().expect("a time");
    assert!(share < 0.25, "the page works {share:.2} s in a second: it would feel stuck");
    assert!(page.troubles.is_empty(), "{:#?}", page.troubles);
}

fn feel(page: &mut Page, time: Duration) -> Value {
    let before = page.worked();
    let mut feel = page.eval(&format!("{FEEL}({})", time.as_millis()));
    feel["worked"] = json!((page.worked() - before) / time.as_secs_f64());
    feel
}

fn until(page: &mut Page, act: &str, seen: &str) -> f64 {
    page.eval(&format!("{UNTIL}(() => {{ {act} }}, () => {seen})")).as_f64().expect("a time")
}

fn rounded(feel: &Value, name: &str) -> f64 {
    (feel[name].as_f64().expect("a time") * 10.0).round() / 10.0
}
