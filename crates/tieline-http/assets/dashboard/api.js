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
  const response = await fetch(path, { headers, signal, cache: "no-store" }).catch((error) => {
    throw signal?.aborted ? error : new Error("The server is out of reach: what stands here is old.");
  });
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
export async function request(id) {
  return requestOf(await (await get(`/api/requests/${id}`)).json());
}

function snapshot({ overview, channels }) {
  const ended = overview.rates;
  seen = { at: overview.uptime_seconds, since: performance.now() };
  return {
    total: channels.total,
    taken: channels.taken_seconds,
    channels: channels.channels.map(channelOf),
    overview: {
      server: overview.server,
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
      in: ended?.request_bytes,
      out: ended?.response_bytes,
      ...endings(overview.ended),
      p50: overview.duration_lately?.p50_seconds,
      p99: overview.duration_lately?.p99_seconds,
      promised: overview.promised,
      budget: overview.memory,
    },
  };
}

let seen = { at: 0, since: 0 };

/** Now, in seconds since the server began, as far as that is known here. */
export function moment() {
  return seen.at + (performance.now() - seen.since) / 1000;
}

/** How many ended, and how many of them not well. */
function endings(outcomes) {
  const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  return { ended, failed: ended - (outcomes.complete ?? 0) };
}

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
    ended: channel.ended,
    failed: channel.failed,
    stalledOn: channel.stalled_on,
    startOne: channel.start_one,
  };
}

function party(who) {
  const connection = `connection ${who?.connection}`;
  return who && { name: who.token ?? connection, where: who.token ? `${who.from} · ${connection}` : who.from };
}

function receiver(of) {
  return { key: of.connection, name: of.token ?? `connection ${of.connection}`, address: of.from, free: of.free, busy: of.busy, handedOut: of.handed_out };
}

/** A state in a table, and in a sentence. */
const STATES = {
  waiting: ["waits", "It waits for a free receiver."],
  "handed-out": ["handed out", "It was handed out; nothing of it has left to the receiver yet."],
  sent: ["sent", "It is with the receiver, whose program hasn't taken it yet."],
  accepted: ["taken", "The receiver's program has it, and hasn't begun to answer."],
  responding: ["answering", "The receiver is answering."],
};

function requestOf(request) {
  const [words, sentence] = STATES[request.state] ?? [request.state, request.state];
  const [up, down] = [body(request.request), body(request.response)];
  return {
    id: request.id,
    requestId: request.request_id,
    short: shortOf(request.id),
    state: request.state,
    words,
    sentence,
    sender: party(request.sender),
    receiver: party(request.receiver),
    age: request.age_seconds,
    waited: request.waited_seconds,
    firstByte: request.first_byte_seconds,
    deadline: request.deadline_in_seconds,
    handOuts: request.hand_outs,
    idempotent: request.idempotent,
    up,
    down,
    stalled: up.stalled ?? down.stalled,
  };
}

/** Of `CLIENT.REQUEST.CHANNEL`: who sends it, and its number there, as far as that tells it from others. */
export function shortOf(id) {
  const [client, number = ""] = id.split(".");
  return `${client.slice(0, 8)}.${number.slice(-8)}`;
}

function body(of) {
  const stalled = of.stalled_on ? { on: of.stalled_on, seconds: of.stalled_seconds } : undefined;
  return { bytes: of.bytes, held: of.held, credit: of.credit, isClosed: of.closed, stalled };
}
