// All channels together: the strip of figures, and the charts of the last two minutes.

import { Chart } from "./chart.js";
import { bytes, count, time } from "./format.js";
import { forget, passed, Series } from "./series.js";
import { Tiles } from "./tiles.js";

const tiles = new Tiles(document.getElementById("tiles"));
const series = { requests: new Series(), latency: new Series(), bytes: new Series(), load: new Series() };
const charts = [
  new Chart({ title: "Requests a second", names: ["ended", "failed"], format: count, series: series.requests }),
  new Chart({ title: "Duration", names: ["p50", "p99"], format: time, series: series.latency }),
  new Chart({ title: "Bytes a second", names: ["in", "out"], format: bytes, series: series.bytes }),
  new Chart({ title: "In hand and waiting", names: ["in hand", "waiting"], format: count, series: series.load }),
];
document.getElementById("charts").append(...charts.map((chart) => chart.figure));

let before;

export function show(all) {
  const lacks = all.waiting > 0 && all.receives === 0;
  tiles.set("Waiting", count(all.waiting), { note: all.waiting ? `the oldest for ${time(all.oldest)}` : "nothing waits", look: lacks ? "alarm" : "" });
  tiles.set("Free", count(all.free), { note: all.free ? "more could be taken now" : "nobody is ready", look: all.waiting > 0 && all.free === 0 ? "warn" : "" });
  tiles.set("Busy", count(all.busy), { note: "in receivers' hands" });
  tiles.set("Ended", count(all.ended), { note: `${count(all.failed)} of them failed` });
  tiles.set("Connections", count(all.connections), { note: `${count(all.receives)} receives` });
  const share = all.promised / all.budget;
  tiles.set("Memory", bytes(all.promised), { note: `promised of ${bytes(all.budget)}`, share, look: share > 0.9 ? "alarm" : share > 0.75 ? "warn" : "" });
  chart(all);
}

function chart(all) {
  const isSame = before?.server === all.server;
  if (before && !isSame) forget();
  const apart = isSame ? all.uptime - before.uptime : 0;
  const seconds = passed(apart);
  const [ending, failing] = ["ended", "failed"].map((key) => (apart > 0 ? (all[key] - before[key]) / apart : undefined));
  before = all;
  series.requests.push(seconds, ending, failing);
  series.latency.push(seconds, all.p50, all.p99);
  series.bytes.push(seconds, all.in, all.out);
  series.load.push(seconds, all.busy, all.waiting);
  for (const chart of charts) chart.draw();
}
