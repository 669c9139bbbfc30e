/**
 * A world in one thread: a machine with a tree, a client of a store, its server, the network between them, a disk and a
 * clock, all from the words of its acts. A model keeps what was acknowledged; after each act every promise is compared with it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError } from '../../src/errors/index.js';
import { Access, type History, openHistoryIn, unsealedHistory } from '../../src/history/index.js';
import { NO_RULES } from '../../src/retention/index.js';
import type { Daemon } from '../../src/server/index.js';
import { newRun, openClientDirectory, readRuns } from '../../src/store/index.js';
import { deleteSets } from '../../src/store/writer/index.js';
import { previewPurgeOf, purgeByRules, type PurgeRequest } from '../../src/maintenance/gc/index.js';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import { type System } from '../../src/system/index.js';
import type { Failure } from '../../src/workers/index.js';
import { copyHere } from '../helpers/copied-history.js';
import { type Checked, checkInline, dataFiles, keyringOfPlace } from '../helpers/damage.js';
import { forgetInline, requestFor, requestInline } from '../helpers/forgets.js';
import { collectInline } from '../helpers/garbage.js';
import {
  backupTo,
  inlineSystem,
  type Place,
  restoreInline,
  SMALL_STORE,
  startInline,
} from '../helpers/inline.js';
import { PASSWORD, rewriteInline } from '../helpers/rewrites.js';
import { flipAt } from '../helpers/rot.js';
import type { Act } from './acts.js';
import { KilledError } from '../support/faults.js';
import { BucketGround, DirectoryGround, type Ground } from './ground.js';
import { Model, type ModelRoot, type ModelSet, without } from './model.js';
import { wrongIn } from './readers.js';
import { scan, Tree } from './tree.js';
import { VirtualTime } from './time.js';
import { WorldListener } from './wire.js';

/** First moment of a world: 2026-03-01, 10:00 UTC. */
const START_MS = Date.UTC(2026, 2, 1, 10);
/** How long a client of the world waits for a server, in virtual time. */
const PATIENCE_MS = 120_000;
/** Number of runs that are read of the journal. */
const MOST_RUNS = 512;
/** One of so many acts without trouble is followed by a check of all data. */
const CHECK_EVERY = 5;
/** Time after which a silent peer counts as dead. */
const SILENCE_MS = 20_000;
const PASSING_MS = 61_000;

/** A promise that the store has broken. */
export class BrokenPromise extends Error {
  override name = 'BrokenPromise';
}

/** Sets that may be there, or may be gone, after an act that trouble has ended. */
interface Unsure {
  readonly added?: Omit<ModelSet, 'set'>;
  readonly gone?: readonly number[];
}

export type WorldKind = 'plain' | 'encrypting' | 'bucket';

/** Returns what a reader of the world sees otherwise than the model. */
export type Look = (world: World) => Promise<readonly string[]>;

export class World extends Model {
  readonly tree: Tree;
  readonly isEncrypting: boolean;
  readonly time = new VirtualTime(START_MS);
  /** The acts so far and what became of them, one line each. */
  readonly log: string[] = [];
  /** True if all data is to be checked after the last act: after each trouble, and now and then. */
  isDoubted = true;
  private readonly listener = new WorldListener();
  private readonly latest = new Map<string, ModelRoot['entries']>();
  /** Sets of backups that were broken off, by their names, and sets whose deletion was: the store may have them, or not. */
  private readonly begun = new Map<string, Omit<ModelSet, 'set'>>();
  private readonly leaving = new Set<number>();
  /** Ids of the runs that the server has reported to be in the journal. */
  private readonly runs: string[] = [];
  private backups = 0;
  /** Number of rewrites of the client. */
  private rewrites = 0;

  private constructor(
    readonly home: string,
    kind: WorldKind,
    private readonly ground: Ground,
  ) {
    super();
    this.isEncrypting = kind === 'encrypting';
    this.tree = new Tree(path.join(home, 'tree'));
  }

  static async make(home: string, kind: WorldKind): Promise<World> {
    const memory = path.join(home, 'state');
    process.env['XDG_STATE_HOME'] = memory;
    const make = kind === 'bucket' ? BucketGround.make : DirectoryGround.make;
    return new World(home, kind, await make(home, memory));
  }

  get place(): Place {
    return this.ground.place;
  }

  /** Lives through acts. Throws BrokenPromise, with the act that broke it. */
  async live(acts: readonly Act[], look: Look): Promise<void> {
    await this.time.during(async () => {
      for (const act of acts) {
        await this.ground.enter(this.log.length);
        const became = await this.do(act, look);
        this.log.push(`${JSON.stringify(act)} ▸ ${became}`);
        this.isDoubted = act.trouble !== undefined || this.log.length % CHECK_EVERY === 0;
        this.time.pass(PASSING_MS);
        await this.ground.enter(this.log.length);
        const wrong = isQuiet(act) || !this.exists ? [] : await look(this);
        if (wrong.length > 0) throw new BrokenPromise(wrong.join('\n'));
      }
    });
  }

  get newest(): ModelSet | undefined {
    return [...this.sets.values()].at(-1);
  }

  /** Opens the history for reading, with the keys. */
  async reading<T>(work: (history: History) => Promise<T>, place = this.place): Promise<T> {
    const history = await this.open(place);
    try {
      return await work(history);
    } finally {
      history.close();
    }
  }

  private async open(place: Place): Promise<History> {
    const system = this.system();
    const directory = openClientDirectory(system, place);
    const local = openHistoryIn(system, directory, new Access(undefined), 0);
    const keyring = await keyringOfPlace(place);
    return keyring === undefined ? local : unsealedHistory(local, keyring, system.native);
  }

  /** Returns the runs that the journal should have and lacks, or has twice. */
  async wrongRuns(place = this.place): Promise<readonly string[]> {
    const system = this.system();
    const found = await readRuns(system, openClientDirectory(system, place), MOST_RUNS);
    return this.runs.flatMap((id) => {
      const times = found.filter((run) => run.id === id).length;
      return times === 1 ? [] : [`the journal has run ${id} ${times} times`];
    });
  }

  /** Requires that a check of all data finds nothing. */
  async sound(place = this.place): Promise<readonly string[]> {
    const { findings } = await this.checked(place, this.system());
    const isLeft = (one: (typeof findings)[number]): boolean =>
      one.finding === 'record' && one.role === 'unneeded'; // of a backup that was broken off
    return findings
      .filter((one) => !isLeft(one))
      .map((finding) => `check: ${JSON.stringify(finding)}`);
  }

  private async checked(place: Place, system: System): Promise<Checked> {
    const keyring = await keyringOfPlace(place);
    return checkInline(place, { keyring, isEncrypted: this.isEncrypting }, system);
  }

  private system(): System {
    return inlineSystem({ clock: this.time.clock });
  }

  private get exists(): boolean {
    return this.sets.size > 0;
  }

  /** Does an act, and returns what became of it. */
  private async do(act: Act, look: Look): Promise<string> {
    if (act.act === 'change') return this.tree.change(act.change) ? 'done' : 'not possible';
    if (act.act === 'clock') {
      this.time.aheadMs += act.byMs;
      return 'done';
    }
    if (act.act === 'backup') return this.backup(act);
    if (!this.exists) return 'nothing is there';
    if (act.act === 'flip') return this.flip(act, look);
    if (act.act === 'restore') return this.restore(act);
    return this.maintain(act);
  }

  /** Runs work that trouble may hit, and brings the model to what is certain then. */
  private async struck(
    act: Act,
    work: (system: System) => Promise<unknown>,
    unsure: () => Unsure = () => ({}),
    refusals: readonly string[] = [],
  ): Promise<string> {
    const { trouble } = act;
    if (trouble?.what === 'cut' || trouble?.what === 'silent') {
      this.listener.cuts.push({ how: trouble.what, afterMessages: trouble.at });
    }
    this.ground.strike(trouble);
    const ended = await this.ground.disk.during(trouble, this.system(), work);
    this.ground.strike(undefined);
    this.listener.cuts.length = 0;
    const { error, wasHit } = ended;
    if (error === undefined && !ended.isCut) return 'done';
    const code = error === undefined ? 'power cut' : codeOf(error);
    if (error !== undefined && !wasHit && !refusals.includes(code)) {
      throw new BrokenPromise(`${act.act} failed with ${code}: ${(error as Error).stack}`);
    }
    const { added, gone = [] } = unsure();
    if (added !== undefined) this.begun.set(added.name, added);
    for (const set of gone) this.leaving.add(set);
    return code;
  }

  override add(set: ModelSet): void {
    super.add(set);
    for (const root of set.roots) this.latest.set(keyOf(root), root.entries);
  }

  /**
   * Brings the model to what a listing shows, where an act that was broken off leaves that open. The store may take up later
   * what it had not yet committed to its catalog.
   */
  recognize(complete: readonly { readonly set: number; readonly firstName: string }[]): void {
    for (const { set, firstName } of complete) {
      const begun = this.begun.get(firstName);
      if (!this.sets.has(set) && begun !== undefined) this.add({ ...begun, set });
    }
    const numbers = new Set(complete.map(({ set }) => set));
    for (const set of this.leaving) if (!numbers.has(set)) this.sets.delete(set);
  }

  private async backup(act: Act & { act: 'backup' }): Promise<string> {
    this.backups += 1;
    const name = `backup ${this.backups}`;
    const roots = this.tree.rootsOf(act.roots);
    const failures: Failure[] = [];
    let [done, hasRun]: [number | undefined, boolean] = [undefined, false];
    const run = newRun(this.system(), { kind: 'backup', way: 'hand', by: 'root' });
    const streams = act.dump === undefined ? [] : [streamOf(act.dump, `dumped ${act.number}`)];
    const create = !fs.existsSync(path.join(this.place.store, 'me'));
    const work = async (system: System): Promise<void> => {
      const daemon = await this.serve(system);
      try {
        const { set, isRecorded } = await backupTo(
          act.trouble?.what === 'kill' ? system : this.system(), // what a source does not give is no matter of this world
          async () => this.listener,
          'me',
          act.roots.map((root) => this.tree.at(root)),
          {
            create,
            streams,
            setName: name,
            run,
            onFailures: (some) => failures.push(...some),
            timeoutMs: SILENCE_MS,
            patience: { forMs: PATIENCE_MS, firstWaitMs: 1000 },
            ...(this.isEncrypting && { password: PASSWORD }),
          },
        );
        done = set;
        hasRun = isRecorded;
      } finally {
        await daemon.stop();
      }
    };
    const refusals = roots.size === 0 ? ['SOURCE_MISSING'] : [];
    const shown = (): Omit<ModelSet, 'set'> => ({
      name,
      roots: [...this.rootsNow(roots, failures), ...dumpRoots(act)],
    });
    const became = await this.struck(act, work, () => ({ added: shown() }), refusals);
    if (act.trouble !== undefined) this.begun.set(name, shown()); // a set may be whole though its answer was lost
    if (became !== 'done') return became;
    this.add({ ...shown(), set: done! });
    if (hasRun) this.runs.push(run.id);
    return `set ${done}`;
  }

  private async serve(system: System): Promise<Daemon> {
    return startInline(system, this.place.store, {
      inner: this.listener,
      timeoutMs: SILENCE_MS,
      wrapHost: (host) => this.ground.wrapHost(host),
    });
  }

  /** Returns the roots as a set has them: one that is protected keeps its entries. */
  private rootsNow(found: Map<string, ModelRoot>, failures: readonly Failure[]): ModelRoot[] {
    const kept = new Set(
      failures.flatMap(({ what, path: at }) => (what === 'protected' ? [at.toString()] : [])),
    );
    return [...found.values()].map((root) => {
      const before = this.latest.get(keyOf(root)) ?? root.entries;
      return { ...root, entries: kept.has(root.path) ? before : root.entries };
    });
  }

  private maintain(act: Act): Promise<string> {
    switch (act.act) {
      case 'delete':
        return this.delete(act, act.nth);
      case 'purge':
        return this.purge(act, act.keep);
      case 'collect':
        return this.struck(act, (system) => collectInline(this.place, {}, system));
      case 'check':
        return this.struck(act, (system) => this.checked(this.place, system));
      case 'rekey':
        return this.rekey(act);
      case 'copy':
        return this.copy(act);
      case 'forget':
        return this.forgetPath(act, act.nth);
      case 'lose the catalog':
        return this.loseCatalog(act);
      default:
        return this.rebuild(act);
    }
  }

  /** Does work once more that trouble has ended, as a user begins the same command again. */
  private async again(work: (system: System) => Promise<unknown>): Promise<void> {
    await this.ground.enter(this.log.length);
    await work(this.system());
  }

  private async loseCatalog(act: Act): Promise<string> {
    const { catalogPath, bucket } = openClientDirectory(this.system(), this.place);
    fs.rmSync(catalogPath, { force: true });
    return bucket === undefined ? this.rebuild(act) : 'done'; // another machine has the bucket alone, too
  }

  /** Rebuilds the catalog; what trouble has ended is begun again. */
  private async rebuild(act: Act): Promise<string> {
    if (openClientDirectory(this.system(), this.place).bucket !== undefined) return 'no packs here';
    const work = (system: System) =>
      rebuildCatalog(system, openClientDirectory(system, this.place));
    const became = await this.struck(act, work);
    if (became !== 'done') await this.again(work);
    return became;
  }

  private async delete(act: Act, nth: number): Promise<string> {
    const older = [...this.sets.keys()].slice(0, -1);
    if (older.length === 0) return 'no older set';
    const set = older[nth % older.length]!;
    const work = (system: System): Promise<void> =>
      deleteSets(system, openClientDirectory(system, this.place), {
        limits: SMALL_STORE.store,
        sets: [set],
        leastAgeMs: 0,
      });
    const refusals = this.leaving.has(set) ? ['NO_SUCH_SET'] : [];
    const became = await this.struck(act, work, () => ({ gone: [set] }), refusals);
    if (became === 'done') this.sets.delete(set);
    return `set ${set}: ${became}`;
  }

  private async purge(act: Act, keep: number): Promise<string> {
    const directory = openClientDirectory(this.system(), this.place);
    const request = (): PurgeRequest => ({
      rules: { ...NO_RULES, keepLast: keep },
      leastAgeMs: 0,
      resistsFloods: false,
      keepsDoubtful: false,
      trustsClock: true,
    });
    const { gone } = previewPurgeOf(this.system(), directory, request);
    const newest = this.newest!.set;
    if (gone.includes(newest)) throw new BrokenPromise('a purge would delete the newest set');
    const work = (system: System) => purgeByRules(system, directory, SMALL_STORE.store, request);
    const became = await this.struck(act, work, () => ({ gone }));
    if (became === 'done') for (const set of gone) this.sets.delete(set);
    return `${gone.length} sets: ${became}`;
  }

  /** Changes the keys; what trouble has ended goes on. */
  private async rekey(act: Act): Promise<string> {
    if (!this.isEncrypting) return 'nothing is encrypted';
    this.rewrites += 1;
    const work = (system: System) => rewriteInline(system, this.place);
    const became = await this.struck(act, work);
    if (became !== 'done') await this.again(work);
    return became;
  }

  private async forgetPath(act: Act, nth: number): Promise<string> {
    if (this.isEncrypting) return 'only in clear';
    const all = [...this.known].filter((at) => path.dirname(at) !== '/' && !this.isAboveRoot(at));
    if (all.length === 0) return 'nothing is known';
    const at = all[nth % all.length]!;
    const upToSet = this.newest!.set;
    await requestInline(this.place, [requestFor(this.backups + 1, at, upToSet)]);
    this.rewrites += 1;
    const work = (system: System): Promise<void> => forgetInline(system, this.place);
    const became = await this.struck(act, work);
    if (became !== 'done') await this.again(work);
    this.forget(at, upToSet);
    for (const [key, entries] of this.latest) this.latest.set(key, without(entries, at));
    return `${at}: ${became}`;
  }

  /** True if a path is a root of a set, or above one: the path of a root cannot be forgotten. */
  private isAboveRoot(at: string): boolean {
    const roots = [...this.sets.values(), ...this.begun.values()].flatMap((set) => set.roots);
    return roots.some((root) => root.path === at || root.path.startsWith(`${at}/`));
  }

  /** Brings a second store up to date, which must then show the same. A rewritten client begins another copy. */
  private async copy(act: Act): Promise<string> {
    const second = { store: path.join(this.home, `copy ${this.rewrites}`), client: 'me' };
    const work = (system: System) => copyHere(this.place, second, { system, deletes: true });
    const became = await this.struck(act, work);
    if (became !== 'done') await this.again(work);
    const wrong = [...(await this.sound(second))];
    const sets = await this.reading((history) => history.sets(), second);
    const numbers = sets.filter(({ state }) => state === 'complete').map(({ set }) => set);
    if (String(numbers) !== String([...this.sets.keys()])) wrong.push(`sets ${numbers.join()}`);
    for (const set of this.some()) {
      wrong.push(...(await this.reading((history) => wrongIn(this, history, set), second)));
    }
    if (wrong.length > 0) throw new BrokenPromise(`the copy: ${wrong.join('\n')}`);
    return became;
  }

  /** Returns the newest set, and another one. */
  some(): ModelSet[] {
    const all = [...this.sets.values()];
    return [...new Set([all.at(-1)!, all[this.log.length % all.length]!])];
  }

  /** Restores a path of a set, and compares it. */
  private async restore(act: Act & { act: 'restore' }): Promise<string> {
    const sets = [...this.sets.values()];
    const set = sets[act.nth % sets.length]!;
    const shown = this.shown(set);
    const paths = [...shown.keys()].filter((at) => path.dirname(at) !== '/');
    const at = paths[act.path % Math.max(1, paths.length)];
    if (at === undefined) return 'the set is empty';
    const output = path.join(this.home, 'out');
    fs.rmSync(output, { recursive: true, force: true });
    const failures = await restoreInline(this.system(), this.place, {
      paths: [at],
      output,
      set: String(set.set),
      open: () => this.open(this.place),
    });
    const other = failures.filter(({ error }) => error.code !== 'UNREAD_AT_BACKUP');
    if (other.length > 0) throw new BrokenPromise(`restore of ${at}: ${JSON.stringify(failures)}`);
    const found = new Map<string, string>();
    scan(path.join(output, path.basename(at)), found);
    const top = path.dirname(at);
    const made = new Map([...found].map(([one, what]) => [top + one.slice(output.length), what]));
    const right = [...shown].filter(([one]) => one === at || one.startsWith(`${at}/`));
    const wrong = right.filter(([one, what]) => made.get(one) !== what);
    if (wrong.length > 0 || made.size !== right.length) {
      const all = JSON.stringify([...made]);
      throw new BrokenPromise(
        `restore of ${at} from ${set.set}: ${all}, not ${JSON.stringify(right)}`,
      );
    }
    return `${at} of set ${set.set}`;
  }

  /** Flips a bit, which a check must name unless it harms nothing, and flips it back. */
  private async flip({ file, at }: Act & { act: 'flip' }, look: Look): Promise<string> {
    const files = dataFiles(this.place);
    if (files.length === 0) return 'no files are here';
    const name = files[file % files.length]!;
    const full = path.join(this.place.store, 'me', name);
    const position = at % fs.statSync(full).size;
    flipAt(full, position);
    const found = await this.sound();
    const wrong = found.length > 0 ? [] : await look(this);
    flipAt(full, position);
    if (wrong.length > 0) {
      throw new BrokenPromise(`a check finds no damage: ${name} at ${position}: ${wrong.join()}`);
    }
    return `${name} at ${position}: ${found.length} findings`;
  }
}

/** Returns the key of a root: a path may be a directory once, and a file then. */
function keyOf({ isFile, path: at }: ModelRoot): string {
  return `${isFile} ${at}`;
}

/** True for an act that changes no store. */
function isQuiet({ act }: Act): boolean {
  return act === 'change' || act === 'clock';
}

function codeOf(error: unknown): string {
  const { code, message } = asTardisError(error);
  if (message.includes(new KilledError().message)) return 'killed';
  if (code === 'INTERNAL') throw new BrokenPromise(`INTERNAL: ${(error as Error).stack}`);
  return code;
}

function dumpRoots({ dump, number }: Act & { act: 'backup' }): ModelRoot[] {
  if (dump === undefined) return [];
  const at = `/${dump}`;
  return [{ path: at, isFile: true, entries: new Map([[at, `file dumped ${number}`]]) }];
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
