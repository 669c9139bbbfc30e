/** Files that are held until they are restored leave by whole records, and the most complete records leave first. */
import test from 'ava';
import * as fc from 'fast-check';
import type { ContentPiece } from '../../src/history/index.js';
import { HeldFiles, type LocatedFile } from '../../src/restore/index.js';
import { sha256 } from '../helpers/rows.js';

const DIGEST = sha256('x');

function pieceAt(object: string, position: number, sizeBytes: number): ContentPiece {
  return {
    object,
    position,
    recordBytes: 100,
    offset: 0,
    digest: DIGEST,
    sizeBytes,
    basis: undefined,
  };
}

function fileOf(name: string, ...pieces: readonly ContentPiece[]): LocatedFile {
  const bytes = {
    metadata: Buffer.alloc(0),
    directory: { path: Buffer.from('d') },
    name: Buffer.from(name),
  };
  return { file: { contentId: undefined, how: 0, ...bytes }, pieces };
}

function namesOf(files: readonly LocatedFile[]): string[] {
  return files.map(({ file }) => file.name.toString());
}

function holding(files: readonly LocatedFile[]): HeldFiles {
  const held = new HeldFiles();
  for (const file of files) held.add(file);
  return held;
}

test('the files of the record with the most bytes leave first, together', (t) => {
  const held = holding([
    fileOf('rare', pieceAt('packs/1', 0, 50)),
    fileOf('first', pieceAt('packs/1', 100, 40)),
    fileOf('empty'),
    fileOf('second', pieceAt('packs/1', 100, 40)),
    fileOf('other pack', pieceAt('packs/2', 100, 60)),
  ]);
  t.deepEqual(namesOf(held.take(1, 0)), ['first', 'second']);
  t.is(held.count, 3);
  t.deepEqual(namesOf(held.take(61, 0)), ['other pack', 'rare']);
  t.deepEqual(namesOf(held.take(0, 1)), ['empty']);
  t.is(held.count, 0);
});

test('a file that comes after those of its record were taken is held again', (t) => {
  const held = holding([fileOf('early', pieceAt('packs/1', 0, 9))]);
  t.deepEqual(namesOf(held.take(1, 0)), ['early']);
  held.add(fileOf('late', pieceAt('packs/1', 0, 9)));
  t.is(held.count, 1);
  t.deepEqual(namesOf(held.take(Infinity, Infinity)), ['late']);
});

test('nothing leaves if nothing is requested, or nothing is held', (t) => {
  const held = holding([fileOf('one', pieceAt('packs/1', 0, 9))]);
  t.deepEqual(held.take(0, 0), []);
  t.deepEqual(held.take(-1, 0), []);
  t.is(held.count, 1);
  t.deepEqual(new HeldFiles().take(Infinity, Infinity), []);
});

test('records leave when most of their bytes are found, and others stay', (t) => {
  const stored = (offset: number, sizeBytes: number): ContentPiece => ({
    ...pieceAt('packs/1', 0, sizeBytes),
    recordBytes: 10_000,
    offset,
  });
  const held = holding([
    fileOf('first', stored(0, 5000)),
    fileOf('copy', pieceAt('packs/2', 7, 10)),
  ]);
  t.is(held.countSinceTaken, 2);
  held.add(fileOf('far', { ...pieceAt('packs/3', 0, 10), offset: 900 }));
  t.deepEqual(namesOf(held.takeFound(Infinity)), ['copy']);
  t.is(held.countSinceTaken, 0);
  t.deepEqual(namesOf(held.takeFound(Infinity)), []);
  held.add(fileOf('second', stored(5000, 3000)));
  t.deepEqual(namesOf(held.takeFound(1)), ['first', 'second']);
  t.deepEqual(namesOf(held.take(Infinity, Infinity)), ['far']);
});

test('a record whose further contents show that much of it is missing is found no longer', (t) => {
  const held = holding([fileOf('one', pieceAt('packs/1', 0, 50))]);
  held.add(fileOf('other', { ...pieceAt('packs/1', 0, 50), offset: 5000 }));
  t.deepEqual(held.takeFound(Infinity), []);
  t.is(held.count, 2);
});

const PIECES = fc.array(
  fc.record({
    object: fc.constantFrom('packs/1', 'packs/2', 'objects/a'),
    position: fc.integer({ min: 0, max: 3 }),
    sizeBytes: fc.integer({ min: 0, max: 5 }),
  }),
  { maxLength: 2 },
);
const STEPS = fc.array(
  fc.oneof(
    fc.record({ pieces: PIECES }),
    fc.record({ bytes: fc.integer({ min: -2, max: 20 }), files: fc.integer({ min: 0, max: 4 }) }),
  ),
  { maxLength: 60 },
);

test('every file leaves once, with all that are held of its record', (t) => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      const held = new HeldFiles();
      const waiting = new Set<LocatedFile>();
      const keyOf = ({ pieces: [first] }: LocatedFile): string =>
        `${first?.object}@${first?.position}`;
      const leave = (taken: readonly LocatedFile[]): void => {
        for (const file of taken) t.true(waiting.delete(file));
        const keys = new Set(taken.map(keyOf));
        t.false([...waiting].some((file) => keys.has(keyOf(file))));
        t.is(held.count, waiting.size);
      };
      for (const [index, step] of steps.entries()) {
        if ('pieces' in step) {
          const pieces = step.pieces.map((at) => pieceAt(at.object, at.position, at.sizeBytes));
          const file = fileOf(String(index), ...pieces);
          held.add(file);
          waiting.add(file);
          continue;
        }
        const taken = held.take(step.bytes, step.files);
        const sizes = taken.flatMap(({ pieces }) => pieces.map(({ sizeBytes }) => sizeBytes));
        const takenBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
        leave(taken);
        if (waiting.size > 0) t.true(takenBytes >= step.bytes && taken.length >= step.files);
      }
      leave(held.take(Infinity, Infinity));
      t.is(waiting.size, 0);
    }),
  );
});
