// The demo room: a client of the comet for what comes, plain HTTP to the logic for what is said.
import { connect } from './encke.js';

const OPERATION = 1000;
const TYPE = 'live';
const FLYING_MAX = 150; // the list shows those that do not fly
const LOGGED_MAX = 200;
const LANE_PIXELS = 44;
const DELAY_MAX_MS = 2500;
const NAMES = ['Halley', 'Hyakutake', 'Lovejoy', 'Tempel', 'Swift', 'Biela', 'Wild', 'Borrelly'];
const SHOWER = ['✦', '☄', '★', 'wow', 'look up!', '流星', 'another one', 'make a wish'];

const $ = (id) => document.getElementById(id);
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const still = matchMedia('(prefers-reduced-motion: reduce)');

const me = Math.random().toString(36).slice(2, 10);
const sentAt = new Map(); // id of an own message -> when it was sent
const latencies = [];
let client;
let nextId = 1;

// ---- the stage ----------------------------------------------------------------------------------
const stage = {
  lanes: [], // when the last message of each lane will have cleared the right edge
  flying: 0,

  show({ text, hue, own }) {
    $('stage').dataset.busy = '';
    if (still.matches || this.flying >= FLYING_MAX || document.hidden) return;
    const item = document.createElement('span');
    item.className = own ? 'fly own' : 'fly';
    item.style.color = `hsl(${hue} 90% 80%)`;
    item.textContent = text;
    $('stage').append(item);
    this.fly(item);
  },

  /** Everything moves at one speed, so what follows in a lane never runs into what is before it. */
  fly(item) {
    const { clientWidth: width, clientHeight: height } = $('stage');
    const speed = Math.max(width, 600) / 7000; // pixels per millisecond
    const lanes = Math.max(1, Math.floor((height - 16) / LANE_PIXELS));
    const place = this.reserve(lanes, (item.offsetWidth + 24) / speed);
    if (!place) return item.remove();
    item.style.top = `${8 + place.lane * LANE_PIXELS}px`;
    const path = [width, -item.offsetWidth].map((x) => ({ transform: `translateX(${x}px)` }));
    const duration = (width + item.offsetWidth) / speed;
    this.flying += 1;
    item.animate(path, { duration, delay: place.delay, fill: 'backwards' }).onfinish = () => {
      item.remove();
      this.flying -= 1;
    };
  },

  /** The lane that is free first; null when all are taken for longer than anybody wants to wait. */
  reserve(count, needs) {
    const now = performance.now();
    const freeAt = (lane) => Math.max(now, this.lanes[lane] ?? 0);
    let lane = 0;
    for (let other = 1; other < count; other++) if (freeAt(other) < freeAt(lane)) lane = other;
    const delay = freeAt(lane) - now;
    if (delay > DELAY_MAX_MS) return null;
    this.lanes[lane] = now + delay + needs;
    return { lane, delay };
  },
};

// ---- the list -----------------------------------------------------------------------------------
function log(text, { who, hue, system } = {}) {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hourCycle: 'h23' });
  line.append(time);
  if (system) line.className = 'system';
  if (who) {
    const name = document.createElement('span');
    name.className = 'who';
    name.style.color = `hsl(${hue} 90% 78%)`;
    name.textContent = who;
    line.append(name);
  }
  line.append(text);
  const list = $('log');
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  while (list.children.length > LOGGED_MAX) list.firstChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

// ---- what comes ---------------------------------------------------------------------------------
/** Pages send JSON; anything else (a curl, another backend) is shown as it is. */
function parse(raw) {
  try {
    const said = JSON.parse(raw);
    if (typeof said?.text === 'string') return said;
  } catch { /* plain text */ }
  return { text: raw };
}

function hueOf(name) {
  let hue = 0;
  for (const c of name) hue = (hue * 31 + c.codePointAt(0)) % 360;
  return hue;
}

function onMessage(message) {
  const said = parse(message.text());
  const who = String(said.name ?? 'backend').slice(0, 24);
  const text = said.text.slice(0, 400);
  const own = said.from === me;
  if (own) measure(said.id);
  stage.show({ text, hue: hueOf(who), own });
  log(text, { who, hue: hueOf(who) });
}

function measure(id) {
  if (!sentAt.has(id)) return;
  latencies.push(performance.now() - sentAt.get(id));
  sentAt.delete(id);
  if (latencies.length > 50) latencies.shift();
  $('latency').textContent = `${latencies.at(-1).toFixed(1)} ms`;
  const middle = [...latencies].sort((a, b) => a - b)[latencies.length >> 1];
  $('latency').title = `median of the last ${latencies.length}: ${middle.toFixed(1)} ms`;
}

// ---- what we say --------------------------------------------------------------------------------
async function say(text) {
  const id = nextId++;
  const room = $('rooms').dataset.room;
  const query = new URLSearchParams({ operation: OPERATION, type: TYPE, room });
  const body = JSON.stringify({ from: me, id, name: $('name').value.trim() || 'somebody', text });
  sentAt.set(id, performance.now());
  try {
    const reply = await fetch(`/goim/push/room?${query}`, { method: 'POST', body });
    const answer = await reply.json();
    if (answer.code !== 0) throw new Error(answer.message || `code ${answer.code}`);
    $('problem').textContent = '';
  } catch (error) {
    sentAt.delete(id);
    $('problem').textContent = `Not sent: ${error.message}`;
  }
}

function shower() {
  for (let i = 0; i < 20; i++) setTimeout(() => say(pick(SHOWER)), i * 100);
}

// ---- the connection -----------------------------------------------------------------------------
function setState(state, text) {
  $('connection').dataset.state = state;
  $('state').textContent = text;
  $('go').disabled = $('rain').disabled = state !== 'open';
}

async function enter(room) {
  $('rooms').dataset.room = room;
  $('room').value = room;
  history.replaceState(null, '', `#${encodeURIComponent(room)}`);
  document.title = `Room ${room} · Encke`;
  $('online').textContent = '–';
  const id = `${TYPE}://${room}`;
  if (!client) return dial(id);
  try {
    await client.changeRoom(id);
    log(`you are in room ${room}`, { system: true });
    client.heartbeat();
  } catch (error) {
    $('problem').textContent = `The room could not be changed: ${error.message}`;
  }
}

async function dial(room) {
  const url = await cometUrl();
  const backoff = { baseMs: 1000, maxMs: 15_000 };
  client = connect(url, { room, accepts: [OPERATION], heartbeatMs: 5000, backoff });
  client.on('open', () => {
    setState('open', 'connected');
    log(`connected, in room ${$('rooms').dataset.room}`, { system: true });
  });
  client.on('close', ({ wasOpen, retryMs }) => {
    const hope = retryMs === null ? 'closed' : `lost, back in ${(retryMs / 1000).toFixed(1)} s`;
    setState('lost', hope);
    $('online').textContent = '–';
    if (wasOpen) log('connection lost, trying again', { system: true });
  });
  client.on('count', (count) => { $('online').textContent = count; });
  client.on('message', onMessage);
}

/** Where comets listen: the logic that served this page says the port. */
async function cometUrl() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const { data } = await (await fetch('/goim/nodes/weighted')).json();
      return `ws://${location.hostname}:${data.ws_port}/sub`;
    } catch (error) {
      setState('lost', `no answer from logic: ${error.message}`);
      await new Promise((resume) => setTimeout(resume, wait));
    }
  }
}

$('rooms').addEventListener('submit', (event) => {
  event.preventDefault();
  enter($('room').value.trim());
});
$('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text) say(text);
  $('text').value = '';
});
$('rain').addEventListener('click', shower);

$('name').value = `${pick(NAMES)} ${Math.floor(Math.random() * 90) + 10}`;
enter(decodeURIComponent(location.hash.slice(1)) || '1000');
