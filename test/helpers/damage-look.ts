/**
 * Reads everything that a client shows and restores, entry by entry. Unreadable parts are left out or count as
 * lost.
 */
import { crc32 } from 'node:zlib';
import {
  Access,
  type History,
  type HistoryEntry,
  openLocalHistory,
  unsealedHistory,
} from '../../src/history/index.js';
import type { Keyring } from '../../src/crypto/index.js';
import { asTardisError } from '../../src/errors/index.js';
import { ContentReader } from '../../src/restore/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import type { Place } from './inline.js';

/** Replaces the checksum of a content that cannot be read. */
export const LOST = 'lost';
const MOST_ENTRIES = 100_000;

export interface SeenSet {
  readonly name: string;
  readonly state: string;
  readonly isDoubtful: boolean;
}

export interface Look {
  readonly sets: ReadonlyMap<number, SeenSet>;
  /** Maps `SET PATH` to metadata and content of the entry; LOST replaces the content if it cannot be read. */
  readonly entries: ReadonlyMap<string, string>;
  /** Error codes of failures; bugs with their stack. */
  readonly codes: ReadonlySet<string>;
}

export function isLost(description: string | undefined): boolean {
  return description === undefined || description.endsWith(LOST);
}

/** Reads everything. Never throws because of damage. */
export async function lookAt(
  place: Place,
  keyring: Keyring | undefined,
  system: System = nodeSystem(),
): Promise<Look> {
  const codes = new Set<string>();
  const looking = new Looking(system, codes);
  const history = await looking.tolerate(async () => {
    const local = openLocalHistory(system, { ...place, access: new Access(undefined) });
    return keyring === undefined ? local : unsealedHistory(local, keyring, system.native);
  });
  if (history !== undefined) await looking.all(history);
  return { sets: looking.sets, entries: looking.entries, codes };
}

class Looking {
  readonly sets = new Map<number, SeenSet>();
  readonly entries = new Map<string, string>();
  private readonly read = new Map<string, string>();
  private readonly system: System;
  private readonly codes: Set<string>;

  constructor(system: System, codes: Set<string>) {
    this.system = system;
    this.codes = codes;
  }

  async tolerate<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const { code } = asTardisError(error);
      this.codes.add(code === 'INTERNAL' ? `${code}: ${(error as Error).stack ?? ''}` : code);
      return undefined;
    }
  }

  async all(history: History): Promise<void> {
    const reader = new ContentReader(this.system, history);
    try {
      for (const { set, name, state, isDoubtful } of (await this.tolerate(() => history.sets())) ??
        []) {
        this.sets.set(set, { name, state, isDoubtful });
        for (const root of (await this.tolerate(() => history.roots(set))) ?? []) {
          const top = await this.tolerate(() => history.find(root.path, set));
          if (top === undefined) continue;
          await this.below(history, reader, set, root.path.toString('latin1'), top, new Set());
        }
      }
    } finally {
      await this.tolerate(async () => reader.close());
      await this.tolerate(async () => history.close());
    }
  }

  private async below(
    history: History,
    reader: ContentReader,
    set: number,
    at: string,
    entry: HistoryEntry,
    above: ReadonlySet<number>,
  ): Promise<void> {
    this.entries.set(`${set} ${at}`, await this.described(history, reader, entry));
    const { childId } = entry;
    if (childId === undefined || above.has(childId)) return;
    const page = {
      directory: childId,
      set,
      after: Buffer.alloc(0),
      limit: MOST_ENTRIES,
      withDigests: true,
    };
    const inside = new Set([...above, childId]);
    for (const child of (await this.tolerate(() => history.list(page))) ?? []) {
      await this.below(
        history,
        reader,
        set,
        `${at}/${child.name.toString('latin1')}`,
        child,
        inside,
      );
    }
  }

  /** Describes an entry without row numbers of this catalog and without fields that restores ignore. */
  private async described(
    history: History,
    reader: ContentReader,
    entry: HistoryEntry,
  ): Promise<string> {
    const { type, permissions, uid, gid, sizeBytes, mtimeNs, ctimeNs, inode, device } = entry;
    const { linkTarget, attributes } = entry;
    const shown = [type, permissions, uid, gid, sizeBytes, mtimeNs, ctimeNs, inode, device];
    const content =
      entry.contentId === undefined ? '' : await this.contentOf(history, reader, entry);
    return [...shown, linkTarget?.toString('latin1'), attributes?.toString('hex'), content].join();
  }

  /** Returns a checksum of the bytes; each content is read once. */
  private async contentOf(
    history: History,
    reader: ContentReader,
    entry: HistoryEntry,
  ): Promise<string> {
    const key = `${entry.contentId} ${entry.digest?.toString('hex')}`;
    const known = this.read.get(key);
    if (known !== undefined) return known;
    const sum = await this.tolerate(async () => {
      const [pieces] = await history.locate([entry]);
      if (pieces === undefined) return LOST;
      let [checksum, sizeBytes] = [0, 0];
      for await (const bytes of reader.bytes(pieces)) {
        checksum = crc32(bytes, checksum);
        sizeBytes += bytes.length;
      }
      return `${sizeBytes} bytes ${checksum.toString(16)}`;
    });
    this.read.set(key, sum ?? LOST);
    return sum ?? LOST;
  }
}
