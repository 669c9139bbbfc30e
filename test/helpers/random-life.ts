/**
 * A random life of a client: backups of roots beside, within and above each other, changes of the tree between them,
 * deleted sets, garbage collection and rebuilds. Beside the store, the life keeps what each set must show as plain maps.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError } from '../../src/errors/index.js';
import type { Daemon } from '../../src/server/index.js';
import type { Address } from '../../src/system/index.js';
import type { Failure } from '../../src/workers/index.js';
import { collectInline, deleteInline } from './garbage.js';
import {
  backupTo,
  inlineSystem,
  type Place,
  rebuildInline,
  startInline,
  withDaemon,
} from './inline.js';
import { type Choose, chooser } from './random-tree.js';
import { PASSWORD } from './rewrites.js';

/** Entries by their paths: `dir`, or kind, content and time of a file or link. */
export type Shown = ReadonlyMap<string, string>;

/** A root of a set, by its path. A single file is a root of its own. */
interface ModelRoot {
  readonly path: string;
  readonly isFile: boolean;
  readonly entries: Shown;
}

export interface ModelSet {
  readonly set: number;
  readonly roots: readonly ModelRoot[];
}

/** Paths of the tree that an act may be about; each may be a root. */
const PLACES = ['D', 'D/a', 'D/a/b', 'D/c', 'E', 'E/a', 'E/a/b'];
const NAMES = ['f', 'g', 'h', 'a', 'b', 'c'];
const DUMPS = ['one dump', 'other dump'];
const LEAST_ACTS = 6;
const MOST_ACTS = 16;

export class Life {
  /** The acts so far, in words. */
  readonly acts: string[] = [];
  /** The listed sets. */
  readonly sets = new Map<number, ModelSet>();
  /** Every path that any set ever showed. */
  readonly known = new Set<string>();
  readonly place: Place;
  readonly tree: string;
  private readonly choose: Choose;
  private readonly latest = new Map<string, Shown>();
  private count = 0;
  private daemon: Daemon | undefined;

  constructor(
    readonly home: string,
    readonly seed: number,
    readonly isEncrypting: boolean,
  ) {
    this.choose = chooser(seed);
    this.place = { store: path.join(home, 'store'), client: 'me' };
    this.tree = path.join(home, 'tree');
    for (const place of PLACES) fs.mkdirSync(this.at(place), { recursive: true });
    for (const place of PLACES) this.write(`${place}/f`);
  }

  at(name: string): string {
    return path.join(this.tree, name);
  }

  /** Returns the entry that a set shows at a path: undefined if it is gone, `unknown` if no root of the set is at or above it. */
  shownIn({ roots }: ModelSet, at: string): string | undefined {
    const above = roots.filter((root) => at === root.path || at.startsWith(`${root.path}/`));
    const deepest = above.sort((one, other) => other.path.length - one.path.length)[0];
    return deepest === undefined ? 'unknown' : deepest.entries.get(at);
  }

  /** All that a set shows at its roots and below them. */
  shown(set: ModelSet): Map<string, string> {
    const all = set.roots.flatMap(({ entries }) => [...entries.keys()]);
    return new Map(
      [...new Set(all)].flatMap((at) => {
        const what = this.shownIn(set, at);
        return what === undefined ? [] : [[at, what] as const];
      }),
    );
  }

  /** Lives: does random acts, of which the first and the last are backups. */
  async live(): Promise<void> {
    this.daemon = await startInline(inlineSystem(), this.place.store);
    try {
      await this.backup();
      const acts = LEAST_ACTS + this.choose(MOST_ACTS - LEAST_ACTS);
      for (let turn = 0; turn < acts; turn += 1) await this.act();
      await this.backup();
    } finally {
      await this.daemon.stop();
    }
  }

  /** Runs `work`, if `isThere` with the address of a server of the store. */
  async served<T>(isThere: boolean, work: (address?: Address) => Promise<T>): Promise<T> {
    if (!isThere) return work();
    return withDaemon(inlineSystem(), this.place, {}, work);
  }

  private one<T>(of: readonly T[]): T {
    return of[this.choose(of.length)]!;
  }

  private async act(): Promise<void> {
    const kind = this.sets.size === 0 ? 0 : this.choose(20);
    if (kind < 8) await this.backup();
    else if (kind < 16) this.change();
    else if (kind < 18) await this.delete();
    else if (kind < 19) {
      this.acts.push('collect garbage');
      await collectInline(this.place);
    } else {
      this.acts.push('rebuild');
      await rebuildInline(this.place);
    }
  }

  private write(name: string): void {
    this.count += 1;
    fs.writeFileSync(this.at(name), `content ${this.count}`);
  }

  /** Changes the tree in one way, if it can be done. */
  private change(): void {
    const [name, other] = [`${this.one(PLACES)}/${this.one(NAMES)}`, this.one(PLACES)];
    const place = this.one(PLACES);
    const at = this.at(place);
    const changes: readonly (readonly [string, () => void])[] = [
      [`write ${name}`, () => this.write(name)],
      [`write ${name}`, () => this.write(name)],
      [`remove ${name}`, () => fs.rmSync(this.at(name), { recursive: true, force: true })],
      [`remove ${place}`, () => fs.rmSync(at, { recursive: true, force: true })],
      [`make ${place}`, () => fs.mkdirSync(at, { recursive: true })],
      [`move ${place} to ${other}`, () => fs.renameSync(at, this.at(other))],
      [`touch ${name}`, () => fs.utimesSync(this.at(name), 1000, 1000 + this.choose(1000))],
      [
        `empty ${place}`,
        () => {
          for (const below of fs.readdirSync(at))
            fs.rmSync(path.join(at, below), { recursive: true });
        },
      ],
      [
        `a file in place of ${place}`,
        () => {
          fs.rmSync(at, { recursive: true, force: true });
          this.write(place);
        },
      ],
      [
        `a link to ${other} in place of ${place}`,
        () => {
          fs.rmSync(at, { recursive: true, force: true });
          fs.symlinkSync(this.at(other), at);
        },
      ],
    ];
    const [what, work] = this.one(changes);
    try {
      work();
      this.acts.push(what);
    } catch (error) {
      this.acts.push(`${what}: ${asTardisError(error).message}`); // the tree is as it happens to be
    }
  }

  private async delete(): Promise<void> {
    const older = [...this.sets.keys()].slice(0, -1); // the newest one stays
    if (older.length === 0) return;
    const set = this.one(older);
    this.acts.push(`delete set ${set}`);
    await deleteInline(this.place, [set]);
    this.sets.delete(set);
  }

  private async backup(): Promise<void> {
    const named = PLACES.filter(() => this.choose(3) === 0);
    if (this.choose(4) === 0) named.push(`${this.one(PLACES)}/f`);
    if (named.length === 0) named.push('D');
    const dump = this.choose(5) === 0 ? this.one(DUMPS) : undefined;
    const isHiding = this.choose(10) === 0;
    this.count += 1;
    const printed = `dumped ${this.count}`;
    const streams = [
      ...(dump === undefined ? [] : [streamOf(dump, printed)]),
      ...(isHiding ? [streamOf(this.tree.split('/')[1]!, 'hiding')] : []),
    ];
    const words = [...named, ...streams.map(({ name }) => `"${name.toString()}"`)];
    const failures: Failure[] = [];
    const roots = this.rootsOf(named);
    let set: number | string;
    try {
      const reach = async () => this.daemon!.address;
      const directories = named.map((name) => this.at(name));
      const done = await backupTo(inlineSystem(), reach, 'me', directories, {
        create: !fs.existsSync(path.join(this.place.store, 'me')),
        streams,
        onFailures: (some) => failures.push(...some),
        ...(this.isEncrypting && { password: PASSWORD }),
      });
      set = done.set;
    } catch (error) {
      set = asTardisError(error).code;
    }
    this.acts.push(`back up ${words.join(' ')}: ${set}`);
    if (typeof set === 'string') {
      const expected = isHiding ? 'USAGE' : 'SOURCE_MISSING';
      if (set !== expected || (!isHiding && roots.size > 0)) throw new Error(`ended with ${set}`);
      return;
    }
    if (isHiding) throw new Error('a dump hides the tree');
    this.note(set, roots, failures);
    if (dump !== undefined) this.noteDump(set, dump, printed);
  }

  /** Returns the directories and files that names lead to, links resolved, each with what is below it. */
  private rootsOf(names: readonly string[]): Map<string, ModelRoot> {
    const roots = new Map<string, ModelRoot>();
    for (const name of names) {
      const at = this.at(name);
      if (!fs.existsSync(at)) continue;
      const real = fs.realpathSync(at);
      const entries = new Map<string, string>();
      scan(real, entries);
      roots.set(real, { path: real, isFile: entries.get(real) !== 'dir', entries });
    }
    return roots;
  }

  private note(set: number, found: Map<string, ModelRoot>, failures: readonly Failure[]): void {
    const kept = new Set(
      failures.flatMap(({ what, path: at }) => (what === 'protected' ? [at.toString()] : [])),
    );
    const roots = [...found.values()].map((root) => {
      const key = `${root.isFile} ${root.path}`;
      const entries = kept.has(root.path) ? (this.latest.get(key) ?? root.entries) : root.entries;
      this.latest.set(key, entries);
      return { ...root, entries };
    });
    this.sets.set(set, { set, roots });
    for (const at of this.shown(this.sets.get(set)!).keys()) this.known.add(at);
  }

  private noteDump(set: number, dump: string, printed: string): void {
    const at = `/${dump}`;
    const entries = new Map([[at, `file ${printed}`]]);
    const { roots } = this.sets.get(set)!;
    this.sets.set(set, { set, roots: [...roots, { path: at, isFile: true, entries }] });
    this.known.add(at);
  }
}

function streamOf(name: string, printed: string) {
  return {
    name: Buffer.from(name),
    uid: 0,
    gid: 0,
    read: async (take: (bytes: Uint8Array) => Promise<void>): Promise<undefined> => {
      await take(Buffer.from(printed));
      return undefined;
    },
  };
}

/** Adds what is at a path and below it. Links are not followed. */
export function scan(at: string, found: Map<string, string>): void {
  const stat = fs.lstatSync(at, { bigint: true });
  if (stat.isSymbolicLink()) found.set(at, `link ${fs.readlinkSync(at)}`);
  else if (stat.isFile()) found.set(at, `file ${fs.readFileSync(at, 'utf8')} ${stat.mtimeNs}`);
  else {
    found.set(at, 'dir');
    for (const name of fs.readdirSync(at)) scan(`${at}/${name}`, found);
  }
}

/** Makes a life, and returns it after its last act. The error of a life that fails before has its acts. */
export async function randomLife(home: string, seed: number): Promise<Life> {
  const life = new Life(home, seed, chooser(seed + 1)(4) === 0);
  try {
    await life.live();
    return life;
  } catch (error) {
    const { stack = '' } = error as Error;
    throw new Error(`TEST_LIFE=${seed}\n${life.acts.join('\n')}\n${stack}`, { cause: error });
  }
}
