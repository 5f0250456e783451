// The demo page in a real browser against a real cluster: two people in one room, a comet that is
// killed under them, and screenshots in build/browser.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Cluster, PICTURES, openBrowser } from './places.mjs';

let cluster;
let browser;
let end;

before(async () => {
  cluster = await new Cluster().start();
  ({ browser, end } = await openBrowser());
}, { timeout: 90_000 });

after(async () => {
  await end?.();
  await cluster?.stop();
});

/** A page that has entered the room; anything it says on its console fails the test. */
async function enter(room, size) {
  const page = await browser.newPage();
  if (size) await page.setViewportSize(size);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  await page.goto(`http://127.0.0.1:${cluster.doors.logic.http}/demo#${room}`);
  await page.waitForSelector('#connection[data-state=open]');
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

test('two people in one room see each other', { timeout: 60_000 }, async () => {
  const [one, two] = [await enter('cafe'), await enter('cafe')];
  await say(one, 'is anybody there?');
  await say(two, 'yes, here');
  for (const page of [one, two]) {
    await heard(page, 'is anybody there?');
    await heard(page, 'yes, here');
    await page.waitForFunction(() => document.getElementById('online').textContent === '2',
      null, { timeout: 15_000 });
  }
  await one.waitForFunction(() => /ms$/.test(document.getElementById('latency').textContent));
  await push('cafe', 'plain words from a backend');
  await heard(two, 'plain words from a backend');
  await one.bringToFront();
  await one.click('#rain');
  await one.waitForFunction(() => document.querySelectorAll('#log li').length >= 20);
  await one.screenshot({ path: join(PICTURES, 'room.png') });
  assert.deepEqual([...one.problems, ...two.problems], []);
  await one.close();
  await two.close();
});

test('rooms are apart, and can be changed', { timeout: 60_000 }, async () => {
  const [here, there] = [await enter('here'), await enter('there')];
  await say(here, 'only here');
  await heard(here, 'only here');
  await there.fill('#room', 'here');
  await there.press('#room', 'Enter');
  await heard(there, 'you are in room here');
  await say(here, 'now for both');
  await heard(there, 'now for both');
  assert.equal(await there.locator('#log li', { hasText: 'only here' }).count(), 0);
  await here.close();
  await there.close();
});

test('markup is text', { timeout: 60_000 }, async () => {
  const page = await enter('markup');
  await push('markup', '<img src=x onerror="document.title=\'owned\'">');
  await heard(page, '<img src=x');
  await push('markup', JSON.stringify({ name: '<b>bold</b>', text: '<script>1</script>' }));
  await heard(page, '<script>1</script>');
  assert.equal(await page.locator('#stage img, #log img, #log b').count(), 0);
  assert.notEqual(await page.title(), 'owned');
  await page.close();
});

test('a comet that is killed comes back, and so does the page', { timeout: 90_000 }, async () => {
  const page = await enter('phoenix');
  const other = await enter('phoenix', { width: 390, height: 844 });
  await cluster.tell('kill comet');
  await page.waitForSelector('#connection[data-state=lost]');
  await page.screenshot({ path: join(PICTURES, 'lost.png') });
  await cluster.tell('start comet');
  for (const one of [page, other]) {
    await one.waitForSelector('#connection[data-state=open]', { timeout: 45_000 });
  }
  await say(page, 'we are back');
  await heard(other, 'we are back');
  await other.bringToFront();
  await other.screenshot({ path: join(PICTURES, 'phone.png') });
  assert.deepEqual([...page.problems, ...other.problems], []);
});
