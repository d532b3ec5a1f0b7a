// The consumer's side of one direction: what came and isn't taken yet, and the grants for more.

import { TielineError } from "./errors.js";
import { Growth } from "./growth.js";
import { Violation } from "./wire.js";

/** Bytes of the pieces that most large bodies are sent in. */
const PIECE = 64 * 1024;

/** A body that comes in; `stream` is what the program reads. */
export class Download {
  /**
   * @param window how far grants may be ahead of what the program has taken, in bytes; it is less where less will do
   * @param ack writes a grant
   * @param cancelled is called when the program wants no more of it
   */
  constructor(window, initial, ack, cancelled) {
    this.growth = new Growth(window);
    this.granted = initial;
    this.ack = ack;
    this.arrived = 0;
    this.consumed = 0;
    this.acked = 0;
    this.isClosed = false;
    this.isRead = false;
    this.queue = [];
    this.failure = undefined;
    this.wake = () => {};
    this.trailer = new Promise((resolve, reject) => (this.settle = { resolve, reject }));
    this.trailer.catch(() => {});
    // Nothing is taken before the program asks: what it doesn't read must not be granted again.
    this.stream = new ReadableStream(
      { pull: (controller) => this.pull(controller), cancel: () => cancelled() },
      { highWaterMark: 0 },
    );
  }

  /** Body bytes at their offset; more than was granted is the other side's fault. */
  push(offset, bytes) {
    if (offset !== this.arrived) throw new Violation("invalid-frame", `a chunk at ${offset}, where ${this.arrived} is next`);
    if (offset + bytes.length > this.granted) throw new Violation("flow-control", "more body than was granted");
    this.arrived += bytes.length;
    this.growth.came(this.arrived);
    if (bytes.length > 0) this.queue.push(bytes);
    this.wake();
  }

  /** The body is complete. */
  close(trailer) {
    this.isClosed = true;
    this.settle.resolve(trailer);
    this.wake();
  }

  /** The body is cut off, and never looks complete. */
  fail(error) {
    if (this.isClosed || this.failure) return;
    this.failure = error;
    this.settle.reject(error);
    this.wake();
  }

  async pull(controller) {
    if (!this.isRead) {
      this.isRead = true;
      this.grant();
    }
    while (this.queue.length === 0 && !this.isClosed && !this.failure) {
      await new Promise((resolve) => (this.wake = resolve));
    }
    const bytes = this.queue.shift();
    if (bytes) {
      controller.enqueue(bytes);
      this.consumed += bytes.length;
      this.grantIfDue();
    } else if (this.failure) {
      controller.error(this.failure);
    }
    if (this.isClosed && this.queue.length === 0) controller.close();
  }

  grantIfDue() {
    const since = this.consumed - this.acked;
    const { size } = this.growth;
    const stands = this.arrived === this.granted;
    if (since * 3 >= size || (stands && (since * 8 >= size || this.consumed === this.arrived))) this.grant();
  }

  /** How far a grant goes: whole pieces beyond what has come, or a producer that waits would cut one at each grant. */
  edge() {
    const { size } = this.growth;
    const edge = this.consumed + size;
    return size < 4 * PIECE ? edge : edge - Math.max(0, edge - this.arrived) % PIECE;
  }

  grant() {
    if (this.isClosed || this.failure || this.edge() <= this.granted) return;
    this.growth.granting(this.granted, this.arrived);
    const to = this.edge();
    this.granted = to;
    this.acked = this.consumed;
    this.ack(to);
  }
}

/** A body that the program reads as a whole. */
export async function collect(stream) {
  const pieces = [];
  for (const reader = stream.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) return new Blob(pieces);
    pieces.push(value);
  }
}

/** For those that are told that they were cancelled. */
export const cancelled = (outcome) => new TielineError("cancelled", "the request was cancelled", { outcome });
