// A receive: how many requests of a channel this page is ready for.

import { TielineError } from "./errors.js";
import { encodeMetadata, FLAG, startPayload, TYPE } from "./wire.js";

export class Receive {
  constructor(connection, name, channel, handler, { jobs = 1, window = connection.limits.window }) {
    this.connection = connection;
    this.channel = channel;
    this.handler = handler;
    this.window = Math.min(Math.max(window, connection.limits.initial), connection.limits.window);
    this.count = jobs;
    this.isOpen = true;
    this.closed = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    this.closed.catch(() => {});
    connection.receives.set(channel, this);
    const metadata = encodeMetadata([["channel", name]]);
    this.frame(TYPE.start, jobs, startPayload(metadata));
  }

  raise() {
    this.count += 1;
    if (this.isOpen) this.frame(TYPE.ack, this.count);
  }

  /** Takes no more requests; what runs goes on. */
  withdraw() {
    if (this.isOpen) {
      this.isOpen = false;
      this.frame(TYPE.end, 0);
    }
    return this.closed;
  }

  take({ type, payload }) {
    if (type === TYPE.ack) return;
    this.isOpen = false;
    this.connection.receives.delete(this.channel);
    if (type === TYPE.error) this.settle.reject(TielineError.decode(payload, "unstarted"));
    else this.settle.resolve();
  }

  frame(type, value, payload = []) {
    this.connection.write({ type, flags: FLAG.receive, value, channel: this.channel, payload });
  }
}
