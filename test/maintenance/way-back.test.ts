// Pace: long
/** The way back after a loss: copies continue a new store that was made from one of them, and no other. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { CopyResult } from '../../src/maintenance/rewrite/index.js';
import { parseKeyRecord } from '../../src/crypto/index.js';
import { newestKeys } from '../../src/store/index.js';
import { statePath } from '../../src/system/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { copyHere, copyOut, seenLabs } from '../helpers/copied-history.js';
import { checkInline } from '../helpers/damage.js';
import { lookAt } from '../helpers/damage-look.js';
import { deleteInline } from '../helpers/garbage.js';
import { machine } from '../helpers/history-in-bucket.js';
import {
  backupInline,
  inlineSystem,
  type Place,
  rebuildInline,
  startInline,
} from '../helpers/inline.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { makeTree, dir, file, text } from '../helpers/tree.js';

const SETS = [1, 2, 3, 5, 6, 7];

const labs = seenLabs(test);

type Kind = (t: ExecutionContext, home: string) => Promise<{ place: Place; from: Copying }>;
type Copying = (source: Place) => Promise<CopyResult>;

/** Each kind of copy: its place on this machine, and the call that copies to it. */
const KINDS: Readonly<Record<string, Kind>> = {
  'a directory': async (_, home) => {
    const place = at(home, 'second');
    return { place, from: (source) => copyHere(source, place) };
  },
  'a bucket': async (_, home) => {
    const place = { store: machine(home, new Map()).cache, client: 'me' };
    return { place, from: (source) => copyHere(source, place) };
  },
  'a server': async (t, home) => {
    const place = at(home, 'second');
    const daemon = await startInline(inlineSystem(), folderIn(home, 'second'), {
      acceptCopies: true,
    });
    t.teardown(() => daemon.stop());
    let create = true;
    const from: Copying = (source) => {
      const copied = copyOut({ place: source, to: daemon.address }, { create });
      create = false;
      return copied;
    };
    return { place, from };
  },
};

function at(home: string, name: string): Place {
  return { store: path.join(home, name), client: 'me' };
}

function places(home: string, ...names: [string, string, string]): [Place, Place, Place] {
  return names.map((name) => at(home, name)) as [Place, Place, Place];
}

/**
 * Saves a tree with a directory of this name, which gets the next free number. As with --trust-store, this machine does
 * not compare the store with newer states.
 */
async function backup(home: string, place: Place, name: string, root = name): Promise<void> {
  const keys = parseKeyRecord(newestKeys(inlineSystem(), path.join(place.store, 'me'))!.bytes);
  fs.rmSync(statePath('seals', keys.keysetId.toString('hex')), { force: true });
  const tree = path.join(home, root);
  fs.rmSync(tree, { recursive: true, force: true });
  makeTree(tree, [dir(name, [dir('in', [file(name, text(1, 90))])]), file('same', 'same')]);
  await backupInline(inlineSystem(), place, [tree], { password: PASSWORD });
}

async function refusal(copied: Promise<CopyResult>): Promise<string> {
  const { code, message } = await copied.then(
    () => ({ code: 'none', message: '' }),
    (error: unknown) => asTardisError(error),
  );
  return `${code}: ${message}`;
}

for (const isEncrypting of [false, true]) {
  const sealed = isEncrypting ? 'sealed' : 'plain';
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const way of ['sonic copy', 'cp -a']) {
      test.serial(
        `copies continue a store that ${way} made from the older of them, once it has the rest (${sealed}, ${kind})`,
        async (t) => {
          const { lab } = labs.get(isEncrypting)!;
          const home = scratchInMemory(t);
          const look = (place: Place) => lookAt(place, lab.keyring);
          const [lost, first, fresh] = places(home, 'lost', 'first', 'fresh');
          fs.cpSync(lab.place.store, lost.store, { recursive: true });
          const second = await make(t, home);
          await copyHere(lost, first);
          await backup(home, lost, 'eight');
          t.deepEqual((await second.from(lost)).sets, [...SETS, 8]);
          if (way === 'cp -a') fs.cpSync(first.store, fresh.store, { recursive: true });
          else await copyHere(first, fresh);
          const whole = await look(second.place);
          t.regex(await refusal(second.from(fresh)), /COPY_DIFFERS: .*older.* the copy has 8/);
          t.deepEqual(await look(second.place), whole, 'it is not shortened');
          const back = await copyHere(second.place, fresh);
          t.deepEqual([back.sets, back.kept], [[8], []]);
          t.deepEqual(await look(fresh), whole);
          await backup(home, fresh, 'nine');
          t.deepEqual((await copyHere(fresh, first, { deletes: true })).sets, [8, 9]);
          const { sets, kept } = await second.from(fresh);
          t.deepEqual([sets, kept], [[9], []]);
          for (const place of [first, second.place]) {
            t.deepEqual(await look(place), await look(fresh));
            const check = { keyring: lab.keyring, isEncrypted: isEncrypting };
            t.deepEqual((await checkInline(place, check)).findings, []);
          }
          t.is((await second.from(fresh)).kept, undefined, 'it is known now');
        },
      );
    }
  }

  test.serial(
    `a store that went another way is refused, and what each has beyond is named (${sealed})`,
    async (t) => {
      const { lab } = labs.get(isEncrypting)!;
      const home = scratchInMemory(t);
      const look = (place: Place) => lookAt(place, lab.keyring);
      const [lost, copy, fresh] = places(home, 'lost', 'copy', 'fresh');
      fs.cpSync(lab.place.store, lost.store, { recursive: true });
      await backup(home, lost, 'first', 'tree');
      await copyHere(lost, fresh);
      await backup(home, lost, 'eight', 'tree');
      await copyHere(lost, copy);
      await backup(home, fresh, 'other', 'tree');
      const before = await look(copy);
      const another = /COPY_DIFFERS: .* set 9 is another one .* target has 9.*, and the source /;
      t.regex(await refusal(copyHere(fresh, copy)), another);
      await backup(home, fresh, 'third', 'tree');
      await deleteInline(fresh, [9]);
      const shown = await refusal(copyHere(fresh, copy, { deletes: true }));
      t.regex(shown, isEncrypting ? another : /COPY_DIFFERS: .* --delete would delete 9 /);
      t.deepEqual(await look(copy), before);
      if (isEncrypting) return; // the seal of the next set proves that it follows another one
      const { sets, kept } = await copyHere(fresh, copy);
      t.deepEqual([sets, kept], [[10], [9]]);
      const wanted = new Map([...before.entries, ...(await look(fresh)).entries]);
      for (const isRebuilt of [false, true]) {
        if (isRebuilt) await rebuildInline(copy);
        const found = await look(copy);
        t.deepEqual(Object.fromEntries(found.entries), Object.fromEntries(wanted));
        t.deepEqual(
          (await checkInline(copy, { keyring: undefined, isEncrypted: false })).findings,
          [],
        );
      }
    },
  );

  test.serial(
    `stores that gave a number to two roots do not continue each other (${sealed})`,
    async (t) => {
      const { lab } = labs.get(isEncrypting)!;
      const home = scratchInMemory(t);
      const [lost, copy, fresh] = places(home, 'lost', 'copy', 'fresh');
      fs.cpSync(lab.place.store, lost.store, { recursive: true });
      await copyHere(lost, fresh);
      await backup(home, lost, 'eight');
      await copyHere(lost, copy);
      await backup(home, fresh, 'other');
      await backup(home, fresh, 'third');
      await deleteInline(fresh, [8]);
      t.regex(
        await refusal(copyHere(fresh, copy)),
        /COPY_DIFFERS: .* (?:root 3|set 8) is another one/,
      );
    },
  );
}
