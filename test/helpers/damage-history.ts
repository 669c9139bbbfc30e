/**
 * A client with a small history, for tests that damage its store. It has six complete sets, two of which are
 * deleted and freed, and an unfinished one. The history includes frames, objects, deltas on deltas, links and moved
 * directories.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Keyring } from '../../src/crypto/index.js';
import { StoreWriter } from '../../src/store/writer/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { faultySystem } from '../support/faults.js';
import { keyringOfPlace } from './damage.js';
import { type Look, lookAt } from './damage-look.js';
import { killWhen, Ledger } from './faults.js';
import { backupInline, inlineSystem, type Place, SMALL_STORE } from './inline.js';
import { PASSWORD } from './rewrites.js';
import {
  addTo,
  dir,
  file,
  hardlink,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
  text,
} from './tree.js';
import { deleteInline, frameTools, collectInline } from './garbage.js';

const KIB = 1 << 10;
/** Limits so small that a small history has several packs and objects. */
export const STORAGE = Object.freeze({
  ...SMALL_STORE,
  store: Object.freeze({ packBytes: 24 * KIB, packContentBytes: 16 * KIB, reserveBytes: 64 * KIB }),
});
/** The sets deleted before the fifth set is made. */
export const PURGED: readonly number[] = [2, 3];
/** The newest complete set, and the interrupted one. */
export const NEWEST = 6;
export const UNFINISHED = 7;
/** The other client of the store, with the same password. */
export const OTHER = 'other';

export interface History {
  readonly home: string;
  readonly place: Place;
  readonly source: string;
  readonly isEncrypting: boolean;
  /** True if SQLite's log of the catalog is as a kill left it. */
  readonly keepsLog: boolean;
  readonly keyring: Keyring | undefined;
  readonly passwordFile: string;
  /** Copies of the client's directory at earlier times, the newest first. */
  readonly older: readonly string[];
  /** The client's directory after its fifth set and another sixth one: a copy that went on by itself. */
  readonly fork: string;
  /** The state directory of this machine. */
  readonly state: string;
  /** Everything that the undamaged store shows. */
  readonly truth: Look;
  /** The tree that a restore of each set must return. */
  readonly trees: ReadonlyMap<number, Snapshot>;
}

class Making {
  readonly older: string[] = [];
  readonly trees = new Map<number, Snapshot>();
  readonly large = Buffer.from(text(40, 1060 * KIB));
  readonly place: Place;
  readonly source: string;
  private readonly home: string;
  private readonly isEncrypting: boolean;
  private readonly keepsLog: boolean;

  constructor(home: string, isEncrypting: boolean, keepsLog: boolean) {
    this.home = home;
    this.isEncrypting = isEncrypting;
    this.keepsLog = keepsLog;
    this.place = { store: path.join(home, 'store'), client: 'me' };
    this.source = path.join(home, 'tree');
  }

  at(...names: string[]): string {
    return path.join(this.source, ...names);
  }

  get options() {
    const settings = { settings: { sendSignatures: true }, storage: STORAGE };
    return this.isEncrypting ? { ...settings, password: PASSWORD } : settings;
  }

  /** Makes one complete set. */
  async backup(number: number): Promise<void> {
    const system = inlineSystem();
    const { set } = await backupInline(system, this.place, [this.source], {
      ...this.options,
      create: number === 1,
    });
    if (set !== number) throw new Error(`it is set ${set}, not ${number}`);
    this.trees.set(number, look(this.source));
  }

  changeLarge(seed: number, at: number): void {
    noise(seed, 2000).copy(this.large, at);
    fs.writeFileSync(this.at('large'), this.large);
  }

  keepOlder(): void {
    const to = path.join(this.home, `older-${this.older.length}`);
    fs.cpSync(path.join(this.place.store, this.place.client), to, { recursive: true });
    this.older.unshift(to);
  }

  /** Makes another set in a copy of the newest older state, on another machine. Returns the client's directory there. */
  async fork(): Promise<string> {
    const place = { ...this.place, store: path.join(this.home, 'fork') };
    const home = path.join(place.store, place.client);
    fs.cpSync(this.older[0]!, home, { recursive: true });
    const state = process.env['XDG_STATE_HOME'];
    process.env['XDG_STATE_HOME'] = path.join(this.home, 'state of the fork');
    const source = path.join(this.home, 'other tree');
    makeTree(source, [file('only there', noise(60, 3 * KIB))]);
    await backupInline(inlineSystem(), place, [source], this.options);
    process.env['XDG_STATE_HOME'] = state;
    return home;
  }

  /** Makes a set whose session is killed after a part of it was durable. */
  async breakOff(): Promise<void> {
    addTo(
      this.source,
      dir('last', [file('one', noise(70, 60 * KIB)), file('two', noise(71, 60 * KIB))]),
    );
    const home = path.join(this.place.store, this.place.client);
    const left = path.join(this.home, 'killed');
    // The copy is made at the kill, so that clean-up by the process does not affect it.
    const plan = killWhen(
      (operation, seen) => operation === 'files.sync' && seen.times(operation) > 4,
      () => fs.cpSync(home, left, { recursive: true }),
    );
    const ledger = new Ledger(inlineSystem());
    const system = faultySystem(ledger.system, plan);
    const often = {
      ...STORAGE,
      checkpoint: { bytes: 16 * KIB, entries: 10, intervalMs: 3_600_000 },
    };
    await backupInline(system, this.place, [this.source], {
      ...this.options,
      storage: often,
    }).catch(() => undefined);
    ledger.closeAll();
    fs.rmSync(home, { recursive: true });
    fs.renameSync(left, home);
    fs.rmSync(path.join(home, 'tardis.db-shm'), { force: true });
    if (this.keepsLog) return;
    // Opens the store once, as the next command would: the log is merged into the catalog.
    const place = openClientDirectory(inlineSystem(), this.place);
    (await StoreWriter.open(inlineSystem(), place, STORAGE.store)).close();
  }
}

/**
 * Creates the history in an empty directory. With `keepsLog`, part of the catalog is still in SQLite's log, as
 * after a kill.
 */
export async function makeHistory(
  home: string,
  isEncrypting: boolean,
  keepsLog: boolean,
): Promise<History> {
  const making = new Making(home, isEncrypting, keepsLog);
  const { place, source } = making;
  const state = path.join(home, 'state');
  process.env['XDG_STATE_HOME'] = state;
  makeTree(source, [
    dir(
      'small',
      [...Array(5).keys()].map((n) => file(`s${n}`, text(n + 1, 300 + 500 * n))),
    ),
    dir('middle', [file('one', noise(41, 9 * KIB)), file('two', text(42, 30 * KIB))]),
    dir('moves', [file('along', text(43, 3000)), dir('deep', [file('er', text(44, 900))])]),
    file('large', making.large),
    file('twin', text(2, 800)),
    file('empty'),
    symlink('link', 'small/s1'),
    hardlink('second name', 'middle', 'one'),
  ]);
  await making.backup(1);
  making.changeLarge(45, 500 * KIB);
  fs.renameSync(making.at('moves'), making.at('middle', 'moved'));
  fs.writeFileSync(making.at('small', 's3'), text(46, 2000));
  await making.backup(2);
  making.changeLarge(47, 100 * KIB);
  addTo(source, dir('later', [file('new', text(48, 5000)), file('gone', noise(49, 20 * KIB))]));
  await making.backup(3);
  making.keepOlder();
  fs.rmSync(making.at('later', 'gone'));
  making.changeLarge(50, 700 * KIB);
  await making.backup(4);
  await deleteInline(place, PURGED);
  const frames = await frameTools(place);
  await collectInline(place, { limits: STORAGE.store, wasteRatio: 0.02, isThorough: true, frames });
  fs.writeFileSync(making.at('small', 's1'), text(51, 1500));
  await making.backup(5);
  making.keepOlder();
  fs.rmSync(making.at('middle', 'moved', 'deep'), { recursive: true });
  addTo(source, file('after', text(52, 4000)));
  await making.backup(6);
  const others = { ...place, client: OTHER };
  await backupInline(inlineSystem(), others, [making.at('middle')], {
    ...making.options,
    create: true,
  });
  fs.writeFileSync(making.at('last of all'), text(53, 700));
  await making.breakOff();
  const fork = await making.fork();
  const keyring = await keyringOfPlace(place);
  const truth = await lookAt(place, keyring);
  const passwordFile = path.join(home, 'password');
  fs.writeFileSync(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  return {
    home,
    place,
    source,
    isEncrypting,
    keepsLog,
    keyring,
    passwordFile,
    older: making.older,
    fork,
    state,
    truth,
    trees: making.trees,
  };
}
