// Why a request or a connection failed, with what is known of the request.

import { encodeMetadata, Metadata, Violation } from "./wire.js";

const NAMES = [
  null, "invalid-frame", "unsupported-version", "unsupported", "unauthorized", "forbidden-channel", "too-large", "flow-control",
  "duplicate-id", "too-many-in-flight", "channel-full", "overloaded", "no-receiver", "wait-limit", "deadline-exceeded",
  "cancelled", "returned", "receiver-lost", "sender-lost", "server-lost", "slow-consumer", "flood", "shutting-down",
  "application", "internal",
];

/** The pieces of an error frame's payload. Its words are cut, so that they fit. */
export function faultPayload(name, message) {
  const code = NAMES.indexOf(name);
  const words = message === undefined ? [] : [["message", String(message).slice(0, 300)]];
  return [new Uint8Array([code >> 8, code & 255]), encodeMetadata(words)];
}

/**
 * A request, a receive or a connection failed.
 *
 * `code` is a name of the table of errors in docs/protocol.md. `outcome` says what is known of a request:
 * "unstarted" (no receiver's program saw any of it: safe to send again), "accepted" (one did), or "unknown".
 */
export class TielineError extends Error {
  constructor(code, message, { outcome = "unknown", detail, retryAfter, free, busy } = {}) {
    super(message ?? code);
    this.name = "TielineError";
    this.code = code;
    this.outcome = outcome;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.free = free;
    this.busy = busy;
  }

  /** Of an error frame's payload. */
  static decode(payload, outcome) {
    if (payload.length < 2) throw new Violation("invalid-frame", "an error without a code");
    const metadata = Metadata.decode(payload.subarray(2));
    const code = NAMES[payload[0] * 256 + payload[1]] ?? "internal";
    return new TielineError(code, metadata.get("message") ?? code, {
      outcome: code === "application" ? "accepted" : outcome,
      detail: metadata.get("detail"),
      retryAfter: metadata.number("retry-after"),
      free: metadata.number("free"),
      busy: metadata.number("busy"),
    });
  }
}
