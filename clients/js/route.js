// Where to go after a connection has ended, and when.

const STEADY_MS = 60_000; // a connection that held so long resets the back-off

export class Route {
  #urls;
  #backoff;
  #random;
  #upAt = null; // when the present connection came up
  attempt = 0; // ends since a connection that held

  constructor(urls, { backoff, random }) {
    this.#urls = urls;
    this.#backoff = backoff;
    this.#random = random;
  }

  get url() { return this.#urls[0]; }

  onUp(now) { this.#upAt = now; }

  /**
   * close: what the server said before it closed, or null.  Answers the milliseconds to wait: as
   * long as it says and as much again at random, else back-off with full jitter.
   */
  onGone(now, close) {
    this.#turn(close?.where ?? []);
    if (this.#upAt !== null && now - this.#upAt >= STEADY_MS) this.attempt = 0;
    this.#upAt = null;
    const bound = Math.min(this.#backoff.firstMs * 2 ** this.attempt, this.#backoff.maxMs);
    this.attempt += 1;
    const advised = close?.afterMs ?? 0;
    return Math.round(advised + this.#random() * (advised || bound));
  }

  /** The next address: one that the server named, else the next of ours. */
  #turn(where) {
    const [like, ...others] = this.#urls;
    const better = where.map((one) => addressOf(one, like));
    this.#urls = [...better, ...[...others, like].filter((known) => !better.includes(known))];
  }
}

/** "host:port" is reached in the same way as the address we know. */
function addressOf(where, like) {
  if (/^wss?:/.test(where)) return where;
  const url = new URL(like);
  url.host = where;
  return url.href;
}
