/**
 * A generation that a rebuild makes from the remaining commits of a damaged log. The object that ends the log puts it
 * in place of the present one. Before that, each number without a commit gets an object that no reader accepts. A
 * machine that has only the commits before such a number then cannot write there.
 */
import path from 'node:path';
import { guardDirectory, removeTree, type System } from '../../system/index.js';
import { catalogFileOf, catalogOf, type ClientDirectory } from '../client/client-directory.js';
import { readFormat, writeFormat } from '../layout/format-file.js';
import { addKeys, newestKeys } from '../client/key-files.js';
import type { ObjectStore } from '../objects/index.js';
import { clientBytes } from './client-object.js';
import { GenerationObjects, writtenSince } from './generation-objects.js';
import { MAX_MOVED_BYTES, movedTo } from './moved-object.js';
import { clientObject, commitName, generationAfter, logPlace } from '../layout/bucket-names.js';
import { sharedStore } from './shared-stores.js';

const GENERATION_BYTES = 8;
/** Object in the place of a lost commit. It is shorter than every commit object. */
const LOST: Buffer = Buffer.from('{"version":1,"lost":true}\n');

/** True for the bytes of an object that stands in the place of a lost commit. */
export function isLostMark(bytes: Buffer): boolean {
  return bytes.equals(LOST);
}

export class Salvage {
  /** The generation that is built. */
  readonly second: ClientDirectory;
  private readonly first: ClientDirectory;
  private readonly store: ObjectStore;
  private readonly objects: GenerationObjects;

  private constructor(
    private readonly system: System,
    {
      first,
      second,
      store,
    }: { first: ClientDirectory; second: ClientDirectory; store: ObjectStore },
  ) {
    this.first = first;
    this.second = second;
    this.store = store;
    this.objects = new GenerationObjects(store, first);
  }

  /** Begins a generation with the present keys, and removes the remains of an earlier run from this machine. */
  static async begin(system: System, first: ClientDirectory): Promise<Salvage> {
    const { files, random } = system;
    const { client, bucket } = first;
    if (bucket === undefined) throw new Error('the client is in no bucket');
    const shared = await sharedStore(system, bucket);
    await shared.admit();
    const place = path.join(path.dirname(first.path), `.${client}.rebuilt`);
    guardDirectory(place, first.path, 'cache');
    if (files.status(place) !== undefined) removeTree(files, place);
    const digits = random.bytes(GENERATION_BYTES).toString('hex');
    const generation = generationAfter(first.generation, digits);
    const catalogPath = path.join(place, catalogOf(catalogFileOf(first), generation));
    const second = { client, path: place, catalogPath, bucket, generation };
    files.makeDirectory(place);
    const { clientId, keys } = readFormat(files, first.path)!;
    const newest = newestKeys(system, first.path);
    if (newest !== undefined) await addKeys(system, place, newest);
    await writeFormat(files, place, { clientId, keys, generation });
    const salvage = new Salvage(system, { first, second, store: shared.store });
    await salvage.objects.note(generation);
    return salvage;
  }

  /**
   * Ends the present log after the commit `last`, and puts the new generation in its place. Before that, creates marks
   * in the places of the `missing` commits. Throws STORE_TAKEN if another machine has written to the client since.
   */
  async switchFrom({
    last,
    missing,
  }: {
    readonly last: number;
    readonly missing: readonly number[];
  }): Promise<void> {
    const { system, store, first, second, objects } = this;
    const { client, generation } = second;
    for (const commit of missing) {
      const name = logPlace(client, first.generation) + commitName(commit);
      if ((await store.putNew(name, LOST)) !== 'created') throw writtenSince(client, name);
    }
    const object = clientBytes(system, second.path);
    const name = clientObject(client, generation);
    await objects.switchTo(generation!, { name, object, commit: last });
    await objects.bringLateKeys(generation!, newestKeys(system, second.path)?.number ?? 0);
  }

  /**
   * True if the present log ends with the name of a generation other than the new one. False if it names the new one,
   * whose objects must then stay.
   */
  async isOvertaken(last: number): Promise<boolean> {
    const { store, first } = this;
    const name = logPlace(first.client, first.generation) + commitName(last + 1);
    const end = await store.readWhole(name, MAX_MOVED_BYTES).catch(() => undefined); // a commit, which is larger
    const next = end && movedTo(end);
    return next !== undefined && next !== this.second.generation;
  }

  /**
   * Removes the objects of the new generation. It can no longer be put in place, since another object ends the log.
   */
  async discard(): Promise<void> {
    await this.objects.removeNote(this.second.generation!);
    await this.objects.removeBuilt(this.second.generation!, () => undefined);
  }

  /** Removes the files of the new generation on this machine, which lie beside the client's directory. */
  close(): void {
    const { system, second } = this;
    if (system.files.status(second.path) !== undefined) removeTree(system.files, second.path);
  }
}
