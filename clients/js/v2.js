// A client of protocol version 2 (api/client.md) over WebSocket: many rooms, every numbered push
// exactly once and in order whatever happens on the way, an inbox, publish with an answer.
//
//   import { connect } from './v2.js';
//   const client = connect('ws://127.0.0.1:3102/sub', { mid: 7, rooms: ['group://42'] });
//   client.on('message', (m) => console.log(m.room, m.seq, m.text()));
//   client.on('reload', ({ room }) => ...);  // some are gone: fill the hole by other means
//   const { seq } = await client.publish('group://42', 'hello');
//
// Events: open {mid, key, server, attempt} · close {code, name, text, wasOpen, retryMs}
//         message {room, epoch, seq, op, body, text(), id, timeUs, fromMid, clientId}
//         reload {room} · lost {room, count} (outside timelines) · refused {room, error}
//         join {room, kept, epoch, seq, ...} · leave {room}  also when a backend did it
//
// It comes back for ever until close() is called or the server says not to (retryMs is null then).
// What was joined stays joined, and what was missed comes before what is new.  To resume after a
// restart of the program, store room, epoch and seq of messages, and give them as rooms.
import { batchesOf, cursorOf } from './cursors.js';
import { Handlers, toBytes } from './encke.js';
import { Line, OP } from './line.js';
import { Publishes, Refused } from './publishes.js';
import { Route } from './route.js';
import { Timeline } from './timeline.js';

export { OP, Refused };

const AGAIN_MS = 500; // the server said "later" without saying when
const ACK_MS = 1000;
const INBOX = 'user://';

const DEFAULTS = {
  mid: 0, // user id
  key: '', // names this connection; empty: the server makes one up
  device: '', // names this installation; empty: one is made up and kept in localStorage
  platform: 'web',
  rooms: [], // 'type://id', or { room, epoch, seq } to resume; the inbox resumes as user://<mid>
  accepts: [], // operations of pushes by user or to all that we want; room pushes always come
  token: '', // signed token, where the server asks for one; or a function that makes one
  autoAck: true, // the inbox, once a second; else call acknowledge()
  answerMs: 10_000, // without an answer for so long, the connection is given up
  beatMs: Infinity, // ask for the newest numbers at least so often; the server may want it oftener
  backoff: { firstMs: 200, maxMs: 10_000 },
  WebSocket: undefined, // for Node without a global one: that of the package ws will do
  timers: undefined, // { setTimeout, clearTimeout, now }, for tests
  random: Math.random,
};

/** url: one address or several, tried in turn. */
export function connect(url, options = {}) {
  const client = new Client([url].flat(), options);
  client.dial();
  return client;
}

class Client {
  #route;
  #options;
  #timers;
  #handlers = new Handlers();
  #rooms = new Map(); // name -> { timeline, isJoined, waiting: [{ resolve, reject }] }
  #inbox = ''; // its name, once it is known
  #resume; // where an earlier life stopped in the inbox
  #publishes;
  #line = null;
  #isUp = false;
  #isOver = false;
  #acked = { epoch: 0, seq: 0 }; // of the inbox
  #ackAlarm = null;
  #retryTimer = null;

  constructor(urls, options) {
    const backoff = { ...DEFAULTS.backoff, ...options.backoff };
    this.#options = { ...DEFAULTS, ...options, backoff, accepts: [...(options.accepts ?? [])] };
    this.#options.device ||= deviceOf(() => this.#makeId());
    this.#timers = options.timers ?? {
      setTimeout: (f, ms) => setTimeout(f, ms),
      clearTimeout: (t) => clearTimeout(t),
      now: () => Date.now(),
    };
    this.#route = new Route(urls, this.#options);
    this.#publishes = new Publishes({
      say: (publish, then) => this.#line.ask(OP.PUBLISH, publish, then),
      later: (run, ms) => this.#later(run, ms),
      isWanted: (room) => this.#rooms.has(room),
    });
    for (const cursor of this.#options.rooms.map(cursorOf)) {
      if (cursor.room.startsWith(INBOX)) this.#resume = cursor;
      else this.#want(cursor);
    }
  }

  get isOpen() { return this.#isUp; }

  /** All positions, of the inbox too: given to connect() as rooms, it goes on from here. */
  cursors() { return [...this.#rooms.values()].map(({ timeline }) => timeline.cursor); }

  /** Returns a function that takes the handler out again. */
  on(event, handler) { return this.#handlers.on(event, handler); }

  /** Resolves when every push that is accepted from now on will come; rejects with Refused. */
  join(room) {
    if (this.#isOver) return Promise.reject(new Error('closed'));
    const entry = this.#want(cursorOf(room));
    const joined = new Promise((resolve, reject) => entry.waiting.push({ resolve, reject }));
    if (this.#isUp) this.#sendJoin([entry.timeline.cursor]);
    return joined;
  }

  leave(room) {
    this.#forget(room);
    return this.#tell(OP.LEAVE, { rooms: [room] });
  }

  /** Operations of pushes by user or to all: to hear from now on, or no longer. */
  accept(operations) {
    this.#options.accepts = [...new Set([...this.#options.accepts, ...operations])];
    return this.#tell(OP.JOIN, { accepts: operations });
  }

  ignore(operations) {
    this.#options.accepts = this.#options.accepts.filter((op) => !operations.includes(op));
    return this.#tell(OP.LEAVE, { accepts: operations });
  }

  /**
   * to: a room that we are in, or { mid }.  Resolves with { id, epoch, seq, timeUs, clientId } when
   * it is published (with stored: when it cannot be lost any more); rejects with Refused.
   */
  publish(to, body, { op = 1000, stored = true, clientId = this.#makeId() } = {}) {
    if (this.#isOver) return Promise.reject(new Error('closed'));
    const target = typeof to === 'string' ? { room: to } : { toMid: to.mid };
    return this.#publishes.add({ ...target, clientId, op, stored, body: toBytes(body) });
  }

  /** Everything of the inbox that was delivered is done on this device. */
  acknowledge() {
    const { epoch, seq } = this.#rooms.get(this.#inbox)?.timeline.cursor ?? { epoch: 0 };
    const isDone = epoch === this.#acked.epoch && seq <= this.#acked.seq;
    if (!this.#isUp || epoch === 0 || seq === 0 || isDone) return;
    this.#acked = { epoch, seq };
    this.#line.ask(OP.ACK, { epoch, seq }, ({ error }) => {
      if (!error) return;
      this.#acked = { epoch: 0, seq: 0 };
      if (new Refused(error).mayPass) this.#ackSoon();
    });
  }

  close() {
    if (this.#isOver) return;
    if (this.#options.autoAck) this.acknowledge();
    this.#isOver = true;
    this.#timers.clearTimeout(this.#retryTimer);
    if (this.#line) this.#line.drop(1000, 'bye');
    else this.#end();
  }

  // ---- one connection ---------------------------------------------------------------------------
  dial() {
    if (this.#isOver || this.#line) return;
    const { answerMs, WebSocket = globalThis.WebSocket } = this.#options;
    if (!WebSocket) throw new TypeError('no WebSocket here: pass one as options.WebSocket');
    this.#line = new Line({
      url: this.#route.url,
      WebSocket,
      answerMs,
      timers: this.#timers,
      open: () => this.#greet(),
      hear: (op, message) => this.#hear(op, message),
      gone: (code, reason, close) => this.#onGone(code, reason, close),
    });
    this.#line.alarm(() => this.#isUp || this.#line.drop(4008, 'no answer'), answerMs);
  }

  #greet() {
    const { mid, key, platform, accepts, device } = this.#options;
    let { token } = this.#options;
    if (typeof token === 'function') token = token();
    const words = JSON.stringify({ key, room_id: '', platform, accepts, ...(token && { token }) });
    const all = this.cursors();
    const inbox = all.find(({ room }) => room.startsWith(INBOX)) ?? this.#resume;
    const [rooms, ...others] = batchesOf(all.filter(({ room }) => !room.startsWith(INBOX)));
    this.#line.ask(OP.CONNECT, {
      token: toBytes(`{"mid":${BigInt(mid)},${words.slice(1)}`), // JSON has no BigInt
      device, platform, rooms, accepts, inbox,
    }, (reply) => this.#onUp(reply, others));
  }

  #onUp({ mid, key, server, inbox, rooms, heartbeatMs }, others) {
    this.#isUp = true;
    this.#route.onUp(this.#timers.now());
    this.#inbox = inbox?.room ?? '';
    this.#acked = { epoch: inbox?.epoch ?? 0, seq: inbox?.cursor ?? 0 };
    this.#handlers.emit('open', { mid, key, server, attempt: this.#route.attempt });
    if (inbox?.kept) this.#onJoined(inbox);
    for (const joined of rooms) this.#onJoined(joined);
    if (!this.#isUp) return; // a handler has closed it
    for (const cursors of others) this.#sendJoin(cursors);
    this.#sendSyncs();
    this.#publishes.onUp();
    this.#ackSoon();
    const every = Math.min(Math.max(heartbeatMs, 1000) / 2, this.#options.beatMs);
    this.#beatIn(every * this.#options.random(), every);
  }

  #beatIn(ms, every) {
    this.#line.alarm(() => {
      this.#line.ask(OP.BEAT, {}, ({ heads }) => {
        for (const head of heads) this.#rooms.get(head.room)?.timeline.onHead(head);
        this.#sendSyncs();
      });
      this.#beatIn(every, every);
    }, ms);
  }

  #hear(op, message) {
    if (op === OP.PUSH) this.#onPush(message);
    if (op === OP.GAP) this.#onGap(message);
    if (op === OP.SYNC + 1) this.#onSync(message);
    if (op === OP.JOIN + 1) for (const joined of message.rooms) this.#onJoined(joined);
    if (op === OP.LEAVE + 1) for (const room of message.rooms) this.#forget(room);
    this.#sendSyncs();
  }

  // ---- rooms ------------------------------------------------------------------------------------
  #want({ room, epoch, seq }) {
    if (!this.#rooms.has(room)) {
      const timeline = new Timeline(room, { epoch, seq }, {
        push: (push) => this.#deliver(push),
        reload: () => this.#handlers.emit('reload', { room }),
      });
      this.#rooms.set(room, { timeline, isJoined: false, waiting: [] });
    }
    return this.#rooms.get(room);
  }

  #forget(room, why = new Error('the room was left')) {
    const entry = this.#rooms.get(room);
    if (!entry) return;
    this.#rooms.delete(room);
    entry.timeline.onDown();
    for (const { reject } of entry.waiting) reject(why);
    if (entry.isJoined) this.#handlers.emit('leave', { room });
  }

  #sendJoin(cursors) {
    this.#line.ask(OP.JOIN, { rooms: cursors }, ({ error, rooms }) => {
      const all = error ? cursors.map(({ room }) => ({ room, error })) : rooms;
      for (const joined of all) this.#onJoined(joined);
      this.#sendSyncs();
    });
  }

  /** Also a room that a backend put us into, and the inbox. */
  #onJoined(joined) {
    const { room, error } = joined;
    if (error) return this.#onRefused(room, error);
    const entry = this.#want(room === this.#resume?.room ? this.#resume : cursorOf(room));
    for (const { resolve } of entry.waiting.splice(0)) resolve(joined);
    if (!entry.isJoined && room !== this.#inbox) this.#handlers.emit('join', joined);
    entry.isJoined = true;
    entry.timeline.onJoined(joined);
  }

  #onRefused(room, fault) {
    if (!this.#rooms.has(room)) return;
    const error = new Refused(fault);
    if (error.mayPass) {
      this.#later(() => {
        const entry = this.#rooms.get(room);
        if (entry) this.#sendJoin([entry.timeline.cursor]);
      }, fault.afterMs);
    } else {
      this.#forget(room, error);
      this.#handlers.emit('refused', { room, error });
    }
  }

  #onPush(push) {
    if (push.seq === 0) return this.#deliver(push);
    // Those of the inbox may overtake the reply that says its name.
    if (push.room.startsWith(INBOX)) this.#want(this.#resume ?? cursorOf(push.room));
    this.#rooms.get(push.room)?.timeline.onPush(push);
  }

  #deliver(push) {
    this.#handlers.emit('message', { ...push, text: () => new TextDecoder().decode(push.body) });
    if (push.room === this.#inbox && push.seq > 0) this.#ackSoon();
  }

  #onGap(gap) {
    if (gap.from === 0) this.#handlers.emit('lost', { room: gap.room, count: gap.lost });
    else this.#rooms.get(gap.room)?.timeline.onGap(gap);
  }

  #onSync(reply, room = reply.room) {
    const timeline = this.#rooms.get(room)?.timeline;
    timeline?.onSync(reply);
    if (!reply.error || !new Refused(reply.error).mayPass) return;
    this.#later(() => {
      timeline?.retry();
      this.#sendSyncs();
    }, reply.error.afterMs);
  }

  #sendSyncs() {
    if (!this.#isUp) return;
    for (const { timeline } of this.#rooms.values()) {
      const sync = timeline.takeSync();
      if (!sync) continue;
      this.#line.ask(OP.SYNC, sync, (reply) => {
        this.#onSync(reply, sync.room);
        this.#sendSyncs();
      });
    }
  }

  // ---- asking -----------------------------------------------------------------------------------
  /** Rooms and operations are said again by the next Connect: a lost answer is none. */
  #tell(op, message) {
    if (!this.#isUp) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = ({ error }) => (error ? reject(new Refused(error)) : resolve());
      this.#line.ask(op, message, done, resolve);
    });
  }

  #ackSoon() {
    if (!this.#options.autoAck || this.#ackAlarm || !this.#isUp) return;
    this.#ackAlarm = this.#line.alarm(() => {
      this.#ackAlarm = null;
      this.acknowledge();
    }, ACK_MS);
  }

  #later(run, afterMs) {
    this.#line?.alarm(run, Math.max(afterMs, AGAIN_MS) * (1 + this.#options.random()));
  }

  #makeId() {
    const weak = Array.from({ length: 16 }, () => Math.floor(this.#options.random() * 256));
    const bytes = globalThis.crypto?.getRandomValues(new Uint8Array(16)) ?? weak;
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  // ---- losing it and coming back ----------------------------------------------------------------
  #onGone(code, reason, said) {
    const wasOpen = this.#isUp;
    this.#line = this.#ackAlarm = null;
    this.#isUp = false;
    this.#publishes.onDown();
    for (const entry of this.#rooms.values()) {
      entry.timeline.onDown();
      entry.isJoined = false;
    }
    this.#isOver ||= said ? !said.mayReturn : code >= 3500 && code < 4000;
    const retryMs = this.#isOver ? null : this.#route.onGone(this.#timers.now(), said);
    if (this.#isOver) this.#end();
    else this.#retryTimer = this.#timers.setTimeout(() => this.dial(), retryMs);
    const { name = '', text = reason } = said ?? {};
    this.#handlers.emit('close', { code, name, text, wasOpen, retryMs });
  }

  #end() {
    this.#publishes.end('closed');
    for (const { waiting } of this.#rooms.values()) {
      for (const { reject } of waiting.splice(0)) reject(new Error('closed'));
    }
  }
}

/** This browser's name for itself; where nothing can be kept, all programs of a user share one. */
function deviceOf(makeId) {
  try {
    const kept = globalThis.localStorage.getItem('encke.device') ?? makeId();
    globalThis.localStorage.setItem('encke.device', kept);
    return kept;
  } catch {
    return 'js';
  }
}
