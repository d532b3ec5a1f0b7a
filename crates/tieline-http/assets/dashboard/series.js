// What happened in the last two minutes, a value for each second: of the server, and of each channel that was shown.

export const SPAN = 120;

/** Channels that are remembered, at most; those that were seen longest ago are forgotten first. */
const CHANNELS_MAX = 600;

/** One or two lines of values. A second of which nothing is known is a gap. */
export class Series {
  constructor(lines = 2) {
    this.lines = Array.from({ length: lines }, () => new Float32Array(SPAN).fill(NaN));
  }

  /** So many seconds have passed; these are the values of the last of them. */
  push(seconds, ...values) {
    const step = Math.min(seconds, SPAN);
    this.lines.forEach((line, i) => {
      line.copyWithin(0, step);
      line.fill(NaN, SPAN - step);
      line[SPAN - 1] = values[i] ?? NaN;
    });
  }

  /** The largest value there is, or 0. */
  most() {
    let most = 0;
    for (const line of this.lines) for (const value of line) if (value > most) most = value;
    return most;
  }
}

/** How many places a chart moves on. Looks come about once a second; only where some are missing is there a gap. */
export function passed(apart) {
  return apart < 3 ? 1 : Math.round(apart);
}

/** What a channel did: requests and failures, how long they took, bytes. */
class Past {
  requests = new Series();
  latency = new Series();
  bytes = new Series();
  #before;

  /** Whether the list notes it: no second of it is missing. */
  isFresh(at) {
    return this.#before !== undefined && Math.abs(at - this.#before.at) < 2.5;
  }

  note(channel, at) {
    const seconds = this.#before ? passed(at - this.#before.at) : 1;
    // Two looks may be one and the same: then what failed lately is what did before.
    const apart = this.#before && channel.ended >= this.#before.ended ? at - this.#before.at : undefined;
    if (apart !== 0) this.failing = apart && (channel.failed - this.#before.failed) / apart;
    this.requests.push(seconds, channel.rate, this.failing);
    this.latency.push(seconds, channel.p50, channel.p99);
    this.bytes.push(seconds, channel.in, channel.out);
    this.#before = { at, ended: channel.ended, failed: channel.failed };
  }
}

const pasts = new Map();

/** Notes what a channel does at a moment, in seconds; what it did before is returned with it. */
export function note(channel, at) {
  const past = pasts.get(channel.id) ?? new Past();
  // Who is noted again is the youngest.
  pasts.delete(channel.id);
  pasts.set(channel.id, past);
  if (pasts.size > CHANNELS_MAX) pasts.delete(pasts.keys().next().value);
  past.note(channel, at);
  return past;
}

/** What a channel did, of which so much is known now. In the list it is noted each second; else it is noted here. */
export function past(channel, at) {
  const known = pasts.get(channel.id);
  return known?.isFresh(at) ? known : note(channel, at);
}

/** Another server's past is another past. */
export function forget() {
  pasts.clear();
}
