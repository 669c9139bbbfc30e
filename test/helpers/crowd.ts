/**
 * Clients that back up at once, and meanwhile restore, delete sets, clear up and check. Their store is a directory with one
 * server, or a bucket with several. Servers, or servers and commands, may be killed and paused meanwhile. A
 * command may fail only if that explains it. At the end, each set that was ever acknowledged or listed, and that nobody
 * deleted, must restore to its tree, and no data may be damaged. Tests run a few rounds; `node scripts/crowd.mjs` as many
 * as given.
 */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import { BucketLab, STORE } from './bucket-lab.js';
import {
  type CommandOptions,
  type ListedSet,
  type Outcome,
  run,
  Running,
  runWhenFree,
  Server,
  type Tool,
} from './commands.js';
import { removeScratch } from './scratch.js';
import { SEPARATE_SERVER } from './separate-server.js';
import { differences, look, noise, type Snapshot, text } from './tree.js';
import { pause } from './until.js';

/** Does something to a service, brings it back, and returns what it did. */
export type Strike = (random: { next(): number }) => Promise<string>;

export interface CrowdOptions {
  /** An empty directory for the store, caches, trees and restores. */
  readonly home: string;
  /** Endpoints of one bucket, which servers use in turns; undefined for a store in a directory. */
  readonly urls?: readonly string[];
  /** Number of servers; a directory has one. */
  readonly servers?: number;
  readonly clients: number;
  /** Number of backups of each client before the last one. */
  readonly rounds: number;
  readonly seed: number;
  /** With `commands`, each round of a client has one victim, and some of its other commands are killed. */
  readonly killed: 'nothing' | 'servers' | 'commands';
  /** Longest pause between two strikes at servers, and longest time for which a server is paused. */
  readonly longestMs?: number;
  readonly log: (line: string) => void;
  /** Strikes beside those at servers. */
  readonly strikes?: readonly Strike[];
  /** Called when the load is over, before sets are compared. */
  readonly onEnd?: () => void;
}

export interface CrowdReport {
  backups: number;
  /** Backups that a kill ended. */
  killed: number;
  restores: number;
  deletions: number;
  clearings: number;
  checks: number;
  strikes: number;
  /** Commands that failed, by their error. */
  readonly failures: Map<string, number>;
  /** The longest time until a server listened, or a listing was complete, after a kill. */
  longestRestartMs: number;
  /** Problems found; empty if there are none. */
  readonly problems: string[];
}

const VICTIMS = ['client', 'server', 'both', 'remote client', 'remote server'] as const;
type Victim = (typeof VICTIMS)[number];

const BUSY_STATUS = 11;
/** Number of newest sets that are never deleted. */
const NEWEST_KEPT = 1;
const SMALL_FILES = 25;
/** Maximum time of one command while servers are killed and paused. */
const COMMAND_MS = 600_000;
/** Milliseconds of start-up before a command does anything that a kill could disturb. */
const START_MS = 60;
/** Part of the deletions and checks that are killed, and the time within which that happens. */
const WORK_KILLED_SHARE = 0.6;
const WORK_MS = 500;
/** Errors of a client whose server is killed. */
const OF_LOST_SERVER = /CONNECTION_LOST|SERVER_DIED|SERVER_UNREACHABLE/;
/** Errors that no fault of a server or a bucket explains. */
const NEVER =
  /INTERNAL|DAMAGED|STORE_FORKED|STORE_NEWER|WRONG|SEAL|BUCKET_UNSAFE|NO_SUCH_CLIENT|PERMITTED/;
const CONFIG =
  '[Tardis]\nGcInterval = 1\nRemoveAfter = 2\nCompactPercent = 5\n[Pipeline]\nCheckpointSize = 1M\n';

export async function crowd(options: CrowdOptions): Promise<CrowdReport> {
  const { clients, rounds, seed, log } = options;
  log(`seed ${seed}: ${clients} clients, ${rounds} rounds`);
  const report: CrowdReport = {
    backups: 0,
    killed: 0,
    restores: 0,
    deletions: 0,
    clearings: 0,
    checks: 0,
    strikes: 0,
    failures: new Map(),
    longestRestartMs: 0,
    problems: [],
  };
  const ground = new Ground(options, report);
  try {
    await ground.start();
    const members = Array.from(
      { length: clients },
      (_, number) => new Member(options, ground, number, report),
    );
    for (const member of members) await member.create();
    const lives = Promise.all(members.map((member) => member.live()));
    await Promise.all([lives, ground.strikeDuring(lives)]);
    options.onEnd?.();
    await Promise.all(members.map((member) => member.end()));
  } finally {
    ground.kill();
  }
  return report;
}

/** The store of a crowd, and its servers. */
class Ground {
  readonly store: string;
  private readonly servers: Server[] = [];
  private readonly labs: readonly BucketLab[];
  private readonly config: string;
  private readonly random;
  private readonly options: CrowdOptions;
  private readonly report: CrowdReport;

  constructor(options: CrowdOptions, report: CrowdReport) {
    const { home, urls = [], seed } = options;
    this.options = options;
    this.report = report;
    this.random = seededRandom(seed);
    this.labs = urls.map((url) => new BucketLab(home, url));
    this.store = this.isBucket ? STORE : path.join(home, 'store');
    this.config = path.join(home, 'config');
    fs.writeFileSync(this.config, CONFIG);
    fs.mkdirSync(path.join(home, 'tmp'));
  }

  get isBucket(): boolean {
    return this.labs.length > 0;
  }

  async start(): Promise<void> {
    for (let number = 0; number < (this.options.servers ?? 1); number += 1) {
      this.servers.push(await this.startOne(number));
    }
  }

  /** Arguments that name all servers, beginning with one of them. */
  toAny(first: number): string[] {
    const ports = this.servers.map(({ port }) => `127.0.0.1:${port}`);
    const from = first % ports.length;
    const turned = [...ports.slice(from), ...ports.slice(0, from)];
    return ['--server', turned.join(','), '--insecure-tcp'];
  }

  /** Variables of a machine that reaches the store without a server. */
  near(machine: string, number: number): Readonly<Record<string, string>> {
    return this.labs[number % this.labs.length]?.on(machine) ?? {};
  }

  async strikeDuring(load: Promise<unknown>): Promise<void> {
    if (this.options.killed !== 'servers') return;
    const { strikes = [], log, longestMs = 0 } = this.options;
    const all = [() => this.killOne(), () => this.pauseOne(), ...strikes];
    const end = load.then(
      () => true,
      () => true, // the caller gets the error
    );
    const nextIn = (ms: number): Promise<boolean> => pause(ms).then(() => false);
    while (!(await Promise.race([end, nextIn(this.random.next() * longestMs)]))) {
      log(await all[this.below(all.length)]!(this.random));
      this.report.strikes += 1;
    }
  }

  /** Kills a server, and starts it again. In a bucket, it may lose its cache meanwhile. */
  async killOne(): Promise<string> {
    const number = this.below(this.servers.length);
    const { port, running } = this.servers[number]!;
    running.signalGroup('SIGKILL');
    await running.ended;
    const losesCache = this.isBucket && this.below(3) === 0;
    const { XDG_CACHE_HOME: cache } = this.near(`node-${number}`, number);
    if (losesCache) fs.rmSync(cache!, { recursive: true, force: true });
    await pause(this.below(this.options.longestMs ?? 1));
    const startMs = performance.now();
    this.servers[number] = await this.startOne(number, ['--port', String(port)]);
    this.cameBack(startMs);
    return `server ${number} was killed${losesCache ? ', and lost its cache' : ''}`;
  }

  /** Records how long a recovery after a kill took. */
  cameBack(startMs: number): void {
    const { longestRestartMs } = this.report;
    this.report.longestRestartMs = Math.max(longestRestartMs, performance.now() - startMs);
  }

  kill(): void {
    for (const server of this.servers) {
      server.running.signalGroup('SIGCONT');
      void server.kill();
    }
  }

  private async pauseOne(): Promise<string> {
    const number = this.below(this.servers.length);
    const ms = this.below(this.options.longestMs ?? 1);
    const { running } = this.servers[number]!;
    running.signalGroup('SIGSTOP');
    await pause(ms);
    running.signalGroup('SIGCONT');
    return `server ${number} was paused for ${ms} ms`;
  }

  private startOne(number: number, args: readonly string[] = []): Promise<Server> {
    return Server.start(this.store, ['--config', this.config, ...args], {
      env: { ...this.near(`node-${number}`, number), TMPDIR: path.join(this.options.home, 'tmp') },
      timeoutMs: (this.options.rounds + 10) * COMMAND_MS,
    });
  }

  private below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }
}

class Member {
  private readonly name: string;
  private readonly source: string;
  private readonly secret: readonly string[];
  private readonly random;
  /** The trees of all backups that were begun, by the names of their sets. */
  private readonly wanted = new Map<string, Snapshot>();
  /** Names of sets that were acknowledged or listed, and of those whose deletion was requested. */
  private readonly known = new Set<string>();
  private readonly deleted = new Set<string>();
  /** Victims still to come, so that few rounds have one of each. */
  private victims: Victim[] = [];
  private round = 0;
  private isEnding = false;
  /** Present duration of a whole backup in milliseconds. */
  private runMs = 500;
  private readonly options: CrowdOptions;
  private readonly ground: Ground;
  private readonly number: number;
  private readonly report: CrowdReport;

  constructor(options: CrowdOptions, ground: Ground, number: number, report: CrowdReport) {
    this.options = options;
    this.ground = ground;
    this.number = number;
    this.report = report;
    this.random = seededRandom(options.seed + 1 + number);
    this.name = `client-${number}`;
    this.source = this.at('tree');
    fs.mkdirSync(this.source);
    const secret = this.at('secret');
    fs.writeFileSync(secret, 'a secret of four words', { mode: 0o600 });
    this.secret = ground.isBucket ? ['--password-file', secret] : [];
  }

  async create(): Promise<void> {
    const { status, stderr } = await this.near('sonic', ['create']);
    if (status !== 0) throw new Error(`${this.name}: ${stderr}`);
  }

  async live(): Promise<void> {
    const works = [() => this.delete(), () => this.restoreOne(), () => this.check()];
    if (!this.ground.isBucket) works.push(() => this.clearUp());
    for (let round = 0; round < this.options.rounds; round += 1) {
      const isWorking = round > 0 && this.below(4) > 0;
      const work = isWorking ? works[this.below(works.length)]! : () => undefined;
      const beside = this.ground.isBucket ? undefined : work();
      await (this.options.killed === 'commands' ? this.backUpStruck() : this.backUp());
      await (beside ?? work());
    }
  }

  /** Backs up once more, which must succeed, and compares all sets. */
  async end(): Promise<void> {
    this.isEnding = true;
    await this.backUp();
    await this.compareAll('at the end');
    if (this.options.killed === 'commands') {
      await this.succeedNear(['orphans']);
      await this.succeedNear(['rebuild']);
      await this.compareAll('rebuilt');
    }
    await this.succeedNear(['check', '--read-data=all']);
  }

  // --- the tree ----------------------------------------------------------------------------------

  private at(name: string): string {
    return path.join(this.options.home, `${name} of ${this.name}`);
  }

  private below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }

  /** Adds directories of small files, makes and grows large ones, and changes, removes and renames some. */
  private change(): void {
    this.round += 1;
    const added = this.round === 1 ? ['a', 'b', 'c'] : ['d'];
    for (const name of added.map((letter) => `directory ${letter}${this.round}`)) {
      const directory = path.join(this.source, name, 'below');
      fs.mkdirSync(directory, { recursive: true });
      for (let file = 0; file < SMALL_FILES; file += 1) {
        const bytes = text(`${this.name} ${name} ${file}`, this.below(16_000));
        fs.writeFileSync(path.join(directory, `file ${file}`), bytes);
      }
    }
    const seed = `${this.options.seed} ${this.name} ${this.round}`;
    if (this.below(2) === 0)
      fs.writeFileSync(path.join(this.source, 'large'), noise(seed, 2_500_000));
    fs.appendFileSync(path.join(this.source, 'grows'), noise(`g ${seed}`, 1_100_000 / this.round));
    const directories = fs.readdirSync(this.source).filter((name) => name.startsWith('directory'));
    const pick = (): string => path.join(this.source, directories[this.below(directories.length)]!);
    const changed = path.join(pick(), 'below');
    for (const name of fs.readdirSync(changed).slice(0, 6))
      fs.appendFileSync(path.join(changed, name), 'changed');
    const thinned = path.join(pick(), 'below');
    for (const name of fs.readdirSync(thinned).slice(0, 3)) fs.rmSync(path.join(thinned, name));
    fs.renameSync(pick(), path.join(this.source, `directory renamed ${this.round}`));
  }

  // --- backups -----------------------------------------------------------------------------------

  /** Returns the name of the set of a new backup. */
  private begin(): string {
    this.change();
    const name = `${this.name}-${this.round}`;
    this.wanted.set(name, look(this.source));
    this.report.backups += 1;
    return name;
  }

  private async backUp(): Promise<void> {
    const name = this.begin();
    const args = ['--name', name, this.source];
    const startMs = performance.now();
    const [words, options] = this.farWords(args);
    // A killed session may last for a moment.
    const { status, ...printed } = await (this.isEnding || this.options.killed === 'commands'
      ? runWhenFree('tardis', words, options)
      : run('tardis', words, options));
    this.runMs = performance.now() - startMs;
    if (status === 0) this.known.add(name);
    this.judge({ status, ...printed }, `backup ${name}`, { isStruck: this.areServersStruck });
  }

  /** Starts a backup, kills one or both sides in the middle of it, and looks at what is there. */
  private async backUpStruck(): Promise<void> {
    const name = this.begin();
    const victim = this.nextVictim();
    const args = ['--reconnect', '0', '--name', name, this.source];
    // A client that dies alone may have the server in its process.
    const where = victim === 'client' ? [] : SEPARATE_SERVER;
    const [words, { env }] = victim.startsWith('remote')
      ? this.farWords(args)
      : this.nearWords(['--local', ...where, '--name', name, this.source]);
    const options = { env: { ...env, TMPDIR: path.join(this.options.home, 'tmp') } };
    const afterMs = START_MS + this.random.next() * this.runMs * 0.7;
    const running = new Running('tardis', words, options);
    await Promise.race([pause(afterMs), running.ended]);
    const isThrough = running.hasEnded;
    if (!isThrough) await this.kill(victim, running);
    const outcome = await running.ended;
    const { status, signal } = outcome;
    if (status === 0) this.known.add(name);
    else if (!isThrough) this.report.killed += 1;
    this.options.log(
      `${name}: ${victim} killed after ${Math.round(afterMs)} ms: ${signal ?? status}`,
    );
    const isStruck = !isThrough || victim.startsWith('remote');
    this.judge(outcome, `${victim} killed`, { isStruck, mayBeBusy: true });
    const startMs = performance.now();
    const newest = (await this.sets(this.reader)).at(-1);
    this.ground.cameBack(startMs);
    if (newest !== undefined) await this.restore(newest, 'just after', this.reader);
    if (this.below(2) === 0) await this.backUp();
  }

  private nextVictim(): Victim {
    if (this.victims.length === 0) this.victims = [...VICTIMS];
    return this.victims.splice(this.below(this.victims.length), 1)[0]!;
  }

  private async kill(victim: Victim, running: Running): Promise<void> {
    switch (victim) {
      case 'client':
      case 'remote client':
        running.signal('SIGKILL');
        return;
      case 'both':
        running.signalGroup('SIGKILL');
        return;
      case 'server':
        running.signalChildren('SIGKILL');
        return;
      case 'remote server':
        await this.ground.killOne();
    }
  }

  // --- other work --------------------------------------------------------------------------------

  private async delete(): Promise<void> {
    const old = (await this.sets(this.reader)).slice(0, -NEWEST_KEPT);
    const chosen = old[this.below(old.length)];
    if (chosen === undefined) return;
    this.deleted.add(chosen.name);
    await this.work(['delete', String(chosen.set), '--yes', '--waste', '5'], 'deletions');
  }

  private async clearUp(): Promise<void> {
    await this.work(['orphans'], 'clearings');
  }

  /** Runs a check, which must find no damage, whatever runs beside it. */
  private async check(): Promise<void> {
    await this.work(['check', '--read-data=all'], 'checks');
  }

  /** Runs a command in the store itself. Commits of servers may come in between. */
  private async work(
    args: readonly string[],
    counted: 'deletions' | 'clearings' | 'checks',
  ): Promise<void> {
    const [words, options] = this.nearWords(args);
    const mayKill = this.options.killed === 'commands';
    const isToDie = mayKill && this.random.next() < WORK_KILLED_SHARE;
    const afterMs = START_MS + this.random.next() * WORK_MS;
    const running = isToDie ? new Running('sonic', words, options) : undefined;
    if (running !== undefined) {
      await Promise.race([pause(afterMs), running.ended]);
      running.signal('SIGKILL');
    }
    const outcome = await (running?.ended ?? run('sonic', words, options));
    if (outcome.status === 0) this.report[counted] += 1;
    const isStruck = this.options.killed === 'servers' || outcome.signal !== null;
    this.judge(outcome, args.join(' '), { isStruck, mayBeBusy: true });
  }

  private async restoreOne(): Promise<void> {
    const sets = (await this.sets(this.reader)).slice(-NEWEST_KEPT);
    const one = sets[this.below(sets.length)];
    if (one !== undefined) await this.restore(one, 'beside', this.reader);
  }

  // --- reading -----------------------------------------------------------------------------------

  /** Reads a bucket through its servers, and a directory itself. */
  private get reader() {
    return this.ground.isBucket ? this.far.bind(this) : this.near.bind(this);
  }

  /** Returns the complete sets; none if they cannot be listed. */
  private async sets(by: typeof this.near): Promise<readonly ListedSet[]> {
    const outcome = await by('lstardis', ['--json']);
    this.judge(outcome, 'listing', { isStruck: this.areServersStruck });
    if (outcome.status !== 0) return [];
    const { sets } = JSON.parse(outcome.stdout) as { readonly sets: readonly ListedSet[] };
    const complete = sets.filter(({ state }) => state === 'complete');
    for (const { name } of complete) this.known.add(name);
    return complete;
  }

  /** Checks that every listed set restores correctly, and that none is gone that nobody deleted. */
  private async compareAll(when: string): Promise<void> {
    const sets = await this.sets(this.near.bind(this));
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.known) {
      if (!names.has(name) && !this.deleted.has(name)) this.fail(`${when}: set ${name} is gone`);
    }
    for (const set of sets) await this.restore(set, when, this.near.bind(this));
    this.options.log(`${this.name}, ${when}: compared ${sets.length} sets`);
  }

  private async restore(
    { set, name }: ListedSet,
    when: string,
    by: typeof this.near,
  ): Promise<void> {
    const out = fs.mkdtempSync(this.at('out'));
    const what = `${when}, restoring ${name}`;
    const outcome = await by('regenerate', [this.source, '-b', String(set), '-o', out]);
    const wanted = this.wanted.get(name);
    if (wanted === undefined) this.fail(`${what}: an unknown set`);
    else if (outcome.status === 0) {
      this.report.restores += 1;
      const lines = differences(wanted, look(path.join(out, path.basename(this.source))));
      if (lines.length > 0) this.fail(`${what}: ${lines.slice(0, 5).join('; ')}`);
    } else this.judge(outcome, what, { isStruck: this.areServersStruck });
    removeScratch(out);
  }

  // --- commands ----------------------------------------------------------------------------------

  /** True if any command may fail by a strike. */
  private get areServersStruck(): boolean {
    return !this.isEnding && this.options.killed === 'servers';
  }

  /** Returns the words of a command at a machine with the store; at the end, at one that has used it never before. */
  private nearWords(args: readonly string[]): [string[], CommandOptions] {
    const machine = `${this.isEnding ? 'fresh' : 'owner'}-${this.number}`;
    const words = [...args, '-D', this.ground.store, '-C', this.name, ...this.secret];
    return [words, { env: this.ground.near(machine, this.number) }];
  }

  /** Returns the words of a command through any server, at a machine that does not reach the store. */
  private farWords(args: readonly string[]): [string[], CommandOptions] {
    const words = [...args, '-C', this.name, ...this.secret, ...this.ground.toAny(this.below(100))];
    const env = { XDG_STATE_HOME: this.at('state'), XDG_CACHE_HOME: this.at('cache') };
    return [words, { env, timeoutMs: COMMAND_MS }];
  }

  private near(tool: Tool, args: readonly string[]): Promise<Outcome> {
    return run(tool, ...this.nearWords(args));
  }

  private far(tool: Tool, args: readonly string[]): Promise<Outcome> {
    return run(tool, ...this.farWords(args));
  }

  /** Runs a command that must succeed, at the end. */
  private async succeedNear(args: readonly string[]): Promise<void> {
    const outcome = await this.near('sonic', args);
    this.judge(outcome, args.join(' '), { isStruck: false });
  }

  /** Counts a failure, which is a problem unless it can come from what was done to servers and commands. */
  private judge(
    outcome: Outcome,
    what: string,
    { isStruck, mayBeBusy = isStruck }: { isStruck: boolean; mayBeBusy?: boolean },
  ): void {
    const { status, signal, stdout, stderr } = outcome;
    if (status === 0) return;
    const code = [...stderr.matchAll(/\[([A-Z_]+)\]/g)].at(-1)?.[1] ?? `${signal ?? status}`;
    this.report.failures.set(code, (this.report.failures.get(code) ?? 0) + 1);
    const isOfStrike = this.ground.isBucket ? !NEVER.test(code) : OF_LOST_SERVER.test(code);
    const isExplained =
      (status === BUSY_STATUS && mayBeBusy) ||
      (isStruck && (signal !== null || (status === 1 && isOfStrike)));
    const isStack = /\n\s+at /.test(stderr) || code === 'INTERNAL';
    if (!isExplained || isStack) this.fail(`${what}: exit ${signal ?? status} ${stdout} ${stderr}`);
  }

  private fail(what: string): void {
    this.report.problems.push(`${this.name}: ${what}`);
  }
}
