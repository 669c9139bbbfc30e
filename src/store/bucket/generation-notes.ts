/**
 * Notes, each of which names the generation that follows another generation of a client. Machines without a catalog
 * find the newest generation by the notes. The logs of the generations name it too, so a note that is damaged or
 * missing is made again from the log.
 */
import { asTardisError, TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { ClientDirectory } from '../client/client-directory.js';
import {
  generationNumber,
  generationObject,
  isNextGeneration,
  isSameGeneration,
  LOG_PREFIX,
  logPlace,
} from '../layout/bucket-names.js';
import { type ObjectStore, sourceOfBytes } from '../objects/index.js';
import { MAX_MOVED_BYTES, movedTo } from './moved-object.js';
import { sharedStore } from './shared-stores.js';

const MAX_NAME_BYTES = 64;

interface Note {
  readonly state: 'none' | 'damaged' | 'whole';
  readonly next: string | undefined;
}

/**
 * Returns the generation that follows `before` by its note (`before` undefined: the first generation). Returns
 * undefined if there is no note, or if the note is damaged.
 */
export async function nextNoted(
  store: ObjectStore,
  client: string,
  before?: string,
): Promise<string | undefined> {
  return (await readNote(store, client, before)).next;
}

/**
 * True if there is a note, damaged or not, of the generation that follows `before` (undefined: the first generation).
 */
export async function isFollowedBy(
  store: ObjectStore,
  client: string,
  before?: string,
): Promise<boolean> {
  return (await readNote(store, client, before)).state !== 'none';
}

async function readNote(store: ObjectStore, client: string, before?: string): Promise<Note> {
  const name = generationObject(client, before);
  try {
    const next = (await readSmall(store, name, MAX_NAME_BYTES))?.toString('utf8');
    if (next === undefined) return { state: 'none', next };
    if (isNextGeneration(next, before)) return { state: 'whole', next };
  } catch (error) {
    if (asTardisError(error).code !== 'OBJECT_DAMAGED') throw error;
  }
  return { state: 'damaged', next: undefined };
}

/**
 * Creates the note that the generation `next` follows `generation`; replaces a damaged note. Does nothing if the access
 * key may only read. Throws FORMAT_DAMAGED if the note names another generation.
 */
export async function noteNext(
  store: ObjectStore,
  client: string,
  { generation, next }: { readonly generation: string | undefined; readonly next: string },
): Promise<void> {
  const name = generationObject(client, generation);
  let note = await readNote(store, client, generation);
  try {
    if (note.state === 'none') {
      if ((await store.putNew(name, Buffer.from(next))) === 'created') return;
      note = await readNote(store, client, generation);
    }
    if (note.state === 'damaged')
      return await store.putAgain(name, sourceOfBytes(Buffer.from(next)));
  } catch (error) {
    if (asTardisError(error).code !== 'BUCKET_DENIED') throw error;
    return;
  }
  if (note.next === next) return;
  const what = `the object ${name} names another generation than the log`;
  throw new TardisError('FORMAT_DAMAGED', what);
}

/**
 * Makes the notes that are damaged or missing again, from the logs of the former generations. Writes nothing unless the
 * notes then lead to the present generation.
 */
export async function mendNotes(
  system: System,
  {
    client,
    generation: present,
    bucket,
  }: Pick<ClientDirectory, 'client' | 'generation' | 'bucket'>,
): Promise<void> {
  if (bucket === undefined) return;
  const { store } = await sharedStore(system, bucket);
  const wanted: { readonly generation: string | undefined; readonly next: string }[] = [];
  let generation: string | undefined;
  for (let made = 1; made < generationNumber(present); made += 1) {
    const noted = await nextNoted(store, client, generation);
    const next = noted ?? (await nextInLog(store, client, generation));
    if (next === undefined || !isNextGeneration(next, generation)) return;
    if (noted === undefined) wanted.push({ generation, next });
    generation = next;
  }
  if (!isSameGeneration(generation, present)) return;
  for (const note of wanted) await noteNext(store, client, note);
}

/**
 * Returns the generation that the last object in the log of `generation` names; undefined if that object is a commit.
 */
async function nextInLog(
  store: ObjectStore,
  client: string,
  generation: string | undefined,
): Promise<string | undefined> {
  let last: { readonly name: string; readonly sizeBytes: number } | undefined;
  for await (const object of store.listSized(logPlace(client, generation) + LOG_PREFIX)) {
    last = object;
  }
  if (last === undefined || last.sizeBytes > MAX_MOVED_BYTES) return undefined;
  const bytes = await store.readWhole(last.name, MAX_MOVED_BYTES);
  return bytes && movedTo(bytes);
}

/**
 * Returns all bytes of an object; undefined if it does not exist. Throws OBJECT_DAMAGED, also if the object has more than
 * `maxBytes`, which no writer of it makes, and errors of a bucket.
 */
export async function readSmall(
  store: ObjectStore,
  name: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await store.readWhole(name, maxBytes);
  } catch (error) {
    if (asTardisError(error).code !== 'BUCKET_ANSWER_INVALID') throw error;
    // An answer that is none of a bucket, such as a login page, has this code, too.
    const sizeBytes = (await store.head(name))?.sizeBytes ?? 0;
    if (sizeBytes <= maxBytes) throw error;
    const what = `${name} has ${sizeBytes} bytes, more than ${maxBytes}`;
    throw new TardisError('OBJECT_DAMAGED', what, { unreadable: name }, error);
  }
}
