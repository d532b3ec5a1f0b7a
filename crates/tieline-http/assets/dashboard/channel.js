// One channel: what it does and did, who receives on it, what waits and runs.

import * as api from "./api.js";
import { lacking } from "./channels.js";
import { Chart } from "./chart.js";
import * as drawer from "./drawer.js";
import { bytes, count, element, say, time } from "./format.js";
import * as request from "./request.js";
import * as send from "./send.js";
import { past } from "./series.js";
import { Table } from "./table.js";
import { Tiles } from "./tiles.js";

const RECEIVERS = [
  { key: "name", title: "Receiver", cell: (r) => r.name },
  { key: "address", title: "From", cell: (r) => r.address ?? "–", left: true },
  { key: "free", title: "Free", cell: (r) => count(r.free), look: (r) => (r.free ? "" : "zero") },
  { key: "busy", title: "Busy", cell: (r) => count(r.busy), look: (r) => (r.busy ? "" : "zero") },
  { key: "done", title: "Handed out", cell: (r) => count(r.handedOut) },
];

const REQUESTS = [
  { key: "id", title: "Request", cell: (r) => r.short },
  { key: "state", title: "State", cell: (r) => r.words, left: true },
  { key: "age", title: "Age", cell: (r) => time(r.age) },
  { key: "receiver", title: "Held by", cell: (r) => r.receiver?.name ?? "–", look: (r) => (r.receiver ? "" : "zero"), left: true, hide: "medium-only" },
  { key: "up", title: "Request", cell: (r) => bytes(r.up.bytes), hide: "medium-only" },
  { key: "down", title: "Response", cell: (r) => bytes(r.down.bytes), look: (r) => (r.down.bytes ? "" : "zero"), hide: "medium-only" },
  {
    key: "stalled",
    title: "Stalled on",
    cell: () => "–",
    look: (r) => (r.stalled ? "" : "zero"),
    badges: (r) => (r.stalled ? [["", `${r.stalled.on} for ${time(r.stalled.seconds)}`]] : []),
    left: true,
  },
];

export function open(id, name) {
  const tiles = new Tiles();
  const charts = element("div", { class: "charts three" });
  const lack = element("div", { class: "notice warn", hidden: true });
  const receivers = section("Receivers");
  const requests = section("Requests");
  const receiverTable = new Table(receivers.table, RECEIVERS, { key: (r) => r.key });
  const requestTable = new Table(requests.table, REQUESTS, { key: (r) => r.id, open: (r) => request.open(r.id, called) });
  const below = element("div", { class: "subtle" }, id);
  let called = name;
  let drawn;
  const view = {
    hash: `#/channel/${id}`,
    title: name ?? "…",
    below,
    action: element("button", { type: "button", onclick: () => send.open(called) }, "Send a request to it …"),
    content: [lack, tiles.place, charts, receivers.section, requests.section],
    load: () => api.channel(id),
    show(found) {
      called = found.name;
      say(document.getElementById("detail-title"), found.name);
      lack.hidden = !found.startOne;
      if (found.startOne) lack.replaceChildren(lacking(found, lack.firstChild ?? undefined));
      tiles.set("Waiting", count(found.waiting), { note: found.waiting ? `the oldest for ${time(found.oldest)}` : "nothing waits", look: found.startOne ? "alarm" : "" });
      tiles.set("Free", count(found.free), { note: found.receiverCount === 1 ? "1 receiver" : `${count(found.receiverCount)} receivers`, look: found.waiting > 0 && found.free === 0 ? "warn" : "" });
      tiles.set("Busy", count(found.busy), { note: "in receivers' hands" });
      tiles.set("Ended", count(found.ended), { note: `${count(found.failed)} of them failed` });
      const seen = past(found, api.moment());
      drawn ??= chartsOf(seen, charts);
      for (const chart of drawn) chart.draw();
      receiverTable.show(found.receivers);
      requestTable.show(found.requests);
      say(receivers.note, found.receivers.length ? some(found.receivers.length, found.receiverCount) : "none");
      say(requests.note, found.requests.length ? some(found.requests.length, found.waiting + found.busy) : "none waits or runs");
      for (const of of [receivers, requests]) of.scroll.hidden = of.table.tBodies[0].rows.length === 0;
    },
    gone(error) {
      lack.hidden = false;
      lack.className = "notice";
      say(lack, error.status === 404 ? "Nobody uses this channel now: nothing receives on it, and nothing waits. It comes back by itself." : error.message);
    },
  };
  drawer.open(view);
}

function chartsOf(past, place) {
  const charts = [
    new Chart({ title: "Requests a second", names: ["ended", "failed"], format: count, series: past.requests, isSmall: true }),
    new Chart({ title: "Duration", names: ["p50", "p99"], format: time, series: past.latency, isSmall: true }),
    new Chart({ title: "Bytes a second", names: ["in", "out"], format: bytes, series: past.bytes, isSmall: true }),
  ];
  place.append(...charts.map((chart) => chart.figure));
  return charts;
}

function section(title) {
  const note = element("small");
  const heading = element("h3", {}, `${title} `, note);
  const table = element("table", { "aria-label": title }, element("thead", {}, element("tr")), element("tbody"));
  const scroll = element("div", { class: "scroll" }, table);
  return { table, note, scroll, section: element("section", {}, heading, scroll) };
}

function some(shown, all) {
  return all > shown ? `${count(shown)} of ${count(all)}` : count(shown);
}
