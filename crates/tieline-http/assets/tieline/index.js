// Tieline in a web page: requests of any size to a channel, answered by exactly one free receiver, both ways streaming.
//
//   import { Client } from "/tieline/index.js";
//   const client = new Client();
//   const response = await client.send("upper", file);
//   for await (const bytes of response.body) …

import { Connection } from "./connection.js";
import { TielineError } from "./errors.js";
import { Receive } from "./receive.js";
import { channelId } from "./wire.js";

export { TielineError } from "./errors.js";
export { Metadata } from "./wire.js";

/** Connects when it is first used, and again after the connection was lost. */
export class Client {
  #url;
  #options;
  #connecting;
  #isClosed = false;

  /** @param {{url?: string, token?: string, name?: string}} options `url` is the `/ws` of the server that this page came from, unless said */
  constructor({ url = new URL("/ws", location.href).href.replace(/^http/, "ws"), token, name } = {}) {
    this.#url = url;
    this.#options = { token, name };
  }

  async #connection() {
    if (this.#isClosed) throw new TielineError("connection-lost", "the client was closed", { outcome: "unstarted" });
    const current = await this.#connecting?.catch(() => undefined);
    if (current?.isOpen) return current;
    // Who waits at the same time finds the connection that the first one opens.
    if (this.#connecting !== undefined && (await this.#connecting.catch(() => undefined))?.isOpen) return this.#connecting;
    this.#connecting = Connection.open(this.#url, this.#options);
    return this.#connecting;
  }

  /**
   * Sends a request; settles when its response begins.
   *
   * `body` is a string, bytes, a Blob or File, a ReadableStream, or an async iterable of bytes. Options: `metadata`
   * (an object), `wait` and `timeout` (ms, until it is handed out, and for all of it), `noWait`, `idempotent`,
   * `window` (bytes that the response may be ahead of what is read of it), `signal` (cancels), `onSent` (is told how
   * many bytes have been sent).
   *
   * @returns {Promise<import("./reply.js").Reply>} rejects with a {@link TielineError}
   */
  async send(channel, body, options = {}) {
    const id = await channelId(channel);
    const connection = await this.#connection();
    return connection.send(channel, id, body, options);
  }

  /**
   * Takes requests of a channel, `jobs` at once, until `signal` aborts; after a loss it connects again.
   *
   * `handler` gets a request (`metadata`, `body`, `text()`, …, `signal`, `remaining` in ms) and returns the response's
   * body, or `{ body, metadata }`; what it throws becomes the sender's error.
   */
  async receive(channel, handler, { jobs = 1, window, signal } = {}) {
    const id = await channelId(channel);
    for (let pause = 100; !signal?.aborted; pause = Math.min(pause * 2, 10_000)) {
      let connection;
      try {
        // Of its own: a page that sends and receives doesn't lose both by one loss.
        connection = await Connection.open(this.#url, this.#options);
        const receive = new Receive(connection, channel, id, handler, { jobs, window });
        signal?.addEventListener("abort", () => receive.withdraw());
        const lost = new Promise((resolve) => (connection.onLost = resolve));
        pause = 100;
        await Promise.race([receive.closed, lost]);
        connection.end();
      } catch (error) {
        connection?.end();
        if (["unauthorized", "forbidden-channel", "unsupported-version"].includes(error.code)) throw error;
      }
      if (!signal?.aborted) await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
    }
  }

  /** Starts nothing more; what runs goes on, then the connection is closed. */
  async close() {
    this.#isClosed = true;
    (await this.#connecting?.catch(() => undefined))?.end();
  }
}
