// The panel that sends a request by the bus's own protocol, and shows the response as it streams in.

import { Client } from "/tieline/index.js";
import { bytes, command, element, startReceiver, time } from "./format.js";
import * as api from "./api.js";

/** Characters of a response that are shown; the rest is counted. */
const SHOWN = 200_000;

const $ = (id) => document.getElementById(id);
let running;

export function open(channel) {
  if (channel) $("send-channel").value = channel;
  $("send").showModal();
  (channel ? $("send-body") : $("send-channel")).focus();
}

/** Names that may be meant. */
export function suggest(channels) {
  const names = channels.slice(0, 20).map((channel) => channel.name);
  if (names.join() === suggested) return;
  suggested = names.join();
  $("known-channels").replaceChildren(...names.map((name) => element("option", { value: name })));
}

let suggested = "";

export function init() {
  $("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("send-cancel").addEventListener("click", () => running?.abort());
  $("send-close").addEventListener("click", () => $("send").close());
  $("send").addEventListener("close", () => running?.abort());
  $("send-body").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("send-form").requestSubmit();
  });
}

async function send() {
  const channel = $("send-channel").value;
  const abort = (running = new AbortController());
  const answer = $("send-answer");
  const begun = performance.now();
  const since = () => time((performance.now() - begun) / 1000);
  let sent = 0;
  let came = 0;
  let state = "waiting for the response";
  const show = (words, look = "") => {
    $("send-progress").className = look;
    $("send-progress").textContent = words;
  };
  const progress = () => show(`${state} · ${bytes(sent)} up · ${bytes(came)} down · ${since()}`);
  answer.textContent = "";
  $("send-advice").hidden = true;
  $("send-kind").textContent = "";
  $("send-go").disabled = true;
  $("send-cancel").disabled = false;
  const timer = setInterval(progress, 250);
  const client = new Client({ token: api.token(), name: "dashboard" });
  try {
    const file = $("send-file").files[0];
    const seconds = (id) => ($(id).value === "" ? 0 : Number($(id).value) * 1000);
    const metadata = $("send-type").value ? { "content-type": $("send-type").value } : {};
    const options = { metadata, wait: seconds("send-wait"), timeout: seconds("send-timeout"), signal: abort.signal, onSent: (bytes) => (sent = bytes) };
    progress();
    const response = await client.send(channel, file ?? $("send-body").value, options);
    state = `first byte after ${since()}`;
    $("send-kind").textContent = response.metadata.get("content-type") ?? "";
    const decoder = new TextDecoder();
    for (const reader = response.body.getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      came += value.length;
      const room = SHOWN - answer.textContent.length;
      if (room > 0) answer.append(decoder.decode(value, { stream: true }).slice(0, room));
      progress();
    }
    const rest = came > SHOWN ? ` · shown up to ${SHOWN.toLocaleString("en")} characters` : "";
    show(`complete · ${bytes(sent)} up · ${bytes(came)} down · ${since()}${rest}`, "good");
  } catch (error) {
    show(words(error, came), "trouble");
    advise(error, channel);
    if (error.detail) answer.append(`\n${error.detail}`);
  } finally {
    clearInterval(timer);
    client.close();
    $("send-go").disabled = false;
    $("send-cancel").disabled = true;
  }
}

/** What went wrong, and what that means for sending it again. */
function words(error, came) {
  const plain = { "no-receiver": "nobody receives on this channel", "wait-limit": "no receiver took it in this time", "deadline-exceeded": "its deadline passed", cancelled: "it was cancelled" };
  const said = error.message && error.message !== error.code ? error.message : plain[error.code];
  const sentences = [[error.code ?? "failed", said].filter(Boolean).join(": ").replace(/\.$/, "")];
  if (came > 0) sentences.push("The response below is incomplete");
  if (error.outcome === "unstarted") sentences.push("Nothing was started: it is safe to send it again");
  return `${sentences.join(". ")}.`;
}

/** The command that would help. */
function advise(error, channel) {
  if (error.code !== "no-receiver" && error.code !== "wait-limit") return;
  $("send-advice").hidden = false;
  $("send-advice").replaceChildren("Start one: ", command(startReceiver(channel)));
}
