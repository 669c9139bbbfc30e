/**
 * Copies of the catalog in a bucket, in pieces. A copy counts only if the log names it, with the SHA-256 of each piece:
 * in the commit that follows the last commit of the copy.
 */
import { createHash } from 'node:crypto';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { Backend } from '../backends/backend.js';
import { type CommitBody, readEvent, type SnapshotFacts } from '../packs/events.js';
import { parseRecord, recordBytes, RecordKind } from '../packs/record.js';
import { parseCommitObject } from './commit-object.js';
import { LogBackend } from './log-backend.js';
import { movedTo } from './moved-object.js';
import {
  commitName,
  logPack,
  snapshotName,
  snapshotOf,
  type SnapshotPlace,
  snapshotPiece,
  SNAPSHOTS_PREFIX,
} from '../layout/bucket-names.js';

/** Maximum number of names of pieces that are examined; if there are more, no copy is used. */
const MAX_NAMES = 20_000;

/** A copy that the log names. */
export interface NamedSnapshot {
  readonly facts: SnapshotFacts;
  /** The commit that names it. */
  readonly body: CommitBody;
}

/** A copy as the store has it. */
export interface StoredSnapshot {
  readonly place: SnapshotPlace;
  /** Its name below the generation of the client. */
  readonly name: string;
  /** Sizes in bytes of the pieces that are there, by their numbers (from 0). */
  readonly pieces: ReadonlyMap<number, number>;
}

/** Returns the copies of the catalog of a client in a bucket; undefined for another store. */
export function snapshotsOf(backend: Backend): SnapshotObjects | undefined {
  return backend instanceof LogBackend ? new SnapshotObjects(backend) : undefined;
}

export class SnapshotObjects {
  constructor(private readonly backend: LogBackend) {}

  /**
   * True if the log has a commit, so that there may be copies. Takes one request, and a list if the first commit is
   * missing.
   */
  async mayExist(): Promise<boolean> {
    const first = await this.backend.commitObject(1);
    if (first !== undefined) return movedTo(first) === undefined;
    for await (const _ of this.backend.commitsAfter(1)) return true;
    return false;
  }

  /**
   * Returns the copies with their pieces, the newest first. Returns undefined if there are so many names that no copy
   * is used.
   */
  async stored(): Promise<readonly StoredSnapshot[] | undefined> {
    const found = new Map<string, StoredSnapshot & { readonly pieces: Map<number, number> }>();
    const { prefix } = this.backend;
    const store = await this.backend.objects();
    let names = 0;
    for await (const { name: whole, sizeBytes } of store.listSized(prefix + SNAPSHOTS_PREFIX)) {
      names += 1;
      if (names > MAX_NAMES) return undefined;
      const object = whole.slice(prefix.length);
      const place = snapshotOf(object);
      if (place === undefined) continue;
      const name = snapshotName(place);
      const one = found.get(name) ?? { place, name, pieces: new Map<number, number>() };
      one.pieces.set(Number(object.slice(name.length + 1)), sizeBytes);
      found.set(name, one);
    }
    return [...found.values()].sort((one, other) => other.place.commit - one.place.commit);
  }

  /**
   * Returns the facts that the log has about a copy, and the commit that names the copy; undefined if no commit names
   * it. Throws RECORD_DAMAGED or OBJECT_DAMAGED if that commit's object is damaged, STORE_NEWER if it has a newer
   * format.
   */
  async named({ commit, id }: SnapshotPlace): Promise<NamedSnapshot | undefined> {
    const bytes = await this.backend.commitObject(commit + 1);
    if (bytes === undefined || movedTo(bytes) !== undefined) return undefined;
    const { body, records } = parseCommitObject(bytes, commit + 1);
    for (const { header, location } of records) {
      if (header.kind !== RecordKind.event || location.pack !== logPack(commit + 1)) continue;
      const end = location.position + recordBytes(header);
      const event = readEvent(parseRecord(bytes.subarray(location.position, end)));
      const isIt = event.type === 'snapshot' && event.commit === commit && event.id === id;
      if (isIt) return { facts: event, body };
    }
    return undefined;
  }

  /** Returns the size of a commit object; undefined if there is none. */
  async commitBytes(commit: number): Promise<number | undefined> {
    const { backend } = this;
    return (await (await backend.objects()).head(backend.prefix + commitName(commit)))?.sizeBytes;
  }

  /** Creates a piece, and returns the SHA-256 of its bytes. Throws STORE_TAKEN if another process has created it. */
  async create(place: SnapshotPlace, piece: number, bytes: Buffer): Promise<Buffer> {
    const name = this.backend.prefix + snapshotPiece(place, piece);
    if ((await (await this.backend.objects()).putNew(name, bytes)) === 'created')
      return sha256(bytes);
    throw new TardisError('STORE_TAKEN', `another process has created ${name}`, { object: name });
  }

  /** Reads a piece. Throws OBJECT_DAMAGED if it is missing, or has other bytes than the log records. */
  async read(facts: SnapshotFacts, piece: number, maxBytes: number): Promise<Buffer> {
    const name = this.backend.prefix + snapshotPiece(facts, piece);
    const bytes = await (await this.backend.objects()).readWhole(name, maxBytes);
    if (bytes !== undefined && facts.pieces[piece]?.equals(sha256(bytes)) === true) return bytes;
    throw new TardisError('OBJECT_DAMAGED', `${name} is not what the log records`, {
      object: name,
    });
  }

  /** Removes copies. Throws BUCKET_DENIED if the access key may not. */
  async remove(copies: readonly StoredSnapshot[]): Promise<void> {
    const { backend } = this;
    const names = copies.flatMap(({ place, pieces }) =>
      [...pieces.keys()].map((piece) => backend.prefix + snapshotPiece(place, piece)),
    );
    await (await backend.objects()).remove(names);
  }

  /** Removes copies that end before a commit. With a key that may not remove, leaves them. */
  async removeBefore(commit: number): Promise<void> {
    const { prefix } = this.backend;
    const store = await this.backend.objects();
    const old: string[] = [];
    for await (const name of store.list(prefix + SNAPSHOTS_PREFIX)) {
      const place = snapshotOf(name.slice(prefix.length));
      if (place !== undefined && place.commit < commit) old.push(name);
    }
    try {
      await store.remove(old);
    } catch (error) {
      if (asTardisError(error).code !== 'BUCKET_DENIED') throw error;
    }
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
