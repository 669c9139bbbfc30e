/**
 * Objects of a client's generations in a bucket. A rewrite builds a generation beside the one that is in use. A note
 * keeps other machines from deleting the objects that the rewrite reads. The object that ends the log of the former
 * generation puts the new one in its place (moved-object.ts).
 */
import { TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { ClientDirectory } from '../client/client-directory.js';
import type { ObjectStore } from '../objects/index.js';
import { nextNoted, noteNext } from './generation-notes.js';
import { keysBehind } from './key-objects.js';
import { buildMoved, movedTo } from './moved-object.js';
import {
  clientKeys,
  clientPrefix,
  commitName,
  generationNumber,
  generationOf,
  isGeneration,
  isSameGeneration,
  logPlace,
  MAX_GENERATIONS,
  rewritesPrefix,
} from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

const MAX_KEYS_BYTES = 64 << 10;
/** Maximum number of notes of rewrites that are read. */
const MAX_NOTES = 1000;
/** Number of names that are removed with one call. */
const AT_ONCE = 100;
/** Maximum number of changes of a password that are copied at the end of a rewrite. */
const MAX_LATE_KEYS = 100;

/** Returns the generations that rewrites of a client build, or have left unfinished. */
export async function unfinishedRewrites(
  system: System,
  { client, generation, bucket }: ClientDirectory,
): Promise<string[]> {
  if (bucket === undefined) return [];
  const { store } = await sharedStore(system, bucket);
  const prefix = rewritesPrefix(client, generation);
  const found: string[] = [];
  for await (const name of store.list(prefix)) {
    const built = name.slice(prefix.length);
    if (isGeneration(built)) found.push(built);
    if (found.length >= MAX_NOTES) break;
  }
  return found;
}

/** The generations of one client, of which one is in use. */
export class GenerationObjects {
  private readonly client: string;
  private readonly present: string | undefined;

  constructor(
    private readonly store: ObjectStore,
    { client, generation }: ClientDirectory,
  ) {
    this.client = client;
    this.present = generation;
  }

  /** Creates the note that a rewrite builds the generation `next` from the present one. */
  async note(next: string): Promise<void> {
    await this.store.putOwn(this.noteOf(next), Buffer.from('{}\n'));
  }

  /** Removes the note of a rewrite. The rewrite then cannot switch to the generation that it builds. */
  async removeNote(next: string): Promise<void> {
    await this.store.remove([this.noteOf(next)]);
  }

  /**
   * Ends the log after a commit, and puts the next generation in place of the present one. `object` has the bytes of
   * the object that makes the next generation. Throws STORE_TAKEN if another machine has written to the client since,
   * REKEY_UNFINISHED if the rewrite was discarded on another machine.
   */
  async switchTo(
    next: string,
    { name, object, commit }: { name: string; object: Buffer; commit: number },
  ): Promise<void> {
    const { store, client, present } = this;
    if ((await store.head(this.noteOf(next))) === undefined) {
      const what = `this rewrite of "${client}" was discarded on another machine`;
      throw new TardisError('REKEY_UNFINISHED', `${what}: remove the rest of it with --abort`);
    }
    if ((await store.putNew(name, object)) === 'exists') {
      const there = await store.readWhole(name, MAX_KEYS_BYTES * 4);
      if (there?.equals(object) !== true) throw writtenSince(client, name);
    }
    const last = logPlace(client, present) + commitName(commit + 1);
    if ((await store.putNew(last, buildMoved(next))) === 'exists') {
      const there = await store.readWhole(last, MAX_KEYS_BYTES).catch(() => undefined); // a commit, which is larger
      if (there === undefined || movedTo(there) !== next) throw writtenSince(client, last);
    }
    await noteNext(store, client, { generation: present, next });
  }

  /**
   * Copies key records of the present generation to the next one: those after `number`, which were added while a
   * rewrite with the present keys ended.
   */
  async bringLateKeys(next: string, number: number): Promise<void> {
    const { store, client, present } = this;
    let brought = 0;
    let before = number;
    for await (const late of keysBehind(store, { client, generation: present }, number)) {
      await store.putNew(clientKeys(client, before + 1, next), late.bytes);
      before = late.number;
      brought += 1;
      if (brought >= MAX_LATE_KEYS) return;
    }
  }

  /** Removes all objects of a generation that was never in use. */
  async removeBuilt(built: string, onRemoved: () => void): Promise<void> {
    const names: string[] = [];
    for await (const name of this.store.list(logPlace(this.client, built))) {
      names.push(name);
      if (names.length >= AT_ONCE) await this.remove(names.splice(0), onRemoved);
    }
    await this.remove(names, onRemoved);
  }

  /**
   * Removes the remaining objects of former generations, and of others that were built from them, since no machine can
   * use them after the switch. Commits are replaced by the name of the next generation, so that no number of a log
   * becomes free again. May be called again after a kill.
   */
  async removeFormer(onRemoved: () => void): Promise<void> {
    const { store, client, present } = this;
    const following = await this.following();
    const removed: string[] = [];
    for await (const { name, sizeBytes } of store.listSized(clientPrefix(client))) {
      const generation = generationOf(client, name) ?? keysOfFirst(client, name);
      if (generation === undefined || isSameGeneration(generation, present)) continue;
      if (generationNumber(generation) > generationNumber(present)) continue; // it is being built
      const next = following.get(generation);
      if (next === undefined || !name.startsWith(`${logPlace(client, generation)}log/`)) {
        removed.push(name);
      } else if (sizeBytes !== buildMoved(next).length) {
        await store.putOwn(name, buildMoved(next));
        onRemoved();
      }
      if (removed.length >= AT_ONCE) await this.remove(removed.splice(0), onRemoved);
    }
    await this.remove(removed, onRemoved);
  }

  /** True if the generation before the present one still has commits or packs. */
  async hasFormer(): Promise<boolean> {
    const { store, client, present } = this;
    if (present === undefined) return false;
    const following = await this.following();
    for (const [former, next] of following) {
      if (next !== present) continue;
      for await (const { name, sizeBytes } of store.listSized(logPlace(client, former))) {
        if (!name.includes('/log/') || sizeBytes !== buildMoved(next).length) return true;
      }
    }
    return false;
  }

  /**
   * Returns the generations that were in use before the present one, each with the generation that follows it. Throws
   * FORMAT_DAMAGED if the notes do not lead to the present generation.
   */
  private async following(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    let before: string | undefined;
    for (
      let made = 0;
      !isSameGeneration(before, this.present) && made < MAX_GENERATIONS;
      made += 1
    ) {
      const next = await nextNoted(this.store, this.client, before);
      if (next === undefined) throw lacking(this.client);
      found.set(before ?? 'g1', next);
      before = next;
    }
    if (!isSameGeneration(before, this.present)) throw lacking(this.client);
    return found;
  }

  private async remove(names: readonly string[], onRemoved: () => void): Promise<void> {
    if (names.length === 0) return;
    await this.store.remove(names);
    for (const _ of names) onRemoved();
  }

  private noteOf(next: string): string {
    return rewritesPrefix(this.client, this.present) + next;
  }
}

/**
 * Returns the first generation if an object is one of its key records, which lie beside its log; otherwise undefined.
 */
function keysOfFirst(client: string, name: string): string | undefined {
  return name.startsWith(`${clientPrefix(client)}keys/`) ? 'g1' : undefined;
}

/** Returns the error that another machine has written to a client. */
export function writtenSince(client: string, name: string): TardisError {
  const what = `another machine has written to "${client}" since (${name})`;
  return new TardisError('STORE_TAKEN', what, { object: name });
}

function lacking(client: string): TardisError {
  const what = `the notes about the generations of "${client}" do not lead to the present one`;
  return new TardisError('FORMAT_DAMAGED', what);
}
