// Version 2 in a real browser (and in Node) against a real cluster: whatever dies on the way, every
// push of a room with a history is called back once and in order.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from '../../clients/js/v2.js';
import { Cluster, ROOT, installed, openBrowser } from './places.mjs';

const ROOMS = JSON.stringify({ logic: '{group: {history: {messages: 1000, age: 1h}}}' });

let cluster;
let browser;
let end;
let site;

/** clients/js as any web server would serve it, and a page that says nothing. */
async function serve() {
  const server = createServer(async ({ url }, response) => {
    if (!url.endsWith('.js')) return response.setHeader('Content-Type', 'text/html').end('<p>');
    const script = await readFile(join(ROOT, 'clients/js', url));
    response.setHeader('Content-Type', 'text/javascript').end(script);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

before(async () => {
  cluster = await new Cluster({ ROOMS }).start();
  site = await serve();
  ({ browser, end } = await openBrowser());
}, { timeout: 90_000 });

after(async () => {
  await end?.();
  site?.close();
  await cluster?.stop();
});

const api = async (path, body) => {
  const reply = await fetch(`http://127.0.0.1:${cluster.doors.logic.http}${path}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return { status: reply.status, ...(await reply.json()) };
};
const wsUrl = () => `ws://127.0.0.1:${cluster.doors.comet.ws}/sub`;
const range = (count, from = 0) => Array.from({ length: count }, (_, i) => String(i + from));

/** A page with a client of version 2 that writes down everything it is called back with. */
async function visit(options) {
  const page = await browser.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.evaluate(async ([url, wanted]) => {
    const { connect: open } = await import('/v2.js');
    window.client = open(url, wanted);
    window.events = [];
    window.bodies = [];
    for (const name of ['open', 'close', 'reload', 'join', 'leave', 'refused']) {
      window.client.on(name, (value) => window.events.push([name, value]));
    }
    window.client.on('message', (m) => {
      window.bodies.push(m.text());
      window.events.push(['message', { room: m.room, epoch: m.epoch, seq: m.seq }]);
    });
  }, [wsUrl(), options]);
  await page.waitForFunction(() => window.client.isOpen);
  return page;
}

const heard = (page, count) => page.waitForFunction((n) => window.bodies.length >= n, count,
  { timeout: 45_000 }).then(() => page.evaluate(() => window.bodies));
const events = (page, name) => page.evaluate((one) => window.events
  .filter(([is]) => is === one).map(([, value]) => value), name);

/** Until accepted: the same key is published once. */
async function insist(push) {
  const idempotency_key = `${push.room ?? push.mids}-${push.body}`.replaceAll('/', '.');
  for (let i = 0; i < 200; i++) {
    const { status, error } = await api('/v1/pushes', { op: 1000, idempotency_key, ...push });
    if (status === 200) return;
    if (status < 500) throw new Error(`${error.field} ${error.message}`);
    await sleep(100);
  }
  throw new Error('never accepted');
}

test('a comet is killed and comes back: exactly once, in order', { timeout: 120_000 }, async () => {
  const room = 'group://phoenix';
  const page = await visit({ mid: 1, rooms: [room] });
  const pushing = (async () => {
    for (const body of range(300)) {
      await insist({ room, body });
      await sleep(10);
    }
  })();
  await heard(page, 50);
  await cluster.tell('kill comet');
  await cluster.tell('start comet');
  await heard(page, 200);
  await cluster.tell('kill comet');
  await cluster.tell('start comet');
  await pushing;
  await heard(page, 300);
  await insist({ room, body: 'last' });
  assert.deepEqual(await heard(page, 301), [...range(300), 'last']);
  const numbers = (await events(page, 'message')).map(({ seq }) => seq);
  assert.deepEqual(numbers, range(301, numbers[0]).map(Number));
  assert.deepEqual(await events(page, 'reload'), []);
  assert.equal((await events(page, 'open')).length, 3);
  assert.deepEqual(page.problems, []);
  await page.close();
});

test('a page opened again goes on from its cursors', { timeout: 60_000 }, async () => {
  const room = 'group://cursors';
  const first = await visit({ mid: 2, device: 'a', rooms: [room] });
  for (const body of range(5)) await insist({ room, body });
  assert.deepEqual(await heard(first, 5), range(5));
  const cursors = await first.evaluate(() => window.client.cursors());
  await first.close();
  for (const body of range(5, 5)) await insist({ room, body });
  const again = await visit({ mid: 2, device: 'a', rooms: cursors });
  await insist({ room, body: '10' });
  assert.deepEqual(await heard(again, 6), range(6, 5));
  await again.close();
});

test('a publish is done once, whatever happens to its answer', { timeout: 120_000 }, async () => {
  const room = 'group://talk';
  const [speaker, listener] = [await visit({ mid: 3, rooms: [room] }),
    await visit({ mid: 4, rooms: [room] })];
  const once = await speaker.evaluate(async (to) => {
    const options = { clientId: 'the same' };
    const first = await window.client.publish(to, 'twice', options);
    return [first, await window.client.publish(to, 'twice', options)];
  }, room);
  assert.equal(once[0].id, once[1].id);
  assert.equal(once[0].seq, once[1].seq);
  const said = speaker.evaluate((to) => Promise.all(Array.from({ length: 30 }, (_, i) => (
    window.client.publish(to, `${i}`)))), room);
  await heard(listener, 5);
  await cluster.tell('kill comet');
  await cluster.tell('start comet');
  const answers = await said;
  for (const page of [listener, speaker]) {
    assert.deepEqual(await heard(page, 31), ['twice', ...range(30)]);
  }
  assert.deepEqual(answers.map(({ seq }) => seq), range(30, once[0].seq + 1).map(Number));
  const refused = await speaker.evaluate(() => window.client.publish('group://elsewhere', 'x')
    .catch(({ name, code, field }) => ({ name, code, field })));
  assert.deepEqual(refused, { name: 'Refused', code: 'NOT_JOINED', field: 'room' });
  await speaker.close();
  await listener.close();
});

test('the inbox waits for each device that was away', { timeout: 60_000 }, async () => {
  const kept = (body) => insist({ mids: [5], body, keep: true });
  await (await visit({ mid: 5, device: 'phone' })).close(); // now it is one to wait for
  for (const body of range(3)) await kept(body);
  const laptop = await visit({ mid: 5, device: 'laptop' });
  assert.deepEqual(await heard(laptop, 3), range(3));
  await laptop.evaluate(() => window.client.close()); // acknowledges
  await laptop.close();
  await kept('3');
  const again = await visit({ mid: 5, device: 'laptop' });
  assert.deepEqual(await heard(again, 1), ['3']);
  const phone = await visit({ mid: 5, device: 'phone' });
  assert.deepEqual(await heard(phone, 4), range(4));
  await kept('4');
  assert.deepEqual(await heard(again, 2), ['3', '4']);
  assert.deepEqual(await heard(phone, 5), range(5));
  await again.close();
  await phone.close();
});

test('backends join, take out and kick, with a reason', { timeout: 60_000 }, async () => {
  const page = await visit({ mid: 6 });
  await api('/v1/rooms/join', { mids: [6], room: 'group://put' });
  await page.waitForFunction(() => window.events.some(([name]) => name === 'join'));
  await insist({ room: 'group://put', body: 'in' });
  assert.deepEqual(await heard(page, 1), ['in']);
  await api('/v1/rooms/leave', { mids: [6], room: 'group://put' });
  await page.waitForFunction(() => window.events.some(([name]) => name === 'leave'));
  await api('/v1/kick', { mids: [6], reason: 'rude' });
  await page.waitForFunction(() => window.events.some(([name]) => name === 'close'));
  const [{ code, name, text, retryMs }] = await events(page, 'close');
  assert.deepEqual([code, name, text, retryMs], [3502, 'kicked', 'rude', null]);
  await page.close();
});

test('the same file in Node, with the package ws', { timeout: 60_000 }, async (t) => {
  const { WebSocket } = installed('ws');
  const room = 'group://node';
  const client = connect(wsUrl(), { mid: 7, device: 'node', WebSocket });
  t.after(() => client.close());
  const bodies = [];
  client.on('message', (message) => bodies.push(message.text()));
  await client.join(room);
  await cluster.tell('kill comet');
  await cluster.tell('start comet');
  const { seq } = await client.publish(room, 'hello');
  await insist({ room, body: 'bye' });
  for (let i = 0; i < 300 && bodies.length < 2; i++) await sleep(50);
  assert.equal(seq, 1);
  assert.deepEqual(bodies, ['hello', 'bye']);
});

// The last one: nobody else's numbers survive it.
test('Redis loses everything: one reload, then what is new', { timeout: 120_000 }, async () => {
  const room = 'group://wiped';
  const page = await visit({ mid: 8, rooms: [room] });
  for (const body of range(5)) await insist({ room, body });
  assert.deepEqual(await heard(page, 5), range(5));
  await cluster.tell('wipe redis');
  for (const body of range(5, 5)) await insist({ room, body });
  assert.deepEqual(await heard(page, 10), range(10));
  assert.deepEqual(await events(page, 'reload'), [{ room }]);
  const after5 = (await events(page, 'message')).slice(5);
  assert.deepEqual(after5.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
  assert.deepEqual(page.problems, []);
  await page.close();
});
