// The demo: rooms of a comet in a page.  What is said flies over the stage and stands in the list;
// talk.js is the connection, in the version that the page shows (?v=1 or 2).
import { One, Two } from './talk.js';

const VERSION = new URLSearchParams(location.search).get('v') === '1' ? 1 : 2;
const EARLIER = 20; // messages a click
const FLYING_MAX = 150; // the list shows those that do not fly
const LOGGED_MAX = 200;
const LANE_PIXELS = 44;
const DELAY_MAX_MS = 2500;
const NAMES = ['Halley', 'Hyakutake', 'Lovejoy', 'Tempel', 'Swift', 'Biela', 'Wild', 'Borrelly'];
const SHOWER = ['✦', '☄', '★', 'wow', 'look up!', '流星', 'another one', 'make a wish'];

const $ = (id) => document.getElementById(id);
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const still = matchMedia('(prefers-reduced-motion: reduce)');

const roomOf = (text) => (text.includes('://') ? text : `live://${text}`);

/** Kept for this tab: who we are, and where we were in our rooms. */
const remember = (name, make) => {
  sessionStorage[name] ??= make();
  return sessionStorage[name];
};

const me = Math.random().toString(36).slice(2, 10);
const mid = Number(remember('encke.mid', () => 1 + Math.floor(Math.random() * 1e9)));
const sentAt = new Map(); // id of an own message -> when it was sent
const latencies = [];
const rooms = new Map(); // those we are in -> { isKept, first, newest }: numbers
let current = ''; // the one we speak to and count
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
function lineOf(text, { who, hue, system, where }) {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString([], { hourCycle: 'h23' });
  line.append(time);
  if (where) {
    const place = document.createElement('small');
    place.textContent = where;
    line.append(place);
  }
  if (system) line.className = 'system';
  if (who) {
    const name = document.createElement('span');
    name.className = 'who';
    name.style.color = `hsl(${hue} 90% 78%)`;
    name.textContent = who;
    line.append(name);
  }
  line.append(text);
  return line;
}

function log(text, style = {}, list = $('log')) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(lineOf(text, style));
  while (list.children.length > LOGGED_MAX) list.firstChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

const note = (text) => log(text, { system: true });
const complain = (error) => { $('problem').textContent = error.message; };

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

/** { text, who, hue, where } of what came; where: room and number, when there may be several. */
function styleOf({ room, seq, text }) {
  const said = parse(text);
  const who = String(said.name ?? 'backend').slice(0, 24);
  const where = VERSION === 2 ? `${room}${seq ? ` #${seq}` : ''}` : '';
  return { said, text: said.text.slice(0, 400), who, hue: hueOf(who), where };
}

function heard(message) {
  const { said, text, ...style } = styleOf(message);
  const own = said.from === me;
  if (own) measure(said.id);
  stage.show({ text, hue: style.hue, own });
  log(text, style);
  const room = rooms.get(message.room);
  if (!room || !message.seq) return;
  room.first ||= message.seq;
  room.newest = message.seq;
  showRooms();
}

/** A message to us alone stays in the inbox until it is acknowledged. */
function kept(message) {
  const { said, text, ...style } = styleOf(message);
  if (said.from === me) measure(said.id);
  log(text, { ...style, where: `#${message.seq}` }, $('inbox'));
  $('ack').disabled = false;
}

async function earlier() {
  const room = rooms.get(current);
  try {
    const pushes = await talk.earlier(current, room.first, EARLIER);
    const lines = pushes.map(({ seq, body = '', body_base64: coded }) => {
      const { text, ...style } = styleOf({ room: current, seq, text: coded ? atob(coded) : body });
      return lineOf(text, style);
    });
    $('log').prepend(...lines);
    room.first = pushes[0]?.seq ?? room.first;
    note(lines.length > 0 ? `${lines.length} earlier messages of ${current}`
      : `nothing earlier in ${current}`);
  } catch (error) {
    complain(error);
  }
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
  const to = VERSION === 2 ? $('to').value.trim() : current;
  const body = JSON.stringify({ from: me, id, name: $('name').value.trim() || 'somebody', text });
  sentAt.set(id, performance.now());
  try {
    await talk.say(roomOf(to), body);
    $('problem').textContent = '';
  } catch (error) {
    sentAt.delete(id);
    complain(new Error(`Not sent: ${error.message}`));
  }
}

function shower() {
  for (let i = 0; i < 20; i++) setTimeout(() => say(pick(SHOWER)), i * 100);
}

// ---- rooms --------------------------------------------------------------------------------------
function showRooms() {
  $('joined').replaceChildren(...[...rooms].map(([room, { isKept, newest }]) => {
    const item = document.createElement('li');
    item.dataset.room = room;
    if (room === current) item.setAttribute('aria-current', 'true');
    const name = document.createElement('button');
    name.textContent = room;
    name.addEventListener('click', () => choose(room));
    const where = document.createElement('small');
    where.textContent = isKept ? `#${newest}` : 'not kept';
    const out = document.createElement('button');
    out.textContent = '×';
    out.title = `leave ${room}`;
    out.addEventListener('click', () => talk.leave(room).then(() => left(room), complain));
    item.append(name, where, out);
    return item;
  }));
  $('older').disabled = !rooms.get(current)?.isKept;
}

/** The room that we speak to and count. */
function choose(room) {
  current = room;
  $('to').value = room;
  $('online').textContent = '–';
  document.title = `${room} · Encke`;
  talk.look?.(room);
  showRooms();
}

function joined(room, isKept, newest = 0) {
  if (!rooms.has(room)) {
    rooms.set(room, { isKept, first: 0, newest });
    note(`you are in ${room}`);
  }
  if (!current) choose(room);
  saveRooms();
}

function left(room) {
  if (!rooms.delete(room)) return;
  note(`you have left ${room}`);
  if (room === current) choose([...rooms.keys()][0] ?? '');
  saveRooms();
}

function saveRooms() {
  const names = [...rooms.keys()].map((room) => encodeURIComponent(room.replace(/^live:../, '')));
  history.replaceState(null, '', `${location.search}#${names.join(',')}`);
  showRooms();
}

async function enter(room) {
  try {
    await talk.enter(room);
    choose(room);
    $('problem').textContent = '';
  } catch (error) {
    complain(new Error(`${room} could not be entered: ${error.message}`));
  }
}

/** Those of the address, where we were when this tab last showed them. */
function wanted() {
  const names = location.hash.slice(1).split(',').filter(Boolean).map(decodeURIComponent);
  if (names.length === 0) names.push('1000', ...(VERSION === 2 ? ['chat://lobby'] : []));
  const cursors = JSON.parse(sessionStorage['encke.cursors'] ?? '[]');
  return names.map(roomOf).map((name) => (
    (VERSION === 2 && cursors.find(({ room }) => room === name)) || name));
}

// ---- the connection -----------------------------------------------------------------------------
function setState(state, text) {
  $('connection').dataset.state = state;
  $('state').textContent = text;
  $('go').disabled = $('rain').disabled = $('enter').disabled = state !== 'open';
}

const page = {
  heard, kept, joined, left, noted: note,
  opened() {
    setState('open', 'connected');
    note('connected');
    $('inbox').replaceChildren(); // what is not acknowledged comes again
    $('ack').disabled = true;
  },
  lost(why) {
    if ($('connection').dataset.state === 'open') note('connection lost');
    setState('lost', why);
    $('online').textContent = '–';
  },
  count(room, count) { if (room === current) $('online').textContent = count; },
};
const talk = VERSION === 2 ? new Two(page, mid) : new One(page);

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

function toggleLine() {
  const isOn = $('line').textContent === 'Hang up';
  $('line').textContent = isOn ? 'Come back' : 'Hang up';
  if (isOn) talk.hangUp();
  else talk.comeBack();
}

$('rooms').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(roomOf($('room').value.trim()));
});
$('send').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text) say(text);
  $('text').value = '';
});
$('rain').addEventListener('click', shower);
$('line').addEventListener('click', toggleLine);
$('older').addEventListener('click', earlier);
$('ack').addEventListener('click', () => {
  talk.acknowledge();
  $('inbox').replaceChildren();
  $('ack').disabled = true;
});
$('version').addEventListener('change', ({ target }) => {
  location.search = `?v=${target.value}`;
});
addEventListener('pagehide', () => {
  if (VERSION === 2) sessionStorage['encke.cursors'] = JSON.stringify(talk.cursors());
});

document.body.dataset.version = $('version').value = VERSION;
$('name').value = `${pick(NAMES)} ${Math.floor(Math.random() * 90) + 10}`;
$('mid').textContent = mid;
setState('wait', 'connecting');
cometUrl().then((url) => talk.dial(url, wanted()));
