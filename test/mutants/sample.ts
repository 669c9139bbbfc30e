/** Chooses mutants of rooms by a seed. */
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { transformSync } from 'esbuild';
import { seededRandom } from '../support/seeded-random.js';
import { KINDS, type Place, placesIn, placesInNative } from './kinds.js';
import { compiledOf } from './reach.js';

export interface Mutant extends Place {
  readonly room: string;
  readonly file: string;
  readonly line: number;
  readonly original: string;
}

const NATIVE = 'native';

export function isNative({ file }: Pick<Mutant, 'file'>): boolean {
  return file.startsWith(`${NATIVE}/`);
}

/** Returns a module as it runs; undefined if it does not compile. */
export function scriptOf(text: string): string | undefined {
  try {
    return transformSync(text, { loader: 'ts', target: 'es2023', format: 'esm' }).code;
  } catch {
    return undefined; // the answer for a text that is no TypeScript
  }
}

export function changedText(text: string, { start, end, changed }: Place): string {
  return text.slice(0, start) + changed + text.slice(end);
}

/** Returns so many mutants of the rooms at or below `begin` in equal shares; without it of all rooms. */
export function sample(begin: string | undefined, count: number, seed: string): Mutant[] {
  const files = fs.globSync(['src/**/*.ts', 'native/src/*.{cc,h}']).sort();
  const compiled = files.filter((file) => isNative({ file }) || fs.existsSync(compiledOf(file)));
  const roomOf = (file: string): string =>
    isNative({ file }) ? NATIVE : path.dirname(file).replace(/^src\//, '');
  const rooms = [...Map.groupBy(compiled, roomOf)].filter(
    ([name]) => begin === undefined || `${name}/`.startsWith(`${begin}/`),
  );
  if (rooms.length === 0) throw new Error(`there is no room "${begin}"`);
  const sumUpTo = (at: number): number => Math.floor((at * count) / rooms.length);
  return rooms.flatMap(([room, own], at) =>
    sampleOf(room, own, sumUpTo(at + 1) - sumUpTo(at), seed),
  );
}

/** Returns mutants of one room, of each kind in turn at random places. Each changes the compiled module. */
function sampleOf(room: string, files: readonly string[], count: number, seed: string): Mutant[] {
  const random = seededRandom(crc32(`${seed} ${room}`));
  const texts = files.map((file) => fs.readFileSync(file, 'utf8'));
  const places = room === NATIVE ? texts.map(placesInNative) : placesIn(texts);
  const all = places.flatMap((some, at) => some.map((place) => ({ place, at })));
  const byKind = KINDS.map((kind) => all.filter(({ place }) => place.kind === kind));
  const found: Mutant[] = [];
  const first = Math.floor(random.next() * KINDS.length);
  for (
    let turn = first;
    found.length < count && byKind.some((some) => some.length > 0);
    turn += 1
  ) {
    const some = byKind[turn % byKind.length]!;
    const [one] = some.splice(Math.floor(random.next() * some.length), 1);
    if (one === undefined) continue;
    const [file, text, { place }] = [files[one.at]!, texts[one.at]!, one];
    const script = scriptOf(changedText(text, place));
    if (room !== NATIVE && (script === undefined || script === scriptOf(text))) continue;
    const line = text.slice(0, place.start).split('\n').length;
    found.push({ room, file, line, ...place, original: text.slice(place.start, place.end) });
  }
  return found;
}
