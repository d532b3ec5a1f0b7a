// One request that this page was given, and the response to it.
//
//   taken ──the handler returns, all is sent──▶ over
//     └──error+REQUEST, the handler throws, or the connection is lost──▶ over

import { faultPayload, TielineError } from "./errors.js";
import { Download } from "./download.js";
import { Reply } from "./reply.js";
import { Upload } from "./upload.js";
import { encodeMetadata, FLAG, INITIAL_LEAST, Metadata, splitStart, startPayload, TYPE, uuid, Violation } from "./wire.js";

export class Taking {
  constructor(connection, receive, key, frame) {
    const [encoded, body] = splitStart(frame.payload);
    this.connection = connection;
    this.receive = receive;
    this.key = key;
    this.ids = { request: frame.request, client: frame.client, channel: frame.channel };
    this.granted = 0;
    this.abort = new AbortController();
    const ack = (to) => this.frame(TYPE.ack, FLAG.request, to);
    const initial = Math.max(0, connection.limits.initial - encoded.length);
    this.download = new Download(receive.window, initial, ack, () => {});
    this.download.push(0, body);
    if (frame.flags & FLAG.final) this.download.close(new Metadata());
    const request = new Reply(uuid(frame.request), Metadata.decode(encoded), this.download);
    /** Aborts when nobody waits for the response any more. */
    request.signal = this.abort.signal;
    request.remaining = Number(frame.value & 0xffff_ffffn);
    this.run(request);
  }

  async run(request) {
    try {
      const answer = await this.receive.handler(request);
      await this.respond(answer);
    } catch (error) {
      this.failed(error);
    }
    this.isStopped = true;
    this.over();
  }

  async respond(answer) {
    if (this.isOver) return;
    const { body, metadata = {} } = isAnswer(answer) ? answer : { body: answer };
    const encoded = encodeMetadata(Object.entries(metadata));
    const start = (piece, last) => {
      if (last) this.raise();
      this.frame(TYPE.start, FLAG.response | (last ? FLAG.final : 0), 0, startPayload(encoded, piece));
    };
    const frames = {
      start,
      chunk: (offset, piece, last) => {
        if (last) this.raise();
        this.frame(TYPE.chunk, FLAG.response | (last ? FLAG.final : 0), offset, [piece]);
      },
      end: (length) => {
        this.raise();
        this.frame(TYPE.end, FLAG.response, length);
      },
      room: () => this.connection.room(),
    };
    const { payload } = this.connection.limits;
    this.upload = new Upload(body, frames, Math.max(INITIAL_LEAST - encoded.length, this.granted, 0), payload);
    await this.upload.run(payload - 2 - encoded.length);
    this.isOver = true;
  }

  take({ type, flags, value, payload }) {
    try {
      switch (type) {
        case TYPE.ack:
          this.granted = Math.max(this.granted, Number(value));
          return this.upload?.grant(this.granted);
        case TYPE.chunk:
          this.download.push(Number(value), payload);
          return flags & FLAG.final ? this.download.close(new Metadata()) : undefined;
        case TYPE.end:
          if (Number(value) !== this.download.arrived) throw new Violation("invalid-frame", "an end at another length than came");
          return this.download.close(Metadata.decode(payload));
        case TYPE.error:
          return this.lose(TielineError.decode(payload, "accepted"));
        default:
          throw new Violation("invalid-frame", `a frame of type ${type} to a receiver`);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return this.failed(new TielineError(error.code, `the server broke a rule: ${error.message}`));
    }
  }

  /** The handler failed: the sender is told in which words. */
  failed(error) {
    if (this.isOver) return;
    this.isOver = true;
    this.upload?.stop(error);
    this.raise();
    this.frame(TYPE.error, FLAG.response, 0, faultPayload("application", error?.message ?? error));
    this.abort.abort(error);
    this.download.fail(error);
  }

  /** Nobody waits for the response any more. */
  lose(error) {
    if (!this.isOver) {
      this.isOver = this.isLost = true;
      this.upload?.stop(error);
      this.download.fail(error);
      this.abort.abort(error);
    }
    this.over();
  }

  /** One more request is wanted: said directly before the frame that closes this one. */
  raise() {
    if (!this.isRaised) {
      this.isRaised = true;
      this.receive.raise();
    }
  }

  /** Forgotten when it is over; ready for the next when the handler has stopped, too. */
  over() {
    this.connection.forget(this.connection.taken, this.key);
    if (this.isStopped && this.isOver) this.raise();
  }

  frame(type, flags, value = 0, payload = []) {
    this.connection.write({ type, flags, value, ...this.ids, payload });
  }
}

function isAnswer(answer) {
  return answer !== null && typeof answer === "object" && "body" in answer && !(answer instanceof Blob) && !(answer instanceof ReadableStream) && !ArrayBuffer.isView(answer);
}
