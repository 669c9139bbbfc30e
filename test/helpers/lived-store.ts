/** A small store with a history of three sets, for tests that damage it. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Keyring } from '../../src/crypto/index.js';
import { contentsOf, keyringOfPlace } from './damage.js';
import { backupInline, inlineSystem, type Place } from './inline.js';
import { PASSWORD } from './rewrites.js';
import { scratchInMemory } from './scratch.js';
import { addTo, dir, file, makeTree, noise, text } from './tree.js';

const KIB = 1 << 10;

export interface Lived {
  readonly place: Place;
  readonly source: string;
  readonly keyring: Keyring | undefined;
  readonly right: ReadonlyMap<string, string>;
}

/** Makes three sets with frames, large contents, objects, deltas on deltas, moved directories and equal files. */
export async function lived(t: ExecutionContext, isEncrypting = false): Promise<Lived> {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  const source = at('tree');
  const place = { store: at('store'), client: 'me' };
  const large = noise(1, 1200 * KIB);
  makeTree(source, [
    dir(
      'small',
      [...Array(24).keys()].map((n) => file(`s${n}`, text(n + 1, 300 + 400 * n))),
    ),
    dir('middle', [file('one', noise(40, 20 * KIB)), file('two', text(41, 90 * KIB))]),
    dir('moves', [file('along', text(42, 3000)), dir('deep', [file('er', text(43, 900))])]),
    file('large', large),
    file('objects', noise(44, 1100 * KIB)),
    file('twin', text(3, 1100)),
    file('empty'),
  ]);
  const settings = { sendSignatures: true };
  const options = isEncrypting ? { settings, password: PASSWORD } : { settings };
  const backup = (): Promise<unknown> => backupInline(inlineSystem(), place, [source], options);
  await backupInline(inlineSystem(), place, [source], { create: true, ...options });
  if (isEncrypting) t.truthy(await keyringOfPlace(place));
  noise(2, 3000).copy(large, 500 * KIB);
  fs.writeFileSync(at('tree', 'large'), large);
  fs.renameSync(at('tree', 'moves'), at('tree', 'middle', 'moved'));
  fs.writeFileSync(at('tree', 'small', 's3'), text(60, 2000));
  await backup();
  noise(3, 3000).copy(large, 100 * KIB);
  fs.writeFileSync(at('tree', 'large'), large);
  fs.rmSync(at('tree', 'middle', 'one'));
  addTo(source, dir('later', [file('new', text(61, 5000)), file('copy', text(42, 3000))]));
  await backup();
  const keyring = await keyringOfPlace(place);
  return { place, source, keyring, right: await contentsOf(place, keyring) };
}

export function copyOf(home: Place, name: string): Place {
  const store = path.join(path.dirname(home.store), name);
  fs.rmSync(store, { recursive: true, force: true });
  fs.cpSync(home.store, store, { recursive: true });
  return { ...home, store };
}
