/**
 * Makes and reads dated, compressed copies of a catalog, which are files beside it (docs/inside/formats.md, "Copies of the
 * catalog"). A copy is made after a session ends, without the client's lock, so that no session waits for it. If the
 * next session begins meanwhile, the copy is abandoned, and one is made when that session ends. A copy is never used as
 * it is: later commits are replayed from the packs.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import {
  Catalog,
  comparePages,
  fingerprintOf,
  pagesDamaged,
  snapshotCatalog,
} from '../catalog/index.js';
import { asTardisError, cleanUp, TardisError } from '../../errors/index.js';
import { type ClientDirectory, Codec, decode, encode, encodedBound } from '../index.js';
import { yieldRegularly, type Files, PrivateFolder, type System } from '../../system/index.js';

/** Bytes of the catalog that are compressed as one piece. */
const PIECE_BYTES = 1 << 20;
const LEVEL = 1;
/** Magic number of a zstd skippable frame, which `zstd -d` ignores. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_BYTES = 8;
const PIECE_HEAD_BYTES: number = SKIPPABLE_BYTES + 8;
const TRAILER_BYTES: number = SKIPPABLE_BYTES + 56;
const TRAILER_MAGIC: Buffer = Buffer.from('TDCB');
const TRAILER_VERSION = 1;
/** Age at which an unfinished copy counts as abandoned: no process writes a copy for this long. */
const ABANDONED_MS = 3_600_000;

export interface CatalogCopy {
  /** Name of the file in the client's directory. */
  readonly name: string;
  /** The last commit that the copy contains. */
  readonly commit: number;
}

/** Returns the copies of a client's catalog, newest first. */
export function listCopies({ files }: System, directory: ClientDirectory): CatalogCopy[] {
  return files
    .list(directory.path)
    .flatMap((name) => copyOf(directory, name) ?? [])
    .sort((a, b) => b.commit - a.commit || (a.name < b.name ? 1 : -1));
}

/** Returns the copy that has this file name; undefined if the name is not that of a copy. */
function copyOf({ catalogPath }: ClientDirectory, name: string): CatalogCopy | undefined {
  const start = `${path.basename(catalogPath)}.`;
  const rest = name.startsWith(start) ? name.slice(start.length) : '';
  const match = /^\d{8}T\d{6}Z-(\d{10,16})\.zst$/.exec(rest);
  return match === null ? undefined : { name, commit: Number(match[1]) };
}

/** Makes copies in the background, at most one at a time for each client. */
export class CatalogCopies {
  private readonly making = new Map<string, Promise<void>>();

  constructor(
    private readonly system: System,
    private readonly onFailure: (client: string, error: TardisError) => void,
  ) {}

  /**
   * Starts a copy, unless `keep` is 0 or a copy of this client is in progress. When it is finished, older copies beyond
   * the newest `keep` are deleted.
   */
  start(directory: ClientDirectory, keep: number): void {
    if (keep === 0 || this.making.has(directory.path)) return;
    const work = copyCatalog(this.system, directory, keep)
      .then(
        () => undefined,
        (error: unknown) => this.onFailure(directory.client, asTardisError(error)),
      )
      .finally(() => this.making.delete(directory.path));
    this.making.set(directory.path, work);
  }

  /** Reports the failure of a copy that other code made. */
  report(client: string, error: TardisError): void {
    this.onFailure(client, error);
  }

  /** Resolves when no copy is in progress. */
  async finished(): Promise<void> {
    await Promise.all(this.making.values());
  }
}

/**
 * Makes a copy. Returns false, and makes none, if a session began meanwhile. Copies only a catalog whose pages all
 * match their checksums. So no copy contains damage of the disk, and no intact copy is deleted for a damaged one.
 * Throws CATALOG_DAMAGED, CATALOG_UNPROVEN, DISK_FULL, STORE_NOT_WRITABLE.
 */
export async function copyCatalog(
  system: System,
  directory: ClientDirectory,
  keep: number,
): Promise<boolean> {
  const { files, clock } = system;
  removeAbandoned(system, directory);
  const before = fingerprintOf(files, directory.catalogPath);
  if (!(await isAsWritten(system, directory))) return false;
  const commit = Catalog.lastCommit(system, directory.catalogPath);
  const date = new Date(clock.nowMs()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const name = `${path.basename(directory.catalogPath)}.${date}-${String(commit).padStart(10, '0')}.zst`;
  const final = path.join(directory.path, name);
  const isSettled = (): boolean => fingerprintOf(files, directory.catalogPath) === before;
  const isMade = await withSettledFile(system, directory, (file) =>
    pack(files, file, { final, commit, isSettled }),
  );
  if (!isMade) return false;
  const copies = listCopies(system, directory);
  // Another copy with this commit number or a higher one belongs to an abandoned history.
  const isStale = (copy: CatalogCopy): boolean => copy.commit >= commit && copy.name !== name;
  const stale = copies.filter(isStale);
  const old = copies.filter((copy) => !isStale(copy)).slice(keep);
  for (const copy of [...stale, ...old]) files.unlink(path.join(directory.path, copy.name));
  return true;
}

/**
 * Compares the catalog with its page checksums. Returns false if a session is writing to it. Throws
 * CATALOG_DAMAGED, CATALOG_UNPROVEN.
 */
async function isAsWritten(system: System, { catalogPath }: ClientDirectory): Promise<boolean> {
  const verdict = await comparePages(system, catalogPath, true);
  if (verdict.kind === 'damaged') throw pagesDamaged(catalogPath, verdict.pages);
  if (verdict.kind === 'unknown') {
    const why = 'it is not known whether it is as it was written';
    throw new TardisError('CATALOG_UNPROVEN', `${catalogPath} is not copied: ${why}`);
  }
  return verdict.kind === 'right';
}

/** Deletes unfinished copies that a killed run left. A recent one is kept: another process may be writing it. */
function removeAbandoned({ files, clock }: System, directory: ClientDirectory): void {
  for (const name of files.list(directory.path)) {
    if (!name.endsWith('.zst.new') || copyOf(directory, name.slice(0, -4)) === undefined) continue;
    const file = path.join(directory.path, name);
    const status = files.status(file);
    if (status === undefined) continue;
    if (Math.abs(clock.nowMs() - status.mtimeMs) > ABANDONED_MS) files.unlink(file);
  }
}

/**
 * Runs `work` on the catalog's file. If a reader keeps the catalog in WAL mode, a part of it is only in the log. Then
 * `work` gets a private snapshot instead.
 */
async function withSettledFile<T>(
  system: System,
  { catalogPath }: ClientDirectory,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const { files } = system;
  if ((files.status(`${catalogPath}-wal`)?.sizeBytes ?? 0) === 0) return work(catalogPath);
  using folder = new PrivateFolder(system);
  const copy = folder.file('catalog.db');
  snapshotCatalog(system, catalogPath, copy);
  return await work(copy);
}

/**
 * Compresses a file piece by piece into a file with a temporary name, which is renamed when it is durable. Returns
 * false, and deletes the new file, if the catalog changed meanwhile.
 */
async function pack(
  files: Files,
  from: string,
  {
    final,
    commit,
    isSettled,
  }: { readonly final: string; readonly commit: number; readonly isSettled: () => boolean },
): Promise<boolean> {
  const temporary = `${final}.new`;
  const source = files.open(from, 'read');
  let target: number | undefined;
  try {
    if (files.status(temporary) !== undefined) files.unlink(temporary); // an interrupted copy left it
    target = files.open(temporary, 'create');
    await packInto(files, source, target, commit);
    const isWhole = isSettled();
    if (isWhole) await files.sync(target);
    files.close(target);
    target = undefined;
    if (isWhole) files.rename(temporary, final);
    else files.unlink(temporary);
    if (isWhole) await files.syncDirectory(path.dirname(final));
    return isWhole;
  } catch (error) {
    const open = target;
    cleanUp(open === undefined ? undefined : () => files.close(open), () => {
      if (files.status(temporary) !== undefined) files.unlink(temporary);
    });
    throw error;
  } finally {
    files.close(source);
  }
}

async function packInto(files: Files, from: number, to: number, commit: number): Promise<void> {
  const breathe = yieldRegularly();
  const hash = createHash('sha256');
  const raw = Buffer.allocUnsafe(PIECE_BYTES);
  const packed = Buffer.allocUnsafe(PIECE_HEAD_BYTES + encodedBound(Codec.zstd, PIECE_BYTES));
  let [sizeBytes, at] = [0, 0];
  for (;;) {
    const got = files.read(from, raw, 0, PIECE_BYTES, sizeBytes);
    if (got === 0) break;
    const piece = raw.subarray(0, got);
    hash.update(piece);
    const bytes = encode(Codec.zstd, LEVEL, piece, packed, PIECE_HEAD_BYTES);
    writeSkippable(packed, 8);
    packed.writeUInt32LE(bytes, SKIPPABLE_BYTES);
    packed.writeUInt32LE(got, SKIPPABLE_BYTES + 4);
    files.write(to, packed.subarray(0, PIECE_HEAD_BYTES + bytes), at);
    at += PIECE_HEAD_BYTES + bytes;
    sizeBytes += got;
    await breathe();
  }
  const trailer = Buffer.alloc(TRAILER_BYTES);
  writeSkippable(trailer, TRAILER_BYTES - SKIPPABLE_BYTES);
  TRAILER_MAGIC.copy(trailer, 8);
  trailer.writeUInt32LE(TRAILER_VERSION, 12);
  trailer.writeBigUInt64LE(BigInt(commit), 16);
  trailer.writeBigUInt64LE(BigInt(sizeBytes), 24);
  hash.digest().copy(trailer, 32);
  files.write(to, trailer, at);
}

function writeSkippable(target: Buffer, bytes: number): void {
  target.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  target.writeUInt32LE(bytes, 4);
}

/** Decompresses a copy into a new file. Throws CATALOG_DAMAGED if the copy is incomplete or damaged. */
export async function unpackCopy(
  { files }: System,
  directory: ClientDirectory,
  { name, commit }: CatalogCopy,
  target: string,
): Promise<void> {
  const source = files.open(path.join(directory.path, name), 'read');
  const to = files.open(target, 'create');
  try {
    const hash = createHash('sha256');
    const end = files.statusOf(source).sizeBytes - TRAILER_BYTES;
    const trailer = readAt(files, source, end, TRAILER_BYTES);
    let written = 0;
    for (let at = 0; at < end; ) {
      const head = readAt(files, source, at, PIECE_HEAD_BYTES);
      const [bytes, rawBytes] = [head.readUInt32LE(8), head.readUInt32LE(12)];
      const isPossible =
        head.readUInt32LE(0) === SKIPPABLE_MAGIC &&
        rawBytes <= PIECE_BYTES &&
        bytes <= encodedBound(Codec.zstd, PIECE_BYTES);
      if (!isPossible) throw notWhole(name);
      const raw = Buffer.allocUnsafe(rawBytes);
      decode(Codec.zstd, readAt(files, source, at + PIECE_HEAD_BYTES, bytes), raw);
      hash.update(raw);
      files.write(to, raw, written);
      written += rawBytes;
      at += PIECE_HEAD_BYTES + bytes;
    }
    const isWhole =
      trailer.subarray(8, 12).equals(TRAILER_MAGIC) &&
      trailer.readUInt32LE(12) === TRAILER_VERSION &&
      Number(trailer.readBigUInt64LE(16)) === commit &&
      Number(trailer.readBigUInt64LE(24)) === written &&
      trailer.subarray(32, 64).equals(hash.digest());
    if (!isWhole) throw notWhole(name);
    await files.sync(to);
  } catch (error) {
    if (error instanceof TardisError && error.code === 'RECORD_DAMAGED') throw notWhole(name);
    throw error;
  } finally {
    files.close(to);
    files.close(source);
  }
}

function readAt(files: Files, fd: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  const isWhole = position >= 0 && files.read(fd, buffer, 0, bytes, position) === bytes;
  if (!isWhole) throw new TardisError('RECORD_DAMAGED', 'it is cut off');
  return buffer;
}

function notWhole(name: string): TardisError {
  return new TardisError('CATALOG_DAMAGED', `the copy ${name} is not whole`);
}
