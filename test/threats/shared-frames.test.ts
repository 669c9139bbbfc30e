// Pace: slow
/**
 * A user of a machine places files beside the secrets of another one, and sees the sizes of what an encrypting client
 * stores. The size of nothing that holds a secret depends on these files.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RecordKind } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import { isRoot } from '../helpers/native.js';
import { type Lab, lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();

/** Owner, group and permissions of files. Only files of one line may share a frame. */
const KINDS = [
  [1001, 1001, 0o600],
  [1002, 1002, 0o600],
  [1001, 1001, 0o644],
  [1001, 1001, 0o660],
  [1001, 1002, 0o660],
  [1001, 1001, 0o666],
] as const;
const FILES = 20;
/** Added to the sizes of all files of a kind, so that a size shows the kind. */
const KIND_BYTES = 3000;
const GUESSES = 6;
const LARGE_BYTES = 2_000_000;

interface StoredContent {
  readonly record: number;
  readonly recordBytes: number;
  readonly sizeBytes: number;
}

/** Returns the contents of a client in records of one kind. */
function storedIn({ store }: Lab, kind: number): StoredContent[] {
  const file = path.join(store, 'me', 'tardis.db');
  const database = nodeSystem().openDatabase(file, { readonly: true });
  try {
    const sql =
      'SELECT r.record_id AS record, r.record_bytes AS recordBytes, c.size_bytes AS sizeBytes ' +
      'FROM contents c JOIN records r USING (record_id) WHERE r.kind = ?';
    return database.prepare(sql).all(kind) as StoredContent[];
  } finally {
    database.close();
  }
}

/** Returns the frames that have contents of several kinds. */
function mixed(stored: readonly StoredContent[]): string[] {
  const kinds = new Map<number, Set<number>>();
  for (const { record, sizeBytes } of stored) {
    const known = kinds.get(record) ?? new Set();
    kinds.set(record, known.add(Math.floor(sizeBytes / KIND_BYTES)));
  }
  return [...kinds].flatMap(([record, all]) =>
    all.size > 1 ? [`${record}: ${[...all].join()}`] : [],
  );
}

function place(file: string, text: string, [uid, gid, mode]: (typeof KINDS)[number]): void {
  fs.writeFileSync(file, text);
  fs.chownSync(file, uid, gid);
  fs.chmodSync(file, mode);
}

function options({ store, source, written }: Lab) {
  const login = [
    '-C',
    'me',
    '-D',
    store,
    '--password-file',
    written('password', 'a secret word\n'),
  ];
  return { login, backUp: ['--local', ...login, source] };
}

function isAble(t: ExecutionContext): boolean {
  if (!isRoot) t.log('only root may give files away');
  if (!isRoot) t.pass();
  return isRoot;
}

test('files of different owners, or with different access, share no frame: at first, when they change, and repacked', async (t) => {
  if (!isAble(t)) return;
  const made = lab(t);
  const { login, backUp } = options(made);
  const write = (round: number, share: number): void => {
    for (const [kind, access] of KINDS.entries()) {
      for (let file = 0; file < FILES * share; file += 1) {
        const bytes = KIND_BYTES * (kind + 1) + file;
        const text = noise(1000 * kind + 100 * round + file, bytes).toString('hex');
        const name = path.join(made.source, `file-${file}-of-${kind}.txt`); // names alternate in the listing
        place(name, text.slice(0, bytes), access);
      }
    }
  };
  write(1, 1);
  await succeed('tardis', [...backUp, '--create']);
  const first = storedIn(made, RecordKind.frame);
  t.true(first.length >= KINDS.length * FILES);
  t.deepEqual(mixed(first), []);
  t.true(new Set(first.map(({ record }) => record)).size < first.length / 3); // others do share frames
  write(2, 0.8);
  await succeed('tardis', backUp);
  t.deepEqual(mixed(storedIn(made, RecordKind.frame)), []);
  await succeed('sonic', ['purge', '--keep-last', '1', '--yes', ...login]);
  const left = storedIn(made, RecordKind.frame);
  const before = new Set(first.map(({ record }) => record));
  t.false(left.some(({ record }) => before.has(record))); // what was left of the first frames was repacked
  t.deepEqual(mixed(left), []);
});

test('a right guess beside a secret changes no size of what holds the secret', async (t) => {
  if (!isAble(t)) return;
  const secret = `password=${noise(1, 300).toString('hex')}`;
  const sizes = new Set<number>();
  for (let guess = 0; guess < GUESSES; guess += 1) {
    const made = lab(t);
    const { backUp } = options(made);
    place(path.join(made.source, 'secret'), `${secret}\n`, KINDS[0]);
    const text = guess === 0 ? secret : `password=${noise(1 + guess, 300).toString('hex')}`;
    place(path.join(made.source, 'guess'), text, KINDS[1]);
    await succeed('tardis', [...backUp, '--create']);
    const holding = storedIn(made, RecordKind.frame).filter(
      ({ sizeBytes }) => sizeBytes === secret.length + 1,
    );
    t.is(holding.length, 1);
    sizes.add(holding[0]!.recordBytes);
  }
  t.is(sizes.size, 1, [...sizes].join());
});

test('a file that follows one of another owner is stored without a delta on it', async (t) => {
  if (!isAble(t)) return;
  for (const isSame of [true, false]) {
    const made = lab(t);
    const { backUp } = options(made);
    const file = path.join(made.source, 'large');
    const text = noise(1, LARGE_BYTES).toString('hex');
    // The second version is a delta on the first one; so is the third one, unless it is of another owner.
    for (const [version, access] of [KINDS[1], KINDS[1], isSame ? KINDS[1] : KINDS[0]].entries()) {
      place(file, `${text.slice(0, -1)}${version}`, access);
      await succeed('tardis', [...backUp, ...(version === 0 ? ['--create'] : [])]);
    }
    t.is(storedIn(made, RecordKind.delta).length, isSame ? 2 : 1);
  }
});
