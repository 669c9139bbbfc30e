/** Opens a copy of a history that lies in a bucket, as a machine does that has only the bucket. */
import path from 'node:path';
import type { History } from '../../src/history/index.js';
import {
  type BucketAccess,
  fetchClient,
  openClientDirectory,
  useBucket,
} from '../../src/store/index.js';
import { catchUp } from '../../src/store/writer/index.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../support/memory-object-store.js';
import { accessTo } from './bucket-machines.js';
import { copyHere } from './copied-history.js';
import { type HistoryLab, openHere } from './history-lab.js';
import { inlineSystem } from './inline.js';

let machines = 0;

/** Returns a machine that reaches the objects. */
export function machine(home: string, objects: Objects, before?: BeforeRequest): BucketAccess {
  machines += 1;
  const cache = path.join(home, `machine-${machines}`);
  const access = accessTo(new MemoryObjectStore(objects, before), cache);
  useBucket(access);
  inlineSystem().files.makeDirectory(cache);
  return access;
}

/** Copies the client of a lab to a bucket, and opens it on another machine. */
export async function openInBucket(lab: HistoryLab, client: string): Promise<History> {
  return readInBucket(lab, client, (await copiedToBucket(lab, client)).objects);
}

/** Copies the client of a lab to a bucket. Returns its objects, and the machine that has written them. */
export async function copiedToBucket(
  lab: HistoryLab,
  client: string,
  objects: Objects = new Map(),
): Promise<{ readonly objects: Objects; readonly writer: BucketAccess }> {
  const writer = machine(lab.home, objects);
  await copyHere({ store: lab.place.store, client }, { store: writer.cache, client });
  return { objects, writer };
}

/** Opens a client in a bucket on a machine that has only the bucket. */
export async function readInBucket(
  lab: HistoryLab,
  client: string,
  objects: Objects,
): Promise<History> {
  const system = inlineSystem();
  const reader = machine(lab.home, objects);
  await fetchClient(system, reader, client);
  await catchUp(system, openClientDirectory(system, { store: reader.cache, client }));
  return openHere({ ...lab, place: { store: reader.cache, client } }, client);
}
