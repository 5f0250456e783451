// One connection of the page, over either version of the protocol, with the same calls:
//   dial(url, rooms) · enter(room) · leave(room) · say(to, body): rejects when it was not taken
//
// page: opened() · lost(why) · heard({ room, seq, text }) · kept(the same, of the inbox)
//       joined(room, isKept, newest) · left(room) · noted(text) · count(room, number)
import { connect as connectOne } from './encke.js';
import { connect as connectTwo } from './v2.js';

const OPERATION = 1000;
const INBOX = 'user://';
const COUNT_MS = 2000;
const BACKOFF_MS = 15_000;

const hopeOf = (retryMs) => (
  retryMs === null ? 'closed' : `lost, back in ${(retryMs / 1000).toFixed(1)} s`);

async function answerOf(response) {
  const reply = await (await response).json();
  const why = reply.error?.message ?? (reply.code ? reply.message || `code ${reply.code}` : '');
  if (why) throw new Error(why);
  return reply;
}

/** goim's protocol: one room, no numbers; what is said goes to the push API. */
export class One {
  #page;
  #client;
  #room;

  constructor(page) { this.#page = page; }

  dial(url, [room]) {
    this.#room = room;
    const backoff = { baseMs: 1000, maxMs: BACKOFF_MS };
    this.#client = connectOne(url, { room, accepts: [OPERATION], heartbeatMs: 5000, backoff });
    this.#client.on('open', () => {
      this.#page.opened();
      this.#page.joined(this.#room, false);
    });
    this.#client.on('close', ({ retryMs }) => this.#page.lost(hopeOf(retryMs)));
    this.#client.on('count', (count) => this.#page.count(this.#room, count));
    this.#client.on('message', (m) => (
      this.#page.heard({ room: this.#room, seq: 0, text: m.text() })));
  }

  async enter(room) {
    const before = this.#room;
    await this.#client.changeRoom(room);
    this.#room = room;
    this.#page.left(before);
    this.#page.joined(room, false);
    this.#client.heartbeat();
  }

  async say(to, body) {
    const [type, room] = to.split('://');
    const query = new URLSearchParams({ operation: OPERATION, type, room });
    await answerOf(fetch(`/goim/push/room?${query}`, { method: 'POST', body }));
  }
}

/** Version 2: rooms as many as one likes, numbers, an inbox, and publishing on the connection. */
export class Two {
  #page;
  #mid;
  #url;
  #client;
  #current = '';

  constructor(page, mid) {
    this.#page = page;
    this.#mid = mid;
    setInterval(() => this.#ask(), COUNT_MS);
  }

  dial(url, rooms) {
    const page = this.#page;
    this.#url = url;
    this.#client = connectTwo(url, { mid: this.#mid, device: 'demo', autoAck: false,
      accepts: [OPERATION], rooms, backoff: { maxMs: BACKOFF_MS } });
    const on = (event, handler) => this.#client.on(event, handler);
    on('open', () => page.opened());
    on('close', ({ text, retryMs }) => page.lost(hopeOf(retryMs) + (text ? `: ${text}` : '')));
    on('join', ({ room, kept, seq }) => page.joined(room, kept, seq));
    on('leave', ({ room }) => page.left(room));
    on('refused', ({ room, error }) => page.noted(`${room} is closed to us: ${error.message}`));
    on('reload', ({ room }) => page.noted(`${room}: some are missing here, see "Earlier"`));
    on('lost', ({ room, count }) => page.noted(`${room}: ${count} were not sent, too fast for us`));
    on('message', (message) => {
      const said = { ...message, text: message.text() };
      if (message.room.startsWith(INBOX)) page.kept(said);
      else page.heard(said);
    });
  }

  /** Where we are in each room: given to dial() again, what was missed comes first. */
  cursors() {
    return (this.#client?.cursors() ?? []).filter(({ room }) => !room.startsWith(INBOX));
  }

  hangUp() { this.#client.close(); }
  comeBack() { this.dial(this.#url, this.cursors()); }

  enter(room) { return this.#client.join(room); }
  leave(room) { return this.#client.leave(room); }
  acknowledge() { this.#client.acknowledge(); }

  say(to, body) {
    const target = to.startsWith(INBOX) ? { mid: BigInt(to.slice(INBOX.length)) } : to;
    return this.#client.publish(target, body, { op: OPERATION });
  }

  /** What was said in a room before this number, the newest last; 0 = before anything we saw. */
  async earlier(room, before, limit) {
    const query = new URLSearchParams({ room, limit, ...(before && { before_seq: before }) });
    const { pushes } = await answerOf(fetch(`/v1/history?${query}`));
    return pushes.reverse();
  }

  /** Heartbeats of version 2 do not tell who is here; the API does. */
  look(room) {
    this.#current = room;
    this.#ask();
  }

  async #ask() {
    const room = this.#current;
    const [type, id] = room.split('://');
    if (!id || document.hidden) return;
    try {
      const query = new URLSearchParams({ type, rooms: id });
      const { data } = await answerOf(fetch(`/goim/online/room?${query}`));
      if (room === this.#current) this.#page.count(room, data[id]);
    } catch { /* logic is away: next time */ }
  }
}
