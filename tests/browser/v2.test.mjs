// Unit tests of clients/js/v2.js: whole lives against a server of our own.  No network, no waiting:
// time is moved by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, encode } from '../../clients/js/encke.js';
import * as m from '../../clients/js/messages.js';
import { OP, Refused, connect } from '../../clients/js/v2.js';
import { Timers } from './timers.mjs';

const SAID = { 18: m.Connect, 20: m.Join, 22: m.Leave, 24: m.Publish, 26: m.Ack, 28: m.Sync,
  30: m.Beat };
const ANSWERS = { 19: m.ConnectReply, 21: m.JoinReply, 23: m.LeaveReply, 25: m.PublishReply,
  27: m.AckReply, 29: m.SyncReply, 31: m.BeatReply, 32: m.Push, 33: m.Gap, 34: m.Close,
  35: m.Fault };
const bytes = (text) => new TextEncoder().encode(text);
const INBOX = { room: 'user://7', kept: true, known: true, epoch: 3, seq: 0 };
const roomAt = (room, seq, more = {}) => (
  { room, kept: true, known: true, epoch: 5, seq, ...more });
const pushOf = (seq, more = {}) => (
  { room: 'group://1', epoch: 5, seq, op: 1000, body: bytes(`m${seq}`), ...more });

/** A WebSocket class; what was said is decoded, and the test answers. */
function sockets() {
  const made = [];
  class FakeSocket {
    said = []; // { op, seq, ...message }
    closedWith = null;
    constructor(url) {
      this.url = url;
      made.push(this);
    }
    send(data) {
      const [{ ver, op, seq, body }] = decode(data);
      assert.equal(ver, 2);
      assert.ok(data.length <= 16 + 4096, `a package of ${data.length} bytes`);
      this.said.push({ what: op, number: seq, ...m.decodeMessage(SAID[op], body) });
    }
    close(code) { this.closedWith = code; }
    last(op) { return this.said.findLast(({ what }) => what === op); }
    all(op) { return this.said.filter(({ what }) => what === op); }
    say(op, message, seq = 0) {
      const body = m.encodeMessage(ANSWERS[op], message);
      this.onmessage({ data: encode({ ver: 2, op, seq, body }).buffer });
    }
    answer(op, message = {}, asked = this.last(op)) { this.say(op + 1, message, asked.number); }
    accept(reply = {}) {
      this.onopen();
      this.answer(OP.CONNECT, { mid: 7, key: 'k', heartbeatMs: 240_000, inbox: INBOX, ...reply });
    }
    lose(code = 1006) { this.onclose({ code, reason: '' }); }
  }
  return { made, FakeSocket };
}

function start(options = {}, url = 'ws://one/sub') {
  const clock = new Timers();
  const { made, FakeSocket } = sockets();
  const { setTimeout, clearTimeout } = clock;
  const timers = { setTimeout, clearTimeout, now: () => clock.now };
  const client = connect(url, { mid: 7, device: 'd', WebSocket: FakeSocket, timers,
    random: () => 0.5, ...options });
  const events = [];
  for (const name of ['open', 'close', 'reload', 'lost', 'refused', 'join', 'leave']) {
    client.on(name, (value) => events.push([name, value]));
  }
  client.on('message', (message) => events.push(['message', message.seq, message.text()]));
  const heard = () => events.filter(([name]) => name === 'message').map(([, seq]) => seq);
  const named = (name) => events.filter(([one]) => one === name).map(([, value]) => value);
  return { client, clock, made, events, heard, named };
}

test('says who it is, what it wants and where it stopped', () => {
  const rooms = ['live://9', { room: 'group://42', epoch: 1, seq: 9 },
    { room: 'user://7', epoch: 3, seq: 4 }];
  const { made } = start({ key: 'k', accepts: [1000], token: () => 'signed', rooms });
  made[0].onopen();
  const { what, token, device, platform, rooms: wanted, accepts, inbox } = made[0].said[0];
  assert.equal(what, OP.CONNECT);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(token)), {
    mid: 7, key: 'k', room_id: '', platform: 'web', accepts: [1000], token: 'signed' });
  assert.deepEqual([device, platform, accepts], ['d', 'web', [1000]]);
  assert.deepEqual(wanted, [{ room: 'live://9', epoch: 0, seq: 0 },
    { room: 'group://42', epoch: 1, seq: 9 }]);
  assert.deepEqual(inbox, { room: 'user://7', epoch: 3, seq: 4 });
});

test('a mid beyond 2^53 stays what it is', () => {
  const { made } = start({ mid: 9007199254740993n });
  made[0].onopen();
  assert.match(new TextDecoder().decode(made[0].said[0].token), /^\{"mid":9007199254740993,/);
});

test('more rooms than one package holds are joined behind the first ones', () => {
  const rooms = Array.from({ length: 100 }, (_, i) => `group://${'long name '.repeat(8)}${i}`);
  const { made } = start({ rooms });
  made[0].onopen();
  const first = made[0].said[0].rooms;
  made[0].answer(OP.CONNECT, { heartbeatMs: 240_000, rooms: first.map((c) => roomAt(c.room, 1)) });
  const all = [...first, ...made[0].all(OP.JOIN).flatMap((join) => join.rooms)];
  assert.ok(first.length < 100);
  assert.deepEqual(all.map(({ room }) => room), rooms);
});

test('delivers in order and once, over a connection that ends', () => {
  const { made, clock, heard, events } = start({ rooms: ['group://1'] });
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  for (const seq of [2, 3, 2, 3]) made[0].say(OP.PUSH, pushOf(seq));
  made[0].lose();
  clock.move(200);
  made[1].onopen();
  assert.deepEqual(made[1].said[0].rooms, [{ room: 'group://1', epoch: 5, seq: 3 }]);
  made[1].say(OP.PUSH, pushOf(8)); // overtakes the reply
  made[1].answer(OP.CONNECT, { heartbeatMs: 240_000,
    rooms: [roomAt('group://1', 7, { syncing: true })] });
  made[1].say(OP.PUSH, pushOf(9));
  const page = { room: 'group://1', epoch: 5, newest: 8, oldest: 1 };
  const first = [4, 5].map((s) => pushOf(s));
  made[1].say(OP.SYNC + 1, { ...page, pushes: first, through: 5, more: true });
  assert.deepEqual(heard(), [2, 3, 4, 5]);
  assert.equal(made[1].last(OP.SYNC).after, 5);
  made[1].answer(OP.SYNC, { ...page, pushes: [6, 7].map((s) => pushOf(s)), through: 7 });
  assert.deepEqual(heard(), [2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(events.filter(([name]) => name === 'reload'), []);
});

test('a sync that cannot be answered now is asked again after what the server says', () => {
  const { made, clock, heard } = start({ rooms: ['group://1'] });
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  made[0].say(OP.PUSH, pushOf(3));
  made[0].answer(OP.SYNC, { error: { code: 5, afterMs: 800, message: 'later' } });
  clock.move(1100);
  assert.equal(made[0].all(OP.SYNC).length, 1);
  clock.move(200);
  assert.equal(made[0].all(OP.SYNC).length, 2);
  made[0].answer(OP.SYNC, { room: 'group://1', epoch: 5, pushes: [pushOf(2)], through: 2 });
  assert.deepEqual(heard(), [2, 3]);
});

test('a beat shows a push that never came', () => {
  const { made, clock, heard } = start({ rooms: ['group://1'], beatMs: 20_000 });
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  clock.move(9_999);
  assert.equal(made[0].all(OP.BEAT).length, 0);
  clock.move(1);
  made[0].answer(OP.BEAT, { heads: [{ room: 'group://1', epoch: 5, seq: 2 }] });
  assert.equal(made[0].last(OP.SYNC).after, 1);
  made[0].answer(OP.SYNC, { room: 'group://1', epoch: 5, pushes: [pushOf(2)], through: 2 });
  assert.deepEqual(heard(), [2]);
  clock.move(20_000);
  assert.equal(made[0].all(OP.BEAT).length, 2);
});

test('what the server loses outside timelines is told', () => {
  const { made, named } = start({ rooms: ['live://1'] });
  made[0].accept({ rooms: [{ room: 'live://1', known: true }] });
  made[0].say(OP.GAP, { room: 'live://1', from: 0, lost: 4, reason: 1 });
  assert.deepEqual(named('lost'), [{ room: 'live://1', count: 4 }]);
});

test('join and leave wait for their answers; a refusal names the field', async () => {
  const { client, made, named } = start();
  made[0].accept();
  const joined = client.join('group://2');
  made[0].answer(OP.JOIN, { rooms: [roomAt('group://2', 4)] });
  assert.equal((await joined).seq, 4);
  const refused = client.join('nonsense');
  const error = { code: 1, field: 'rooms[0].room', message: 'is not of the form type://id' };
  made[0].answer(OP.JOIN, { rooms: [{ room: 'nonsense', error }] });
  await assert.rejects(refused, (e) => e instanceof Refused && e.code === 'INVALID'
    && e.field === 'rooms[0].room');
  assert.equal(named('refused')[0].room, 'nonsense');
  const left = client.leave('group://2');
  made[0].say(OP.PUSH, pushOf(5, { room: 'group://2' }));
  made[0].answer(OP.LEAVE, { rooms: ['group://2'] });
  await left;
  assert.deepEqual(named('message'), []);
  assert.deepEqual(named('leave'), [{ room: 'group://2' }]);
});

test('a room that cannot be joined now is asked for again', async () => {
  const { client, clock, made } = start();
  const joined = client.join('group://2'); // before it is up
  made[0].onopen();
  assert.deepEqual(made[0].said[0].rooms.map(({ room }) => room), ['group://2']);
  made[0].answer(OP.CONNECT, { heartbeatMs: 240_000,
    rooms: [{ room: 'group://2', error: { code: 5, afterMs: 100 } }] });
  clock.move(750);
  made[0].answer(OP.JOIN, { rooms: [roomAt('group://2', 1)] });
  await joined;
});

test('a backend joins us and takes us out', () => {
  const { made, named, heard, clock } = start();
  made[0].accept();
  made[0].say(OP.JOIN + 1, { rooms: [roomAt('group://1', 4)] });
  made[0].say(OP.PUSH, pushOf(5));
  assert.deepEqual(named('join').map(({ room }) => room), ['group://1']);
  made[0].lose();
  clock.move(200);
  made[1].accept({ rooms: [roomAt('group://1', 5)] });
  assert.deepEqual(made[1].said[0].rooms, [{ room: 'group://1', epoch: 5, seq: 5 }]);
  made[1].say(OP.LEAVE + 1, { rooms: ['group://1'] });
  made[1].say(OP.PUSH, pushOf(6));
  assert.deepEqual(named('leave'), [{ room: 'group://1' }]);
  assert.deepEqual(heard(), [5]);
});

test('publishes one after the other, again after a loss, with the same id', async () => {
  const { client, made, clock } = start({ rooms: ['group://1'] });
  const first = client.publish('group://1', 'a', { clientId: 'c1' });
  const second = client.publish({ mid: 8 }, 'b', { op: 1001, stored: false });
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  assert.equal(made[0].all(OP.PUBLISH).length, 1);
  made[0].lose();
  clock.move(200);
  made[1].accept({ rooms: [roomAt('group://1', 1)] });
  const { room, clientId, op, body, stored } = made[1].last(OP.PUBLISH);
  assert.deepEqual([room, clientId, op, new TextDecoder().decode(body), stored],
    ['group://1', 'c1', 1000, 'a', true]);
  made[1].answer(OP.PUBLISH, { clientId: 'c1', id: 'p1', epoch: 5, seq: 2, timeUs: 9 });
  assert.deepEqual(await first,
    { clientId: 'c1', id: 'p1', epoch: 5, seq: 2, timeUs: 9, error: undefined });
  const last = made[1].last(OP.PUBLISH);
  assert.deepEqual([last.toMid, last.op, last.stored], [8, 1001, false]);
  assert.match(last.clientId, /^[0-9a-f]{32}$/);
  made[1].answer(OP.PUBLISH, { error: { code: 2, field: 'op', message: 'not allowed' } });
  await assert.rejects(second, /op: not allowed/);
});

test('a publish over the rate waits and is said again; the next one stays behind it', () => {
  const { client, made, clock } = start();
  made[0].accept();
  client.publish({ mid: 8 }, 'a', { clientId: 'c1' });
  client.publish({ mid: 8 }, 'b', { clientId: 'c2' });
  made[0].answer(OP.PUBLISH, { error: { code: 4, afterMs: 2000 } });
  clock.move(2999);
  assert.equal(made[0].all(OP.PUBLISH).length, 1);
  clock.move(1);
  assert.deepEqual(made[0].all(OP.PUBLISH).map(({ clientId }) => clientId), ['c1', 'c1']);
  made[0].answer(OP.PUBLISH, { clientId: 'c1' });
  assert.equal(made[0].last(OP.PUBLISH).clientId, 'c2');
});

test('acknowledges the inbox at most once a second, up to what was delivered', () => {
  const { made, clock, client } = start();
  made[0].accept({ inbox: { ...INBOX, seq: 2, cursor: 2 } });
  for (const seq of [3, 4]) made[0].say(OP.PUSH, pushOf(seq, { room: 'user://7', epoch: 3 }));
  clock.move(999);
  assert.equal(made[0].all(OP.ACK).length, 0);
  clock.move(1);
  assert.deepEqual(made[0].all(OP.ACK).map(({ epoch, seq }) => [epoch, seq]), [[3, 4]]);
  clock.move(5000);
  assert.equal(made[0].all(OP.ACK).length, 1);
  made[0].answer(OP.ACK, { error: { code: 5, message: 'later' } });
  clock.move(1000);
  assert.equal(made[0].all(OP.ACK).length, 2);
  made[0].answer(OP.ACK);
  made[0].say(OP.PUSH, pushOf(5, { room: 'user://7', epoch: 3 }));
  client.close();
  assert.equal(made[0].last(OP.ACK).seq, 5);
});

test('leaves acknowledging to the application if it wants that', () => {
  const { made, clock, client } = start({ autoAck: false });
  made[0].accept();
  made[0].say(OP.PUSH, pushOf(1, { room: 'user://7', epoch: 3 }));
  clock.move(5000);
  assert.equal(made[0].all(OP.ACK).length, 0);
  client.acknowledge();
  assert.equal(made[0].last(OP.ACK).seq, 1);
});

test('the inbox of an earlier life goes on where it stopped', () => {
  const { made, heard } = start({ rooms: [{ room: 'user://7', epoch: 3, seq: 5 }] });
  made[0].accept({ inbox: { ...INBOX, seq: 6, cursor: 2, syncing: true } });
  const pushes = [6].map((seq) => pushOf(seq, { room: 'user://7', epoch: 3 }));
  made[0].say(OP.SYNC + 1, { room: 'user://7', epoch: 3, pushes, through: 6 });
  assert.deepEqual(heard(), [6]);
});

test('Close says why, whether, when and where to come back', async () => {
  const { made, clock, named, client } = start({}, ['ws://one/sub', 'ws://two/sub']);
  made[0].accept();
  const going = { code: 1001, name: 'shutdown', text: 'bye', mayReturn: true, afterMs: 1000 };
  made[0].say(OP.CLOSE, { ...going, where: ['three:3102'] });
  assert.deepEqual(named('close'), [
    { code: 1001, name: 'shutdown', text: 'bye', wasOpen: true, retryMs: 1500 }]);
  clock.move(1499);
  assert.equal(made.length, 1);
  clock.move(1);
  assert.equal(made[1].url, 'ws://three:3102/sub');
  made[1].lose();
  clock.move(500);
  assert.equal(made[2].url, 'ws://two/sub');
  made[2].accept();
  const waits = [client.publish({ mid: 8 }, 'x'), client.join('group://5')];
  made[2].say(OP.CLOSE, { code: 3502, name: 'kicked', text: 'rude', mayReturn: false });
  assert.equal(named('close').at(-1).retryMs, null);
  clock.move(1e6);
  assert.equal(made.length, 3);
  for (const wait of [...waits, client.publish({ mid: 8 }, 'y'), client.join('group://5')]) {
    await assert.rejects(wait, /closed/);
  }
});

test('backs off with full jitter, and forgets it after a good minute', () => {
  const { made, clock, named } = start();
  for (let i = 0; i < 8; i++) {
    made.at(-1).lose();
    clock.move(named('close').at(-1).retryMs);
  }
  assert.deepEqual(named('close').map(({ retryMs }) => retryMs),
    [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  made.at(-1).accept();
  clock.move(59_000);
  made.at(-1).lose();
  assert.equal(named('close').at(-1).retryMs, 5000);
  clock.move(5000);
  made.at(-1).accept();
  clock.move(60_000);
  made.at(-1).lose();
  assert.equal(named('close').at(-1).retryMs, 100);
});

test('gives up a connection that does not answer', () => {
  const { made, clock, named, client } = start();
  made[0].onopen();
  clock.move(10_000);
  assert.deepEqual([named('close')[0].code, named('close')[0].wasOpen], [4008, false]);
  clock.move(200);
  made[1].accept();
  client.publish({ mid: 8 }, 'x');
  clock.move(10_000);
  assert.equal(named('close')[1].code, 4009);
  assert.equal(made[1].closedWith, 4009);
});

test('a package that cannot be read ends the connection, and nothing of it is delivered', () => {
  const { made, named, heard } = start({ rooms: ['group://1'] });
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  const good = encode({ ver: 2, op: OP.PUSH, body: m.encodeMessage(m.Push, pushOf(2)) });
  const bad = encode({ ver: 2, op: OP.PUSH, body: Uint8Array.of(0x0a, 0x7f) });
  made[0].onmessage({ data: Uint8Array.from([...good, ...bad]).buffer });
  assert.equal(named('close')[0].code, 4002);
  assert.deepEqual(heard(), []);
});

test('operations are heard and ignored, and said again after a loss', async () => {
  const { client, made, clock } = start({ accepts: [1000] });
  made[0].accept();
  const heard = client.accept([1001, 1002]);
  assert.deepEqual(made[0].last(OP.JOIN).accepts, [1001, 1002]);
  made[0].answer(OP.JOIN);
  await heard;
  const ignored = client.ignore([1000]);
  assert.deepEqual(made[0].last(OP.LEAVE).accepts, [1000]);
  made[0].lose();
  await ignored;
  clock.move(200);
  made[1].onopen();
  assert.deepEqual(made[1].said[0].accepts, [1001, 1002]);
});

test('a handler may close the client at any moment', () => {
  const { client, made, heard, named } = start({ rooms: ['group://1'] });
  client.on('message', () => client.close());
  made[0].accept({ rooms: [roomAt('group://1', 1)] });
  const two = [2, 3].map((s) => encode({ ver: 2, op: OP.PUSH,
    body: m.encodeMessage(m.Push, pushOf(s)) }));
  made[0].onmessage({ data: Uint8Array.from([...two[0], ...two[1]]).buffer });
  assert.deepEqual(heard(), [2]);
  assert.deepEqual(named('close').map(({ code, retryMs }) => [code, retryMs]), [[1000, null]]);
});
