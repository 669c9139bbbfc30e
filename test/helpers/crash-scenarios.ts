/** Work on a store that a power cut interrupts: one scenario for each kind of work. */
import fs from 'node:fs';
import path from 'node:path';
import type { System } from '../../src/system/index.js';
import { MESSAGES, type MessageName } from '../../src/transport/index.js';
import { checkStore, type History, historyIn, lastCommit, SET_CLOSED } from './crash-checks.js';
import type { Ground, Scenario } from './crash-runs.js';
import {
  backupInline,
  type InlineBackup,
  type InlineServer,
  inlineSystem,
  SMALL_STORE,
  tapped,
} from './inline.js';
import { addTo, dir, file, hardlink, makeTree, noise, symlink, text } from './tree.js';

/** The history of a store, the sets that existed before the work, and its checkpoints then. */
export interface StoreTruth {
  readonly history: History;
  readonly before: readonly string[];
  readonly commits: number;
}

export type StoreScenario = Scenario<StoreTruth>;

const MESSAGE_NAMES = new Map(
  Object.entries(MESSAGES).map(([name, { number }]) => [number, name as MessageName]),
);

/** Runs a backup and reports the acknowledgements that the server sends. */
export async function answeringBackup(
  system: System,
  ground: Ground,
  setName: string,
  answer: (what: string) => void,
  options: InlineBackup & InlineServer = {},
): Promise<void> {
  const wrapHost = tapped(() => ({
    answer: (bytes) => {
      const name = MESSAGE_NAMES.get(bytes[0]!);
      if (name === 'durable' || name === 'keysSet') answer(name);
      if (name === 'setClosed') answer(`${SET_CLOSED}${setName}`);
      return bytes;
    },
  }));
  await backupInline(system, ground.place, [ground.source], { ...options, setName, wrapHost });
}

/** Number of directories with some small files each. */
const DIRECTORIES = 26;

/** Creates contents for each kind of record: frames, large contents, streams, an object, and later deltas. */
function makeSource(source: string): void {
  makeTree(source, [
    dir('docs', [
      file('a', text('a', 6000)),
      file('b', text('b', 30_000)),
      file('same as a', text('a', 6000)),
      dir('deep', [file('c', noise('c', 20_000))]),
      ...Array.from({ length: DIRECTORIES }, (_, n) => {
        return dir(`d${n}`, [
          file('x', text(`x${n}`, 900)),
          file('y', text(`y${n}`, 1500)),
          file('z', noise(`z${n}`, 2000)),
        ]);
      }),
    ]),
    dir('data', [
      file('large', large('large', 150_000)),
      file('medium', noise('medium', 40_000)),
      file('empty'),
    ]),
    dir('moves', [file('along', text('along', 2000))]),
    symlink('link', 'docs/a'),
    hardlink('second name', 'docs', 'a'),
    file('top', 'top'),
  ]);
}

/** Returns content larger than a parcel that is quickly sent: only its beginning is incompressible. */
function large(name: string, noiseBytes: number): Buffer {
  return Buffer.concat([noise(name, noiseBytes), Buffer.alloc(1_100_000 - noiseBytes)]);
}

/** Makes changes of every kind; the large file becomes a delta. */
function changeSource(source: string): void {
  const at = (...names: string[]): string => path.join(source, ...names);
  fs.renameSync(at('moves'), at('moved'));
  fs.rmSync(at('docs', 'b'));
  fs.appendFileSync(at('top'), 'more');
  const fd = fs.openSync(at('data', 'large'), 'r+');
  fs.writeSync(fd, noise('changed', 3000), 0, 3000, 70_000);
  fs.closeSync(fd);
  addTo(at('docs', 'deep'), file('new', noise('new', 30_000)));
  for (let n = 0; n < DIRECTORIES; n += 1) {
    fs.appendFileSync(at('docs', `d${n}`, 'x'), `changed ${n}`);
    fs.writeFileSync(at('docs', `d${n}`, 'w'), noise(`w${n}`, 1000));
    if (n % 2 === 0) fs.rmSync(at('docs', `d${n}`, 'y'));
  }
  addTo(source, dir('more', [file('other', large('other', 140_000)), file('x', text('x', 3000))]));
}

/** Small parcels, and a checkpoint after every few records. */
export const OFTEN: InlineBackup & Required<Pick<InlineServer, 'storage'>> = {
  settings: { parcelFiles: 1 },
  storage: {
    ...SMALL_STORE,
    store: { packBytes: 24 << 10, packContentBytes: 100 << 10 },
    checkpoint: { ...SMALL_STORE.checkpoint, bytes: 8 << 10, entries: 3 },
  },
};

export async function firstBackup(ground: Ground): Promise<void> {
  makeSource(ground.source);
  await backupInline(inlineSystem(), ground.place, [ground.source], {
    ...OFTEN,
    create: true,
    setName: 'first',
  });
}

export async function bothBackups(ground: Ground): Promise<void> {
  await firstBackup(ground);
  changeSource(ground.source);
  const options = { ...OFTEN, setName: 'second' };
  await backupInline(inlineSystem(), ground.place, [ground.source], options);
}

/** Returns a function for the truth of a store: its history now, and the sets that existed before. */
export function truthWith(
  before: readonly string[],
  commits: (ground: Ground) => number,
): StoreScenario['truth'] {
  return async (ground) => ({
    history: await historyIn(ground.place),
    before,
    commits: commits(ground),
  });
}

export function storeCheck(like: string): StoreScenario['check'] {
  return (crash, { history, before, commits }) =>
    checkStore(crash, { truth: history, before, commits, like });
}

const commitsBefore = new WeakMap<Ground, number>();

/** Records the number of checkpoints before the work. */
export function countCommits(ground: Ground): void {
  commitsBefore.set(ground, lastCommit(ground.place));
}

export function commitsCounted(ground: Ground): number {
  return commitsBefore.get(ground) ?? 0;
}

export const FIRST: StoreScenario = {
  name: 'a first backup',
  states: 1200,
  thoroughEvery: 15,
  prepare: async ({ source }) => makeSource(source),
  work: (system, ground, answer) =>
    answeringBackup(system, ground, 'first', answer, { ...OFTEN, create: true }),
  truth: truthWith([], () => 0),
  check: storeCheck('first'),
};

export const SECOND: StoreScenario = {
  name: 'a later backup, with deltas',
  states: 1000,
  thoroughEvery: 15,
  prepare: async (ground) => {
    await firstBackup(ground);
    changeSource(ground.source);
    countCommits(ground);
  },
  work: (system, ground, answer) => answeringBackup(system, ground, 'second', answer, OFTEN),
  truth: truthWith(['first'], commitsCounted),
  check: storeCheck('second'),
};

const PART_BYTES = 64 << 20;

/** Few states, because each reads the contents three times. */
export const PARTS: StoreScenario = {
  name: 'a file in parts',
  states: 40,
  thoroughEvery: 20,
  prepare: async ({ source }) => {
    makeTree(source, [file('small', 'small')]);
    const inParts = Buffer.alloc(PART_BYTES + 70_000);
    noise('parts', 60_000).copy(inParts, PART_BYTES);
    fs.writeFileSync(path.join(source, 'parts'), inParts);
  },
  work: (system, ground, answer) =>
    answeringBackup(system, ground, 'first', answer, { ...OFTEN, create: true }),
  truth: truthWith([], () => 0),
  check: storeCheck('first'),
};
