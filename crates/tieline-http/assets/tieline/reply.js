// What a program holds of a body that comes: a response, or a request that it took.

import { collect } from "./download.js";

export class Reply {
  constructor(id, metadata, download) {
    /** The request's id, as logs have it. */
    this.id = id;
    /** @type {import("./wire.js").Metadata} */
    this.metadata = metadata;
    /** @type {ReadableStream<Uint8Array>} comes as it is read; fails, and never just ends, if it was cut off */
    this.body = download.stream;
    /** Metadata behind the body, once that is complete. */
    this.trailer = download.trailer;
  }

  /** All of the body as a Blob. */
  async blob() {
    return collect(this.body);
  }

  /** All of the body as bytes. */
  async bytes() {
    return new Uint8Array(await (await this.blob()).arrayBuffer());
  }

  /** All of the body as text. */
  async text() {
    return (await this.blob()).text();
  }

  /** All of the body as what its JSON says. */
  async json() {
    return JSON.parse(await this.text());
  }
}
