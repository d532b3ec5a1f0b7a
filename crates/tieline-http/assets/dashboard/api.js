// The server's figures, from its API; and the token that it may want for them.

const SHOWN = 200;

/** @returns {string | undefined} the token that this tab was given */
export function token() {
  return sessionStorage.getItem("tieline-token") ?? undefined;
}

export function setToken(token) {
  sessionStorage.setItem("tieline-token", token);
}

async function get(path, signal) {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw Object.assign(new Error(told.message ?? `the server answered ${response.status}`), { status: response.status });
}

/** A snapshot a second, as long as somebody asks for the next. */
export async function* snapshots({ sort, find }, signal) {
  const query = new URLSearchParams({ sort, limit: SHOWN });
  if (find) query.set("find", find);
  const response = await get(`/api/events?${query}`, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    // Of several that came at once, e.g. after this machine slept, the newest says all.
    const data = events.at(-1)?.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
    if (data) yield snapshot(JSON.parse(data));
  }
}

/** A channel with its receivers and requests. */
export async function channel(id) {
  const found = await (await get(`/api/channels/${id}`)).json();
  return { ...channelOf(found.channel), receivers: found.receivers.map(receiver), requests: found.requests.map(requestOf) };
}

/** A request's life as it is now. */
export async function request({ id }) {
  return requestOf(await (await get(`/api/requests/${id}`)).json());
}

function snapshot({ overview, channels }) {
  const ended = overview.rates;
  return {
    total: channels.total,
    channels: channels.channels.map(channelOf),
    overview: {
      version: overview.version,
      uptime: overview.uptime_seconds,
      draining: overview.draining,
      connections: overview.connections,
      waiting: overview.waiting,
      oldest: overview.oldest_wait_seconds,
      receives: overview.receives,
      free: overview.free,
      busy: overview.busy,
      rate: ended?.requests,
      failed: failedRate(overview),
      in: ended?.request_bytes,
      out: ended?.response_bytes,
      ...lately(overview.duration),
      promised: overview.promised,
      budget: overview.memory,
    },
  };
}

let before;

/** Requests a second that didn't end well, from two snapshots. */
function failedRate(overview) {
  const failed = Object.entries(overview.ended).reduce((sum, [outcome, count]) => (outcome === "complete" ? sum : sum + count), 0);
  const last = before;
  before = { failed, uptime: overview.uptime_seconds, server: overview.server };
  if (!last || last.server !== overview.server || overview.uptime_seconds <= last.uptime) return undefined;
  return (failed - last.failed) / (overview.uptime_seconds - last.uptime);
}

const lately = (ages) => ({ p50: ages.p50_seconds, p99: ages.p99_seconds });

function channelOf(channel) {
  return {
    id: channel.id,
    name: channel.name ?? channel.id,
    waiting: channel.waiting,
    oldest: channel.oldest_wait_seconds,
    receiverCount: channel.receives,
    free: channel.free,
    busy: channel.busy,
    rate: channel.rates?.requests,
    in: channel.rates?.request_bytes,
    out: channel.rates?.response_bytes,
    p50: channel.p50_seconds,
    p99: channel.p99_seconds,
    stalledOn: channel.stalled_on,
    startOne: channel.start_one,
  };
}

const party = (who) => who && `${who.token ? `${who.token} · ` : ""}${who.from} (connection ${who.connection})`;

function receiver(of) {
  return { key: of.connection, name: of.token ?? `connection ${of.connection}`, address: of.from, free: of.free, busy: of.busy, handedOut: of.handed_out };
}

const STATES = {
  waiting: "waits for a free receiver",
  "handed-out": "handed out, not sent yet",
  sent: "sent to the receiver",
  accepted: "the program has it",
  responding: "responding",
};

function requestOf(request) {
  const stalled = request.request.stalled_on ? request.request : request.response;
  return {
    id: request.id,
    short: shortOf(request.id),
    state: STATES[request.state] ?? request.state,
    sender: party(request.sender) ?? "gone",
    receiver: party(request.receiver),
    age: request.age_seconds,
    deadline: request.deadline_in_seconds,
    handOuts: request.hand_outs,
    idempotent: request.idempotent,
    up: body(request.request),
    down: body(request.response),
    stalledOn: stalled.stalled_on,
    stalledFor: stalled.stalled_seconds,
  };
}

/** Of `CLIENT.REQUEST.CHANNEL`: who sends it, and its number there, as far as that tells it from others. */
function shortOf(id) {
  const [client, number] = id.split(".");
  return `${client.slice(0, 8)}.${number.slice(-8)}`;
}

const body = (of) => ({ bytes: of.bytes, held: of.held, credit: of.credit, isClosed: of.closed });
