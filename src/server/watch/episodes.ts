/**
 * What was told already: an episode begins when a client is overdue, or a backup fails, and ends with its next complete
 * set. The number of the newest complete set names it, so nothing is told twice, by a server that was started anew either.
 */
import path from 'node:path';
import { readStart, replaceFile, type System } from '../../system/index.js';

/** In the store; no client's name begins with a dot. */
export const EPISODES_FILE = '.episodes.json';
const EPISODES_FORMAT = 1;
const MAX_FILE_BYTES = 4 << 20;

export type EpisodeKind = 'overdue' | 'failing';

/** By client the set (0: none) after which the episode began. */
type Told = Map<string, number>;

export class Episodes {
  private readonly told: Readonly<Record<EpisodeKind, Told>>;
  private isChanged = false;
  private readonly system: System;
  private readonly file: string;

  /** Reads what was told; what cannot be read is told once more. */
  constructor(system: System, store: string) {
    this.system = system;
    this.file = path.join(store, EPISODES_FILE);
    this.told = readTold(system, this.file);
  }

  isOpen(kind: EpisodeKind, client: string): boolean {
    return this.told[kind].has(client);
  }

  /** Returns true if it is to be told: it is another one than the last. */
  begin(kind: EpisodeKind, client: string, set: number): boolean {
    if (this.told[kind].get(client) === set) return false;
    this.told[kind].set(client, set);
    this.isChanged = true;
    return true;
  }

  /** Returns true if there was one. */
  end(kind: EpisodeKind, client: string): boolean {
    const wasOpen = this.told[kind].delete(client);
    this.isChanged ||= wasOpen;
    return wasOpen;
  }

  /** A backup that came to nothing is made good by a newer set. */
  endIfOlder(kind: EpisodeKind, client: string, set: number): boolean {
    const before = this.told[kind].get(client);
    return before !== undefined && before < set && this.end(kind, client);
  }

  /** Forgets clients that are gone. */
  keepOnly(clients: ReadonlySet<string>): void {
    for (const kind of ['overdue', 'failing'] as const) {
      for (const client of this.told[kind].keys()) {
        if (!clients.has(client)) this.end(kind, client);
      }
    }
  }

  /** Makes it last, if there is anything new. Throws system errors. */
  async save(): Promise<void> {
    if (!this.isChanged) return;
    const plain = {
      format: EPISODES_FORMAT,
      overdue: Object.fromEntries(this.told.overdue),
      failing: Object.fromEntries(this.told.failing),
    };
    await replaceFile(this.system.files, this.file, Buffer.from(`${JSON.stringify(plain)}\n`));
    this.isChanged = false;
  }
}

function readTold(system: System, file: string): Record<EpisodeKind, Told> {
  let plain: unknown;
  try {
    plain = JSON.parse(readStart(system.files, file, MAX_FILE_BYTES)?.toString('utf8') ?? '{}');
  } catch {
    plain = {}; // damaged: all is told once more
  }
  const { format, overdue, failing } = (plain ?? {}) as Record<string, unknown>;
  const isOurs = format === EPISODES_FORMAT;
  return { overdue: mapOf(isOurs ? overdue : {}), failing: mapOf(isOurs ? failing : {}) };
}

function mapOf(plain: unknown): Told {
  const isObject = typeof plain === 'object' && plain !== null;
  const entries: [string, unknown][] = isObject ? Object.entries(plain) : [];
  return new Map(
    entries.filter((entry): entry is [string, number] => Number.isSafeInteger(entry[1])),
  );
}
