// The list of channels: what each does, what it lacks, and the command that would help.

import { command, bytes, count, element, say, time, waits } from "./format.js";
import { Table } from "./table.js";

const zero = (value) => (value ? "" : "zero");

const COLUMNS = [
  { key: "name", title: "Channel", cell: (c) => c.name, sortable: true },
  { key: "waiting", title: "Waiting", cell: (c) => count(c.waiting), look: (c) => (c.startOne ? "alarm" : zero(c.waiting)), sortable: true },
  { key: "oldest", title: "Oldest", cell: (c) => time(c.oldest), look: (c) => zero(c.oldest), sortable: true, hide: "medium-only" },
  { key: "free", title: "Free", cell: (c) => count(c.free), look: (c) => zero(c.free), sortable: true },
  { key: "busy", title: "Busy", cell: (c) => count(c.busy), look: (c) => zero(c.busy), sortable: true },
  { key: "rate", title: "Requests/s", cell: (c) => count(c.rate), look: (c) => zero(c.rate), spark: (c) => c.past.requests.lines[0], sortable: true },
  { key: "in", title: "In/s", cell: (c) => bytes(c.in), look: (c) => zero(c.in), sortable: true, hide: "wide-only" },
  { key: "out", title: "Out/s", cell: (c) => bytes(c.out), look: (c) => zero(c.out), sortable: true, hide: "wide-only" },
  { key: "p50", title: "p50", cell: (c) => time(c.p50), look: (c) => zero(c.p50), sortable: true, hide: "medium-only" },
  { key: "p99", title: "p99", cell: (c) => time(c.p99), look: (c) => zero(c.p99), spark: (c) => c.past.latency.lines[1], sortable: true, hide: "medium-only" },
  { key: "attention", title: "Attention", cell: () => "–", look: (c) => zero(badges(c).length), badges, left: true, sortable: true, hide: "medium-only" },
];

/** What is wrong with a channel, the worst first. */
function badges(channel) {
  const found = [];
  if (channel.startOne) found.push(["alarm", "no receiver"]);
  if (channel.waiting > 0 && channel.free === 0 && !channel.startOne) found.push(["", "all busy"]);
  if (channel.past.failing > 0) found.push(["alarm", `${count(channel.past.failing)} failed/s`]);
  if (channel.stalledOn && !channel.startOne) found.push(["", `stalled on ${channel.stalledOn}`]);
  return found;
}

/** @param open is called with a channel that is chosen; @param onSort with an order */
export function table(place, { open, onSort }) {
  return new Table(place, COLUMNS, { key: (channel) => channel.id, open, sort: "attention", onSort, after: (channel, before) => (channel.startOne ? lacking(channel, before) : undefined) });
}

/** Says what is missing. What already stands there is kept: somebody may be about to copy it. */
export function lacking(channel, before) {
  const place = before ?? element("span", { class: "lacking" }, element("span"), " ", element("span", { class: "command" }));
  const [words, start] = place.children;
  say(words, `${waits(channel.waiting)}, and there is no receiver. Run this:`);
  if (start.firstChild?.textContent !== channel.startOne) command(channel.startOne, start);
  return place;
}
