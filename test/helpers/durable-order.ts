/**
 * Whether everything that an answer covers was on the disk before it, by the trace of a run: contents
 * before the commit record that names them, that before the catalog's commit, that before the answer. It
 * asks the disk after each act what is not synced yet, and knows from a store's layout what counts.
 */
import {
  type DiskStart,
  type DiskTrace,
  SimulatedDisk,
  type TracedAct,
  type Unsynced,
} from '../../src/system/index.js';
import { readHeader, RecordKind } from '../../src/store/index.js';

/** What is against the order: the rule, where, and what was not synced. */
export interface Disorder {
  readonly rule: string;
  readonly at: number;
  readonly unsynced: readonly string[];
}

/** Begins a mark at which everything before must be durable. */
export const ANSWER = 'answer: ';
/** The same where a tool ends: of the catalog its file counts alone. */
export const END = 'end';
/** What wrote so far was killed; what it had not synced is still under way. */
export const KILLED = 'killed';

type Kind = 'content' | 'keys' | 'catalog' | 'journal' | 'temporary' | 'nothing';

const CONTENT = /\/(packs(\/\d+\.pack)?|[0-9a-f]{2}(\/[0-9a-f]{2}(\/[0-9a-f]{64})?)?)$/;
const KEYS = /\/(format\.json|generation\.json|rights|keys(\/\d+\.key)?|accounts(\/[^/]+)?)$/;
/** A client's directory, a second generation, or what is made of a store. */
const CLIENT = /^[^/]+$/;

/** What a path in a store is for. */
function kindOf(path: string): Kind {
  if (path === '.login' || path.startsWith('.login/')) return 'nothing'; // made anew when it is missing
  if (path.endsWith('.db')) return path.endsWith('rekey.db') ? 'nothing' : 'catalog';
  if (path.endsWith('.db-wal') || path.endsWith('.db-journal')) {
    return path.includes('rekey.db') ? 'nothing' : 'journal';
  }
  if (path.endsWith('.new')) return 'temporary';
  if (path.endsWith('.lock') || path.endsWith('/lock')) return 'nothing';
  if (CLIENT.test(path)) return 'keys';
  if (CONTENT.test(path)) return 'content';
  return KEYS.test(path) ? 'keys' : 'nothing';
}

/** What stays when nobody has the store open. */
const LASTING: ReadonlySet<Kind> = new Set(['content', 'keys', 'catalog']);

const FRAME_HEAD_BYTES = 24;
const LOG_HEAD_BYTES = 32;

export class OrderChecker {
  readonly found: Disorder[] = [];
  /** Syncs that covered something, by `at`. */
  readonly needed: number[] = [];
  private readonly disk: SimulatedDisk;
  /** Logs of which nothing is unsynced but that they were made shorter. */
  private readonly cutLogs = new Set<string>();
  private isRecovering = false;
  /** Packs and objects of a session that was killed, as far as recovery had no use for what was not synced. */
  private dead: ReadonlySet<string> = new Set();

  constructor(start: DiskStart) {
    this.disk = new SimulatedDisk(start);
  }

  /** Checks a whole trace. */
  static check(trace: Pick<DiskTrace, 'start'>, acts: readonly TracedAct[]): OrderChecker {
    const checker = new OrderChecker(trace.start);
    for (const act of acts) checker.take(act);
    return checker;
  }

  private take(act: TracedAct): void {
    this.before(act);
    if (this.disk.apply(act)) this.needed.push(act.at);
  }

  private before(act: TracedAct): void {
    switch (act.act) {
      case 'mark':
        this.isRecovering ||= act.what === KILLED;
        if (act.what.startsWith(ANSWER)) {
          this.require(act, 'the answer', [], (one) => this.countsNow(one));
        }
        if (act.what === END) {
          this.require(
            act,
            'the end',
            [],
            ({ path, isGone }) => !isGone && LASTING.has(kindOf(path)),
          );
        }
        return;
      case 'write':
        this.cutLogs.delete(this.disk.pathOf(act.file) ?? '');
        this.beforeWrite(act);
        return;
      case 'resize': {
        const path = this.disk.pathOf(act.file) ?? '';
        if (kindOf(path) !== 'journal') return;
        if (act.sizeBytes === 0) this.beforeLogEnds(act, path);
        const isSynced = !this.disk
          .unsynced()
          .some((one) => one.path === path && one.what === 'data');
        if (isSynced) this.cutLogs.add(path);
        return;
      }
      case 'names':
        this.beforeNames(act);
        return;
      default:
        return;
    }
  }

  private beforeWrite(act: Extract<TracedAct, { act: 'write' }>): void {
    const path = this.disk.pathOf(act.file) ?? '';
    const kind = kindOf(path);
    if (kind === 'content' && readHeader(act.bytes, 0)?.kind === RecordKind.commit) {
      // A pack that begins with it gets its name with the sync that follows.
      this.require(act, 'a commit record', [], (one) => {
        const isBegun = one.path === path && act.position === 0;
        return kindOf(one.path) === 'content' && !isBegun;
      });
    }
    if (kind === 'journal' && path.endsWith('-wal')) {
      const { position, bytes } = act;
      if (position === 0) this.beforeLogEnds(act, path);
      // A frame that ends a transaction tells the size of the database.
      const isFrame = position >= LOG_HEAD_BYTES && bytes.length === FRAME_HEAD_BYTES;
      if (isFrame && bytes.readUInt32BE(4) > 0) {
        this.require(act, "the catalog's commit", ['content', 'keys']);
      }
    }
    if (kind === 'catalog') {
      this.require(act, 'a page of the catalog', [], (unsynced) =>
        [`${path}-wal`, `${path}-journal`].includes(unsynced.path),
      );
    }
  }

  /** What is in a log or journal is needed until the database has it. */
  private beforeLogEnds(act: TracedAct, log: string): void {
    const database = log.replace(/-(wal|journal)$/, '');
    this.require(act, 'the end of a log', [], ({ path, what }) => {
      return path === database && what === 'data';
    });
  }

  /** While a catalog has a log, what its file lacks is in that. */
  private countsNow({ path, what }: Unsynced): boolean {
    const kind = kindOf(path);
    if (kind === 'catalog' && what === 'data' && this.disk.isThere(`${path}-wal`)) return false;
    // What SQLite cuts off behind the last commit is of an earlier round of the log, and says so.
    if (kind === 'journal' && what === 'data' && this.cutLogs.has(path)) return false;
    return kind === 'journal' || LASTING.has(kind);
  }

  /** With its first pack a session has done with what came before. */
  private endRecovery(): void {
    this.isRecovering = false;
    const dead = this.disk.unsynced().filter(({ path }) => kindOf(path) === 'content');
    this.dead = new Set(dead.map(({ path }) => path));
  }

  private beforeNames(act: Extract<TracedAct, { act: 'names' }>): void {
    const isNewPack = act.changes.some(({ name, file }) => {
      return file !== undefined && name.endsWith('.pack');
    });
    if (this.isRecovering && isNewPack) this.endRecovery();
    for (const { directory, name, file } of act.changes) {
      const above = this.disk.pathOf(directory);
      const path = above === undefined || above === '' ? name : `${above}/${name}`;
      const kind = kindOf(path);
      if (file === undefined && kind === 'journal') this.beforeLogEnds(act, path);
      if (file === undefined && (kind === 'content' || kind === 'keys' || kind === 'catalog')) {
        this.require(act, `removing ${path}`, [], (one) => {
          return !one.isGone && LASTING.has(kindOf(one.path));
        });
      }
      const from = file === undefined ? undefined : this.disk.pathOf(file);
      if (from === undefined || (kind !== 'keys' && kind !== 'catalog')) continue;
      this.require(act, `the name ${path}`, [], (unsynced) => {
        return unsynced.what === 'data' && (unsynced.path === from || isBelow(unsynced.path, from));
      });
    }
  }

  /** Nothing of these kinds, and nothing that `also` fits, may be unsynced. */
  private require(
    act: TracedAct,
    rule: string,
    kinds: readonly Kind[],
    also: (unsynced: Unsynced) => boolean = () => false,
  ): void {
    const unsynced = this.disk
      .unsynced()
      // A log that came back would tell only what the database has.
      .filter((one) => !(one.isGone && kindOf(one.path) === 'journal') && !this.dead.has(one.path))
      .filter((one) => kinds.includes(kindOf(one.path)) || also(one));
    if (unsynced.length === 0) return;
    const told = unsynced.map(({ path, what }) => `${what} of ${path}`);
    this.found.push({ rule, at: act.at, unsynced: [...new Set(told)] });
  }
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`) && kindOf(path) !== 'nothing';
}
