// What the suites with a real browser share: a cluster of real processes, and chromium.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const PICTURES = join(ROOT, 'build', 'browser');
export const installed = createRequire(join(PICTURES, 'package.json'));

/** Real processes, driven over the standard input of tests/integration/cluster.py. */
export class Cluster {
  #child;
  #lines;

  /** env: what cluster.py reads: COMETS, LOGICS, JOBS, and ROOMS as JSON. */
  constructor(env = {}) {
    this.#child = spawn('python3', [join(ROOT, 'tests/integration/cluster.py')], {
      stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env },
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async start() {
    this.doors = await this.#answer();
    return this;
  }

  async tell(line) {
    this.#child.stdin.write(`${line}\n`);
    await this.#answer();
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the cluster ended');
    return JSON.parse(value);
  }

  stop() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    return ended;
  }
}

/** Chromium with a profile of its own; end() takes both away. */
export async function openBrowser() {
  mkdirSync(PICTURES, { recursive: true });
  const profile = mkdtempSync(join(tmpdir(), 'encke-browser-'));
  const browser = await installed('playwright-core').chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    viewport: { width: 1280, height: 720 },
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run',
      '--disable-component-update', '--disable-sync'],
  });
  const end = async () => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { browser, end };
}
