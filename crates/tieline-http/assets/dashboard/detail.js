// One channel, or one request's life, in a dialog that is refreshed each second as long as it is open.

import * as api from "./api.js";
import { bytes, count, element, time } from "./format.js";
import * as send from "./send.js";
import { Table } from "./table.js";

const dialog = document.getElementById("detail");
let shown;
let isLoading = false;

/** Asks anew for what is open. */
export async function refresh() {
  if (!dialog.open || !shown || isLoading) return;
  isLoading = true;
  const view = shown;
  try {
    const found = await view.load();
    if (view === shown) view.show(found);
  } catch (error) {
    if (view === shown) view.gone(error);
  } finally {
    isLoading = false;
  }
}

function open(view, title, ...content) {
  shown = view;
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const heading = element("h2", { id: "detail-title" }, title);
  dialog.replaceChildren(element("div", { class: "top" }, heading, close), ...content);
  if (!dialog.open) dialog.showModal();
  refresh();
}

dialog.addEventListener("close", () => (shown = undefined));

/** A channel: who receives on it, and what waits and runs. */
export function openChannel(channel) {
  const facts = element("dl");
  const lack = element("p", { class: "trouble" });
  const receivers = table("Receivers");
  const requests = table("Requests");
  const receiverTable = new Table(receivers.table, RECEIVERS, { key: (r) => r.key });
  const requestTable = new Table(requests.table, REQUESTS, { key: (r) => r.id, open: (r) => openRequest(channel, r) });
  const view = {
    load: () => api.channel(channel.id),
    show(found) {
      list(facts, [
        ["waiting", `${count(found.waiting)}, the oldest ${time(found.oldest)}`],
        ["receivers", `${count(found.free)} free, ${count(found.busy)} busy`],
        ["rate", `${count(found.rate)} requests/s · ${bytes(found.in)}/s in · ${bytes(found.out)}/s out`],
        ["took", `half within ${time(found.p50)}, 99 of 100 within ${time(found.p99)}`],
        ["id", found.id],
      ]);
      lack.replaceChildren(...(found.startOne ? ["No receiver. Run this: ", element("code", {}, found.startOne)] : []));
      receiverTable.show(found.receivers);
      requestTable.show(found.requests);
      receivers.note.textContent = found.receivers.length ? more(found.receivers.length, found.receiverCount) : "none";
      requests.note.textContent = found.requests.length ? more(found.requests.length, found.waiting + found.busy) : "none waits or runs";
    },
    gone: (error) => lack.replaceChildren(error.status === 404 ? "Nobody uses this channel any more." : error.message),
  };
  const trySend = element("button", { type: "button", onclick: () => (dialog.close(), send.open(channel.name)) }, "Send a request to it …");
  open(view, channel.name, facts, lack, trySend, receivers.section, requests.section);
}

/** Of credit, what fills its gauge: the largest window unless the server says otherwise. */
const WINDOW = 1024 * 1024;

const RECEIVERS = [
  { key: "name", title: "Connection", cell: (r) => r.name },
  { key: "address", title: "From", cell: (r) => r.address ?? "–", left: true },
  { key: "free", title: "Free", cell: (r) => count(r.free) },
  { key: "busy", title: "Busy", cell: (r) => count(r.busy) },
  { key: "done", title: "Handed out", cell: (r) => count(r.handedOut) },
];

const REQUESTS = [
  { key: "id", title: "Request", cell: (r) => r.short },
  { key: "state", title: "State", cell: (r) => r.state, left: true },
  { key: "age", title: "Age", cell: (r) => time(r.age) },
  { key: "up", title: "Up", cell: (r) => bytes(r.up.bytes) },
  { key: "down", title: "Down", cell: (r) => bytes(r.down.bytes) },
  { key: "stalled", title: "Stalled on", cell: (r) => r.stalledOn || "–", look: (r) => (r.stalledOn ? "alarm" : "zero"), left: true },
];

/** A request's life. */
export function openRequest(channel, request) {
  const facts = element("dl");
  const over = element("p");
  const view = {
    load: () => api.request(request),
    show(found) {
      list(facts, [
        ["channel", channel.name],
        ["state", found.state],
        ["sender", found.sender],
        ["held by", found.receiver ?? "nobody yet: it waits for a free receiver"],
        ["came", `${time(found.age)} ago`],
        ["deadline", found.deadline === undefined ? "–" : `in ${time(found.deadline)}`],
        ["handed out", found.handOuts === 0 ? "not yet" : found.handOuts === 1 ? "once" : `${found.handOuts} times`],
        ["may run twice", found.idempotent ? "yes: it is idempotent" : "no"],
        ["request", flow(found.up)],
        ["response", flow(found.down)],
        ["id", found.id],
        ["stalled on", found.stalledOn ? `${found.stalledOn}, for ${time(found.stalledFor)}` : "nobody"],
      ]);
    },
    gone(error) {
      over.textContent = error.status === 404 ? "It is over. What is above is the last that was seen of it." : error.message;
      over.className = error.status === 404 ? "good" : "trouble";
      shown = undefined;
    },
  };
  const back = element("button", { type: "button", onclick: () => openChannel(channel) }, `Back to ${channel.name}`);
  open(view, `Request ${request.short}`, facts, over, back);
}

/** Bytes that passed, and how much more may come. */
function flow(way) {
  const held = way.held > 0 ? `, ${bytes(way.held)} of it here` : "";
  const words = `${bytes(way.bytes)}${held}${way.isClosed ? ", complete" : ""}`;
  if (way.isClosed) return words;
  const meter = element("meter", { min: 0, max: Math.max(way.credit, WINDOW), value: way.credit, "aria-label": "credit" });
  return element("span", { class: "credit" }, words, meter, `${bytes(way.credit)} of credit left`);
}

function list(place, entries) {
  place.replaceChildren(...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function table(title) {
  const note = element("small");
  const made = element("table", {}, element("thead", {}, element("tr")), element("tbody"));
  return { table: made, note, section: element("section", {}, element("h3", {}, `${title} `, note), element("div", { class: "scroll" }, made)) };
}

function more(shown, all) {
  return all > shown ? `${count(shown)} of ${count(all)}` : count(shown);
}
