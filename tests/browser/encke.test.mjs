// Unit tests of clients/js/encke.js: byte vectors, and a whole life against a socket of our own.
// No network, no waiting: time is moved by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BODY_BYTES_MAX, OP, connect, decode, delayOf, encode } from '../../clients/js/encke.js';
import { Timers } from './timers.mjs';

const fromHex = (hex) => new Uint8Array(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const toHex = (bytes) => Buffer.from(bytes).toString('hex');

/** A WebSocket class whose instances remember what was sent and are spoken for by the test. */
function sockets() {
  const made = [];
  class FakeSocket {
    sent = [];
    closedWith = null;
    constructor(url) {
      this.url = url;
      made.push(this);
    }
    send(bytes) { this.sent.push(decode(bytes)[0]); }
    close(code, reason) { this.closedWith = { code, reason }; }
    receive(bytes) { this.onmessage({ data: Uint8Array.from(bytes).buffer }); }
    reply(op, body = '', seq = this.sent.at(-1).seq) { this.receive(encode({ op, seq, body })); }
    push(...messages) {
      const inner = Buffer.concat(messages.map(([op, body]) => encode({ op, body })));
      this.receive(encode({ op: OP.RAW, body: inner }));
    }
    accept() {
      this.onopen();
      this.reply(OP.AUTH_REPLY);
    }
    lose(code = 1006) { this.onclose({ code, reason: '' }); }
  }
  return { made, FakeSocket };
}

function start(options = {}) {
  const timers = new Timers();
  const { made, FakeSocket } = sockets();
  const events = [];
  const fakes = { WebSocket: FakeSocket, timers, random: () => 0.5 };
  const client = connect('ws://test/sub', { ...fakes, ...options });
  for (const name of ['open', 'room', 'close', 'count']) {
    client.on(name, (value) => events.push([name, value]));
  }
  client.on('message', (m) => events.push(['message', m.op, m.text()]));
  return { client, timers, made, events };
}

const bodyOf = (p) => Buffer.from(p.body).toString();

test('encodes the client heartbeat of the protocol text', () => {
  assert.equal(toHex(encode({ op: 2, seq: 1 })), '00000010001000010000000200000001');
});

test('encodes text as UTF-8 and counts bytes, not characters', () => {
  assert.equal(toHex(encode({ op: 4, seq: 7, body: 'é弹' })),
    '00000015001000010000000400000007' + 'c3a9e5bcb9');
});

test('encodes negative operations', () => {
  assert.equal(toHex(encode({ op: -5, seq: 1 })), '0000001000100001fffffffb00000001');
});

test('decodes the heartbeat reply of the protocol text', () => {
  const [p] = decode(fromHex('00000014 0010 0001 00000003 00000001 00000002'));
  assert.deepEqual({ ...p, body: toHex(p.body) }, { ver: 1, op: 3, seq: 1, body: '00000002' });
});

test('decodes two packages of one batch', () => {
  const packages = decode(fromHex('00000012 0010 0001 000003e8 00000000 6869'
    + '00000010 0010 0001 000003e9 00000000'));
  assert.deepEqual(packages.map((p) => [p.op, bodyOf(p)]), [[1000, 'hi'], [1001, '']]);
});

test('decodes a view into a larger buffer', () => {
  const large = Buffer.concat([Buffer.alloc(5), encode({ op: 9, body: 'x' }), Buffer.alloc(5)]);
  assert.equal(bodyOf(decode(large.subarray(5, 22))[0]), 'x');
});

for (const [what, hex] of [
  ['a header cut short', '00000010 0010 0001 00000003 000000'],
  ['a length of zero, which would loop for ever', '00000000 0010 0001 00000003 00000001'],
  ['a length below the header', '0000000f 0010 0001 00000003 00000001'],
  ['a negative length', 'ffffffff 0010 0001 00000003 00000001'],
  ['a length beyond the frame', '00000011 0010 0001 00000003 00000001'],
  ['another header length', '00000010 0011 0001 00000003 00000001'],
  ['bytes after the last package', '00000010 0010 0001 00000003 00000001 ff'],
]) {
  test(`refuses ${what}`, () => assert.throws(() => decode(fromHex(hex)), RangeError));
}

test('authenticates with what it was given, then beats at once', () => {
  const { made, events, client } = start({
    mid: 7, key: 'k', room: 'live://1', accepts: [1000], token: () => 'signed' });
  made[0].onopen();
  assert.equal(made[0].sent[0].op, OP.AUTH);
  assert.equal(made[0].sent[0].seq, 1);
  assert.deepEqual(JSON.parse(bodyOf(made[0].sent[0])), {
    mid: 7, key: 'k', room_id: 'live://1', platform: 'web', accepts: [1000], token: 'signed' });
  assert.equal(client.isOpen, false);
  made[0].reply(OP.AUTH_REPLY);
  assert.equal(client.isOpen, true);
  assert.deepEqual(made[0].sent.map((p) => p.op), [OP.AUTH, OP.HEARTBEAT]);
  made[0].receive(fromHex('00000014 0010 0001 00000003 00000002 00000002'));
  assert.deepEqual(events, [['open', { attempt: 0 }], ['count', 2]]);
});

test('unwraps op 9 and hands out every message in order', () => {
  const { made, events } = start();
  made[0].accept();
  events.length = 0;
  made[0].push([1000, 'hi'], [1001, ''], [3, 'pushed op 3 is a message too']);
  assert.deepEqual(events, [['message', 1000, 'hi'], ['message', 1001, ''],
    ['message', 3, 'pushed op 3 is a message too']]);
});

test('a broken inner package ends the connection and delivers nothing of the frame', () => {
  const { made, events } = start();
  made[0].accept();
  events.length = 0;
  const broken = fromHex('00000000 0010 0001 000003e8 00000000');
  const inner = Buffer.concat([encode({ op: 1000, body: 'good' }), broken]);
  made[0].receive(encode({ op: OP.RAW, body: inner }));
  assert.deepEqual(events.map((e) => e[0]), ['close']);
  assert.equal(made[0].closedWith.code, 4002);
});

test('changeRoom, sub and unsub wait for their own reply and survive a reconnect', async () => {
  const { made, client, events, timers } = start({ room: 'live://1', accepts: [1000] });
  made[0].accept();
  const moved = client.changeRoom('live://2');
  made[0].push([1000, 'in between']);
  made[0].reply(OP.CHANGE_ROOM_REPLY, 'live://2');
  await moved;
  const subbed = client.sub([1001, 1002]);
  assert.equal(bodyOf(made[0].sent.at(-1)), '1001,1002');
  made[0].reply(OP.SUB_REPLY, '1001,1002');
  await subbed;
  const unsubbed = client.unsub([1000]);
  made[0].reply(OP.UNSUB_REPLY, '1000');
  await unsubbed;
  assert.ok(events.some(([name, value]) => name === 'room' && value === 'live://2'));

  made[0].lose();
  timers.move(1000);
  made[1].onopen();
  const auth = JSON.parse(bodyOf(made[1].sent[0]));
  assert.equal(auth.room_id, 'live://2');
  assert.deepEqual(auth.accepts, [1001, 1002]);
});

test('send resolves on the echo of its own sequence number', async () => {
  const { made, client } = start();
  made[0].accept();
  const first = client.send(1000, 'a');
  const second = client.send(1000, 'b');
  const [a, b] = made[0].sent.slice(-2);
  assert.notEqual(a.seq, b.seq);
  let done = '';
  const both = [first.then(() => { done += 'a'; }), second.then(() => { done += 'b'; })];
  made[0].reply(1000, '', b.seq);
  await both[1];
  assert.equal(done, 'b');
  made[0].reply(1000, '', a.seq);
  await both[0];
});

test('send refuses operations of the protocol, large bodies and a closed connection', async () => {
  const { made, client } = start();
  await assert.rejects(client.send(1000, 'x'), /not connected/);
  made[0].accept();
  await assert.rejects(client.send(OP.AUTH, 'x'), RangeError);
  await assert.rejects(client.send(1000, 'x'.repeat(BODY_BYTES_MAX + 1)), RangeError);
});

test('what is unanswered when the connection goes is rejected', async () => {
  const { made, client } = start();
  made[0].accept();
  const asked = client.changeRoom('live://2');
  made[0].lose();
  await assert.rejects(asked, /lost/);
  assert.equal(client.room, '');
});

test('beats on its own clock and drops a peer that stops answering', () => {
  const { made, timers, events } = start({ heartbeatMs: 1000 });
  made[0].accept();
  for (let i = 0; i < 5; i++) {
    made[0].reply(OP.HEARTBEAT_REPLY, Uint8Array.of(0, 0, 0, 1));
    timers.move(1000);
  }
  assert.equal(made[0].sent.filter((p) => p.op === OP.HEARTBEAT).length, 6);
  timers.move(2000);
  const [name, { code, wasOpen }] = events.find((e) => e[0] === 'close');
  assert.deepEqual([name, code, wasOpen], ['close', 4009, true]);
  assert.equal(made[0].closedWith.code, 4009);
});

test('gives up on a server that never answers the auth', () => {
  const { made, timers, events } = start({ authMs: 2000 });
  made[0].onopen();
  timers.move(2000);
  assert.equal(events[0][1].code, 4008);
  assert.equal(events[0][1].wasOpen, false);
});

test('back-off: quick first, then base times factor, bounded, spread by jitter', () => {
  const backoff = { firstMs: 500, baseMs: 3000, factor: 2, maxMs: 10_000, jitter: 0.5 };
  assert.equal(delayOf(1, backoff, () => 0.5), 250);
  const middles = [2, 3, 4, 9].map((n) => delayOf(n, backoff, () => 0.5));
  assert.deepEqual(middles, [3000, 6000, 10_000, 10_000]);
  assert.deepEqual([0, 1].map((r) => delayOf(2, backoff, () => r)), [1500, 4500]);
});

test('a connection that does not hold does not earn the quick retry again', () => {
  const { made, timers, events } = start({ backoff: { jitter: 0 } });
  const delays = () => events.filter((e) => e[0] === 'close').map((e) => e[1].retryMs);
  for (let i = 0; i < 3; i++) {
    made[i].accept();
    made[i].lose();
    timers.move(delays().at(-1));
  }
  assert.deepEqual(delays(), [250, 3000, 5400]);
  assert.equal(made.length, 4);
});

test('an old socket that still speaks is not heard', () => {
  const { made, timers, events } = start();
  made[0].accept();
  made[0].lose();
  timers.move(1000);
  made[1].accept();
  events.length = 0;
  made[0].push([1000, 'ghost']);
  made[0].lose();
  assert.deepEqual(events, []);
});

test('close ends it for good and leaves no timer', () => {
  const { made, timers, events, client } = start();
  made[0].accept();
  client.close();
  const goodbye = { code: 1000, reason: 'bye', wasOpen: true, retryMs: null };
  assert.deepEqual(events.at(-1), ['close', goodbye]);
  assert.equal(made[0].closedWith.code, 1000);
  assert.equal(timers.pending, 0);
});

test('close while waiting for a retry stops the retry', () => {
  const { made, timers, client } = start();
  made[0].lose();
  client.close();
  timers.move(1_000_000);
  assert.equal(made.length, 1);
  assert.equal(timers.pending, 0);
});

test('a server that says: not again, is believed', () => {
  const { made, timers, events } = start();
  made[0].accept();
  made[0].lose(3501); // the same key logged in elsewhere: coming back would throw that one out
  timers.move(1_000_000);
  assert.equal(events.at(-1)[1].retryMs, null);
  assert.equal(made.length, 1);
});

test('a handler that throws harms neither the others nor the connection', (t) => {
  t.mock.method(console, 'error', () => {});
  const { made, client, events } = start();
  client.on('message', () => { throw new Error('mine'); });
  made[0].accept();
  made[0].push([1000, 'one'], [1000, 'two']);
  assert.equal(events.filter((e) => e[0] === 'message').length, 2);
});
