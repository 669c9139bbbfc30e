// Pace: slow
/** A restore copies later files of a content from the first one, and reads the store again if that is not possible. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PLACE_NUMBERS, RestoreHow } from '../../src/workers/index.js';
import { type NativeCalls, RestoreCount } from '../../src/system/index.js';
import { inlineLab, inlineSystem, type Place, restoreInline } from '../helpers/inline.js';
import { differences, dir, file, look, text } from '../helpers/tree.js';

/** More than are located at once, so that the first directory is in a job before the second one is located. */
const FILES = 1500;
const COPIES = 200;

const contents = Array.from({ length: FILES }, (_, index) => text(index + 1, 3000));
const original = (index: number): string => `f${index}`;
const copy = (index: number): string => `copy-${index}`;

/** Makes `a` with many files, and `b` with a copy of some of them, then backs both up. */
async function backedUp(
  t: ExecutionContext,
): Promise<{ place: Place; source: string; home: string }> {
  const others = Array.from({ length: FILES }, (_, index) =>
    file(`other-${index}`, text(FILES + index + 1, 50)),
  );
  const { home, place, source, backup } = inlineLab(t, [
    dir(
      'a',
      contents.map((bytes, index) => file(original(index), bytes)),
    ),
    dir('b', others),
    dir(
      'c',
      contents.slice(0, COPIES).map((bytes, index) => file(copy(index), bytes)),
    ),
  ]);
  await backup();
  return { place, source, home };
}

interface Restored {
  /** Number of files that the addon copied. */
  readonly copied: number;
  /** Number of files that could not be copied. */
  readonly notCopied: number;
  readonly failures: readonly string[];
}

/** Restores, and runs `change` before the first copy is made. */
async function restored(
  { place, source }: { readonly place: Place; readonly source: string },
  output: string,
  change: () => void = () => undefined,
): Promise<Restored> {
  const base = inlineSystem();
  const { native } = base;
  let [copied, notCopied, isChanged] = [0, 0, false];
  const watched: Partial<NativeCalls> = {
    restoreFiles: (...values) => {
      const [places, names, counts] = [values[4], values[9], values[12]];
      if (names.length === 0) return native.restoreFiles(...values);
      if (!isChanged) change();
      isChanged = true;
      const numbers = new Uint32Array(places.buffer, places.byteOffset);
      for (let at = 3; at < numbers.length; at += PLACE_NUMBERS) {
        if (numbers[at] !== RestoreHow.copied) throw new Error('a job of copies has another file');
      }
      const refused = native.restoreFiles(...values);
      const counted = new Float64Array(counts.buffer);
      copied += counted[RestoreCount.files]!;
      notCopied += counted[RestoreCount.undecided]!;
      return refused;
    },
  };
  const system = { ...base, native: { ...native, ...watched } };
  const failures = await restoreInline(system, place, { paths: [source], output });
  return { copied, notCopied, failures: failures.map((one) => one.error.code) };
}

test('later files of a content are copied from the first one', async (t) => {
  const all = await backedUp(t);
  const output = path.join(all.home, 'out');
  t.deepEqual(await restored(all, output), { copied: COPIES, notCopied: 0, failures: [] });
  t.deepEqual(differences(look(all.source), look(path.join(output, 'tree'))), []);
});

const CHANGES: Readonly<Record<string, (file: string) => void>> = {
  removed: (at) => fs.unlinkSync(at),
  changed: (at) => fs.writeFileSync(at, Buffer.alloc(3000, 1)),
  truncated: (at) => fs.truncateSync(at, 10),
  'replaced by a directory': (at) => {
    fs.unlinkSync(at);
    fs.mkdirSync(at);
  },
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`a file is restored from the store if its original was ${what}`, async (t) => {
    const all = await backedUp(t);
    const output = path.join(all.home, 'out');
    const result = await restored(all, output, () => {
      for (let index = 0; index < COPIES; index += 2) {
        change(path.join(output, 'tree', 'a', original(index)));
      }
    });
    t.deepEqual(result, { copied: COPIES / 2, notCopied: COPIES / 2, failures: [] });
    const names = contents.slice(0, COPIES).map((_, index) => copy(index));
    for (const [index, name] of names.entries()) {
      t.true(fs.readFileSync(path.join(output, 'tree', 'c', name)).equals(contents[index]!));
    }
    t.deepEqual(
      differences(look(path.join(all.source, 'c')), look(path.join(output, 'tree', 'c'))),
      [],
    );
  });
}

test('a copy that exists already is not replaced', async (t) => {
  const all = await backedUp(t);
  const output = path.join(all.home, 'out');
  const mine = path.join(output, 'tree', 'c', copy(3));
  const { copied, failures } = await restored(all, output, () => {
    fs.writeFileSync(mine, 'mine');
  });
  t.deepEqual(failures, ['TARGET_EXISTS']);
  t.is(copied, COPIES - 1);
  t.is(fs.readFileSync(mine, 'utf8'), 'mine');
});
