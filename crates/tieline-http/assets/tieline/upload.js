// The producer's side of one direction: a body of any kind, sent as credit allows.

/** What a body may be. */
export function source(body) {
  if (body === undefined || body === null) return known(new Uint8Array());
  if (typeof body === "string") return known(new TextEncoder().encode(body));
  if (body instanceof ArrayBuffer) return known(new Uint8Array(body));
  if (ArrayBuffer.isView(body)) return known(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  if (body instanceof Blob) return sized(body);
  if (body instanceof ReadableStream) return streamed(body.getReader());
  if (body[Symbol.asyncIterator]) return iterated(body[Symbol.asyncIterator]());
  throw new TypeError("a body is a string, bytes, a Blob or File, a ReadableStream, or an async iterable of bytes");
}

// Each source has `read(most)`, which gives up to so many bytes and whether they are the last, and `stop()`.

function known(bytes) {
  let at = 0;
  return {
    ready: true,
    read(most) {
      const piece = bytes.subarray(at, at + most);
      at += piece.length;
      return { piece, last: at === bytes.length };
    },
    stop() {},
  };
}

/** A file is read piece by piece, never as a whole. */
function sized(blob) {
  let at = 0;
  return {
    async read(most) {
      const end = Math.min(at + most, blob.size);
      const piece = new Uint8Array(await blob.slice(at, end).arrayBuffer());
      at = end;
      return { piece, last: at === blob.size };
    },
    stop() {},
  };
}

function streamed(reader) {
  return buffered(
    async () => reader.read(),
    (reason) => reader.cancel(reason).catch(() => {}),
  );
}

function iterated(iterator) {
  return buffered(
    async () => iterator.next(),
    () => iterator.return?.(),
  );
}

function buffered(next, stop) {
  let rest = new Uint8Array();
  return {
    async read(most) {
      while (rest.length === 0) {
        const { value, done } = await next();
        if (done) return { piece: rest, last: true };
        rest = typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
      }
      const piece = rest.subarray(0, most);
      rest = rest.subarray(piece.length);
      return { piece, last: false };
    },
    stop,
  };
}

/**
 * Sends a body: its start with the first bytes, then chunks as far as was granted, then its end.
 *
 * `frames` has `start(piece, last)`, `chunk(offset, piece, last)` and `end(offset)`, which write, and `room()`, which
 * waits until the socket has room.
 */
export class Upload {
  constructor(body, frames, credit, payloadMax) {
    this.source = source(body);
    this.frames = frames;
    this.granted = credit;
    this.payloadMax = payloadMax;
    this.sent = 0;
    this.isOver = false;
    this.wake = () => {};
  }

  /** Raises what may be sent; a lower grant than before changes nothing. */
  grant(to) {
    if (to > this.granted) {
      this.granted = to;
      this.wake();
    }
  }

  /** Nothing more is sent. */
  stop(reason) {
    if (!this.isOver) {
      this.isOver = true;
      this.source.stop(reason);
      this.wake();
    }
  }

  /** Until all is sent or the upload was stopped. Rejects with what the source throws. */
  async run(startRoom) {
    // A source that has to be waited for sends its start at once, so that the other side knows of it.
    const first = this.source.ready ? this.source.read(Math.min(this.granted, startRoom)) : { piece: new Uint8Array(), last: false };
    this.frames.start(first.piece, first.last);
    this.sent = first.piece.length;
    this.isOver ||= first.last;
    while (!this.isOver) {
      await this.frames.room();
      while (this.granted <= this.sent && !this.isOver) {
        // An empty end needs no credit, but only asking the source tells; a known one has said so with its last piece.
        await new Promise((resolve) => (this.wake = resolve));
      }
      if (this.isOver) return;
      const { piece, last } = await this.source.read(Math.min(this.granted - this.sent, this.payloadMax));
      if (this.isOver) return;
      if (piece.length > 0) this.frames.chunk(this.sent, piece, last);
      else if (last) this.frames.end(this.sent);
      this.sent += piece.length;
      this.isOver ||= last;
    }
  }
}
