/**
 * Backups of a growing tree whose client or server is killed at random moments, again and again. Meanwhile
 * commands that are killed too delete old sets. Afterwards every finished set that was not deleted must restore
 * to its tree, without any manual step. The test runs a few rounds; `node scripts/thrash.mjs 50` runs as many as
 * given.
 */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import {
  listedSets,
  type Outcome,
  pause,
  run,
  Running,
  runWhenFree,
  Server,
  succeed,
} from './commands.js';
import { removeScratch } from './scratch.js';
import { separateServer } from './separate-server.js';
import { differences, look, noise, type Snapshot, text } from './tree.js';

export interface ThrashOptions {
  /** An empty directory for store, tree and restores. */
  readonly home: string;
  readonly rounds: number;
  readonly seed: number;
  readonly log: (line: string) => void;
  /** Limit of the time that a server or a listing takes after a kill; undefined for no limit. */
  readonly maxRestartMs?: number;
}

export interface ThrashReport {
  /** Runs that a kill ended. */
  killed: number;
  /** Runs that were finished before the kill. */
  survived: number;
  /** Number of times that a run waited for the end of a killed one's session. */
  busy: number;
  finishedSets: number;
  /** Deletions of a set that a kill ended, and those that finished. */
  purgesKilled: number;
  purges: number;
  /** Checks of the store that finished meanwhile. */
  checks: number;
  /** The longest time until a server listened, or a listing was complete, after a kill. */
  longestRestartMs: number;
  /** Problems found; empty if there are none. */
  readonly problems: string[];
}

const VICTIMS = ['client', 'server', 'both', 'remote client', 'remote server'] as const;
type Victim = (typeof VICTIMS)[number];

const CLIENT = 'thrashed';
const BUSY_STATUS = 11;
/** Share of the rounds with a deletion, and share of the deletions that are killed. */
const PURGE_SHARE = 0.6;
const PURGE_KILLED_SHARE = 0.7;
const PURGE_MS = 500;
/** Share of the rounds with a check, and share of the checks that are killed. */
const CHECK_SHARE = 0.5;
const CHECK_KILLED_SHARE = 0.3;
/** Number of newest sets that are never deleted. */
const NEWEST_KEPT = 2;
const BUSY_PAUSE_MS = 100;
const MAX_BUSY = 300;
/** Milliseconds of start-up before a command does anything that a kill could disturb. */
const START_MS = 60;

export async function thrash(options: ThrashOptions): Promise<ThrashReport> {
  const work = new Thrash(options);
  try {
    return await work.run();
  } finally {
    work.close();
  }
}

class Thrash {
  private readonly report: ThrashReport = {
    killed: 0,
    survived: 0,
    busy: 0,
    finishedSets: 0,
    purgesKilled: 0,
    purges: 0,
    checks: 0,
    longestRestartMs: 0,
    problems: [],
  };
  private readonly random;
  private readonly store: string;
  private readonly source: string;
  private readonly place: readonly string[];
  /** The tree at the time when the set of this name was made. */
  private readonly wanted = new Map<string, Snapshot>();
  /** Finished sets that were ever listed, and sets whose deletion was requested. */
  private readonly seen = new Set<string>();
  private readonly requested = new Set<string>();
  private server: Server | undefined;
  /** Present duration of a whole run in milliseconds. */
  private runMs = 700;
  /** Victims still to come, so that few rounds have one of each. */
  private victims: Victim[] = [];
  private made = 0;
  private readonly options: ThrashOptions;

  constructor(options: ThrashOptions) {
    this.options = options;
    this.random = seededRandom(options.seed);
    this.store = path.join(options.home, 'store');
    this.source = path.join(options.home, 'tree');
    this.place = ['-D', this.store, '-C', CLIENT];
    fs.mkdirSync(path.join(options.home, 'tmp'));
  }

  close(): void {
    this.server?.kill();
  }

  async run(): Promise<ThrashReport> {
    const { rounds, log, seed } = this.options;
    log(`seed ${seed}, ${rounds} rounds`);
    await succeed('sonic', ['create', ...this.place]);
    fs.mkdirSync(this.source);
    this.grow(6);
    for (let round = 1; round <= rounds; round += 1) {
      this.grow(2);
      if (round > 1) this.change();
      const purging = this.random.next() < PURGE_SHARE ? this.purgeOne() : undefined;
      const checking = this.random.next() < CHECK_SHARE ? this.checkStore() : undefined;
      await this.killOne(`round-${round}`);
      await purging;
      await checking;
      if (this.random.next() < 0.5) await this.finishOne(`round-${round}-again`);
      await this.checkNewest();
    }
    await this.finishOne('last');
    await this.checkAll('at the end');
    await succeed('sonic', ['orphans', ...this.place]);
    await this.checkAll('cleared up');
    await succeed('sonic', ['rebuild', ...this.place]);
    await this.checkAll('rebuilt');
    return this.report;
  }

  // --- deleting ----------------------------------------------------------------------------------

  /** Starts to delete an old set, beside any other work, and mostly kills the command. */
  private async purgeOne(): Promise<void> {
    if (!fs.existsSync(path.join(this.store, CLIENT, 'tardis.db'))) return;
    const old = ((await this.readable(() => this.finished())) ?? []).slice(0, -NEWEST_KEPT);
    const chosen = old[this.below(old.length)];
    if (chosen === undefined) return;
    this.requested.add(chosen.name);
    const args = ['delete', ...this.place, String(chosen.set), '--yes', '--json'];
    const running = new Running('sonic', args, this.env());
    const isToDie = this.random.next() < PURGE_KILLED_SHARE;
    const afterMs = START_MS + this.random.next() * PURGE_MS;
    await (isToDie ? Promise.race([pause(afterMs), running.ended]) : running.ended);
    running.signal('SIGKILL');
    const { status, signal, stderr, stdout } = await running.ended;
    if (signal !== null) this.report.purgesKilled += 1;
    else if (status === 0) this.report.purges += 1;
    else if (status !== BUSY_STATUS) {
      this.report.problems.push(`deleting ${chosen.set}: exit ${status} ${stdout} ${stderr}`);
    }
  }

  /** Checks the store with all its data, beside any other work. The check must find no damage. */
  private async checkStore(): Promise<void> {
    if (!fs.existsSync(path.join(this.store, CLIENT, 'tardis.db'))) return;
    const args = ['check', ...this.place, '--read-data=all', '--json'];
    const running = new Running('sonic', args, this.env());
    const isToDie = this.random.next() < CHECK_KILLED_SHARE;
    const afterMs = START_MS + this.random.next() * PURGE_MS;
    if (isToDie) {
      await Promise.race([pause(afterMs), running.ended]);
      running.signal('SIGKILL');
    }
    const { status, signal, stderr, stdout } = await running.ended;
    if (status === 0) this.report.checks += 1;
    else if (signal === null && status !== BUSY_STATUS) {
      this.report.problems.push(`a check beside it: exit ${status} ${stdout} ${stderr}`);
    }
  }

  // --- the tree ----------------------------------------------------------------------------------

  private below(most: number): number {
    return Math.floor(this.random.next() * most);
  }

  /** Adds some directories of small files, and a large file. */
  private grow(directories: number): void {
    for (let count = 0; count < directories; count += 1) {
      this.made += 1;
      const directory = path.join(this.source, `directory ${this.made}`, 'below');
      fs.mkdirSync(directory, { recursive: true });
      for (let index = 0; index < 25; index += 1) {
        const name = `${this.options.seed} ${this.made} ${index}`;
        fs.writeFileSync(path.join(directory, `file ${index}`), text(name, this.below(16_000)));
      }
    }
    const large = noise(
      `${this.options.seed} large ${this.made}`,
      1_000_000 + this.below(4_000_000),
    );
    fs.writeFileSync(path.join(this.source, `large ${this.made}`), large);
  }

  /** Changes, removes and renames some files. */
  private change(): void {
    const directories = fs.readdirSync(this.source).filter((name) => name.startsWith('directory'));
    const pick = (): string => path.join(this.source, directories[this.below(directories.length)]!);
    const changed = path.join(pick(), 'below');
    for (const name of fs.readdirSync(changed).slice(0, 6)) {
      fs.appendFileSync(path.join(changed, name), 'changed');
    }
    const thinned = path.join(pick(), 'below');
    for (const name of fs.readdirSync(thinned).slice(0, 3)) fs.rmSync(path.join(thinned, name));
    fs.renameSync(pick(), path.join(this.source, `directory ${this.made} renamed`));
  }

  // --- runs --------------------------------------------------------------------------------------

  private env(): { env: Record<string, string> } {
    return { env: { TMPDIR: path.join(this.options.home, 'tmp') } };
  }

  private async args(name: string, victim: Victim): Promise<string[]> {
    if (!victim.startsWith('remote')) {
      // A client that dies alone may have the server in its process.
      const where = victim === 'client' ? [] : separateServer(this.options.home);
      return [...this.place, '--local', ...where, '--json', '--name', name, this.source];
    }
    if (this.server === undefined || this.server.running.hasEnded) {
      const startMs = performance.now();
      this.server = await Server.start(this.store, [], this.env());
      this.cameBack(startMs, 'a server');
    }
    const there = [...this.server.clientArgs, '--reconnect', '0']; // a killed server does not come back
    return ['-C', CLIENT, ...there, '--json', '--name', name, this.source];
  }

  /** Starts a run and kills one or both sides in the middle of it. */
  private async killOne(name: string): Promise<void> {
    const victim = this.nextVictim();
    this.wanted.set(name, look(this.source));
    const args = await this.args(name, victim);
    const afterMs = START_MS + this.random.next() * this.runMs * 0.7;
    for (let tries = 0; ; tries += 1) {
      const running = new Running('tardis', args, this.env());
      await Promise.race([pause(afterMs), running.ended]);
      const isThrough = running.hasEnded;
      if (!isThrough) this.kill(victim, running);
      const outcome = await running.ended;
      if (outcome.status === BUSY_STATUS && tries < MAX_BUSY) {
        this.report.busy += 1;
        await pause(BUSY_PAUSE_MS);
        continue;
      }
      if (outcome.status === 0) this.report.survived += 1;
      else this.report.killed += 1;
      this.judge(victim, isThrough, outcome);
      const end = outcome.signal ?? outcome.status;
      this.options.log(`${name}: ${victim} killed after ${Math.round(afterMs)} ms: ${end}`);
      return;
    }
  }

  private nextVictim(): Victim {
    if (this.victims.length === 0) this.victims = [...VICTIMS];
    const [victim] = this.victims.splice(this.below(this.victims.length), 1);
    return victim!;
  }

  private kill(victim: Victim, running: Running): void {
    const { server } = this;
    switch (victim) {
      case 'client':
      case 'remote client':
        running.signal('SIGKILL');
        return;
      case 'both':
        running.signalGroup('SIGKILL');
        return;
      case 'server':
        for (const pid of running.childPids()) process.kill(pid, 'SIGKILL');
        return;
      case 'remote server':
        server?.kill();
        this.server = undefined; // the next run starts another one
    }
  }

  /** Checks that a survivor reports a code, and never a stack. */
  private judge(victim: Victim, isThrough: boolean, outcome: Outcome): void {
    const { status, stdout, stderr } = outcome;
    if (/\n\s+at /.test(stderr) || stdout.includes('"INTERNAL"')) {
      this.report.problems.push(`${victim} killed: a stack was shown: ${stdout} ${stderr}`);
    }
    const isClient = victim === 'client' || victim === 'remote client' || victim === 'both';
    if (isThrough && status !== 0) {
      this.report.problems.push(`a run failed by itself (${status}): ${stdout} ${stderr}`);
    }
    if (isThrough || isClient || status === 0) return;
    const code = /"code":"(\w+)"/.exec(stdout)?.[1] ?? 'none';
    const isFitting = ['CONNECTION_LOST', 'SERVER_DIED', 'SERVER_UNREACHABLE'].includes(code);
    if (status === 1 && isFitting) return;
    this.report.problems.push(`${victim} killed: exit ${status}, code ${code}: ${stderr}`);
  }

  /** Makes a run without a kill, which must complete. */
  private async finishOne(name: string): Promise<void> {
    this.wanted.set(name, look(this.source));
    const args = await this.args(name, this.random.next() < 0.3 ? 'remote client' : 'client');
    const startMs = performance.now();
    const { status, stdout, stderr, busy } = await runWhenFree('tardis', args, this.env());
    this.report.busy += busy;
    this.runMs = performance.now() - startMs;
    if (status !== 0) this.report.problems.push(`${name}: ${status} ${stdout} ${stderr}`);
  }

  // --- checks ------------------------------------------------------------------------------------

  private async finished(): Promise<{ set: number; name: string }[]> {
    const sets = await listedSets(this.store, CLIENT);
    const complete = sets.filter(({ state }) => state === 'complete');
    for (const { name } of complete) this.seen.add(name);
    return complete;
  }

  private async checkNewest(): Promise<void> {
    if (!fs.existsSync(path.join(this.store, CLIENT, 'tardis.db'))) return; // killed too early
    const startMs = performance.now();
    const newest = await this.readable(() => this.finished());
    this.cameBack(startMs, 'a listing');
    const last = newest?.at(-1);
    if (last !== undefined) await this.check(last, 'just after');
  }

  private async checkAll(when: string): Promise<void> {
    const sets = await this.finished();
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.seen) {
      if (names.has(name) || this.requested.has(name)) continue;
      this.report.problems.push(`${when}: set ${name} is gone, and nobody deleted it`);
    }
    this.report.finishedSets = sets.length;
    for (const set of sets) await this.check(set, when);
  }

  /** Checks that recovery after a kill takes only a moment. */
  private cameBack(startMs: number, what: string): void {
    const tookMs = performance.now() - startMs;
    this.report.longestRestartMs = Math.max(this.report.longestRestartMs, tookMs);
    if (tookMs <= (this.options.maxRestartMs ?? Infinity)) return;
    this.report.problems.push(`${what} took ${Math.round(tookMs)} ms after a kill`);
  }

  /** Runs a query. Reading needs no lock, but a session that begins or ends may delay a reader. */
  private async readable<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      this.report.problems.push(`the sets cannot be listed: ${String(error)}`);
      return undefined;
    }
  }

  private async check({ set, name }: { set: number; name: string }, when: string): Promise<void> {
    const out = path.join(this.options.home, 'out');
    const args = [...this.place, '-b', String(set), '-o', out, this.source];
    const { status, stderr } = await run('regenerate', args); // it is not killed, and leaves nothing
    const wanted = this.wanted.get(name);
    const found = status === 0 ? look(path.join(out, 'tree')) : new Map<string, string>();
    const lines = wanted === undefined ? ['an unknown set'] : differences(wanted, found);
    if (lines.length > 0) {
      const shown = lines.slice(0, 5).join('\n');
      this.report.problems.push(
        `${when}, set ${set} (${name}): exit ${status} ${stderr}\n${shown}`,
      );
    }
    removeScratch(out);
  }
}
