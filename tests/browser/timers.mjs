// A clock that a test moves by hand.
export class Timers {
  now = 0;
  #next = 1;
  #due = new Map();
  setTimeout = (run, ms) => {
    this.#due.set(this.#next, { run, at: this.now + ms });
    return this.#next++;
  };
  clearTimeout = (id) => this.#due.delete(id);
  get pending() { return this.#due.size; }

  move(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#due].filter(([, t]) => t.at <= end);
      const soon = due.sort((a, b) => a[1].at - b[1].at)[0];
      if (!soon) break;
      this.#due.delete(soon[0]);
      this.now = soon[1].at;
      soon[1].run();
    }
    this.now = end;
  }
}
