/** Runs jobs over real files in this thread, with a clock and system calls that a test can replace. */
import fs from 'node:fs';
import path from 'node:path';
import { type Entry, forEachRow, RowReader } from '../../src/model/index.js';
import { type Clock, type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import {
  type DirectoryBlock,
  type FrameOptions,
  packBlock,
  type ParcelInput,
  runOf,
  type WalkOutput,
} from '../../src/workers/index.js';
import { Codec } from '../../src/store/index.js';
import { identityAt } from './identities.js';
import { oneByOne } from '../support/leaves-all.js';
import { entriesOf } from './rows.js';
import { scratchInMemory } from './scratch.js';

const system = nodeSystem();

/** Frames so small that a few files fill several. */
export const FRAMES: FrameOptions = {
  compression: { codec: Codec.zstd, level: 1 },
  smallBytes: 1000,
  smallRawBytes: 1000,
  frameBytes: 4000,
};

/** A clock so far ahead that no new file counts as recently changed. */
export const LATER: Clock = {
  nowMs: () => Date.now() + 60_000,
  monotonicMs: () => performance.now(),
};

/** Returns the real system with some calls of the addon, or the clock, replaced. */
export function systemWith(replaced: Partial<NativeCalls> = {}, clock: Clock = LATER): System {
  const native = oneByOne(replaced);
  const calls = new Proxy({} as NativeCalls, {
    get: (_empty, key): unknown => Reflect.get(native, key) ?? Reflect.get(system.native, key),
  });
  return { ...system, clock, native: calls };
}

/** Returns an error like those of the addon. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected, open`), { code, errno: -1, syscall: 'open' });
}

/** Returns the start of a walk: these directories, the first on top, as roots of slots 0, 1, … */
export function startAt(...folders: readonly string[]): DirectoryBlock {
  const tasks = folders.map((folder, index) => {
    const bytes = Buffer.from(folder);
    return {
      slot: index,
      parent: -1 - index,
      path: bytes,
      row: system.native.statRow(bytes, bytes),
      identity: identityAt(folder),
    };
  });
  return packBlock(tasks.reverse());
}

export interface WalkedDirectory {
  readonly slot: number;
  readonly parent: number;
  readonly path: string;
  /** Undefined if the listing is not settled. */
  readonly hash: Buffer | undefined;
  readonly entries: readonly Entry[];
  readonly listing: Buffer;
}

/** Returns the results of a walk job, directory by directory. */
export function walkedOf(output: WalkOutput): WalkedDirectory[] {
  const { walked, hashes, listings, listingEnds } = output;
  return Array.from(walked.slots, (slot, index) => {
    const hash = Buffer.from(hashes.subarray(index * 32, (index + 1) * 32));
    const listing = runOf(listings, listingEnds, index);
    return {
      slot,
      parent: walked.parents[index]!,
      path: runOf(walked.paths, walked.pathEnds, index).toString('latin1'),
      hash: hash.some((byte) => byte !== 0) ? hash : undefined,
      entries: entriesOf(listing),
      listing,
    };
  });
}

/** Returns a parcel with all entries of some folders, one section for each. */
export function parcelOf(...folders: readonly string[]): ParcelInput {
  return parcelOfRows(
    folders.map((folder) => [folder, system.native.listDirectory(Buffer.from(folder))]),
  );
}

/** Returns a parcel of given rows, section by section; the n-th section is slot 10 + n. */
export function parcelOfRows(sections: readonly (readonly [string, Buffer])[]): ParcelInput {
  let [rowEnd, pathEnd, contentBytes] = [0, 0, 0];
  const rowEnds = sections.map(([, rows]) => (rowEnd += rows.length));
  const pathEnds = sections.map(([folder]) => (pathEnd += Buffer.byteLength(folder)));
  for (const [, bytes] of sections) {
    const rows = new RowReader(bytes);
    forEachRow(rows, (at) => {
      contentBytes += rows.sizeBytes(at);
    });
  }
  return {
    slots: Uint32Array.from(sections, (_section, index) => 10 + index),
    rows: Buffer.concat(sections.map(([, rows]) => rows)),
    rowEnds: Uint32Array.from(rowEnds),
    paths: Buffer.concat(sections.map(([folder]) => Buffer.from(folder))),
    pathEnds: Uint32Array.from(pathEnds),
    identities: Buffer.concat(sections.map(([folder]) => identityAt(folder))),
    contentBytes,
  };
}

/** Creates a folder with files, which is removed when the test is over. */
export function filled(
  t: Parameters<typeof scratchInMemory>[0],
  files: Readonly<Record<string, string | Buffer>>,
): string {
  const folder = scratchInMemory(t);
  fill(folder, files);
  return folder;
}

/** Creates files by their path beneath a folder; a name that ends with a slash is a directory. */
export function fill(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    fs.mkdirSync(name.endsWith('/') ? file : path.dirname(file), { recursive: true });
    if (!name.endsWith('/')) fs.writeFileSync(file, content);
  }
}

/** Returns all directories of a tree. */
export function foldersOf(root: string): string[] {
  const below = fs.readdirSync(root, { withFileTypes: true, encoding: 'buffer' });
  const folders = below.filter((entry) => entry.isDirectory());
  // A path of other bytes would need buffers everywhere.
  const names = folders
    .map(({ name }) => name.toString())
    .filter((name) => !name.includes('\ufffd'));
  return [root, ...names.flatMap((name) => foldersOf(path.join(root, name)))];
}
