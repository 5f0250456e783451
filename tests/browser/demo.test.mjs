// The demo page in a real browser against a real cluster, in both versions of the protocol: people
// in rooms, a comet that is killed under them, and screenshots in build/browser.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Cluster, PICTURES, openBrowser } from './places.mjs';

const ROOMS = JSON.stringify({ logic: '{group: {history: {messages: 1000, age: 1h}}}' });
const VERSIONS = [1, 2];

let cluster;
let browser;
let end;

before(async () => {
  cluster = await new Cluster({ ROOMS }).start();
  ({ browser, end } = await openBrowser());
}, { timeout: 90_000 });

after(async () => {
  await end?.();
  await cluster?.stop();
});

/** A page that has entered the rooms; anything it says on its console fails the test. */
async function enter(version, rooms, size) {
  const page = await browser.newPage();
  if (size) await page.setViewportSize(size);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  await page.goto(`http://127.0.0.1:${cluster.doors.logic.http}/demo?v=${version}#${rooms}`);
  await page.waitForSelector('#connection[data-state=open]');
  await heard(page, 'you are in ');
  return page;
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.click('#go');
}

const heard = (page, text) => page.locator('#log li', { hasText: text }).first().waitFor();
const push = (room, body) => fetch(
  `http://127.0.0.1:${cluster.doors.logic.http}/goim/push/room?operation=1000&type=live&room=${room}`,
  { method: 'POST', body });

const seen = async (page, text, list = '#log') => (
  (await page.locator(`${list} li`, { hasText: text }).allTextContents()).length);

for (const v of VERSIONS) test(`v${v}: two see each other`, { timeout: 60_000 }, async () => {
  const [one, two] = [await enter(v, `cafe${v}`), await enter(v, `cafe${v}`)];
  await say(one, 'is anybody there?');
  await say(two, 'yes, here');
  for (const page of [one, two]) {
    await heard(page, 'is anybody there?');
    await heard(page, 'yes, here');
    await page.waitForFunction(() => document.getElementById('online').textContent === '2',
      null, { timeout: 15_000 });
  }
  await one.waitForFunction(() => /ms$/.test(document.getElementById('latency').textContent));
  await push(`cafe${v}`, 'plain words from a backend');
  await heard(two, 'plain words from a backend');
  await one.bringToFront();
  await one.click('#rain');
  await one.waitForFunction(() => document.querySelectorAll('#log li').length >= 20);
  await one.screenshot({ path: join(PICTURES, `room${v}.png`) });
  assert.deepEqual([...one.problems, ...two.problems], []);
  await one.close();
  await two.close();
});

test('v1: rooms are apart, and can be changed', { timeout: 60_000 }, async () => {
  const [here, there] = [await enter(1, 'here'), await enter(1, 'there')];
  await say(here, 'only here');
  await heard(here, 'only here');
  await there.fill('#room', 'here');
  await there.press('#room', 'Enter');
  await heard(there, 'you are in live://here');
  await say(here, 'now for both');
  await heard(there, 'now for both');
  assert.equal(await there.locator('#log li', { hasText: 'only here' }).count(), 0);
  await here.close();
  await there.close();
});

for (const v of VERSIONS) test(`v${v}: markup is text`, { timeout: 60_000 }, async () => {
  const page = await enter(v, 'markup');
  await push('markup', '<img src=x onerror="document.title=\'owned\'">');
  await heard(page, '<img src=x');
  await push('markup', JSON.stringify({ name: '<b>bold</b>', text: '<script>1</script>' }));
  await heard(page, '<script>1</script>');
  assert.equal(await page.locator('#stage img, #log img, #log b').count(), 0);
  assert.notEqual(await page.title(), 'owned');
  await page.close();
});

test('v2: several rooms, joined and left', { timeout: 60_000 }, async () => {
  const [one, two] = [await enter(2, 'a,b'), await enter(2, 'b')];
  await two.fill('#room', 'c');
  await two.press('#room', 'Enter');
  await heard(two, 'you are in live://c');
  await say(two, 'to those in c');
  await heard(two, 'to those in c');
  await two.click('#joined li[data-room="live://b"] button >> nth=0');
  await say(two, 'to those in b');
  await heard(one, 'to those in b');
  assert.equal(await seen(one, 'to those in c'), 0);
  await one.click('#joined button[title="leave live://b"]');
  await heard(one, 'you have left live://b');
  await say(two, 'without the other');
  await say(one, 'in a alone');
  await heard(one, 'in a alone');
  assert.equal(await seen(one, 'without the other'), 0);
  assert.equal(new URL(one.url()).hash, '#a');
  await one.fill('#to', 'live://nowhere');
  await say(one, 'from outside');
  await one.locator('#problem', { hasText: 'Not sent: ' }).waitFor();
  assert.deepEqual([...one.problems, ...two.problems], []);
  await one.close();
  await two.close();
});

test('v2: what was missed comes, what is older can be fetched', { timeout: 60_000 }, async () => {
  const room = 'group://book';
  const [one, two] = [await enter(2, room), await enter(2, room)];
  for (const text of ['first words', 'second words']) await say(one, text);
  await heard(two, 'second words');
  await two.click('#line');
  await two.waitForSelector('#connection[data-state=lost]');
  for (const text of ['third words', 'fourth words']) await say(one, text);
  await heard(one, 'fourth words');
  assert.equal(await seen(two, 'third words'), 0);
  await two.click('#line');
  await heard(two, 'fourth words');
  const words = (await two.locator('#log li', { hasText: / words$/ }).allTextContents())
    .map((line) => /#(\d+)/.exec(line)[1]);
  assert.deepEqual(words, ['1', '2', '3', '4']);
  assert.match(await two.textContent(`#joined li[data-room="${room}"] small`), /^#4$/);
  await two.screenshot({ path: join(PICTURES, 'resumed.png') });

  await two.goto('about:blank'); // the tab remembers where it was
  await say(one, 'fifth words');
  await heard(one, 'fifth words');
  await two.goBack();
  await heard(two, 'fifth words');
  assert.equal(await seen(two, 'fourth words'), 0);
  await two.click('#older');
  await heard(two, '4 earlier messages');
  assert.equal(await seen(two, 'first words'), 1);
  assert.deepEqual([...one.problems, ...two.problems], []);
  await one.close();
  await two.close();
});

test('v2: an inbox keeps what is not acknowledged', { timeout: 60_000 }, async () => {
  const [one, two] = [await enter(2, 'x'), await enter(2, 'y')];
  const inbox = `user://${await two.textContent('#mid')}`;
  await one.fill('#to', inbox);
  await say(one, 'for you alone');
  const note = two.locator('#inbox li', { hasText: 'for you alone' });
  await note.waitFor();
  assert.equal(await seen(two, 'for you alone'), 0);
  const again = async () => {
    await two.reload();
    await two.waitForSelector('#connection[data-state=open]');
  };
  await again();
  await note.waitFor();
  await two.click('#ack');
  await say(one, 'and this');
  await two.locator('#inbox li', { hasText: 'and this' }).waitFor();
  await again();
  await two.locator('#inbox li', { hasText: 'and this' }).waitFor();
  assert.equal(await note.count(), 0);
  assert.deepEqual([...one.problems, ...two.problems], []);
  await one.close();
  await two.close();
});

test('the version is chosen on the page', { timeout: 60_000 }, async () => {
  const page = await enter(2, 'switch');
  assert.ok(await page.isVisible('#joined'));
  await page.selectOption('#version', '1');
  await page.waitForURL(/v=1#switch$/);
  await page.waitForSelector('#connection[data-state=open]');
  assert.ok(!await page.isVisible('#joined') && !await page.isVisible('#ack'));
  assert.deepEqual(page.problems, []);
  await page.close();
});

for (const v of VERSIONS) test(`v${v}: a comet that is killed`, { timeout: 90_000 }, async () => {
  const page = await enter(v, 'phoenix');
  const other = await enter(v, 'phoenix', { width: 390, height: 844 });
  await cluster.tell('kill comet');
  await page.waitForSelector('#connection[data-state=lost]');
  await page.screenshot({ path: join(PICTURES, `lost${v}.png`) });
  await cluster.tell('start comet');
  for (const one of [page, other]) {
    await one.waitForSelector('#connection[data-state=open]', { timeout: 45_000 });
  }
  await say(page, 'we are back');
  await heard(other, 'we are back');
  await other.bringToFront();
  await other.screenshot({ path: join(PICTURES, `phone${v}.png`) });
  assert.deepEqual([...page.problems, ...other.problems], []);
  await page.close();
  await other.close();
});
