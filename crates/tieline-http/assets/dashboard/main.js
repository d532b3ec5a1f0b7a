// The dashboard: one snapshot a second of the server, and what a person does with it.

import * as api from "./api.js";
import { Chart } from "./chart.js";
import * as detail from "./detail.js";
import { bytes, count, element, time } from "./format.js";
import * as send from "./send.js";
import { Table } from "./table.js";

const $ = (id) => document.getElementById(id);

const charts = {
  requests: new Chart($("chart-requests"), ["requests", "failed"], count),
  latency: new Chart($("chart-latency"), ["p50", "p99"], time),
  bytes: new Chart($("chart-bytes"), ["in", "out"], bytes),
  load: new Chart($("chart-load"), ["busy", "waiting"], count),
};

const columns = [
  { key: "name", title: "Channel", cell: (c) => c.name, sortable: true },
  { key: "waiting", title: "Waiting", cell: (c) => count(c.waiting), look: (c) => (c.startOne ? "alarm" : c.waiting ? "" : "zero"), sortable: true },
  { key: "oldest", title: "Oldest", cell: (c) => time(c.oldest), look: (c) => (c.oldest ? "" : "zero"), sortable: true },
  { key: "free", title: "Free", cell: (c) => count(c.free), look: (c) => (c.free ? "" : "zero"), sortable: true },
  { key: "busy", title: "Busy", cell: (c) => count(c.busy), look: (c) => (c.busy ? "" : "zero"), sortable: true },
  { key: "rate", title: "Requests/s", cell: (c) => count(c.rate), sortable: true },
  { key: "in", title: "In/s", cell: (c) => bytes(c.in), sortable: true },
  { key: "out", title: "Out/s", cell: (c) => bytes(c.out), sortable: true },
  { key: "p50", title: "p50", cell: (c) => time(c.p50), sortable: true },
  { key: "p99", title: "p99", cell: (c) => time(c.p99), sortable: true },
  { key: "stalled", title: "Stalled on", cell: (c) => c.stalledOn ?? "–", look: (c) => (c.stalledOn ? "alarm" : "zero"), left: true },
];

const channels = new Table($("channel-table"), columns, {
  key: (channel) => channel.id,
  open: (channel) => detail.openChannel(channel),
  sort: "attention",
  onSort: (key) => watch({ sort: key }),
  after: (channel) => (channel.startOne ? lacking(channel) : undefined),
});

function lacking(channel) {
  const command = channel.startOne;
  const copy = element("button", { type: "button", onclick: (event) => void navigator.clipboard?.writeText(command).then(() => (event.target.textContent = "Copied")) }, "Copy");
  const many = channel.waiting === 1 ? "1 request waits" : `${count(channel.waiting)} requests wait`;
  return element("span", {}, `${many}, and there is no receiver. Run this: `, element("code", {}, command), " ", copy);
}

function showOverview(all) {
  const lacks = all.waiting > 0 && all.receives === 0;
  tile("requests", "requests/s", count(all.rate));
  tile("waiting", "waiting", count(all.waiting), lacks);
  tile("oldest", "oldest wait", time(all.oldest));
  tile("free", "free receivers", count(all.free));
  tile("busy", "busy receivers", count(all.busy));
  tile("in", "in a second", bytes(all.in));
  tile("out", "out a second", bytes(all.out));
  tile("p50", "half end within", time(all.p50));
  tile("p99", "99 of 100 within", time(all.p99));
  tile("memory", `promised of ${bytes(all.budget)}`, bytes(all.promised), all.promised > 0.9 * all.budget);
  tile("connections", "connections", count(all.connections));
  charts.requests.push(all.rate, all.failed);
  charts.latency.push(all.p50, all.p99);
  charts.bytes.push(all.in, all.out);
  charts.load.push(all.busy, all.waiting);
  $("version").textContent = all.version ?? "";
  const state = $("state");
  const words = all.draining ? "draining: nothing new is started" : `live · up ${time(Math.floor(all.uptime))}`;
  if (state.textContent !== words) state.textContent = words;
  state.className = all.draining ? "draining" : "live";
}

const tiles = new Map();

function tile(key, title, value, isAlarming = false) {
  let shown = tiles.get(key);
  if (!shown) {
    shown = { item: element("li"), value: element("b") };
    shown.item.append(shown.value, element("span", {}, title));
    tiles.set(key, shown);
    $("tiles").append(shown.item);
  }
  if (shown.value.textContent !== value) shown.value.textContent = value;
  shown.item.classList.toggle("alarm", Boolean(isAlarming));
}

function show(snapshot) {
  showOverview(snapshot.overview);
  channels.show(snapshot.channels);
  const shown = snapshot.channels.length;
  $("channel-count").textContent = snapshot.total > shown ? `${count(shown)} of ${count(snapshot.total)}` : count(snapshot.total);
  $("no-channels").hidden = snapshot.total > 0;
  detail.refresh();
}

// What is watched: another order or another search begins the stream anew.

let wanted = { sort: "attention", find: "" };
let watching;

function watch(change = {}) {
  wanted = { ...wanted, ...change };
  watching?.abort();
  watching = new AbortController();
  follow(watching.signal);
}

async function follow(signal) {
  for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 8000)) {
    try {
      for await (const snapshot of api.snapshots(wanted, signal)) {
        pause = 500;
        show(snapshot);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) {
        await askToken(error);
        continue;
      }
    }
    if (signal.aborted) return;
    $("state").className = "lost";
    $("state").textContent = "the server is out of reach: trying again";
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
  }
}

function askToken(error) {
  const dialog = $("ask-token");
  $("token-trouble").textContent = api.token() ? error.message : "";
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        api.setToken($("token").value);
        resolve();
      },
      { once: true },
    );
    if (!dialog.open) dialog.showModal();
  });
}

let typing;
$("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => watch({ find: $("find").value }), 200);
});
$("open-send").addEventListener("click", () => send.open());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, dialog")) return;
  event.preventDefault();
  $("find").focus();
});

send.init();
watch();
