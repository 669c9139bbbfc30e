/**
 * The number of bytes that clients take in a bucket. The objects of a client are listed and their sizes added. The sum
 * is used until the log has a new commit, which one request detects, since packs are stored and removed only together
 * with commits. Copies of the catalog are not counted, and neither is a generation that a rewrite builds or has left
 * behind.
 */
import { BoundedCache, type System } from '../../system/index.js';
import type { ObjectStore } from '../objects/index.js';
import type { BucketAccess } from '../client/bucket-access.js';
import {
  clientPrefix,
  commitName,
  commitOf,
  generationOf,
  logPlace,
  SNAPSHOTS_PREFIX,
} from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

/**
 * Time after which a list is made again although the log has no new commit, since packs are removed after their
 * commit.
 */
const LASTING_MS = 600_000;
/** Maximum number of clients that are remembered: as many as an account owns. */
const MAX_REMEMBERED = 4096;

interface Listed {
  readonly bytes: number;
  /** Name of the commit object that comes next; undefined for a client that has no log. */
  readonly next: string | undefined;
  readonly listedMs: number;
}

export class UsedSpace {
  private readonly known = new BoundedCache<string, Listed>(MAX_REMEMBERED);

  constructor(
    private readonly system: System,
    private readonly access: BucketAccess,
  ) {}

  /** Returns the number of bytes of a client; 0 if it does not exist. Throws errors of a bucket. */
  async of(client: string): Promise<number> {
    const { store } = await sharedStore(this.system, this.access);
    const known = this.known.get(client);
    if (known !== undefined && (await this.isNew(store, known))) return known.bytes;
    const startMs = this.nowMs();
    const { bytes, next } = await listed(store, client);
    this.known.set(client, { bytes, next, listedMs: startMs });
    return bytes;
  }

  /**
   * Discards the remembered size, so that the next call reads the bucket. Called when a session of the client has
   * ended here.
   */
  forget(client: string): void {
    this.known.delete(client);
  }

  private async isNew(store: ObjectStore, known: Listed): Promise<boolean> {
    const isLasting = this.nowMs() - known.listedMs < LASTING_MS;
    if (known.next === undefined || !isLasting) return false;
    return (await store.head(known.next)) === undefined;
  }

  private nowMs(): number {
    return this.system.clock.monotonicMs();
  }
}

async function listed(
  store: ObjectStore,
  client: string,
): Promise<{ readonly bytes: number; readonly next: string | undefined }> {
  const generations = new Map<string, { bytes: number; last: number }>();
  let common = 0;
  for await (const { name, sizeBytes } of store.listSized(clientPrefix(client))) {
    const generation = generationOf(client, name);
    if (generation === undefined) {
      common += sizeBytes;
      continue;
    }
    const within = name.slice(logPlace(client, generation).length);
    if (within.startsWith(SNAPSHOTS_PREFIX)) continue;
    const { bytes, last } = generations.get(generation) ?? { bytes: 0, last: 0 };
    const commit = commitOf(within) ?? 0;
    generations.set(generation, { bytes: bytes + sizeBytes, last: Math.max(last, commit) });
  }
  // The one in use is the largest: those before it have a few bytes left, and one that is built is not complete.
  const [largest] = [...generations].toSorted(([, one], [, other]) => other.bytes - one.bytes);
  if (largest === undefined) return { bytes: common, next: undefined };
  const [generation, { bytes, last }] = largest;
  return { bytes: common + bytes, next: logPlace(client, generation) + commitName(last + 1) };
}
