/**
 * The two directories of a client that is written anew. The second one stands beside the first, under a name
 * that no client has, and takes its place in one step; which of them is the old one, a file tells:
 *
 * - STORE/.CLIENT.next has generation.json: it is being made, and the first is as it was;
 * - STORE/CLIENT has it: they have changed places, and what is beside is the old one, to be removed;
 * - neither: what is beside was begun, and holds nothing yet.
 */
import path from 'node:path';
import { parseKeyRecord } from '../crypto/index.js';
import { asTardisError, systemCode, TardisError } from '../errors/index.js';
import {
  addKeys,
  type ClientDirectory,
  type ClientLock,
  FORMAT_FILE,
  KEYS_DIRECTORY,
  newestKeys,
  secondGenerationPath,
  SUB_ACCOUNTS_DIRECTORY,
  tryLock,
} from '../store/index.js';
import {
  type Files,
  lockPatiently,
  readStart,
  replaceFile,
  type System,
  textBytes,
  writeNew,
} from '../system/index.js';
import { removeMap } from './digest-map.js';

/** Says what a generation is made from. */
const MARKER_FILE = 'generation.json';
const MARKER_VERSION = 1;
const MAX_MARKER_BYTES = 64 << 10;
const MAX_COPIED_BYTES = 64 << 10;
/** Of accounts/NAME/keys. */
const MAX_COPIED_DEPTH = 3;
/** Names for a trial: a file system that cannot exchange names is told before the work, not after it. */
const TRIAL = ['trial-a', 'trial-b'] as const;

/** What a second generation is made from, and with which keys. */
export interface Marker {
  /** The id in `format.json`. */
  readonly clientId: string;
  /** Id of the keys of the first generation in hexadecimal; empty: it has none. */
  readonly from: string;
  readonly to: string;
  /** What it is made without (`requestsDigest`); empty: it has all. */
  readonly without: string;
}

export type Stage = 'none' | 'begun' | 'making' | 'switched';

export class Generations {
  /** The one that is read and backed up to. */
  readonly first: ClientDirectory;
  /** The one beside it. */
  readonly second: ClientDirectory;
  private readonly store: string;
  private readonly system: System;
  private readonly files: Files;

  constructor(system: System, first: ClientDirectory) {
    this.system = system;
    this.files = system.files;
    this.first = first;
    this.store = path.dirname(first.path);
    if (this.files.isLink(first.path)) {
      const what = `${first.path} is a link: name the client by the directory it leads to`;
      throw new TardisError('USAGE', what);
    }
    const beside = secondGenerationPath(first);
    const catalogPath = path.join(beside, path.basename(first.catalogPath));
    this.second = { client: first.client, path: beside, catalogPath };
  }

  /** Keeps every other run away. Throws CLIENT_BUSY. The lock's file goes with it. */
  async lock(): Promise<ClientLock> {
    const { files, system, second } = this;
    const file = `${second.path}.lock`;
    const lock = await lockPatiently(() => tryLock(system, file));
    if (lock === undefined) {
      throw new TardisError('CLIENT_BUSY', `"${second.client}" is being written anew already`);
    }
    return {
      release: () => {
        try {
          if (files.status(file) !== undefined) files.unlink(file); // who waits for it looks again
        } finally {
          lock.release();
        }
      },
    };
  }

  /** How far an earlier run came. Throws RECORD_DAMAGED when a marker makes no sense. */
  stage(): Stage {
    if (this.readMarker(this.first) !== undefined) return 'switched';
    if (this.files.status(this.second.path) === undefined) return 'none';
    return this.readMarker(this.second) === undefined ? 'begun' : 'making';
  }

  /** What the second generation is made from. */
  marker(): Marker | undefined {
    return this.readMarker(this.second);
  }

  /**
   * Begins a second generation, with its first key record (undefined: it does not encrypt, and gets the present ones
   * at its end); durable when it returns. `skipFile`: the name of a file that keeps the client out of a backup of the
   * server's machine, if it is there.
   */
  async begin(keys: Buffer | undefined, skipFile?: string, without = ''): Promise<void> {
    const { files, system, second } = this;
    files.makeDirectory(second.path);
    this.tryExchange();
    if (keys !== undefined) await addKeys(system, second.path, { number: 1, bytes: keys });
    await this.copySmall(FORMAT_FILE);
    if (skipFile !== undefined) await this.copySmall(skipFile);
    await files.syncDirectory(second.path); // the marker says that the names before it are there
    await this.writeMarker(this.markerFor(keys, without));
    await files.syncDirectory(this.store);
  }

  /** The marker of a second generation with this key record. */
  markerFor(keys: Buffer | undefined, without: string): Marker {
    return {
      clientId: this.clientId(),
      from: keysetIn(newestKeys(this.system, this.first.path)?.bytes),
      to: keysetIn(keys),
      without,
    };
  }

  /** Brings keys and accounts over as they are now: for a second generation with the same keys. Durable when it returns. */
  async copyKeys(): Promise<void> {
    for (const name of [KEYS_DIRECTORY, SUB_ACCOUNTS_DIRECTORY]) {
      const there = path.join(this.second.path, name);
      if (this.files.status(there) !== undefined) this.removeTree(there, () => undefined);
      await this.copyTree(name, 0);
    }
    await this.files.syncDirectory(this.second.path);
  }

  private async copyTree(name: string, depth: number): Promise<void> {
    const { files } = this;
    const from = path.join(this.first.path, name);
    if (depth > MAX_COPIED_DEPTH || files.status(from) === undefined) return;
    const to = path.join(this.second.path, name);
    files.makeDirectory(to);
    for (const entry of files.list(from)) {
      const below = path.join(name, entry);
      if (files.status(path.join(from, entry))?.isDirectory === true) {
        await this.copyTree(below, depth + 1);
      } else await this.copySmall(below);
    }
    await files.syncDirectory(to);
  }

  /** What it takes of a disk. */
  secondBytes(): number {
    return this.sizeOf(this.second.path);
  }

  /** How much room there is beside the first generation. */
  freeBytes(): number {
    return this.files.freeBytes(this.store);
  }

  /**
   * The second generation takes the place of the first, in one step, durable when it returns. Call with the
   * locks of both held, or with that of the first while nobody else knows the second.
   */
  async exchange(): Promise<void> {
    this.exchangeNames(this.store, path.basename(this.first.path), path.basename(this.second.path));
    await this.files.syncDirectory(this.store);
  }

  /** Removes the generation that is beside, and with it the marker. May be called again after a crash. */
  async removeOld(onRemoved: () => void = () => undefined): Promise<void> {
    removeMap(this.system, this.first.path);
    await this.removeSecond(onRemoved);
    const marker = path.join(this.first.path, MARKER_FILE);
    if (this.files.status(marker) === undefined) return;
    this.files.unlink(marker);
    await this.files.syncDirectory(this.first.path);
  }

  /** Removes what is beside, whole. */
  async removeSecond(onRemoved: () => void = () => undefined): Promise<void> {
    if (this.files.status(this.second.path) === undefined) return;
    try {
      // First: what is half removed must not pass for one that is being made.
      const marker = path.join(this.second.path, MARKER_FILE);
      if (this.files.status(marker) !== undefined) this.files.unlink(marker);
      await this.files.syncDirectory(this.second.path);
      this.removeTree(this.second.path, onRemoved);
      await this.files.syncDirectory(this.store);
    } catch (error) {
      throw asTardisError(error, `removing ${this.second.path}`);
    }
  }

  private removeTree(directory: string, onRemoved: () => void): void {
    const { files } = this;
    for (const name of files.list(directory)) {
      const entry = path.join(directory, name);
      if (!files.isLink(entry) && files.status(entry)?.isDirectory === true) {
        this.removeTree(entry, onRemoved);
      } else files.unlink(entry);
      onRemoved();
    }
    files.removeDirectory(directory);
  }

  private sizeOf(directory: string): number {
    const { files } = this;
    let bytes = 0;
    for (const name of files.list(directory)) {
      const entry = path.join(directory, name);
      const status = files.isLink(entry) ? undefined : files.status(entry);
      if (status?.isDirectory === true) bytes += this.sizeOf(entry);
      else bytes += status?.sizeBytes ?? 0;
    }
    return bytes;
  }

  private tryExchange(): void {
    for (const name of TRIAL) this.files.makeDirectory(path.join(this.second.path, name));
    this.exchangeNames(this.second.path, ...TRIAL);
    for (const name of TRIAL) this.files.removeDirectory(path.join(this.second.path, name));
  }

  private exchangeNames(directory: string, one: string, other: string): void {
    const { native } = this.system;
    const fd = native.openDirectory(textBytes(directory));
    try {
      native.exchangeAt(fd, textBytes(one), fd, textBytes(other));
    } catch (error) {
      if (!['EINVAL', 'ENOSYS'].includes(systemCode(error) ?? '')) throw asTardisError(error);
      const what = `the file system of ${this.store} cannot exchange two directories in one step`;
      throw new TardisError('STORE_NOT_WRITABLE', what, {}, error);
    } finally {
      native.close(fd);
    }
  }

  private clientId(): string {
    const format = this.readSmall(path.join(this.first.path, FORMAT_FILE))?.toString('utf8') ?? '';
    return /"clientId":"([0-9a-f]{32})"/.exec(format)?.[1] ?? '';
  }

  private async copySmall(name: string): Promise<void> {
    const bytes = this.readSmall(path.join(this.first.path, name));
    if (bytes === undefined) return;
    await writeNew(this.files, path.join(this.second.path, name), bytes);
  }

  private readSmall(file: string): Buffer | undefined {
    return readStart(this.files, file, MAX_COPIED_BYTES);
  }

  private readMarker(directory: ClientDirectory): Marker | undefined {
    const file = path.join(directory.path, MARKER_FILE);
    if ((this.files.status(file)?.sizeBytes ?? 0) > MAX_MARKER_BYTES) throw badMarker(file);
    const text = this.readSmall(file)?.toString('utf8');
    if (text === undefined) return undefined;
    const marker = parsed(text);
    const { version, clientId, from, to, without = '' } = marker;
    if (typeof version === 'number' && version > MARKER_VERSION) {
      throw new TardisError('STORE_NEWER', `${file} has version ${version}`);
    }
    const isWhole =
      version === MARKER_VERSION &&
      typeof clientId === 'string' &&
      typeof from === 'string' &&
      typeof to === 'string' &&
      typeof without === 'string';
    if (!isWhole) throw badMarker(file);
    return { clientId, from, to, without };
  }

  private async writeMarker(marker: Marker): Promise<void> {
    const file = path.join(this.second.path, MARKER_FILE);
    const text = JSON.stringify({ version: MARKER_VERSION, ...marker });
    await replaceFile(this.files, file, Buffer.from(`${text}\n`));
  }
}

/** The id of a key record's keys in hexadecimal; empty: there is none. */
function keysetIn(record: Buffer | undefined): string {
  return record === undefined ? '' : parseKeyRecord(record).keysetId.toString('hex');
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    return {}; // told as what it is
  }
  return {};
}

function badMarker(file: string): TardisError {
  return new TardisError('RECORD_DAMAGED', `${file} makes no sense`);
}
