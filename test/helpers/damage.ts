/** Damages a store in every way, and finds what is left of it by reading every file of every set. */
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { Access, openLocalHistory, unsealedHistory } from '../../src/history/index.js';
import type { Keyring } from '../../src/crypto/index.js';
import { TardisError } from '../../src/errors/index.js';
import { ContentReader } from '../../src/restore/index.js';
import {
  DirectoryBackend,
  openClientDirectory,
  recordBytes,
  scanPack,
} from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import type { seededRandom } from '../support/seeded-random.js';
import {
  checkClient,
  type CheckOptions,
  type CheckResult,
  type Finding,
} from '../../src/maintenance/check/index.js';
import { entriesOf, type Place, SMALL_STORE } from './inline.js';
import { keysIn, ringOf } from './rewrites.js';

type Random = ReturnType<typeof seededRandom>;

export interface Checked extends CheckResult {
  readonly findings: readonly Finding[];
}

export async function keyringOfPlace(place: Place): Promise<Keyring | undefined> {
  const system = nodeSystem();
  const keys = await keysIn(system, path.join(place.store, place.client));
  return keys?.record.isEncrypting === true ? ringOf(system, keys) : undefined;
}

/** Checks everything without marking anything, unless the options change that. */
export async function checkInline(
  place: Place,
  options: Partial<CheckOptions> = {},
  system: System = nodeSystem(),
): Promise<Checked> {
  const findings: Finding[] = [];
  const result = await checkClient(system, openClientDirectory(system, place), {
    read: { data: { kind: 'all' }, leastAgeMs: 0 },
    keyring: undefined,
    isEncrypted: false,
    mark: false,
    limits: SMALL_STORE.store,
    signal: new AbortController().signal,
    onFinding: (finding) => findings.push(finding),
    onStep: () => undefined,
    onRead: () => undefined,
    ...options,
  });
  return { ...result, findings };
}

/** Returns `set path` of each version in the findings, for each set that contains it. */
export function namedBy({ findings }: Checked): string[] {
  return findings
    .flatMap((finding) => {
      if (finding.finding !== 'version') return [];
      return finding.sets.map((set) => `${set} ${finding.path.toString('latin1')}`);
    })
    .sort();
}

/** Returns a checksum of each file of each set by `set path`; `lost` if it cannot be restored. */
export async function contentsOf(
  place: Place,
  keyring: Keyring | undefined,
): Promise<Map<string, string>> {
  const system = nodeSystem();
  const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
  const history = keyring === undefined ? local : unsealedHistory(local, keyring, system.native);
  const reader = new ContentReader(system, history);
  const found = new Map<string, string>();
  try {
    for (const { set } of await history.sets()) {
      for await (const [name, entry] of entriesOf(history, set)) {
        if (entry.childId !== undefined || entry.contentId === undefined) continue;
        const [pieces] = await history.locate([entry]);
        found.set(`${set} ${name}`, pieces === undefined ? 'lost' : await hashOf(reader, pieces));
      }
    }
    return found;
  } finally {
    reader.close();
    history.close();
  }
}

type Pieces = Parameters<ContentReader['bytes']>[0];

async function hashOf(reader: ContentReader, pieces: Pieces): Promise<string> {
  let sum = 0; // fast, for many megabytes in a thousand cases
  try {
    for await (const bytes of reader.bytes(pieces)) sum = crc32(bytes, sum);
    return sum.toString(16);
  } catch (error) {
    if (!(error instanceof TardisError)) throw error;
    return 'lost';
  }
}

/** Returns `set path` of everything that has changed. */
export function lostOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  return [...before].flatMap(([key, hash]) => (after.get(key) === hash ? [] : [key])).sort();
}

/** Returns the packs and objects of a client, relative to its directory. */
export function dataFiles({ store, client }: Place): string[] {
  const home = path.join(store, client);
  const all = fs.readdirSync(home, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => /^packs\/\d+\.pack$|^[0-9a-f]{2}\/[0-9a-f]{2}\/./.test(name)).sort();
}

/** One way to damage a store; returns a description of the damage. */
type Damage = (home: string, files: readonly string[], random: Random) => Promise<string>;

function below1(random: Random, end: number): number {
  return Math.floor(random.next() * end);
}

function oneOf<T>(random: Random, items: readonly T[]): T {
  return items[below1(random, items.length)]!;
}

/** Returns a random position in all files; large files are hit more often than small ones, as by chance. */
function placeIn(home: string, files: readonly string[], random: Random): [string, number] {
  const sizes = files.map((name) => fs.statSync(path.join(home, name)).size);
  let at = below1(
    random,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  for (const [index, size] of sizes.entries()) {
    if (at < size) return [files[index]!, at];
    at -= size;
  }
  return [files[0]!, 0];
}

function change(file: string, how: (bytes: Buffer) => Buffer): void {
  fs.writeFileSync(file, how(fs.readFileSync(file)));
}

export async function recordsOf(
  home: string,
  pack: number,
): Promise<{ from: number; to: number; kind: number }[]> {
  const backend = new DirectoryBackend(home, nodeSystem().files);
  try {
    const records: { from: number; to: number; kind: number }[] = [];
    for await (const { header, position } of scanPack(backend, pack, 0)) {
      const to = position + recordBytes(header);
      records.push({ from: position, to, kind: header.kind });
    }
    return records;
  } finally {
    backend.close();
  }
}

export const DAMAGES: Readonly<Record<string, Damage>> = {
  async flip(home, files, random) {
    const [name, at] = placeIn(home, files, random);
    change(path.join(home, name), (bytes) => {
      bytes[at]! ^= 1 << below1(random, 8);
      return bytes;
    });
    return `a bit of ${name} at ${at}`;
  },
  async 'flip in a header'(home, files, random) {
    const packs = files.filter((name) => name.startsWith('packs/'));
    const name = oneOf(random, packs);
    const { from } = oneOf(random, await recordsOf(home, Number.parseInt(path.basename(name), 10)));
    const at = from + below1(random, 72 + 56);
    change(path.join(home, name), (bytes) => {
      bytes[Math.min(at, bytes.length - 1)]! ^= 1 << below1(random, 8);
      return bytes;
    });
    return `a bit of a header in ${name} at ${at}`;
  },
  async truncate(home, files, random) {
    const [name, at] = placeIn(home, files, random);
    fs.truncateSync(path.join(home, name), at);
    return `${name} cut off at ${at}`;
  },
  async overwrite(home, files, random) {
    const [name, at] = placeIn(home, files, random);
    const fill = below1(random, 2) === 0;
    change(path.join(home, name), (bytes) => {
      const to = Math.min(bytes.length, at + 1 + below1(random, 4096));
      if (fill) random.bytes(to - at).copy(bytes, at);
      else bytes.fill(0, at, to);
      return bytes;
    });
    return `${name} overwritten at ${at}`;
  },
  async remove(home, files, random) {
    const name = oneOf(random, files);
    fs.rmSync(path.join(home, name));
    return `${name} removed`;
  },
  async 'exchange files'(home, files, random) {
    const [one, other] = [oneOf(random, files), oneOf(random, files)];
    const bytes = fs.readFileSync(path.join(home, one));
    fs.writeFileSync(path.join(home, one), fs.readFileSync(path.join(home, other)));
    fs.writeFileSync(path.join(home, other), bytes);
    return `${one} and ${other} exchanged`;
  },
  async 'exchange records'(home, files, random) {
    const packs = files.filter((name) => name.startsWith('packs/'));
    const name = oneOf(random, packs);
    const records = await recordsOf(home, Number.parseInt(path.basename(name), 10));
    const at = below1(random, records.length);
    const [one, other] = [records[at]!, oneOf(random, records)].sort((a, b) => a.from - b.from);
    change(path.join(home, name), (bytes) =>
      one!.from === other!.from
        ? bytes
        : Buffer.concat([
            bytes.subarray(0, one!.from),
            bytes.subarray(other!.from, other!.to),
            bytes.subarray(one!.to, other!.from),
            bytes.subarray(one!.from, one!.to),
            bytes.subarray(other!.to),
          ]),
    );
    return `records of ${name} at ${one!.from} and ${other!.from} exchanged`;
  },
};

/** Returns sizes and checksums of a client's data files, to detect any change. */
export function fingerprint(place: Place): string {
  return dataFiles(place)
    .map((name) => {
      const bytes = fs.readFileSync(path.join(place.store, place.client, name));
      return `${name} ${bytes.length} ${crc32(bytes)}`;
    })
    .join('\n');
}
