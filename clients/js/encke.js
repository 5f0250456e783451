// A client of Encke (and of any goim server) over WebSocket: browsers, and Node 18 or newer.
//
//   import { connect } from './encke.js';
//   const client = connect('ws://127.0.0.1:3102/sub', { mid: 7, room: 'live://1000' });
//   client.on('message', (m) => console.log(m.op, m.text()));
//   client.on('count', (n) => console.log(n, 'here'));
//   await client.changeRoom('live://2000');
//   client.close();
//
// Events: open {attempt} · message {op, ver, body, text()} · room (name) · count (number)
//         close {code, reason, wasOpen, retryMs}   retryMs is null when it will not come back
//
// The client reconnects for ever until close() is called: the first retry is quick, later ones back
// off exponentially with jitter.  What it was told since (room, operations) is in the next auth.
// Close codes 3500 to 3999 mean: not again with the same token or key.  Then it stays closed.

export const OP = Object.freeze({
  HEARTBEAT: 2, HEARTBEAT_REPLY: 3, AUTH: 7, AUTH_REPLY: 8, RAW: 9,
  CHANGE_ROOM: 12, CHANGE_ROOM_REPLY: 13, SUB: 14, SUB_REPLY: 15, UNSUB: 16, UNSUB_REPLY: 17,
});
export const HEADER_BYTES = 16;
export const BODY_BYTES_MAX = 4096; // of packages to the server; pushes may be larger

const utf8 = {
  encode: (text) => new TextEncoder().encode(text),
  decode: (bytes) => new TextDecoder().decode(bytes),
};

/** package := length u32 | header u16 = 16 | ver u16 | op i32 | seq i32 | body   (big endian) */
export function encode({ op, seq = 0, ver = 1, body = '' }) {
  const bytes = toBytes(body);
  const out = new Uint8Array(HEADER_BYTES + bytes.length);
  const view = new DataView(out.buffer);
  view.setInt32(0, out.length);
  view.setInt16(4, HEADER_BYTES);
  view.setInt16(6, ver);
  view.setInt32(8, op);
  view.setInt32(12, seq);
  out.set(bytes, HEADER_BYTES);
  return out;
}

/** All packages in `bytes`, which must hold whole packages and nothing else; throws RangeError. */
export function decode(bytes) {
  const data = toBytes(bytes);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const packages = [];
  for (let at = 0; at < data.length;) {
    if (data.length - at < HEADER_BYTES) throw new RangeError('package shorter than its header');
    const length = view.getInt32(at);
    const header = view.getInt16(at + 4);
    if (header !== HEADER_BYTES) throw new RangeError(`header length ${header}`);
    if (length < HEADER_BYTES || length > data.length - at) {
      throw new RangeError(`package length ${length}`);
    }
    packages.push({
      ver: view.getInt16(at + 6),
      op: view.getInt32(at + 8),
      seq: view.getInt32(at + 12),
      body: data.subarray(at + HEADER_BYTES, at + length),
    });
    at += length;
  }
  return packages;
}

export function toBytes(body) {
  if (typeof body === 'string') return utf8.encode(body);
  if (body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  throw new TypeError('a body is a string or bytes');
}

const DEFAULTS = {
  mid: 0, // user id; 0 = anonymous
  key: '', // names this device; empty: the server makes one up
  room: '', // 'type://id'
  accepts: [], // operations of pushes by user or to all that we want; room pushes always come
  token: '', // signed token, where the server asks for one
  platform: 'web',
  heartbeatMs: 30_000,
  authMs: 10_000, // from dialling to the answer to our auth
  backoff: { firstMs: 500, baseMs: 3000, factor: 1.8, maxMs: 120_000, jitter: 0.3 },
  WebSocket: undefined, // for Node without a global one
  timers: undefined, // { setTimeout, clearTimeout }, for tests
  random: Math.random,
};

export function connect(url, options = {}) {
  const client = new Client(url, options);
  client.dial();
  return client;
}

/** How long to wait before try `attempt` (1 = the first after a loss). */
export function delayOf(attempt, { firstMs, baseMs, factor, maxMs, jitter }, random = Math.random) {
  if (attempt <= 1) return Math.round(firstMs * random());
  const middle = Math.min(baseMs * factor ** (attempt - 2), maxMs);
  return Math.round(middle * (1 - jitter + 2 * jitter * random()));
}

/** Functions by event; one that throws harms neither the others nor the connection. */
export class Handlers {
  #all = new Map(); // event -> Set of functions

  on(event, handler) {
    if (!this.#all.has(event)) this.#all.set(event, new Set());
    this.#all.get(event).add(handler);
    return () => this.#all.get(event).delete(handler);
  }

  emit(event, value) {
    for (const handler of this.#all.get(event) ?? []) {
      try {
        handler(value);
      } catch (error) {
        console.error(`encke: a handler of '${event}' threw`, error);
      }
    }
  }
}

class Client {
  #url;
  #options;
  #timers;
  #handlers = new Handlers();
  #waiting = new Map(); // seq -> { op, resolve, reject }
  #socket = null;
  #seq = 1; // 1 is the auth of every connection
  #open = false;
  #closed = false; // by close()
  #attempt = 0; // tries since the last connection that held
  #openedAt = 0;
  #unanswered = 0; // heartbeats since the last reply
  #heartbeatTimer = null;
  #retryTimer = null;
  #authTimer = null;

  constructor(url, options) {
    this.#url = url;
    const backoff = { ...DEFAULTS.backoff, ...options.backoff };
    this.#options = { ...DEFAULTS, ...options, backoff, accepts: [...(options.accepts ?? [])] };
    this.#timers = options.timers ?? {
      setTimeout: (f, ms) => setTimeout(f, ms),
      clearTimeout: (t) => clearTimeout(t),
    };
  }

  get isOpen() { return this.#open; }
  get room() { return this.#options.room; }
  get accepts() { return [...this.#options.accepts]; }

  /** Returns a function that takes the handler out again. */
  on(event, handler) { return this.#handlers.on(event, handler); }

  /** Resolves when the server has answered; '' leaves the room. */
  async changeRoom(room) {
    await this.#ask(OP.CHANGE_ROOM, room);
    this.#options.room = room;
    this.#handlers.emit('room', room);
  }

  async sub(operations) {
    await this.#ask(OP.SUB, operations.join(','));
    this.#options.accepts = [...new Set([...this.#options.accepts, ...operations])];
  }

  async unsub(operations) {
    await this.#ask(OP.UNSUB, operations.join(','));
    this.#options.accepts = this.#options.accepts.filter((op) => !operations.includes(op));
  }

  /** An upstream message; resolves when the server has taken it. */
  async send(op, body) {
    if (op >= OP.HEARTBEAT && op <= OP.UNSUB_REPLY && op !== 4 && op !== 5) {
      throw new RangeError(`operation ${op} belongs to the protocol`);
    }
    await this.#ask(op, body);
  }

  /** Asks for the online count now; the reply comes as the event 'count'. */
  heartbeat() {
    if (!this.#open) return;
    this.#unanswered += 1;
    this.#transmit(OP.HEARTBEAT, this.#nextSeq(), '');
  }

  close() {
    this.#closed = true;
    this.#timers.clearTimeout(this.#retryTimer);
    if (this.#socket) this.#drop(1000, 'bye');
  }

  // ---- one connection -------------------------------------------------------------------------
  dial() {
    if (this.#closed || this.#socket) return;
    const WebSocket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (!WebSocket) throw new TypeError('no WebSocket here: pass one as options.WebSocket');
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    // A socket that was given up may still speak: only the current one is heard.
    socket.onopen = () => this.#socket === socket && this.#sendAuth();
    socket.onmessage = (event) => this.#socket === socket && this.#onFrame(event.data);
    socket.onclose = (event) => this.#socket === socket && this.#onGone(event.code, event.reason);
    socket.onerror = () => {}; // close follows
    const late = () => this.#drop(4008, 'no answer to auth');
    this.#authTimer = this.#timers.setTimeout(late, this.#options.authMs);
  }

  #sendAuth() {
    const { mid, key, room, platform, accepts, token } = this.#options;
    const auth = { mid, key, room_id: room, platform, accepts };
    if (token) auth.token = typeof token === 'function' ? token() : token;
    this.#transmit(OP.AUTH, 1, JSON.stringify(auth));
  }

  #onFrame(data) {
    let packages;
    try {
      packages = this.#unwrap(decode(data));
    } catch (error) {
      this.#drop(4002, `bad package: ${error.message}`);
      return;
    }
    for (const { inner, from } of packages) {
      if (inner) this.#onPush(from);
      else this.#onReply(from);
    }
  }

  /** Replies come bare, pushes always inside an op-9 package; the whole frame is checked first. */
  #unwrap(packages) {
    return packages.flatMap((outer) => (outer.op === OP.RAW
      ? decode(outer.body).map((from) => ({ inner: true, from }))
      : [{ inner: false, from: outer }]));
  }

  #onPush({ op, ver, body }) {
    this.#handlers.emit('message', { op, ver, body, text: () => utf8.decode(body) });
  }

  #onReply({ op, seq, body }) {
    if (op === OP.AUTH_REPLY && !this.#open) return this.#onOpen();
    if (op === OP.HEARTBEAT_REPLY) return this.#onCount(body);
    const asked = this.#waiting.get(seq);
    if (!asked || asked.replyOp !== op) return;
    this.#waiting.delete(seq);
    asked.resolve(body);
  }

  #onOpen() {
    this.#timers.clearTimeout(this.#authTimer);
    this.#open = true;
    this.#openedAt = Date.now();
    this.#unanswered = 0;
    this.#handlers.emit('open', { attempt: this.#attempt });
    this.#beat();
  }

  #onCount(body) {
    this.#unanswered = 0;
    if (body.length < 4) return;
    this.#handlers.emit('count', new DataView(body.buffer, body.byteOffset, 4).getInt32(0));
  }

  #beat() {
    if (!this.#open) return;
    if (this.#unanswered >= 2) return this.#drop(4009, 'heartbeats are not answered');
    this.heartbeat();
    this.#heartbeatTimer = this.#timers.setTimeout(() => this.#beat(), this.#options.heartbeatMs);
  }

  // ---- sending --------------------------------------------------------------------------------
  #nextSeq() {
    this.#seq = this.#seq >= 0x7fffffff ? 2 : this.#seq + 1;
    return this.#seq;
  }

  #ask(op, body) {
    const bytes = toBytes(body);
    if (bytes.length > BODY_BYTES_MAX) {
      return Promise.reject(new RangeError(`a body holds ${BODY_BYTES_MAX} bytes`));
    }
    if (!this.#open) return Promise.reject(new Error('not connected'));
    const seq = this.#nextSeq();
    const asksControl = op === OP.CHANGE_ROOM || op === OP.SUB || op === OP.UNSUB;
    return new Promise((resolve, reject) => {
      this.#waiting.set(seq, { replyOp: asksControl ? op + 1 : op, resolve, reject });
      this.#transmit(op, seq, bytes);
    });
  }

  #transmit(op, seq, body) {
    this.#socket.send(encode({ op, seq, body }));
  }

  // ---- losing it and coming back --------------------------------------------------------------
  /** Ends the connection now, without waiting for the peer's goodbye. */
  #drop(code, reason) {
    const socket = this.#socket;
    this.#onGone(code, reason);
    try {
      socket.close(code, reason);
    } catch { /* it was closed already */ }
  }

  #onGone(code, reason) {
    const wasOpen = this.#open;
    this.#socket = null;
    this.#open = false;
    this.#timers.clearTimeout(this.#heartbeatTimer);
    this.#timers.clearTimeout(this.#authTimer);
    for (const { reject } of this.#waiting.values()) reject(new Error('connection lost'));
    this.#waiting.clear();
    if (code >= 3500 && code < 4000) this.#closed = true;
    const retryMs = this.#closed ? null : this.#nextDelay(wasOpen);
    if (retryMs !== null) {
      this.#retryTimer = this.#timers.setTimeout(() => this.dial(), retryMs);
    }
    this.#handlers.emit('close', { code, reason, wasOpen, retryMs });
  }

  /** Only a connection that held for a while earns the quick retry: no accept-and-close loop. */
  #nextDelay(wasOpen) {
    const { backoff, random } = this.#options;
    if (wasOpen && Date.now() - this.#openedAt >= backoff.baseMs) this.#attempt = 0;
    this.#attempt += 1;
    return delayOf(this.#attempt, backoff, random);
  }
}
