// One room with numbers, or the inbox: calls back exactly once for each push and in order
// (api/client.md, section 4).  Knows no socket: tell it what came, send the Sync it wants.
import { GAP_EXCLUDED } from './messages.js';

export const HELD_MAX = 256; // pushes held back; what is beyond is fetched again

const DOWN = 'down'; // no connection, or not joined: what comes is held
const LIVE = 'live';
const SYNCING = 'syncing'; // what was missed comes first: what is live is held

export class Timeline {
  #room;
  #push;
  #reload;
  #state = DOWN;
  #placed; // the position means something
  #epoch;
  #seq; // everything up to here is done
  #head = { epoch: 0, seq: 0 }; // the newest number we were told
  #held = new Map(); // seq -> push, or null for a number that is not for us
  #heldEpoch = 0;
  #want = false; // a Sync is to be sent
  #failed = false; // the last one was refused
  #again = false; // something was missed while one was under way
  #began = 0; // #seq when this sync began

  /** epoch and seq: where an earlier life stopped; epoch 0 = begin with what comes. */
  constructor(room, { epoch = 0, seq = 0 }, { push, reload }) {
    this.#room = room;
    this.#placed = epoch > 0;
    this.#epoch = epoch;
    this.#seq = seq;
    this.#push = push;
    this.#reload = reload;
  }

  get isLive() { return this.#state === LIVE; }

  get cursor() {
    return { room: this.#room, epoch: this.#epoch, seq: this.#placed ? this.#seq : 0 };
  }

  /** The Sync to be sent now, or null; at most one at a time. */
  takeSync() {
    if (!this.#want) return null;
    this.#want = false;
    return { room: this.#room, epoch: this.#epoch, after: this.#seq };
  }

  /** A room of ConnectReply or JoinReply. */
  onJoined({ known, epoch, seq, cursor, syncing }) {
    if (known) {
      this.#head = { epoch, seq };
      const isInbox = this.#room.startsWith('user://');
      if (isInbox && (!this.#placed || this.#epoch === epoch)) {
        this.#place(epoch, Math.max(this.#placed ? this.#seq : 0, cursor));
      } else if (!this.#placed) {
        this.#place(epoch, seq);
      }
    }
    if (syncing) {
      this.#startSync();
      this.#want = false; // the server does it by itself
      return;
    }
    this.#state = LIVE;
    this.#deliverHeld();
    if (this.#state === LIVE && this.#placed && (!known || this.#isBehind())) this.#startSync();
  }

  /** A head of BeatReply. */
  onHead({ epoch, seq }) {
    this.#head = { epoch, seq };
    if (this.#state === DOWN) return;
    if (!this.#placed) {
      this.#place(epoch, seq);
      this.#deliverHeld();
    } else if (this.#state === LIVE ? this.#isBehind() : this.#failed) {
      this.#startSync();
    }
  }

  onPush(push) { this.#take(push.epoch, push.seq, push); }

  onGap({ epoch, from, to, reason }) {
    if (from === 0) return;
    if (reason === GAP_EXCLUDED) {
      const last = Math.min(to, from + HELD_MAX - 1);
      for (let seq = from; seq <= last; seq++) this.#take(epoch, seq, null);
      return;
    }
    if (this.#state === DOWN || (epoch === this.#epoch && to <= this.#seq)) return;
    if (this.#state === SYNCING) this.#again = true;
    else if (this.#placed) this.#startSync();
  }

  onSync(reply) {
    if (this.#state !== SYNCING) return;
    if (reply.error) {
      this.#failed = true;
      return;
    }
    if (reply.reload) {
      const [first] = reply.pushes;
      this.#place(reply.epoch, first ? first.seq - 1 : reply.through);
      this.#began = 0;
      this.#reload();
    } else {
      this.#epoch = reply.epoch; // the same, or another name of it while it was empty
    }
    for (const push of reply.pushes) {
      if (this.#state === SYNCING && push.seq > this.#seq) this.#deliver(push.seq, push);
    }
    if (this.#state !== SYNCING) return; // a callback has ended it
    this.#seq = Math.max(this.#seq, reply.through);
    if (this.#heldEpoch !== this.#epoch) this.#held.clear();
    this.#deliverHeld();
    if (this.#state !== SYNCING) return;
    if (reply.more) this.#want = true;
    else this.#caughtUp();
  }

  /** The last Sync was refused and some time has passed. */
  retry() {
    if (this.#state === SYNCING && this.#failed) this.#startSync();
  }

  /** The connection ended, or the room was left. */
  onDown() {
    this.#state = DOWN;
    this.#held.clear();
    this.#want = this.#failed = this.#again = false;
  }

  #place(epoch, seq) {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#placed = true;
  }

  /** Not at once a second time for the same position: the next head will tell. */
  #caughtUp() {
    this.#state = LIVE;
    const moved = this.#seq !== this.#began;
    const behind = this.#isBehind() && this.#head.epoch === this.#epoch;
    if (this.#again || (moved && behind)) this.#startSync();
  }

  #startSync() {
    this.#state = SYNCING;
    this.#want = true;
    this.#failed = this.#again = false;
    this.#began = this.#seq;
  }

  /** Something is known that is not done. */
  #isBehind() {
    return this.#held.size > 0 || this.#head.epoch !== this.#epoch || this.#head.seq > this.#seq;
  }

  #take(epoch, seq, push) {
    if (this.#state === LIVE && !this.#placed) this.#place(epoch, seq - 1);
    if (this.#placed && epoch === this.#epoch && seq <= this.#seq) return; // a repeat
    if (epoch !== this.#heldEpoch) this.#held.clear();
    this.#heldEpoch = epoch;
    this.#hold(seq, push);
    if (this.#state !== LIVE) return;
    this.#deliverHeld();
    if (this.#state === LIVE && this.#held.size > 0) this.#startSync();
  }

  #hold(seq, push) {
    if (!this.#held.has(seq)) this.#held.set(seq, push);
    if (this.#held.size <= HELD_MAX) return;
    this.#held.delete(Math.max(...this.#held.keys()));
    this.#again = true;
  }

  #deliver(seq, push) {
    this.#seq = seq;
    if (push) this.#push(push);
  }

  #deliverHeld() {
    if (!this.#placed || this.#heldEpoch !== this.#epoch) return;
    for (const seq of this.#held.keys()) if (seq <= this.#seq) this.#held.delete(seq);
    while (this.#state !== DOWN && this.#held.has(this.#seq + 1)) {
      const push = this.#held.get(this.#seq + 1);
      this.#held.delete(this.#seq + 1);
      this.#deliver(this.#seq + 1, push);
    }
  }
}
