// One WebSocket to a server: hello, frames both ways, liveness, and the exchanges that run on it.

import { faultPayload, TielineError } from "./errors.js";
import { Sending } from "./sending.js";
import { Taking } from "./taking.js";
import { Decoder, encode, encodeMetadata, FLAG, INITIAL_LEAST, Metadata, PAYLOAD_DEFAULT, randomId, TYPE, Violation } from "./wire.js";

const HELLO_WITHIN = 5_000;
const SILENCE_MAX = 30_000;
const CLOCK_JUMP = 5_000;
/** Bytes that the browser may hold unsent before bodies wait: it has no back-pressure of its own. */
const UNSENT_MAX = 256 * 1024;

export class Connection {
  /** Connects and greets; rejects with a {@link TielineError}. */
  static open(url, { token, name }) {
    return new Promise((resolve, reject) => {
      const connection = new Connection(url, { token, name });
      connection.onReady = () => resolve(connection);
      connection.onLost = reject;
    });
  }

  constructor(url, { token, name }) {
    this.client = randomId();
    this.decoder = new Decoder();
    this.limits = { payload: 32 * 1024, window: 1024 * 1024, ping: 15_000, initial: INITIAL_LEAST };
    this.sent = new Map();
    this.taken = new Map();
    this.receives = new Map();
    this.lastRequest = 0n;
    this.isGreeted = false;
    this.isEnding = false;
    this.saidEnd = false;
    this.failure = undefined;
    this.onLost = () => {};
    this.onEnding = () => {};
    this.heard = Date.now();
    this.socket = new WebSocket(url, "tieline.v1");
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      const metadata = [["agent", "tieline-js/1"]];
      if (name) metadata.push(["name", name]);
      if (token) metadata.push(["token", token]);
      this.write({ type: TYPE.hello, client: this.client, payload: [encodeMetadata(metadata)] });
    };
    this.socket.onmessage = ({ data }) => this.hear(data);
    this.socket.onclose = ({ reason }) => this.lose(new TielineError("connection-lost", reason || this.reasonOfLoss()));
    this.begun = Date.now();
    this.watch(Math.min(HELLO_WITHIN, this.limits.ping));
  }

  reasonOfLoss() {
    return this.isGreeted ? "the connection to the server was lost" : "the server is out of reach, or refused this page";
  }

  /** Whether new requests and receives may be started here. */
  get isOpen() {
    return !this.failure && !this.isEnding;
  }

  // What exchanges call.

  write(frame) {
    if (!this.failure && this.socket.readyState === WebSocket.OPEN) this.socket.send(encode(frame));
  }

  /** Waits until the socket has room for more of a body. */
  async room() {
    // There is no event for it. As long as too much is unsent, time is what has to pass.
    while (this.socket.bufferedAmount > UNSENT_MAX && !this.failure) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  send(channel, id, body, options) {
    const sending = new Sending(this, channel, id, body, options);
    return sending.response;
  }

  /** The next request id; to be called where the start is written. */
  nextRequest(sending) {
    this.lastRequest += 1n;
    this.sent.set(this.lastRequest, sending);
    return this.lastRequest;
  }

  forget(map, key) {
    map.delete(key);
    this.closeIfDone();
  }

  /** Starts nothing more; what runs goes on. */
  end() {
    this.isEnding = true;
    this.sayEnd();
    this.closeIfDone();
  }

  // What comes in.

  hear(data) {
    this.heard = Date.now();
    this.pinged = false;
    try {
      if (typeof data === "string") throw new Violation("invalid-frame", "a message of text");
      for (const frame of this.decoder.push(new Uint8Array(data), () => this.limits.payload)) {
        if (this.failure) return;
        this.take(frame);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.refuse(error);
    }
  }

  take(frame) {
    const { type, flags } = frame;
    if (!this.isGreeted && type !== TYPE.error) return this.greeted(frame);
    if (flags & (FLAG.request | FLAG.response) && type !== TYPE.ping && type !== TYPE.hello) return this.takeOfExchange(frame);
    if (flags & FLAG.receive) return this.receives.get(frame.channel)?.take(frame);
    switch (type) {
      case TYPE.ping:
        if (!(flags & FLAG.response)) this.write({ type, flags: FLAG.response, value: frame.value });
        return undefined;
      case TYPE.end:
        this.isEnding = true;
        this.sayEnd();
        this.onEnding();
        return this.closeIfDone();
      case TYPE.error: {
        const outcome = this.isGreeted ? "unknown" : "unstarted";
        const error = TielineError.decode(frame.payload, outcome);
        const lost = this.isGreeted ? new TielineError("connection-lost", `the server closed the connection: ${error.message}`) : error;
        return this.lose(lost);
      }
      default:
        throw new Violation("invalid-frame", `a frame of type ${type} that the server may not send`);
    }
  }

  takeOfExchange(frame) {
    const { type, flags } = frame;
    const asReceiver = flags & FLAG.request ? type !== TYPE.ack : type === TYPE.ack;
    if (!asReceiver) {
      if (frame.client === this.client) this.sent.get(BigInt(`0x${frame.request}`))?.take(frame);
      return;
    }
    const key = `${frame.client}${frame.request}${frame.channel}`;
    if (type !== TYPE.start) return this.taken.get(key)?.take(frame);
    const receive = this.receives.get(frame.channel);
    if (!receive || this.taken.has(key)) throw new Violation("invalid-frame", "a request that wasn't asked for");
    this.taken.set(key, new Taking(this, receive, key, frame));
  }

  greeted(frame) {
    if (frame.type !== TYPE.hello || frame.flags !== FLAG.response || frame.client !== this.client) {
      throw new Violation("invalid-frame", "the server's first frame is no answer to hello");
    }
    const metadata = Metadata.decode(frame.payload);
    this.limits = {
      payload: metadata.number("payload") ?? PAYLOAD_DEFAULT,
      window: metadata.number("window") ?? 1024 * 1024,
      ping: metadata.number("ping") ?? 15_000,
      initial: metadata.number("initial") ?? INITIAL_LEAST,
    };
    this.isGreeted = true;
    this.server = metadata.get("server");
    this.onReady();
  }

  // Ends.

  sayEnd() {
    if (!this.saidEnd && this.isGreeted) {
      this.saidEnd = true;
      this.write({ type: TYPE.end });
    }
  }

  closeIfDone() {
    if (this.isEnding && this.sent.size === 0 && this.taken.size === 0) {
      this.failure ??= new TielineError("connection-lost", "the connection was closed");
      clearTimeout(this.timer);
      this.socket.close(1000);
    }
  }

  /** The server broke a rule: it is told so. */
  refuse(violation) {
    this.write({ type: TYPE.error, payload: faultPayload(violation.code, violation.message) });
    this.lose(new TielineError("connection-lost", `the server broke a rule of the protocol: ${violation.message}`));
  }

  lose(error) {
    if (this.failure) return;
    this.failure = error;
    clearTimeout(this.timer);
    this.socket.close();
    const outcome = this.isGreeted ? "unknown" : "unstarted";
    for (const open of [...this.sent.values(), ...this.taken.values()]) {
      open.lose(new TielineError(error.code, error.message, { outcome }));
    }
    this.sent.clear();
    this.taken.clear();
    this.onLost(error);
  }

  // Liveness.

  watch(after) {
    const due = Date.now() + after;
    this.timer = setTimeout(() => this.look(due), after);
  }

  look(due) {
    const now = Date.now();
    // A page in the background or a machine that slept: that proves nothing about the server.
    if (now > due + CLOCK_JUMP) this.heard = this.begun = now;
    if (!this.isGreeted && now - this.begun >= HELLO_WITHIN) {
      return this.lose(new TielineError("connection-lost", "the server did not answer within 5 s", { outcome: "unstarted" }));
    }
    const silent = now - this.heard;
    if (silent >= SILENCE_MAX) return this.lose(new TielineError("connection-lost", "nothing was heard of the server for 30 s"));
    if (silent >= this.limits.ping && this.isGreeted && !this.pinged) {
      this.pinged = true;
      this.write({ type: TYPE.ping, value: BigInt(now) });
    }
    const next = this.pinged ? SILENCE_MAX - silent : this.limits.ping - silent;
    return this.watch(Math.max(next, 100));
  }
}
