// Clients of a chaos run in JavaScript: clients/js/v2.js in Node, a line per callback.
//
// usage: node crowd.mjs SPEC OUT    SPEC: JSON [{id, mid, publishMs, ports, rooms}, ...]
//
// Commands and lines are those of crowd.cc, and a line "E room why" for a room that was refused.
import { openSync, readFileSync, writeSync } from 'node:fs';

import { Refused, connect } from '../../clients/js/v2.js';
import { installed } from '../browser/places.mjs';

const { WebSocket } = installed('ws');
const FLUSH_MS = 50;

const [spec, path] = process.argv.slice(2);
const out = openSync(path, 'w');
let lines = [];
let talks = false;

function flush() {
  if (lines.length > 0) writeSync(out, `${lines.join('\n')}\n`);
  lines = [];
}

class Member {
  #id;
  #room;
  #client;
  #said = 0;

  constructor({ id, mid, publishMs, ports, rooms }) {
    this.#id = id;
    [this.#room] = rooms;
    this.#client = connect(ports.map((port) => `ws://127.0.0.1:${port}/sub`), {
      mid, rooms, key: `k${mid}`, device: `d${mid}`, platform: 'chaos', accepts: [1000],
      answerMs: 4000, backoff: { maxMs: 2000 }, WebSocket,
    });
    this.#listen();
    if (publishMs > 0) setInterval(() => this.#say(), publishMs);
  }

  #listen() {
    const client = this.#client;
    client.on('open', () => this.#line('U'));
    client.on('close', ({ code, text, wasOpen }) => wasOpen && this.#line(`D ${code} ${text}`));
    client.on('join', ({ known, room, epoch, seq }) => (
      known && this.#line(`J ${room} ${epoch} ${seq}`)));
    client.on('message', ({ room, epoch, seq, text }) => (
      this.#line(`P ${room || '-'} ${epoch} ${seq} ${text()}`)));
    client.on('reload', ({ room }) => this.#line(`R ${room}`));
    client.on('lost', ({ room, count }) => this.#line(`L ${room || '-'} ${count}`));
    client.on('refused', ({ room, error }) => this.#line(`E ${room} ${error.message}`));
  }

  async #say() {
    if (!talks || !this.#client.isOpen) return;
    this.#said += 1;
    const clientId = `c${this.#id}.${this.#said}`;
    this.#line(`S ${this.#room} ${clientId}`); // before: others may hear it at once
    try {
      await this.#client.publish(this.#room, clientId, { clientId });
      this.#line(`A ${clientId} 0`);
    } catch (error) {
      if (error instanceof Refused) this.#line(`A ${clientId} ${error.code}`);
    }
  }

  #line(words) {
    lines.push(`${process.hrtime.bigint() / 1000n} ${this.#id} ${words}`);
  }
}

const members = JSON.parse(readFileSync(spec, 'utf8')).map((one) => new Member(one));
setInterval(flush, FLUSH_MS);
process.stdin.on('data', (text) => { talks = text.toString().startsWith('t'); });
process.stdin.on('end', () => {
  flush();
  process.exit(members.length > 0 ? 0 : 1);
});
