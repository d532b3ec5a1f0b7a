// Frames and metadata: bytes to objects and back. See docs/protocol.md, "Bytes".

export const HEADER = 64;
export const METADATA_MAX = 16 * 1024;
export const PAYLOAD_DEFAULT = 64 * 1024;

/** What every producer may send before any grant, less its start's metadata, unless the server's hello names more. */
export const INITIAL_LEAST = 16 * 1024;

export const TYPE = Object.freeze({ hello: 1, error: 3, start: 4, chunk: 5, end: 6, ack: 7, ping: 8 });

export const FLAG = Object.freeze({
  request: 0x0001, receive: 0x0004, response: 0x0008, noWait: 0x0010, idempotent: 0x0020, unstarted: 0x0040, final: 0x0100,
});

const NIL = "0".repeat(32);
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: false });

/** A peer that broke a rule; `code` is a name of the table of errors. */
export class Violation extends Error {
  constructor(code, message) {
    super(message);
    this.name = "Violation";
    this.code = code;
  }
}

/** Bytes of one frame. `payload` is a list of pieces, so that a body isn't copied twice. */
export function encode({ type, flags = 0, value = 0n, request = NIL, client = NIL, channel = NIL, payload = [] }) {
  const length = payload.reduce((sum, piece) => sum + piece.length, 0);
  const frame = new Uint8Array(HEADER + length);
  const view = new DataView(frame.buffer);
  frame[0] = 1;
  frame[1] = type;
  view.setUint16(2, flags);
  view.setUint32(4, length);
  view.setBigUint64(8, BigInt(value));
  putId(frame, 16, request);
  putId(frame, 32, client);
  putId(frame, 48, channel);
  let at = HEADER;
  for (const piece of payload) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame;
}

/** Cuts what comes into frames, wherever it was cut on its way; what isn't a frame is a {@link Violation}. */
export class Decoder {
  constructor() {
    this.rest = new Uint8Array();
  }

  /** The frames that are complete with these bytes. */
  *push(bytes, payloadMax) {
    if (this.rest.length > 0) bytes = join([this.rest, bytes], this.rest.length + bytes.length);
    let at = 0;
    while (at < bytes.length) {
      if (bytes[at] !== 1) throw new Violation("unsupported-version", `version ${bytes[at]} isn't spoken here, 1 is`);
      if (bytes.length - at < HEADER) break;
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER);
      const length = view.getUint32(4);
      if (length > payloadMax()) throw new Violation("too-large", `a payload of ${length} bytes, where ${payloadMax()} is the most`);
      const next = at + HEADER + length;
      if (next > bytes.length) break;
      yield {
        type: bytes[at + 1],
        flags: view.getUint16(2),
        value: view.getBigUint64(8),
        request: getId(bytes, at + 16),
        client: getId(bytes, at + 32),
        channel: getId(bytes, at + 48),
        payload: bytes.subarray(at + HEADER, next),
      };
      at = next;
    }
    this.rest = bytes.slice(at);
  }
}

/** The wire form of a list of `[name, value]`; a value is a string or bytes. */
export function encodeMetadata(entries) {
  const pieces = [];
  let length = 0;
  for (const [name, value] of entries) {
    const key = utf8.encode(name);
    if (key.length < 1 || key.length > 255 || !/^[\x21-\x3c\x3e-\x40\x5b-\x7e]+$/.test(name)) {
      throw new TypeError(`${JSON.stringify(name)} is no name for metadata: 1 to 255 printable ASCII characters without upper case and "="`);
    }
    const bytes = typeof value === "string" ? utf8.encode(value) : value;
    if (bytes.length > 65_535) throw new RangeError(`the metadata ${name} has ${bytes.length} bytes, 65535 is the most`);
    const entry = new Uint8Array(3 + key.length + bytes.length);
    entry[0] = key.length;
    entry.set(key, 1);
    new DataView(entry.buffer).setUint16(1 + key.length, bytes.length);
    entry.set(bytes, 3 + key.length);
    pieces.push(entry);
    length += entry.length;
  }
  if (length > METADATA_MAX) throw new RangeError(`the metadata has ${length} bytes in all, ${METADATA_MAX} is the most`);
  return join(pieces, length);
}

/** A list of `[name, Uint8Array]`. */
export function decodeMetadata(bytes) {
  const entries = [];
  let at = 0;
  const take = (count) => {
    if (at + count > bytes.length) throw new Violation("invalid-frame", "metadata ends in the middle of an entry");
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const length = take(1)[0];
    const name = text.decode(take(length));
    if (!/^[\x21-\x3c\x3e-\x40\x5b-\x7e]+$/.test(name)) throw new Violation("invalid-frame", "metadata with a name that is none");
    const [high, low] = take(2);
    entries.push([name, take(high * 256 + low)]);
  }
  return entries;
}

/** Metadata with convenient reading: the first entry of a name counts. */
export class Metadata {
  /** @param {[string, string | Uint8Array][]} entries in order; a name may stand more than once */
  constructor(entries = []) {
    this.entries = entries;
  }

  /** Of the wire form. */
  static decode(bytes) {
    return new Metadata(decodeMetadata(bytes));
  }

  /** The first value of this name as text, or undefined. */
  get(name) {
    const value = this.bytes(name);
    return value === undefined || typeof value === "string" ? value : text.decode(value);
  }

  /** The first value of this name as it came, or undefined. */
  bytes(name) {
    return this.entries.find(([key]) => key === name)?.[1];
  }

  /** A decimal number as the protocol writes it, or undefined where it is none. */
  number(name) {
    const value = this.get(name);
    return value !== undefined && /^(0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : undefined;
  }

  [Symbol.iterator]() {
    return this.entries.map(([name]) => [name, this.get(name)])[Symbol.iterator]();
  }
}

/** Splits a start's payload into its metadata, in wire form, and the body's first bytes. */
export function splitStart(payload) {
  const length = payload.length < 2 ? Infinity : payload[0] * 256 + payload[1];
  if (length > METADATA_MAX || 2 + length > payload.length) {
    throw new Violation("invalid-frame", "a start whose metadata reaches beyond it");
  }
  return [payload.subarray(2, 2 + length), payload.subarray(2 + length)];
}

/** The pieces of a start's payload. */
export function startPayload(metadata, body = new Uint8Array()) {
  return [new Uint8Array([metadata.length >> 8, metadata.length & 255]), metadata, body];
}

/** The id of the channel of this name, as 32 hexadecimal digits. */
export async function channelId(name) {
  const bytes = utf8.encode(name);
  if (bytes.length < 1 || bytes.length > 255) throw new RangeError("a channel's name has 1 to 255 bytes");
  const hashed = join([fromHex("c9f57998d27d40c69b49d850abb26821"), bytes], 16 + bytes.length);
  const id = new Uint8Array(await crypto.subtle.digest("SHA-1", hashed)).slice(0, 16);
  id[6] = (id[6] & 0x0f) | 0x50;
  id[8] = (id[8] & 0x3f) | 0x80;
  return toHex(id);
}

/** 128 random bits as 32 hexadecimal digits. */
export function randomId() {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** An id of a counter. */
export function countedId(count) {
  return BigInt(count).toString(16).padStart(32, "0");
}

/** As people see an id: a UUID. */
export function uuid(id) {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function join(pieces, length) {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function putId(frame, at, id) {
  if (id === NIL) return;
  for (let i = 0; i < 16; i += 1) frame[at + i] = parseInt(id.slice(2 * i, 2 * i + 2), 16);
}

function getId(bytes, at) {
  return toHex(bytes.subarray(at, at + 16));
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function toHex(bytes) {
  let hex = "";
  for (const byte of bytes) hex += DIGITS[byte];
  return hex;
}

function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));
}
