// Unit tests of version 2's messages and ordering rule in clients/js: byte examples, the table of
// api/client.md, and a server that loses, repeats, trims and changes its epoch.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { decode } from '../../clients/js/encke.js';
import * as m from '../../clients/js/messages.js';
import { HELD_MAX, Timeline } from '../../clients/js/timeline.js';

const toHex = (bytes) => Buffer.from(bytes).toString('hex');

// ---- messages -----------------------------------------------------------------------------------
test('every byte example of the specification is read, and written the same', () => {
  const text = readFileSync(new URL('../../api/client.md', import.meta.url), 'utf8');
  const shapes = { 18: m.Connect, 19: m.ConnectReply, 29: m.SyncReply, 32: m.Push };
  const seen = [];
  for (const [, block] of text.matchAll(/```\n(.*?)```/gs)) {
    const hex = [...block.matchAll(/^(?:[0-9a-f]+ ?)+(?=\s|$)/gm)].map(([line]) => line).join('');
    for (const { ver, op, body } of decode(Buffer.from(hex.replace(/\s/g, ''), 'hex'))) {
      assert.equal(ver, 2);
      const message = m.decodeMessage(shapes[op], body);
      assert.equal(toHex(m.encodeMessage(shapes[op], message)), toHex(body));
      seen.push([op, message]);
    }
  }
  assert.deepEqual(seen.map(([op]) => op), [18, 19, 29, 32]);
  assert.deepEqual(seen[0][1].rooms, [{ room: 'group://42', epoch: 1, seq: 9 }]);
  assert.equal(seen[1][1].heartbeatMs, 240_000);
  assert.deepEqual([seen[1][1].rooms[0].syncing, seen[1][1].rooms[0].error], [true, undefined]);
  assert.equal(Buffer.from(seen[2][1].pushes[0].body).toString(), 'a');
});

test('numbers of every size come back', () => {
  const back = (fromMid) => m.decodeMessage(m.Push, m.encodeMessage(m.Push, { fromMid })).fromMid;
  for (const n of [1, 127, 128, 300, 2 ** 31, 2 ** 49, 2 ** 53 - 1, -1]) assert.equal(back(n), n);
  for (const n of [2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]) assert.equal(back(n), n);
  assert.equal(back(7n), 7);
  const { accepts } = m.decodeMessage(m.Join, m.encodeMessage(m.Join, { accepts: [0, 5, -1] }));
  assert.deepEqual(accepts, [0, 5, -1]);
});

test('unknown fields are skipped, and lists may be packed or not', () => {
  const bytes = Buffer.from('0a03613a2f' + '78ff01' + '7a0161' + '7d00000000' + '790000000000000000'
    + '1005', 'hex');
  assert.deepEqual(m.decodeMessage(m.Cursor, bytes), { room: 'a:/', epoch: 5, seq: 0 });
  const unpacked = m.decodeMessage(m.Join, Buffer.from('10051007', 'hex'));
  assert.deepEqual(unpacked.accepts, [5, 7]);
});

for (const [what, hex] of [['a length beyond the end', '0a05'], ['a number without end', '10ff'],
  ['a number of eleven bytes', '10' + 'ff'.repeat(10) + '01'], ['a group', '0b']]) {
  test(`refuses ${what}`, () => {
    assert.throws(() => m.decodeMessage(m.Cursor, Buffer.from(hex, 'hex')), RangeError);
  });
}

// ---- the rule -----------------------------------------------------------------------------------
const pushOf = (epoch, seq) => ({ room: 'r://1', epoch, seq });

function follow(epoch = 0, seq = 0, room = 'r://1') {
  let story = '';
  const timeline = new Timeline(room, { epoch, seq }, {
    push: (push) => { story += `${push.epoch}/${push.seq} `; },
    reload: () => { story += 'reload '; },
  });
  return {
    timeline,
    story: () => [story.trim(), story = ''][0],
    joins: (e, s, more = {}) => timeline.onJoined(
      { room, known: true, kept: true, epoch: e, seq: s, cursor: 0, syncing: false, ...more }),
    pushes: (e, ...seqs) => seqs.forEach((s) => timeline.onPush(pushOf(e, s))),
    wants: () => {
      const sync = timeline.takeSync();
      return sync ? `${sync.epoch}/${sync.after}` : 'none';
    },
    synced: (e, from, to, more = {}) => {
      const pushes = [];
      for (let s = from; s <= to; s++) pushes.push(pushOf(e, s));
      timeline.onSync({ epoch: e, pushes, through: to, more: false, reload: false, ...more });
    },
  };
}

test('begins with the head, drops what is older and what is repeated', () => {
  const f = follow();
  f.pushes(5, 7, 8); // overtook the reply
  f.joins(5, 7);
  f.pushes(5, 9, 9, 8);
  assert.equal(f.story(), '5/8 5/9');
  assert.equal(f.wants(), 'none');
});

test('a hole is fetched once, and live pushes wait', () => {
  const f = follow();
  f.joins(5, 1);
  f.pushes(5, 4);
  assert.equal(f.wants(), '5/1');
  assert.equal(f.wants(), 'none');
  f.pushes(5, 6, 5);
  assert.equal(f.story(), '');
  f.synced(5, 2, 3);
  assert.equal(f.story(), '5/2 5/3 5/4 5/5 5/6');
  assert.ok(f.timeline.isLive);
});

test('resumes where it stopped, page by page', () => {
  const f = follow(5, 3);
  f.joins(5, 8, { syncing: true });
  assert.equal(f.wants(), 'none'); // the server does it
  f.pushes(5, 9);
  f.synced(5, 4, 6, { more: true });
  assert.equal(f.wants(), '5/6');
  f.synced(5, 7, 8);
  assert.equal(f.story(), '5/4 5/5 5/6 5/7 5/8 5/9');
  f.timeline.onDown();
  assert.deepEqual(f.timeline.cursor, { room: 'r://1', epoch: 5, seq: 9 });
});

test('another epoch is one reload, and what is there follows', () => {
  const f = follow();
  f.joins(5, 7);
  f.pushes(6, 2);
  assert.equal(f.wants(), '5/7');
  f.timeline.onSync({ epoch: 6, pushes: [], through: 0, more: true, reload: true, oldest: 1 });
  assert.equal(f.wants(), '6/0');
  f.synced(6, 1, 2);
  assert.equal(f.story(), 'reload 6/1 6/2');
});

test('what is empty may get another epoch without a reload', () => {
  const f = follow();
  f.joins(5, 0);
  f.timeline.onHead({ epoch: 6, seq: 0 });
  assert.equal(f.wants(), '5/0');
  f.synced(6, 1, 0);
  assert.deepEqual(f.timeline.cursor, { room: 'r://1', epoch: 6, seq: 0 });
  f.pushes(6, 1);
  assert.equal(f.story(), '6/1');
  assert.equal(f.wants(), 'none');
});

test('what followed number zero and is gone is a reload', () => {
  const f = follow();
  f.joins(5, 0);
  f.timeline.onDown();
  f.joins(6, 9);
  assert.equal(f.wants(), '5/0');
  f.synced(6, 5, 9, { reload: true });
  assert.equal(f.story(), 'reload 6/5 6/6 6/7 6/8 6/9');
});

test('a missing tail shows in the head; once fetched, it is asked for no more', () => {
  const f = follow();
  f.joins(5, 1);
  f.timeline.onHead({ epoch: 5, seq: 2 });
  assert.equal(f.wants(), '5/1');
  f.synced(5, 2, 2);
  f.timeline.onHead({ epoch: 5, seq: 2 });
  assert.equal(f.wants(), 'none');
  assert.equal(f.story(), '5/2');
});

test('numbers that are not for us are done; those we were too slow for are fetched', () => {
  const f = follow();
  f.joins(5, 1);
  f.timeline.onGap({ epoch: 5, from: 2, to: 3, reason: m.GAP_EXCLUDED });
  f.pushes(5, 4);
  assert.equal(f.story(), '5/4');
  assert.equal(f.wants(), 'none');
  f.timeline.onGap({ epoch: 5, from: 5, to: 6, reason: 1 });
  assert.equal(f.wants(), '5/4');
});

test('a refused sync keeps holding, and is asked again', () => {
  const f = follow();
  f.joins(5, 1);
  f.pushes(5, 3);
  f.wants();
  f.timeline.onSync({ error: { code: 5 } });
  assert.equal(f.wants(), 'none');
  f.timeline.retry();
  assert.equal(f.wants(), '5/1');
  f.timeline.retry();
  assert.equal(f.wants(), 'none'); // one is under way
});

test('what is held is bounded', () => {
  const f = follow();
  f.joins(5, 1);
  for (let seq = 3; seq <= 1000; seq++) f.pushes(5, seq);
  f.wants();
  f.synced(5, 2, 2);
  assert.equal(f.timeline.cursor.seq, 2 + HELD_MAX);
  assert.equal(f.wants(), '5/258'); // the rest is fetched
});

test('the inbox begins at what was acknowledged, or further on if we are', () => {
  const f = follow(0, 0, 'user://7');
  f.joins(5, 9, { cursor: 6, syncing: true });
  f.synced(5, 7, 9);
  assert.equal(f.story(), '5/7 5/8 5/9');
  const again = follow(5, 8, 'user://7');
  again.joins(5, 9, { cursor: 6, syncing: true });
  again.synced(5, 7, 9);
  assert.equal(again.story(), '5/9');
});

test('nothing is called back after the end, whatever a callback does', () => {
  const seen = [];
  const timeline = new Timeline('r://1', { epoch: 5, seq: 1 }, {
    push: ({ seq }) => {
      seen.push(seq);
      if (seq === 3) timeline.onDown();
    },
    reload: () => {},
  });
  timeline.onJoined({ known: true, epoch: 5, seq: 9, cursor: 0, syncing: true });
  timeline.onPush(pushOf(5, 6));
  const pushes = [2, 3, 4, 5].map((seq) => pushOf(5, seq));
  timeline.onSync({ epoch: 5, pushes, through: 5, more: false, reload: false });
  assert.deepEqual(seen, [2, 3]);
  assert.equal(timeline.cursor.seq, 3);
});

// ---- a server that loses, repeats, delays, trims and changes its epoch --------------------------
/** The same numbers for the same seed (mulberry32). */
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

class Server {
  epoch = 1;
  newest = 0;
  oldest = 1;

  say() {
    this.newest += 1;
    this.oldest = Math.max(this.oldest, this.newest - 29); // it keeps thirty
  }

  restart() {
    this.epoch += 1;
    this.newest = 0;
    this.oldest = 1;
  }

  fetch({ epoch, after }) {
    const reply = { epoch: this.epoch, pushes: [], more: false, oldest: this.oldest };
    const isOther = epoch !== 0 && epoch !== this.epoch;
    reply.reload = isOther || (epoch !== 0 && after < this.newest && after + 1 < this.oldest);
    if (isOther) {
      const through = this.newest === 0 ? 0 : this.oldest - 1;
      return { ...reply, through, more: this.newest > 0 };
    }
    const from = Math.max(after + 1, this.oldest);
    for (let s = from; s <= this.newest && s < from + 7; s++) reply.pushes.push(pushOf(epoch, s));
    for (const push of reply.pushes) push.epoch = this.epoch;
    reply.through = reply.pushes.at(-1)?.seq ?? after;
    return { ...reply, more: reply.through < this.newest };
  }
}

function live(seed) {
  const die = dice(seed);
  const server = new Server();
  let last = { epoch: 0, seq: 0 };
  let mayJump = true; // at the beginning, and after a reload
  const timeline = new Timeline('r://1', {}, {
    push: ({ epoch, seq }) => {
      const isNext = epoch === last.epoch && seq === last.seq + 1;
      const isBack = epoch === last.epoch && seq <= last.seq && !mayJump;
      assert.ok((isNext || mayJump) && !isBack, `${epoch}/${seq} after ${last.epoch}/${last.seq}`);
      mayJump = false;
      last = { epoch, seq };
    },
    reload: () => { mayJump = true; },
  });
  let wire = [];
  let answer = null;
  let isUp = false;
  const join = () => {
    isUp = true;
    const { epoch, newest } = server;
    timeline.onJoined({ known: true, epoch, seq: newest, cursor: 0, syncing: false });
  };
  const pump = () => {
    if (answer) timeline.onSync([answer, answer = null][0]);
    const sync = timeline.takeSync();
    if (sync) answer = server.fetch(sync);
  };
  const head = () => timeline.onHead({ epoch: server.epoch, seq: server.newest });
  const steps = [
    () => {
      if (die(8) !== 0) return;
      timeline.onDown();
      wire = [];
      answer = null;
      isUp = false;
    },
    () => isUp || join(),
    () => die(40) === 0 && server.restart(),
    () => isUp && head(),
    pump, pump,
    () => isUp && wire.length > 0 && wire.push(wire[die(wire.length)]),
    () => isUp && wire.length > 0 && timeline.onPush(wire.shift()),
    () => isUp && wire.length > 0 && timeline.onPush(wire.shift()),
    () => {
      server.say();
      if (isUp && die(5) !== 0) wire.push(pushOf(server.epoch, server.newest));
    },
  ];
  join();
  for (let i = 0; i < 600; i++) (steps[die(12)] ?? steps.at(-1))();
  if (!isUp) join();
  for (const push of wire) timeline.onPush(push);
  for (let i = 0; i < 60; i++) {
    pump();
    if (i % 10 === 9) head();
  }
  assert.deepEqual(timeline.cursor, { room: 'r://1', epoch: server.epoch, seq: server.newest });
}

test('every callback is the next number or stands behind a reload', () => {
  for (let seed = 1; seed <= 400; seed++) {
    try {
      live(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error.message}`);
    }
  }
});
