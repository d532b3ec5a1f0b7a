// The dashboard: one snapshot a second of the server, and what a person does with it.

import * as api from "./api.js";
import * as channel from "./channel.js";
import * as channels from "./channels.js";
import * as drawer from "./drawer.js";
import { command, count, say, time } from "./format.js";
import * as overview from "./overview.js";
import * as request from "./request.js";
import * as send from "./send.js";
import { note } from "./series.js";

const $ = (id) => document.getElementById(id);

const list = channels.table($("channel-table"), {
  open: (of) => channel.open(of.id, of.name),
  onSort: (key) => watch({ sort: key }),
});

function show(snapshot) {
  document.body.classList.remove("old");
  showState(snapshot.overview);
  overview.show(snapshot.overview);
  for (const channel of snapshot.channels) channel.past = note(channel, snapshot.taken);
  list.show(snapshot.channels);
  showCount(snapshot);
  send.suggest(snapshot.channels);
  drawer.refresh();
}

function showState(all) {
  say($("version"), all.version ?? "");
  // What stands here is read out when it changes; how long it has run changes each second, and stands beside it.
  say($("state"), all.draining ? "draining: nothing new is started" : "live");
  say($("uptime"), `up ${time(Math.floor(all.uptime))}`);
  $("state").className = all.draining ? "draining" : "live";
  const title = all.waiting > 0 ? `(${count(all.waiting)}) Tieline` : "Tieline";
  if (document.title !== title) document.title = title;
}

function showCount({ total, channels }) {
  const isSearch = wanted.find !== "";
  const shown = channels.length;
  say($("channel-count"), total > shown ? `${count(shown)} of ${count(total)}` : count(total));
  $("no-channels").hidden = total > 0 || isSearch;
  $("nothing-found").hidden = total > 0 || !isSearch;
  $("channel-list").hidden = total === 0;
  $("more").hidden = total <= shown;
  say($("more"), `The first ${count(shown)} in this order are shown. Find a part of a name to see others.`);
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
        if (!isRouted) route();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401 || error.status === 403) {
        await askToken(error);
        continue;
      }
    }
    if (signal.aborted) return;
    document.body.classList.add("old");
    $("state").className = "lost";
    say($("state"), "the server is out of reach: trying again");
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
    $("token").select();
  });
}

// What is open has an address, so that it can be sent to somebody, and left by going back.

let isRouted = false;

function route() {
  isRouted = true;
  const [, kind, id] = location.hash.split("/");
  if (kind === "channel" && id) channel.open(id);
  else if (kind === "request" && id) request.open(id);
  else drawer.close();
}

addEventListener("popstate", route);

function byAttention() {
  list.sortBy("attention");
  watch({ sort: "attention" });
}

let typing;
$("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => watch({ find: $("find").value.trim() }), 150);
});
$("find").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") list.focus();
  else if (event.key === "Escape" && event.target.value === "") event.target.blur();
  else return;
  event.preventDefault();
});
$("open-send").addEventListener("click", () => send.open());
$("open-keys").addEventListener("click", () => $("keys").showModal());

const KEYS = {
  "/": () => $("find").focus(),
  n: () => send.open(),
  a: byAttention,
  "?": () => $("keys").showModal(),
  ArrowDown: () => list.focus(),
};

document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, dialog") || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  act();
});

for (const place of document.querySelectorAll(".command")) command(place.textContent, place);
send.init();
watch();
