/**
 * Checks in the trace of a run that everything an answer covers was durable before it. Contents must precede the
 * commit record that names them, the commit record the catalog's commit, and that commit the answer. After each
 * act the checker queries the simulated disk for unsynced changes; the layout of a store decides which of them
 * matter.
 */
import { type DiskStart, type DiskTrace, type TracedAct } from '../support/disk-trace.js';
import { SimulatedDisk, type Unsynced } from '../support/simulated-disk.js';
import { readHeader, RecordKind } from '../../src/store/index.js';

/** A violation of the order: the rule, the position, and the unsynced changes. */
export interface Disorder {
  readonly rule: string;
  readonly at: number;
  readonly unsynced: readonly string[];
}

/** Prefix of a mark before which everything must be durable. */
export const ANSWER = 'answer: ';
/** The mark at the end of a tool: everything must be durable too, but of the catalog only its file counts. */
export const END = 'end';
/** The mark of a kill: the unsynced changes of the killed process are still in flight. */
export const KILLED = 'killed';

type Kind = 'content' | 'keys' | 'catalog' | 'journal' | 'temporary' | 'nothing';

const CONTENT = /\/(packs(\/\d+\.pack)?|[0-9a-f]{2}(\/[0-9a-f]{2}(\/[0-9a-f]{64})?)?)$/;
const KEYS = /\/(format\.json|generation\.json|rights|keys(\/\d+\.key)?|accounts(\/[^/]+)?)$/;
/** Matches a client's directory, a second generation, or the result of rewriting a store. */
const CLIENT = /^[^/]+$/;

/** Returns the purpose of a path in a store. */
function kindOf(path: string): Kind {
  if (path === '.login' || path.startsWith('.login/')) return 'nothing'; // recreated if it is missing
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

/** The files that remain if no process has the store open. */
const LASTING: ReadonlySet<Kind> = new Set(['content', 'keys', 'catalog']);

/** Kind and least length of a block of page sums (docs/inside/formats.md). */
const FLUX = 1;
const FLUX_LEAST_BYTES = 12;
const FRAME_HEAD_BYTES = 24;
const LOG_HEAD_BYTES = 32;

export class OrderChecker {
  readonly found: Disorder[] = [];
  /** Syncs that made something durable, by `at`. */
  readonly needed: number[] = [];
  private readonly disk: SimulatedDisk;
  /** Logs whose only unsynced change is a truncation. */
  private readonly cutLogs = new Set<string>();
  /** Files of page sums that announce writes of pages, and do not contain the new sums yet. */
  private readonly fluxes = new Set<string>();
  /** Files of page sums that were emptied, because their content is no longer valid. */
  private readonly emptied = new Set<string>();
  private isRecovering = false;
  /** Unsynced packs and objects of a killed session that recovery did not use. */
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
        if (path.endsWith('-sums') && act.sizeBytes === 0) this.emptied.add(path);
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
    if (path.endsWith('-sums')) {
      this.emptied.delete(path);
      this.noteFlux(path, act.bytes);
    }
    if (kind === 'content' && readHeader(act.bytes, 0)?.kind === RecordKind.commit) {
      // A pack that begins with the commit record gets its name with the sync that follows.
      this.require(act, 'a commit record', [], (one) => {
        const isBegun = one.path === path && act.position === 0;
        return kindOf(one.path) === 'content' && !isBegun;
      });
    }
    if (kind === 'journal' && path.endsWith('-wal')) {
      const { position, bytes } = act;
      if (position === 0) this.beforeLogEnds(act, path);
      // A frame that ends a transaction contains the size of the database.
      const isFrame = position >= LOG_HEAD_BYTES && bytes.length === FRAME_HEAD_BYTES;
      if (isFrame && bytes.readUInt32BE(4) > 0) {
        this.require(act, "the catalog's commit", ['content', 'keys'], (unsynced) =>
          this.emptied.has(unsynced.path),
        );
      }
    }
    if (kind === 'catalog') {
      this.require(act, 'a page of the catalog', [], (unsynced) =>
        [`${path}-wal`, `${path}-journal`, ...this.fluxes].includes(unsynced.path),
      );
    }
  }

  /** Until the new sums follow, a crash must show that these pages are being changed. */
  private noteFlux(path: string, block: Uint8Array): void {
    if (block[0] === FLUX && block.length > FLUX_LEAST_BYTES) this.fluxes.add(path);
    else this.fluxes.delete(path);
  }

  /** The content of a log or journal is needed until it is in the database. */
  private beforeLogEnds(act: TracedAct, log: string): void {
    const database = log.replace(/-(wal|journal)$/, '');
    this.require(act, 'the end of a log', [], ({ path, what }) => {
      return path === database && what === 'data';
    });
  }

  /**
   * True if an unsynced change matters to an answer. Changes that a catalog's file lacks are in its log, if it
   * has one.
   */
  private countsNow({ path, what }: Unsynced): boolean {
    const kind = kindOf(path);
    if (kind === 'catalog' && what === 'data' && this.disk.isThere(`${path}-wal`)) return false;
    // Truncated bytes after the last commit are from an earlier pass through the log, and are marked so.
    if (kind === 'journal' && what === 'data' && this.cutLogs.has(path)) return false;
    return kind === 'journal' || LASTING.has(kind);
  }

  /** Ends recovery: with its first pack a session has finished handling the earlier one. */
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
        // Files that were created and removed again without a sync never mattered.
        this.require(act, `removing ${path}`, [], (one) => {
          return !one.isGone && one.path !== path && LASTING.has(kindOf(one.path));
        });
      }
      const from = file === undefined ? undefined : this.disk.pathOf(file);
      if (from === undefined || (kind !== 'keys' && kind !== 'catalog')) continue;
      this.require(act, `the name ${path}`, [], (unsynced) => {
        return unsynced.what === 'data' && (unsynced.path === from || isBelow(unsynced.path, from));
      });
    }
  }

  /** Reports unsynced changes of these kinds, and those for which `also` returns true. */
  private require(
    act: TracedAct,
    rule: string,
    kinds: readonly Kind[],
    also: (unsynced: Unsynced) => boolean = () => false,
  ): void {
    const unsynced = this.disk
      .unsynced()
      // A removed log that reappears contains only what the database has.
      .filter((one) => !(one.isGone && kindOf(one.path) === 'journal') && !this.dead.has(one.path))
      .filter((one) => kinds.includes(kindOf(one.path)) || also(one));
    if (unsynced.length === 0) return;
    const reported = unsynced.map(({ path, what }) => `${what} of ${path}`);
    this.found.push({ rule, at: act.at, unsynced: [...new Set(reported)] });
  }
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`) && kindOf(path) !== 'nothing';
}
