// The messages of protocol version 2 (api/client.proto) as plain objects, and the part of protobuf
// that they need.  Names are those of client.proto in camelCase.
//
//   decodeMessage(Cursor, encodeMessage(Cursor, { room: 'group://42', seq: 9 }))
//     -> { room: 'group://42', epoch: 0, seq: 9 }
//
// Whole numbers beyond 2^53 come as BigInt (only mids can be that large), and either may be given.

const INT = 'int';
const BOOL = 'bool';
const TEXT = 'text';
const BYTES = 'bytes';
const MANY = true; // repeated

// field number: [name, type or shape, repeated]
export const Fault = {
  1: ['code', INT], 2: ['field', TEXT], 3: ['message', TEXT], 4: ['afterMs', INT],
};
export const Cursor = { 1: ['room', TEXT], 2: ['epoch', INT], 3: ['seq', INT] };
export const Joined = {
  1: ['room', TEXT], 2: ['error', Fault], 3: ['kept', BOOL], 4: ['known', BOOL],
  5: ['epoch', INT], 6: ['seq', INT], 7: ['oldest', INT], 8: ['cursor', INT], 9: ['syncing', BOOL],
};
export const Connect = {
  1: ['token', BYTES], 2: ['device', TEXT], 3: ['platform', TEXT], 4: ['rooms', Cursor, MANY],
  5: ['accepts', INT, MANY], 6: ['inbox', Cursor],
};
export const Limits = {
  1: ['rooms', INT], 2: ['requests', INT], 3: ['bodyBytes', INT], 4: ['syncPushes', INT],
  5: ['publishRate', INT],
};
export const ConnectReply = {
  1: ['mid', INT], 2: ['key', TEXT], 3: ['heartbeatMs', INT], 4: ['rooms', Joined, MANY],
  5: ['inbox', Joined], 6: ['limits', Limits], 7: ['timeUs', INT], 8: ['server', TEXT],
};
export const Join = { 1: ['rooms', Cursor, MANY], 2: ['accepts', INT, MANY] };
export const JoinReply = { 1: ['error', Fault], 2: ['rooms', Joined, MANY] };
export const Leave = { 1: ['rooms', TEXT, MANY], 2: ['accepts', INT, MANY] };
export const LeaveReply = { 1: ['error', Fault], 2: ['rooms', TEXT, MANY] };
export const Publish = {
  1: ['room', TEXT], 2: ['toMid', INT], 3: ['clientId', TEXT], 4: ['op', INT], 5: ['body', BYTES],
  6: ['stored', BOOL],
};
export const PublishReply = {
  1: ['error', Fault], 2: ['clientId', TEXT], 3: ['id', TEXT], 4: ['epoch', INT], 5: ['seq', INT],
  6: ['timeUs', INT],
};
export const Ack = { 1: ['epoch', INT], 2: ['seq', INT] };
export const AckReply = { 1: ['error', Fault] };
export const Sync = { 1: ['room', TEXT], 2: ['epoch', INT], 3: ['after', INT], 4: ['limit', INT] };
export const Push = {
  1: ['room', TEXT], 2: ['epoch', INT], 3: ['seq', INT], 4: ['op', INT], 5: ['body', BYTES],
  6: ['id', TEXT], 7: ['timeUs', INT], 8: ['fromMid', INT], 9: ['clientId', TEXT],
};
export const SyncReply = {
  1: ['error', Fault], 2: ['room', TEXT], 3: ['epoch', INT], 4: ['pushes', Push, MANY],
  5: ['through', INT], 6: ['more', BOOL], 7: ['reload', BOOL], 8: ['newest', INT],
  9: ['oldest', INT],
};
export const Beat = {};
export const Head = { 1: ['room', TEXT], 2: ['epoch', INT], 3: ['seq', INT] };
export const BeatReply = { 1: ['heads', Head, MANY], 2: ['timeUs', INT] };
export const Gap = {
  1: ['room', TEXT], 2: ['epoch', INT], 3: ['from', INT], 4: ['to', INT], 5: ['reason', INT],
  6: ['lost', INT],
};
export const Close = {
  1: ['code', INT], 2: ['name', TEXT], 3: ['text', TEXT], 4: ['mayReturn', BOOL],
  5: ['afterMs', INT], 6: ['where', TEXT, MANY],
};

export const FAULTS = ['DONE', 'INVALID', 'REFUSED', 'LIMIT', 'RATE', 'UNAVAILABLE', 'NOT_JOINED'];
export const GAP_EXCLUDED = 3;

// ---- writing ------------------------------------------------------------------------------------
const VARINT = 0;
const LENGTH = 2; // a length, then so many bytes

function putVarint(out, value) {
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}

function putBytes(out, bytes) {
  putVarint(out, bytes.length);
  for (const byte of bytes) out.push(byte);
}

const packed = (values) => {
  const out = [];
  for (const value of values) putVarint(out, value);
  return out;
};

function bytesOf(type, value) {
  if (type === TEXT) return new TextEncoder().encode(value);
  return type === BYTES ? value : encodeMessage(type, value);
}

/** What equals its default is left out; inside a list nothing is. */
export function encodeMessage(shape, message) {
  const out = [];
  const put = (number, type, value) => {
    putVarint(out, number * 8 + (type === INT || type === BOOL ? VARINT : LENGTH));
    if (type === INT || type === BOOL) putVarint(out, value);
    else putBytes(out, bytesOf(type, value));
  };
  for (const [number, [name, type, many]] of Object.entries(shape)) {
    const value = message[name];
    if (!value || value.length === 0) continue;
    if (!many) put(number, type, value);
    else if (type === INT) put(number, BYTES, packed(value));
    else for (const one of value) put(number, type, one);
  }
  return Uint8Array.from(out);
}

// ---- reading ------------------------------------------------------------------------------------
class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) { this.#bytes = bytes; }

  get done() { return this.#at >= this.#bytes.length; }

  #byte() {
    if (this.done) throw new RangeError('a message is cut short');
    return this.#bytes[this.#at++];
  }

  varint() {
    let low = 0; // seven bytes of seven bits are exact in a number
    for (let i = 0, scale = 1; i < 7; i++, scale *= 128) {
      const byte = this.#byte();
      low += (byte & 127) * scale;
      if (byte < 128) return low;
    }
    let whole = BigInt(low);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      whole |= BigInt(byte & 127) << shift;
      if (byte < 128) return plain(BigInt.asIntN(64, whole));
    }
    throw new RangeError('a number of more than ten bytes');
  }

  bytes(count = this.varint()) {
    if (count < 0 || count > this.#bytes.length - this.#at) {
      throw new RangeError('a field is longer than its message');
    }
    this.#at += Number(count);
    return this.#bytes.subarray(this.#at - Number(count), this.#at);
  }

  skip(wire) {
    if (wire === VARINT) this.varint();
    else if (wire === LENGTH) this.bytes();
    else if (wire === 1 || wire === 5) this.bytes(wire === 1 ? 8 : 4);
    else throw new RangeError(`wire type ${wire}`);
  }
}

const plain = (big) => (BigInt(Number(big)) === big && Number.isSafeInteger(Number(big))
  ? Number(big) : big);

const EMPTY = { [INT]: 0, [BOOL]: false, [TEXT]: '', [BYTES]: new Uint8Array(0) };

function read(reader, type) {
  if (type === INT) return reader.varint();
  if (type === BOOL) return reader.varint() !== 0;
  const bytes = reader.bytes();
  if (type === TEXT) return new TextDecoder().decode(bytes);
  return type === BYTES ? bytes : decodeMessage(type, bytes);
}

/** Every field is there: absent ones with their default, absent messages undefined. */
export function decodeMessage(shape, bytes) {
  const message = {};
  for (const [name, type, many] of Object.values(shape)) message[name] = many ? [] : EMPTY[type];
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = Number(reader.varint());
    const wire = tag & 7;
    const [name, type, many] = shape[Math.floor(tag / 8)] ?? [];
    const scalar = type === INT || type === BOOL;
    if (name && many && scalar && wire === LENGTH) {
      const list = new Reader(reader.bytes());
      while (!list.done) message[name].push(read(list, type));
    } else if (!name || wire !== (scalar ? VARINT : LENGTH)) {
      reader.skip(wire);
    } else if (many) {
      message[name].push(read(reader, type));
    } else {
      message[name] = read(reader, type);
    }
  }
  return message;
}
