// What is to be published, one after the other in the order of the calls: the next leaves when the
// last is answered.  What was not answered is said again with the same id, also on another
// connection; the server publishes it once.
import { FAULTS } from './messages.js';

export const PUBLISHES_MAX = 1000; // without an answer
const MAY_PASS = ['RATE', 'UNAVAILABLE'];

/** Why the server did not do something: code is a name of Error.Code in api/client.proto. */
export class Refused extends Error {
  constructor({ code, field, message }) {
    super(`${field ? `${field}: ` : ''}${message}`);
    this.name = 'Refused';
    this.code = FAULTS[code] ?? String(code);
    this.field = field;
  }

  get mayPass() { return MAY_PASS.includes(this.code); }
}

export class Publishes {
  #say; // (publish, then) -> says it and calls then(reply)
  #later; // (run, afterMs) -> runs it when it is time
  #isWanted; // room -> whether we are, or will be, in it
  #queue = new Map(); // client id -> { publish, resolve, reject }
  #isUp = false;
  #said = null; // the client id that waits for its answer

  constructor({ say, later, isWanted }) {
    this.#say = say;
    this.#later = later;
    this.#isWanted = isWanted;
  }

  add(publish) {
    if (this.#queue.size >= PUBLISHES_MAX) {
      return Promise.reject(new RangeError(`${PUBLISHES_MAX} publishes wait`));
    }
    if (this.#queue.has(publish.clientId)) {
      return Promise.reject(new RangeError(`${publish.clientId} waits already`));
    }
    return new Promise((resolve, reject) => {
      this.#queue.set(publish.clientId, { publish, resolve, reject });
      this.#next();
    });
  }

  onUp() {
    this.#isUp = true;
    this.#next();
  }

  onDown() {
    this.#isUp = false;
    this.#said = null;
  }

  end(why) {
    this.onDown();
    for (const { reject } of this.#queue.values()) reject(new Error(why));
    this.#queue.clear();
  }

  #next() {
    if (!this.#isUp || this.#said !== null || this.#queue.size === 0) return;
    const [id, { publish }] = this.#queue.entries().next().value;
    this.#said = id;
    this.#say(publish, (reply) => this.#onReply(id, reply));
  }

  #onReply(id, reply) {
    const { publish, resolve, reject } = this.#queue.get(id);
    const refused = reply.error ? new Refused(reply.error) : null;
    if (refused && (refused.mayPass || this.#isEarly(refused, publish))) {
      this.#later(() => {
        if (this.#said !== id) return; // the connection went meanwhile
        this.#said = null;
        this.#next();
      }, reply.error.afterMs);
      return;
    }
    this.#queue.delete(id);
    this.#said = null;
    if (refused) reject(refused);
    else resolve({ ...reply, error: undefined });
    this.#next();
  }

  /** The room is wanted, but not joined yet. */
  #isEarly(refused, publish) {
    return refused.code === 'NOT_JOINED' && this.#isWanted(publish.room);
  }
}
