// One connection of version 2, from dialling to its end: packages out and in, answers to their
// questions, and alarms that end with it.  The client makes a new one each time.
import { decode, encode } from './encke.js';
import * as messages from './messages.js';

const { decodeMessage, encodeMessage } = messages;

export const OP = Object.freeze({
  CONNECT: 18, JOIN: 20, LEAVE: 22, PUBLISH: 24, ACK: 26, SYNC: 28, BEAT: 30, // reply: one more
  PUSH: 32, GAP: 33, CLOSE: 34, ERROR: 35,
});
const SHAPES = {
  18: messages.Connect, 19: messages.ConnectReply, 20: messages.Join, 21: messages.JoinReply,
  22: messages.Leave, 23: messages.LeaveReply, 24: messages.Publish, 25: messages.PublishReply,
  26: messages.Ack, 27: messages.AckReply, 28: messages.Sync, 29: messages.SyncReply,
  30: messages.Beat, 31: messages.BeatReply, 32: messages.Push, 33: messages.Gap,
  34: messages.Close, 35: messages.Fault,
};

export class Line {
  #socket;
  #timers;
  #answerMs;
  #hear; // (op, message): what is no answer
  #gone; // (code, reason, close): once; close is what the server said before, or null
  #seq = 0;
  #asked = new Map(); // seq -> { op, then, lost, timer }
  #alarms = new Set();
  #isOver = false;

  constructor({ url, WebSocket, timers, answerMs, open, hear, gone }) {
    this.#timers = timers;
    this.#answerMs = answerMs;
    this.#hear = hear;
    this.#gone = gone;
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    // A socket that was given up may still speak.
    socket.onopen = () => this.#isOver || open();
    socket.onmessage = (event) => this.#isOver || this.#onFrame(event.data);
    socket.onclose = ({ code, reason }) => this.#end(code, reason, null);
    socket.onerror = () => {}; // close follows
    this.#socket = socket;
  }

  /** then(reply) is called when it is answered, lost() when the connection ends before. */
  ask(op, message, then, lost = () => {}) {
    if (this.#isOver) return lost();
    this.#seq = this.#seq >= 0x7fffffff ? 1 : this.#seq + 1;
    const timer = this.alarm(() => this.drop(4009, 'no answer'), this.#answerMs);
    this.#asked.set(this.#seq, { op, then, lost, timer });
    const body = encodeMessage(SHAPES[op], message);
    this.#socket.send(encode({ ver: 2, op, seq: this.#seq, body }));
  }

  /** Runs unless the connection ends before. */
  alarm(run, ms) {
    const timer = this.#timers.setTimeout(() => {
      this.#alarms.delete(timer);
      run();
    }, ms);
    this.#alarms.add(timer);
    return timer;
  }

  disarm(timer) {
    this.#timers.clearTimeout(timer);
    this.#alarms.delete(timer);
  }

  /** Ends it now, without waiting for the peer's goodbye. */
  drop(code, reason, close = null) {
    const mayBeSaid = code === 1000 || (code >= 3000 && code < 5000);
    this.#end(code, reason, close);
    try {
      this.#socket.close(mayBeSaid ? code : 1000);
    } catch { /* it was closed already */ }
  }

  #end(code, reason, close) {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const timer of this.#alarms) this.#timers.clearTimeout(timer);
    for (const { lost } of this.#asked.values()) lost();
    this.#gone(code, reason, close);
  }

  #onFrame(data) {
    let packages;
    try {
      packages = decode(data).filter(({ op }) => SHAPES[op]).map(({ op, seq, body }) => (
        { op, seq, message: decodeMessage(SHAPES[op], body) }));
    } catch (error) {
      this.drop(4002, `bad package: ${error.message}`);
      return;
    }
    for (const { op, seq, message } of packages) {
      if (!this.#isOver) this.#onPackage(op, seq, message);
    }
  }

  #onPackage(op, seq, message) {
    if (op === OP.CLOSE) return this.drop(message.code, message.text, message);
    const asked = this.#asked.get(seq);
    if (!asked || (op !== asked.op + 1 && op !== OP.ERROR)) return this.#hear(op, message);
    this.#asked.delete(seq);
    this.disarm(asked.timer);
    asked.then(op === OP.ERROR ? { error: message, rooms: [], heads: [] } : message);
  }
}
