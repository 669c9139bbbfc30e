/**
 * A client that encrypts, whose store lives from run to run under random load. Each round is a day or more of its clock: its tree
 * changes, a backup is made, and something else happens. The contents of each set are kept beside the store.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RESERVE_FILE } from '../../src/store/index.js';
import { codeIn } from './codes.js';
import { type ListedSet, type Outcome, run, Running, type Tool } from './commands.js';
import { fillUp } from './fill-disk.js';
import { chainsIn } from './packed-store.js';
import type { Choose } from './random-tree.js';
import { flipAt } from './rot.js';
import { folderIn, makeScratch, removeScratch } from './scratch.js';
import { differences, look, noise, text } from './tree.js';

const CLOCK = fileURLToPath(new URL('../../../scripts/shifted-clock.cjs', import.meta.url));
const CLIENT = 'me';
const DAY_MS = 86_400_000;
const MOST_FILES = 60;
const LARGE_BYTES = 1_500_000;
const MOST_KILL_MS = 1500;
const RULES = ['--keep-daily', '5', '--keep-weekly', '3', '--keep-monthly', '3'];

/** State that the next run goes on with, in life.json. */
interface Lived {
  round: number;
  /** How far the client's clock is ahead. */
  shiftMs: number;
  passwords: number;
}

/** Figures of a round, for the report. */
export interface Round {
  readonly round: number;
  readonly act: string;
  readonly sets: number;
  readonly storeBytes: number;
  readonly treeBytes: number;
  readonly longestChain: number;
  /** Packs without a file of parity. */
  readonly parityDebt: number;
  readonly backupMs: number;
}

export class LongLife {
  private readonly lived: Lived;
  private backupMs = 0;

  /** `home` has the store, or will have it. `isOwnDisk`: the store is on a file system that may be filled up. */
  constructor(
    private readonly home: string,
    private readonly choose: Choose,
    private readonly isOwnDisk = false,
  ) {
    for (const name of ['store', 'tree', 'sets']) fs.mkdirSync(this.at(name), { recursive: true });
    const file = this.at('life.json');
    const first: Lived = { round: 0, shiftMs: 0, passwords: 1 };
    this.lived = fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as Lived) : first;
  }

  /** Lives a round. Throws an error with what was lost or went wrong. */
  async live(): Promise<Round> {
    this.lived.round += 1;
    this.lived.shiftMs += DAY_MS;
    this.save();
    this.change();
    await this.backUp();
    const acts = this.acts();
    const [act, doIt] = acts[this.choose(acts.length)]!;
    await doIt();
    this.save();
    return this.figures(act);
  }

  /** Requires that a full check finds nothing, and that every set gives back what it held. */
  async proveAll(): Promise<void> {
    await this.succeed('sonic', ['check', '--read-data']);
    for (const { name } of await this.listed()) await this.prove(name);
  }

  private acts(): (readonly [string, () => Promise<void>])[] {
    return [
      ['restore', async () => this.prove((await this.any()).name)],
      ['check', async () => void (await this.succeed('sonic', ['check', '--read-data']))],
      ['kill a backup', () => this.killBackup()],
      ['delete', () => this.deleteAny()],
      ['purge', () => this.purge()],
      ['new keys', () => this.rekey()],
      ['damage and repair', () => this.damage()],
      ['lose the catalog', () => this.rebuild()],
      ['copy', () => this.copy()],
      ['clock jumps', () => this.jump()],
      ...(this.isOwnDisk ? [['full disk', () => this.fill()] as const] : []),
    ];
  }

  private at(name: string): string {
    return path.join(this.home, name);
  }

  private save(): void {
    const file = this.at('life.json');
    fs.writeFileSync(`${file}.new`, JSON.stringify(this.lived));
    fs.renameSync(`${file}.new`, file);
  }

  private get env(): Record<string, string> {
    return {
      TARDIS_NODE_OPTIONS: `--require ${CLOCK}`,
      SOAK_SHIFT_MS: String(this.lived.shiftMs),
      XDG_STATE_HOME: this.at('state'),
      XDG_CACHE_HOME: this.at('cache'),
    };
  }

  private passwordFile(number = this.lived.passwords): string {
    const file = this.at(`password-${number}`);
    fs.writeFileSync(file, `gravel otter lamp ${number}\n`, { mode: 0o600 });
    return file;
  }

  private words(args: readonly string[], store = 'store'): string[] {
    return [...args, '-D', this.at(store), '-C', CLIENT, '--password-file', this.passwordFile()];
  }

  private run(tool: Tool, args: readonly string[], store?: string): Promise<Outcome> {
    return run(tool, this.words(args, store), { env: this.env });
  }

  private async succeed(tool: Tool, args: readonly string[], store?: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(tool, args, store);
    if (status === 0) return stdout;
    throw new Error(`${tool} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`);
  }

  /** Adds, changes and removes files; one large file has some bytes changed. */
  private change(): void {
    const { round } = this.lived;
    const tree = this.at('tree');
    for (let count = 1 + this.choose(5); count > 0; count -= 1) {
      const number = this.choose(MOST_FILES);
      const folder = folderIn(tree, `folder ${number % 7}`);
      const file = path.join(folder, `file ${number}`);
      if (this.choose(4) === 0) fs.rmSync(file, { force: true });
      else fs.writeFileSync(file, text(`${round} ${number}`, this.choose(40_000)));
    }
    const large = path.join(tree, 'large');
    if (!fs.existsSync(large)) fs.writeFileSync(large, noise('large', LARGE_BYTES));
    const fd = fs.openSync(large, 'r+');
    fs.writeSync(fd, noise(round, 500), 0, 500, this.choose(LARGE_BYTES - 500));
    fs.closeSync(fd);
  }

  private backupWords(): { readonly name: string; readonly args: string[] } {
    const name = `set ${this.lived.round}`;
    const isFirst = !fs.existsSync(path.join(this.at('store'), CLIENT));
    const first = isFirst ? ['--create', '--crypt'] : [];
    return { name, args: ['--local', '--name', name, ...first, this.at('tree')] };
  }

  private async backUp(): Promise<void> {
    const { name, args } = this.backupWords();
    const startMs = performance.now();
    await this.succeed('tardis', args);
    this.backupMs = performance.now() - startMs;
    this.keep(name);
  }

  /** Notes what a set holds. */
  private keep(name: string): void {
    const held = JSON.stringify([...look(this.at('tree'))]);
    fs.writeFileSync(path.join(this.at('sets'), name), held);
  }

  private async sets(): Promise<readonly ListedSet[]> {
    const printed = await this.succeed('lstardis', ['--json']);
    return (JSON.parse(printed) as { sets: readonly ListedSet[] }).sets;
  }

  /** Returns the complete sets, oldest first. Throws if one that was kept is missing. */
  private async listed(): Promise<readonly ListedSet[]> {
    const sets = await this.sets();
    const complete = sets.filter(({ state }) => state === 'complete');
    const names = new Set(complete.map(({ name }) => name));
    const lost = fs.readdirSync(this.at('sets')).filter((name) => !names.has(name));
    if (lost.length > 0) throw new Error(`lost: ${lost.join(', ')}`);
    return complete;
  }

  private async any(): Promise<ListedSet> {
    const sets = await this.listed();
    return sets[this.choose(sets.length)]!;
  }

  /** Requires that a set gives back what it held. */
  private async prove(name: string, store?: string): Promise<void> {
    const output = makeScratch();
    try {
      const tree = this.at('tree');
      await this.succeed('regenerate', ['-b', name, '-o', output, tree], store);
      const held = fs.readFileSync(path.join(this.at('sets'), name), 'utf8');
      const wanted = new Map(JSON.parse(held) as [string, string][]);
      const found = differences(wanted, look(path.join(output, 'tree')));
      if (found.length > 0) throw new Error(`${name} differs:\n${found.join('\n')}`);
    } finally {
      removeScratch(output);
    }
  }

  private async killBackup(): Promise<void> {
    this.lived.round += 1;
    this.change();
    const { name, args } = this.backupWords();
    const running = new Running('tardis', this.words(args), { env: this.env });
    const timer = setTimeout(() => running.signalGroup('SIGKILL'), this.choose(MOST_KILL_MS));
    const { status } = await running.ended;
    clearTimeout(timer);
    if (status === 0) this.keep(name);
  }

  /** Forgets the sets that a deletion took, of which the newest is none. */
  private async follow(): Promise<void> {
    const names = new Set((await this.sets()).map(({ name }) => name));
    if (!names.has(`set ${this.lived.round}`)) throw new Error('the newest set was deleted');
    for (const name of fs.readdirSync(this.at('sets')))
      if (!names.has(name)) fs.rmSync(path.join(this.at('sets'), name));
  }

  private async deleteAny(): Promise<void> {
    const { set, name } = await this.any();
    if (name === `set ${this.lived.round}`) return;
    await this.succeed('sonic', ['delete', String(set), '--yes']);
    fs.rmSync(path.join(this.at('sets'), name));
    await this.listed();
  }

  private async purge(): Promise<void> {
    await this.succeed('sonic', ['purge', ...RULES, '--yes', '--trust-clock']);
    await this.follow();
  }

  private async rekey(): Promise<void> {
    const next = this.lived.passwords + 1;
    await this.succeed('sonic', ['rekey', '--newpassword-file', this.passwordFile(next), '--yes']);
    fs.rmSync(this.passwordFile());
    this.lived.passwords = next;
    fs.rmSync(this.at('second'), { recursive: true, force: true }); // a copy has the keys of its time
    await this.prove((await this.any()).name);
  }

  private packs(folder = 'packs'): string[] {
    const place = path.join(this.at('store'), CLIENT, folder);
    const names = fs.existsSync(place) ? fs.readdirSync(place, { recursive: true }) : [];
    return names.map((name) => path.join(place, String(name))).filter(isFile);
  }

  private async damage(): Promise<void> {
    const packs = this.packs();
    const pack = packs[this.choose(packs.length)]!;
    flipAt(pack, this.choose(fs.statSync(pack).size));
    const { status, stdout, stderr } = await this.run('sonic', ['check', '--repair']);
    // A key record that was repaired is a finding, too.
    if (status !== 0 && status !== 3)
      throw new Error(`${pack} was not repaired: ${status}\n${stdout}\n${stderr}`);
    await this.succeed('sonic', ['check', '--read-data']);
  }

  private async rebuild(): Promise<void> {
    fs.rmSync(path.join(this.at('store'), CLIENT, 'tardis.db'));
    await this.succeed('sonic', ['rebuild']);
    await this.prove((await this.any()).name);
  }

  private async copy(): Promise<void> {
    const first = fs.existsSync(this.at('second')) ? [] : ['--create'];
    await this.succeed('sonic', ['copy', '--to', this.at('second'), ...first]);
    await this.prove((await this.any()).name, 'second');
  }

  /** Sets the clock ahead by up to 40 days, or back by up to 2. */
  private async jump(): Promise<void> {
    this.lived.shiftMs += (this.choose(42) - 2) * DAY_MS;
    this.lived.round += 1;
    await this.backUp();
  }

  /** Requires that a backup to a full disk fails clearly, and that the next one succeeds once there is room. */
  private async fill(): Promise<void> {
    const filler = path.join(this.at('store'), 'filler');
    fillUp(filler);
    this.lived.round += 1;
    this.change();
    fs.writeFileSync(path.join(this.at('tree'), 'large'), noise(this.lived.round, LARGE_BYTES));
    const { args, name } = this.backupWords();
    const { status, stderr } = await this.run('tardis', args);
    fs.rmSync(filler);
    if (status === 0) return this.keep(name); // garbage collection had made room
    const code = codeIn({ stderr });
    if (code !== 'DISK_FULL') throw new Error(`a full disk: ${code}\n${stderr}`);
    await this.backUp();
  }

  private async figures(act: string): Promise<Round> {
    const sets = await this.listed();
    return {
      round: this.lived.round,
      act,
      sets: sets.length,
      storeBytes: bytesBelow(path.join(this.at('store'), CLIENT), [RESERVE_FILE]),
      treeBytes: bytesBelow(this.at('tree')),
      longestChain: Math.max(...chainsIn(path.join(this.at('store'), CLIENT, 'tardis.db'))),
      parityDebt: this.packs().length - this.packs('parity/packs').length,
      backupMs: Math.round(this.backupMs),
    };
  }
}

function isFile(file: string): boolean {
  return fs.statSync(file).isFile();
}

/** Returns the bytes of the files below a folder, but for some names. */
function bytesBelow(folder: string, without: readonly string[] = []): number {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => !without.includes(name))
    .map((name) => fs.statSync(path.join(folder, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
