/** Opens a copy of a history that lies in a bucket, as a machine does that has only the bucket. */
import path from 'node:path';
import type { History } from '../../src/history/index.js';
import type { BucketAccess } from '../../src/store/index.js';
import type { BeforeRequest, Objects } from '../support/memory-object-store.js';
import { BucketMachine } from './bucket-machines.js';
import { copyHere } from './copied-history.js';
import { type HistoryLab, openHere } from './history-lab.js';

let machines = 0;

/** Returns a machine that reaches the objects. */
export function machine(home: string, objects: Objects, before?: BeforeRequest): BucketAccess {
  return newMachine(home, objects, before).access;
}

function newMachine(home: string, objects: Objects, before?: BeforeRequest): BucketMachine {
  machines += 1;
  return new BucketMachine(path.join(home, `machine-${machines}`), objects, before);
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
  const reader = newMachine(lab.home, objects);
  await reader.open(client);
  return openHere({ ...lab, place: { store: reader.access.cache, client } }, client);
}
