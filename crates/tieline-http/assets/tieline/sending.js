// One request that this page sends, and its response.
//
//   started ──start+RESPONSE──▶ answered ──FINAL or end──▶ over
//      └────────────error+RESPONSE, or the connection is lost─────▶ over

import { faultPayload, TielineError } from "./errors.js";
import { cancelled, Download } from "./download.js";
import { Reply } from "./reply.js";
import { Upload } from "./upload.js";
import { countedId, encodeMetadata, FLAG, INITIAL_LEAST, Metadata, splitStart, startPayload, TYPE, uuid, Violation } from "./wire.js";

export class Sending {
  /** Starts the request in this step; `response` is settled by what comes. */
  constructor(connection, channelName, channel, body, options) {
    const { metadata = {}, wait = 0, timeout = 0, noWait = false, idempotent = false, window = connection.limits.window, signal, onSent } = options;
    const entries = metadata instanceof Metadata ? metadata.entries : Object.entries(metadata);
    const encoded = encodeMetadata([["channel", channelName], ...entries]);
    this.connection = connection;
    this.channel = channel;
    this.window = Math.min(Math.max(window, INITIAL_LEAST), connection.limits.window);
    this.isAccepted = false;
    this.isCancelled = false;
    this.response = new Promise((resolve, reject) => (this.settle = { resolve, reject }));

    const flags = FLAG.request | (noWait ? FLAG.noWait : 0) | (idempotent ? FLAG.idempotent : 0);
    const limits = (BigInt(milliseconds(wait)) << 32n) | BigInt(milliseconds(timeout));
    const start = (piece, last) => {
      this.number = connection.nextRequest(this);
      this.id = countedId(this.number);
      this.frame(TYPE.start, flags | (last ? FLAG.final : 0), limits, startPayload(encoded, piece));
    };
    const frames = {
      start,
      chunk: (offset, piece, last) => {
        this.frame(TYPE.chunk, FLAG.request | (last ? FLAG.final : 0), offset, [piece]);
        onSent?.(offset + piece.length);
      },
      end: (length) => this.frame(TYPE.end, FLAG.request, length),
      room: () => connection.room(),
    };
    const credit = Math.max(0, connection.limits.initial - encoded.length);
    this.upload = new Upload(body, frames, credit, connection.limits.payload);
    this.upload.run(connection.limits.payload - 2 - encoded.length).catch((error) => this.failToSend(error));
    onSent?.(this.upload.sent);

    if (signal?.aborted) this.cancel();
    this.abort = () => this.cancel();
    signal?.addEventListener("abort", this.abort);
    this.signal = signal;
  }

  frame(type, flags, value = 0, payload = []) {
    const { connection, id, channel } = this;
    connection.write({ type, flags, value, request: id, client: connection.client, channel, payload });
  }

  take({ type, flags, value, payload }) {
    const last = (flags & FLAG.final) !== 0;
    if (type === TYPE.error) return this.fail(TielineError.decode(payload, this.outcome(flags)));
    try {
      switch (type) {
        case TYPE.ack:
          this.isAccepted = true;
          return this.upload.grant(Number(value));
        case TYPE.start:
          return this.answered(payload, last);
        case TYPE.chunk:
          this.begun().push(Number(value), payload);
          return last ? this.succeed(new Metadata()) : undefined;
        case TYPE.end:
          if (Number(value) !== this.begun().arrived) throw new Violation("invalid-frame", "an end at another length than came");
          return this.succeed(Metadata.decode(payload));
        default:
          throw new Violation("invalid-frame", `a frame of type ${type} to a sender`);
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.sayCancelled();
      return this.fail(new TielineError(error.code, `the server broke a rule: ${error.message}`, { outcome: "unknown" }));
    }
  }

  begun() {
    if (!this.download) throw new Violation("invalid-frame", "a response's body before its start");
    return this.download;
  }

  answered(payload, last) {
    if (this.download) throw new Violation("invalid-frame", "a second start of a response");
    const [encoded, body] = splitStart(payload);
    this.isAccepted = true;
    const ack = (to) => this.frame(TYPE.ack, FLAG.response, to);
    this.download = new Download(this.window, Math.max(0, INITIAL_LEAST - encoded.length), ack, () => this.cancel());
    this.download.push(0, body);
    this.settle.resolve(new Reply(uuid(this.id), Metadata.decode(encoded), this.download));
    if (last) this.succeed(new Metadata());
  }

  /** No more of either body is wanted. Success is still possible, but isn't told any more. */
  cancel() {
    if (this.isCancelled || this.isOver) return;
    this.isCancelled = true;
    this.upload.stop(cancelled("unknown"));
    this.sayCancelled();
    this.download?.fail(cancelled("accepted"));
    this.settle.reject(cancelled(this.outcome(0)));
  }

  sayCancelled() {
    this.frame(TYPE.error, FLAG.request, 0, faultPayload("cancelled"));
  }

  failToSend(error) {
    if (this.isOver || this.isCancelled) return;
    this.frame(TYPE.error, FLAG.request, 0, faultPayload("application", error?.message ?? error));
    this.isCancelled = true;
    this.download?.fail(error);
    this.settle.reject(error);
  }

  succeed(trailer) {
    this.end();
    // Whoever cancelled was told so: a body that came whole meanwhile is nobody's any more.
    if (!this.isCancelled) this.download.close(trailer);
  }

  fail(error) {
    this.end();
    this.download?.fail(error);
    this.settle.reject(error);
  }

  lose(error) {
    if (this.isAccepted) error.outcome = "accepted";
    this.fail(error);
  }

  end() {
    this.isOver = true;
    this.upload.stop();
    this.signal?.removeEventListener("abort", this.abort);
    this.connection.forget(this.connection.sent, this.number);
  }

  outcome(flags) {
    if (flags & FLAG.unstarted) return "unstarted";
    return this.isAccepted ? "accepted" : "unknown";
  }
}

function milliseconds(value) {
  if (!Number.isFinite(value) || value < 0) throw new RangeError("a wait and a timeout are milliseconds, 0 or more");
  return Math.min(Math.ceil(value), 0xffff_ffff);
}
