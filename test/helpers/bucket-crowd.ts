/**
 * Many clients of several servers over one bucket, while servers are killed, paused and started again, with their cache
 * or without. A client backs up, restores, deletes sets and checks. A command may fail while its servers are away, but
 * no backup that has succeeded may be lost, no set may restore to anything but its tree, and no data may be damaged.
 * `node scripts/gateways.mjs 300` does this at two real gateways, which are killed and paused, too.
 */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import { BucketLab, STORE } from './bucket-lab.js';
import { FarClient } from './bucket-nodes.js';
import { codeIn } from './codes.js';
import {
  type CommandOptions,
  type ListedSet,
  type Outcome,
  pause,
  run,
  Server,
  type Tool,
} from './commands.js';
import { removeScratch } from './scratch.js';
import { differences, look, noise, type Snapshot, text } from './tree.js';

/** Does something to a service, brings it back, and returns what it did. */
export type Strike = (random: { next(): number }) => Promise<string>;

export interface BucketCrowdOptions {
  /** An empty directory for caches, trees and restores. */
  readonly home: string;
  /** Endpoints of one bucket; the servers use them in turns. */
  readonly urls: readonly string[];
  readonly servers: number;
  readonly clients: number;
  readonly seconds: number;
  readonly seed: number;
  /** Longest pause between two strikes, and longest time for which a server is paused. */
  readonly longestMs: number;
  readonly log: (line: string) => void;
  /** Strikes beside those at servers. */
  readonly strikes?: readonly Strike[];
  /** Called when the load is over, before sets are compared. */
  readonly onEnd?: () => void;
}

export interface BucketCrowdReport {
  backups: number;
  restores: number;
  deletions: number;
  checks: number;
  /** Commands that failed, by their error. */
  readonly failures: Map<string, number>;
  strikes: number;
  readonly problems: string[];
}

const NEWEST_KEPT = 3;
/** Maximum time of one command while servers are killed and paused. */
const COMMAND_MS = 600_000;
/** Maximum time of the comparison at the end: a fixed part, and one for each set. */
const COMPARE_MS = 300_000;
const SET_MS = 10_000;
/** Time between two lines about the comparison. */
const PROGRESS_MS = 10_000;
const FILES = 30;
/** Exit statuses of commands whose servers are away, or whose client is in use. */
const PASSING: ReadonlySet<number | null> = new Set([1, 11]);
/** Errors that no fault of a server or gateway explains. */
const NEVER =
  /INTERNAL|DAMAGED|STORE_FORKED|STORE_NEWER|WRONG|SEAL|BUCKET_UNSAFE|NO_SUCH_CLIENT|PERMITTED/;
const CONFIG = '[Tardis]\nGcInterval = 1\nRemoveAfter = 2\n[Pipeline]\nCheckpointSize = 1M\n';

export async function bucketCrowd(options: BucketCrowdOptions): Promise<BucketCrowdReport> {
  const { log, seed, seconds, servers, clients } = options;
  log(`seed ${seed}: ${clients} clients of ${servers} servers for ${seconds} s`);
  const report: BucketCrowdReport = {
    backups: 0,
    restores: 0,
    deletions: 0,
    checks: 0,
    failures: new Map(),
    strikes: 0,
    problems: [],
  };
  const nodes = new Nodes(options, report);
  try {
    await nodes.start();
    const endMs = performance.now() + seconds * 1000;
    const members = Array.from(
      { length: clients },
      (_, number) => new Member(options, nodes, number, report),
    );
    await Promise.all([nodes.strikeUntil(endMs), ...members.map((member) => member.live(endMs))]);
    options.onEnd?.();
    const kept = members.reduce((sum, { keptSets }) => sum + keptSets, 0);
    const comparison = new Comparison(kept + clients, log);
    log(`all servers are back; comparing about ${kept + clients} sets in the bucket`);
    await Promise.all(members.map((member) => member.end(comparison)));
    comparison.end();
  } finally {
    nodes.kill();
  }
  return report;
}

class Nodes {
  private readonly servers: Server[] = [];
  private readonly labs: readonly BucketLab[];
  private readonly config: string;
  private readonly random;
  private readonly options: BucketCrowdOptions;
  private readonly report: BucketCrowdReport;

  constructor(options: BucketCrowdOptions, report: BucketCrowdReport) {
    this.options = options;
    this.report = report;
    this.random = seededRandom(options.seed);
    this.labs = options.urls.map((url) => new BucketLab(options.home, url));
    this.config = path.join(options.home, 'config');
    fs.writeFileSync(this.config, CONFIG);
  }

  async start(): Promise<void> {
    for (let number = 0; number < this.options.servers; number += 1) {
      this.servers.push(await this.startOne(number, []));
    }
  }

  /** Arguments that name all servers, beginning with one of them. */
  toAny(first: number): string[] {
    const ports = this.servers.map(({ port }) => `127.0.0.1:${port}`);
    const from = first % ports.length;
    const turned = [...ports.slice(from), ...ports.slice(0, from)];
    return ['--server', turned.join(','), '--insecure-tcp'];
  }

  /** Returns a machine that has the access key. */
  lab(number: number): BucketLab {
    return this.labs[number % this.labs.length]!;
  }

  async strikeUntil(endMs: number): Promise<void> {
    const { strikes = [], log, longestMs } = this.options;
    const all = [() => this.killOne(), () => this.pauseOne(), ...strikes];
    while (performance.now() < endMs) {
      await pause(this.random.next() * longestMs);
      const printed = await all[this.below(all.length)]!(this.random);
      this.report.strikes += 1;
      log(printed);
    }
  }

  kill(): void {
    for (const server of this.servers) {
      server.running.signalGroup('SIGCONT');
      server.kill();
    }
  }

  private startOne(number: number, args: readonly string[]): Promise<Server> {
    const { seconds } = this.options;
    return Server.start(STORE, ['--config', this.config, ...args], {
      env: this.lab(number).on(`node-${number}`),
      timeoutMs: (seconds + 3600) * 1000,
    });
  }

  private async killOne(): Promise<string> {
    const number = this.below(this.servers.length);
    const { port } = this.servers[number]!;
    this.servers[number]!.kill();
    await this.servers[number]!.running.ended;
    const losesCache = this.below(3) === 0;
    const cache = this.lab(number).at(`node-${number}-cache`);
    if (losesCache) fs.rmSync(cache, { recursive: true, force: true });
    await pause(this.below(this.options.longestMs));
    this.servers[number] = await this.startOne(number, ['--port', String(port)]);
    return `server ${number} was killed${losesCache ? ', and lost its cache' : ''}`;
  }

  private async pauseOne(): Promise<string> {
    const number = this.below(this.servers.length);
    const ms = this.below(this.options.longestMs);
    const { running } = this.servers[number]!;
    running.signalGroup('SIGSTOP');
    await pause(ms);
    running.signalGroup('SIGCONT');
    return `server ${number} was paused for ${ms} ms`;
  }

  private below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }
}

/** Counts the sets that are compared at the end, and shows their number from time to time. */
class Comparison {
  private readonly startMs = performance.now();
  private readonly longestMs: number;
  private shownMs = this.startMs;
  private done = 0;
  private readonly sets: number;
  private readonly log: (line: string) => void;

  constructor(sets: number, log: (line: string) => void) {
    this.sets = sets;
    this.log = log;
    this.longestMs = COMPARE_MS + sets * SET_MS;
  }

  /** True if there is time for one more set. */
  hasTime(): boolean {
    return performance.now() - this.startMs < this.longestMs;
  }

  compared(): void {
    this.done += 1;
    if (performance.now() - this.shownMs < PROGRESS_MS) return;
    this.shownMs = performance.now();
    this.log(`compared ${this.done} of about ${this.sets} sets`);
  }

  end(): void {
    const seconds = Math.round((performance.now() - this.startMs) / 1000);
    this.log(`compared ${this.done} sets in ${seconds} s`);
  }
}

class Member {
  /** The trees of sets whose backups have succeeded, and of those that failed, by the names of sets. */
  private readonly wanted = new Map<string, Snapshot>();
  private readonly perhaps = new Map<string, Snapshot>();
  private readonly deleted = new Set<string>();
  private readonly random;
  private readonly far: FarClient;
  private readonly lab: BucketLab;
  private readonly source: string;
  private isCreated = false;
  private round = 0;
  private readonly nodes: Nodes;
  private readonly number: number;
  private readonly report: BucketCrowdReport;

  constructor(
    { seed }: BucketCrowdOptions,
    nodes: Nodes,
    number: number,
    report: BucketCrowdReport,
  ) {
    this.nodes = nodes;
    this.number = number;
    this.report = report;
    this.random = seededRandom(seed + 1 + number);
    this.lab = nodes.lab(number);
    this.far = new FarClient(this.lab, `client-${number}`);
    this.source = this.lab.at(`tree-${number}`);
    fs.mkdirSync(this.source);
  }

  async live(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      this.change();
      await this.backup();
      const works = [() => this.delete(), () => this.restoreOne(), () => this.check()];
      const work = this.isCreated ? works[this.below(2 * works.length)] : undefined;
      await work?.();
    }
  }

  /** Number of sets whose backups have succeeded, without those that were deleted. */
  get keptSets(): number {
    return [...this.wanted.keys()].filter((name) => !this.deleted.has(name)).length;
  }

  /**
   * Backs up once more, and compares all sets on a machine that has only the access key. Sets for which the comparison
   * has no time are a problem, too.
   */
  async end(comparison: Comparison): Promise<void> {
    this.change();
    await this.backup();
    if (!this.wanted.has(this.setName)) this.fail('the last backup, with all servers there');
    const fresh = (tool: Tool, args: readonly string[]): Promise<Outcome> =>
      this.direct(`fresh-${this.number}`, tool, args);
    const listed = await fresh('lstardis', ['--json']);
    const sets = listed.status === 0 ? completeIn(listed) : [];
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.wanted.keys()) {
      if (!names.has(name) && !this.deleted.has(name)) this.fail(`set ${name} is gone`);
    }
    for (const [index, set] of sets.entries()) {
      if (!comparison.hasTime()) {
        this.fail(`no time was left to compare ${sets.length - index} sets of ${sets.length}`);
        return;
      }
      await this.restore(set, fresh);
      comparison.compared();
    }
    const checked = await fresh('sonic', ['check', '--read-data=all']);
    if (checked.status !== 0) this.fail(`check: ${checked.status} ${checked.stdout}`);
  }

  private get setName(): string {
    return `${this.far.name}-${this.round}`;
  }

  private change(): void {
    this.round += 1;
    const seed = `${this.far.name} ${this.round}`;
    for (let count = 0; count < 6; count += 1) {
      const directory = path.join(this.source, `d${this.below(4)}`);
      fs.mkdirSync(directory, { recursive: true });
      const file = path.join(directory, `f${this.below(FILES)}`);
      if (this.below(5) === 0) fs.rmSync(file, { force: true });
      else fs.writeFileSync(file, text(`${seed} ${count}`, this.below(20_000)));
    }
    if (this.below(2) === 0)
      fs.writeFileSync(path.join(this.source, 'large'), noise(seed, 2_500_000));
  }

  private async backup(): Promise<void> {
    const tree = look(this.source);
    const create = this.isCreated ? [] : ['--create'];
    const outcome = await this.command('tardis', ['--name', this.setName, ...create, this.source]);
    this.report.backups += 1;
    (outcome.status === 0 ? this.wanted : this.perhaps).set(this.setName, tree);
    // A backup whose answer was lost may have created the client.
    this.isCreated ||= outcome.status === 0 || codeIn(outcome) === 'CLIENT_EXISTS';
  }

  /** Deletes a set on a machine that has the access key. Commits of servers may come in between. */
  private async delete(): Promise<void> {
    const one = (await this.sets()).at(-1 - NEWEST_KEPT);
    if (one === undefined) return;
    this.deleted.add(one.name);
    const args = ['delete', String(one.set), '--yes'];
    const limit = { timeoutMs: COMMAND_MS };
    this.judge(await this.direct(`owner-${this.number}`, 'sonic', args, limit), 'sonic', args);
    this.report.deletions += 1;
  }

  private async check(): Promise<void> {
    await this.command('sonic', ['check', '--read-data']);
    this.report.checks += 1;
  }

  private async restoreOne(): Promise<void> {
    const sets = (await this.sets()).slice(-NEWEST_KEPT);
    const one = sets[this.below(sets.length)];
    if (one !== undefined) await this.restore(one, (tool, args) => this.command(tool, args));
  }

  private async sets(): Promise<readonly ListedSet[]> {
    const outcome = await this.command('lstardis', ['--json']);
    return outcome.status === 0 ? completeIn(outcome) : [];
  }

  /** Restores a set, which may fail while its servers are away. */
  private async restore(
    { set, name }: ListedSet,
    by: (tool: Tool, args: readonly string[]) => Promise<Outcome>,
  ): Promise<void> {
    const out = this.lab.at(`out-${this.far.name}`);
    const { status, stderr } = await by('regenerate', [this.source, '-b', String(set), '-o', out]);
    this.report.restores += 1;
    const wanted = this.wanted.get(name) ?? this.perhaps.get(name);
    if (wanted === undefined) this.fail(`set ${set} is unknown: ${name}`);
    else if (status === 0) {
      const lines = differences(wanted, look(path.join(out, path.basename(this.source))));
      if (lines.length > 0) this.fail(`set ${set}: ${lines.slice(0, 3).join('; ')}`);
    } else if (!PASSING.has(status)) this.fail(`restoring set ${set}: ${status} ${stderr}`);
    removeScratch(out);
  }

  /** Runs a command through any server. */
  private async command(tool: Tool, args: readonly string[]): Promise<Outcome> {
    const to = this.nodes.toAny(this.below(100));
    const outcome = await this.far.run(to, tool, args, { timeoutMs: COMMAND_MS });
    this.judge(outcome, tool, args);
    return outcome;
  }

  /** Runs a command with the bucket itself, on a machine with a cache of its own. */
  private direct(
    machine: string,
    tool: Tool,
    args: readonly string[],
    options: Pick<CommandOptions, 'timeoutMs'> = {},
  ): Promise<Outcome> {
    const place = ['-D', STORE, '-C', this.far.name, '-F', this.lab.at(`${this.far.name}.secret`)];
    return run(tool, [...args, ...place], { ...options, env: this.lab.on(machine) });
  }

  /** Counts a failure, which is a problem unless it can come from what was done to servers and gateways. */
  private judge(outcome: Outcome, tool: Tool, args: readonly string[]): void {
    const { status, stderr } = outcome;
    if (status === 0) return;
    const code = codeIn(outcome) ?? `status ${status}`;
    this.report.failures.set(code, (this.report.failures.get(code) ?? 0) + 1);
    if (!PASSING.has(status) || NEVER.test(code)) {
      this.fail(`${tool} ${args.join(' ')}: exit ${status} ${stderr}`);
    }
  }

  private below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }

  private fail(what: string): void {
    this.report.problems.push(`${this.far.name}: ${what}`);
  }
}

function completeIn({ stdout }: Outcome): readonly ListedSet[] {
  const { sets } = JSON.parse(stdout) as { readonly sets: readonly ListedSet[] };
  return sets.filter(({ state }) => state === 'complete');
}
