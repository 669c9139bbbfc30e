/**
 * Many clients of one server at once. Each backs up, and meanwhile restores, deletes sets, frees space or checks
 * its store. No command may fail, except that a deletion, a clean-up or a check may find its client busy. Every
 * listed set must restore to its tree. The test runs a few clients for some seconds;
 * `node scripts/crowd.mjs 64 3600` runs as many clients, and for as many seconds, as given.
 */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import { listedSets, run, Server, type Tool } from './commands.js';
import { removeScratch } from './scratch.js';
import { differences, look, noise, type Snapshot, text } from './tree.js';

export interface CrowdOptions {
  /** An empty directory for store, trees and restores. */
  readonly home: string;
  readonly clients: number;
  readonly seconds: number;
  readonly seed: number;
  readonly log: (line: string) => void;
  /** Called when the load is over, before sets are compared. */
  readonly onEnd?: () => void;
}

export interface CrowdReport {
  backups: number;
  restores: number;
  deletions: number;
  /** Commands that found their client busy. */
  busy: number;
  clearings: number;
  checks: number;
  /** Durations in milliseconds of backups alone, and of backups beside a deletion. */
  readonly aloneMs: number[];
  readonly besideMs: number[];
  readonly problems: string[];
}

const BUSY_STATUS = 11;
const NEWEST_KEPT = 3;
const FILES = 30;

export async function crowd(options: CrowdOptions): Promise<CrowdReport> {
  const { home, seed, clients, seconds, log } = options;
  const report: CrowdReport = {
    backups: 0,
    restores: 0,
    deletions: 0,
    busy: 0,
    clearings: 0,
    checks: 0,
    aloneMs: [],
    besideMs: [],
    problems: [],
  };
  log(`seed ${seed}: ${clients} clients for ${seconds} s`);
  const store = path.join(home, 'store');
  fs.mkdirSync(store);
  const config = path.join(home, 'config');
  fs.writeFileSync(config, '[Tardis]\nGcInterval = 1\nRemoveAfter = 2\nCompactPercent = 5\n');
  const server = await Server.start(store, ['--config', config], {
    timeoutMs: (seconds + 600) * 1000,
  });
  try {
    const endMs = performance.now() + seconds * 1000;
    const members = Array.from(
      { length: clients },
      (_, number) => new Member(home, store, server, number, seed, report),
    );
    await Promise.all(members.map((member) => member.live(endMs)));
    options.onEnd?.();
    await Promise.all(members.map((member) => member.checkAll()));
  } finally {
    server.kill();
  }
  return report;
}

class Member {
  private readonly wanted = new Map<string, Snapshot>();
  private readonly requested = new Set<string>();
  private readonly random;
  private readonly name: string;
  private readonly source: string;
  private round = 0;
  private readonly home: string;
  private readonly store: string;
  private readonly server: Server;
  private readonly report: CrowdReport;

  constructor(
    home: string,
    store: string,
    server: Server,
    number: number,
    seed: number,
    report: CrowdReport,
  ) {
    this.home = home;
    this.store = store;
    this.server = server;
    this.report = report;
    this.random = seededRandom(seed + number);
    this.name = `client-${number}`;
    this.source = path.join(home, `tree ${number}`);
    fs.mkdirSync(this.source);
  }

  async live(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      this.round += 1;
      this.change();
      const beside = this.round === 1 ? 0 : this.below(5);
      const works = [
        () => undefined,
        () => this.delete(),
        () => this.restoreOne(),
        () => this.clearUp(),
        () => this.check(),
      ];
      const other = works[beside]!();
      await this.backup(beside === 1);
      await other;
    }
  }

  /** Checks that every listed set restores correctly, and that no set is missing except deleted ones. */
  async checkAll(): Promise<void> {
    const sets = await this.sets();
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.wanted.keys()) {
      if (!names.has(name) && !this.requested.has(name)) this.fail(`set ${name} is gone`);
    }
    for (const set of sets) await this.restore(set);
  }

  private below(most: number): number {
    return Math.floor(this.random.next() * most);
  }

  private fail(what: string): void {
    this.report.problems.push(`${this.name}: ${what}`);
  }

  private change(): void {
    const seed = `${this.name} ${this.round}`;
    for (let count = 0; count < 6; count += 1) {
      const directory = path.join(this.source, `d${this.below(4)}`);
      fs.mkdirSync(directory, { recursive: true });
      const file = path.join(directory, `f${this.below(FILES)}`);
      if (this.below(5) === 0) fs.rmSync(file, { force: true });
      else fs.writeFileSync(file, text(`${seed} ${count}`, this.below(20_000)));
    }
    if (this.below(2) === 0)
      fs.writeFileSync(path.join(this.source, 'large'), noise(seed, 900_000));
    fs.appendFileSync(path.join(this.source, 'grows'), noise(`g ${seed}`, 1_100_000 / this.round));
  }

  private async backup(isBeside: boolean): Promise<void> {
    const name = `${this.name}-${this.round}`;
    const tree = look(this.source);
    const create = this.round === 1 ? ['--create'] : [];
    const startMs = performance.now();
    const args = ['-C', this.name, ...this.server.clientArgs, '--name', name, ...create];
    const { status, stderr } = await run('tardis', [...args, this.source]);
    (isBeside ? this.report.besideMs : this.report.aloneMs).push(performance.now() - startMs);
    this.report.backups += 1;
    if (status === 0) this.wanted.set(name, tree);
    else this.fail(`backup ${this.round}: exit ${status} ${stderr}`);
  }

  private async sets(): Promise<{ set: number; name: string; state: string }[]> {
    const sets = await listedSets(this.store, this.name);
    return sets.filter(({ state }) => state === 'complete');
  }

  private async delete(): Promise<void> {
    const chosen = (await this.sets()).slice(0, -NEWEST_KEPT);
    const one = chosen[this.below(chosen.length)];
    if (one === undefined) return;
    this.requested.add(one.name);
    const args = ['delete', '-D', this.store, '-C', this.name, String(one.set), '--yes'];
    await this.work('sonic', [...args, '--waste', '5'], 'deletions');
  }

  private async clearUp(): Promise<void> {
    await this.work('sonic', ['orphans', '-D', this.store, '-C', this.name], 'clearings');
  }

  /** Runs a check, which must find no damage, whatever runs beside it. */
  private async check(): Promise<void> {
    const place = ['-D', this.store, '-C', this.name];
    await this.work('sonic', ['check', ...place, '--read-data=all'], 'checks');
  }

  private async work(
    tool: Tool,
    args: readonly string[],
    counted: 'deletions' | 'clearings' | 'checks',
  ): Promise<void> {
    const { status, stderr } = await run(tool, args);
    if (status === 0) this.report[counted] += 1;
    else if (status === BUSY_STATUS) this.report.busy += 1;
    else this.fail(`${args[0]}: exit ${status} ${stderr}`);
  }

  private async restoreOne(): Promise<void> {
    const sets = (await this.sets()).slice(-NEWEST_KEPT);
    const one = sets[this.below(sets.length)];
    if (one !== undefined) await this.restore(one);
  }

  private async restore({ set, name }: { set: number; name: string }): Promise<void> {
    const out = path.join(this.home, `out ${this.name}`);
    const args = ['-D', this.store, '-C', this.name, '-b', String(set), '-o', out, this.source];
    const { status, stderr } = await run('regenerate', args);
    this.report.restores += 1;
    const wanted = this.wanted.get(name);
    const found =
      status === 0 ? look(path.join(out, path.basename(this.source))) : new Map<string, string>();
    const lines = wanted === undefined ? ['an unknown set'] : differences(wanted, found);
    if (lines.length > 0)
      this.fail(`set ${set}: exit ${status} ${stderr} ${lines.slice(0, 3).join('; ')}`);
    removeScratch(out);
  }
}
