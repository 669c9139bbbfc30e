/** Information that a client sends about a set, besides its entries. */
import { protocolViolation } from '../../errors/index.js';
import { configBytes, isClientConfig, MAX_REPORTED_CONFIG_BYTES } from '../../model/index.js';
import { isOwner } from '../../store/index.js';
import type { Head } from '../../transport/index.js';
import type { Ingest } from './ingest.js';

/** Stores notes on files that could not be saved, or whose saved versions are unreliable. Throws PROTOCOL_VIOLATION. */
export function takeNotes(ingest: Ingest, { slots, names, whats, reasons }: Head<'notes'>): void {
  if (names.length !== slots.length || whats.length !== slots.length) {
    throw protocolViolation('slots, names and whats of notes differ in length');
  }
  for (const [index, slot] of slots.entries()) {
    ingest.note(slot, names[index]!, whats[index]!, reasons[index] ?? '');
  }
}

/** Stores names of users and groups that own entries. Throws PROTOCOL_VIOLATION. */
export function takeOwners(ingest: Ingest, { groups, ids, names }: Head<'owners'>): void {
  if (groups.length !== ids.length || names.length !== ids.length) {
    throw protocolViolation('groups, ids and names of owners differ in length');
  }
  for (const [index, id] of ids.entries()) {
    const owner = { isGroup: groups[index] === 1, id, name: Buffer.from(names[index]!) };
    if (!isOwner(owner)) throw protocolViolation('invalid owner');
    ingest.addOwner(owner);
  }
}

/** Returns the figures of a set that are numbers. */
export function countsIn(stats: Head<'closeSet'>['stats']): Record<string, number> {
  return Object.fromEntries(
    Object.entries(stats).filter((entry): entry is [string, number] => isCount(entry[1])),
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}

/** Stores a client's configuration; with `isStored` false, only checks it. Throws PROTOCOL_VIOLATION. */
export function takeConfiguration(
  set: Ingest,
  { config }: Head<'configuration'>,
  isStored = true,
): void {
  if (!isClientConfig(config) || configBytes(config) > MAX_REPORTED_CONFIG_BYTES) {
    throw protocolViolation('a configuration is too large or has wrong names');
  }
  if (isStored) set.configure(config);
}
