/** What a client says about a set beside its entries. */
import { TardisError } from '../../errors/index.js';
import { MAX_TOLD_CONFIG_BYTES } from '../../model/index.js';
import type { Head } from '../../transport/index.js';
import type { Ingest } from './ingest.js';

/** Takes notes on what could not be saved, or not surely. Throws PROTOCOL_VIOLATION. */
export function takeNotes(ingest: Ingest, { slots, names, whats, reasons }: Head<'notes'>): void {
  if (names.length !== slots.length || whats.length !== slots.length) {
    throw new TardisError('PROTOCOL_VIOLATION', 'notes do not add up');
  }
  for (const [index, slot] of slots.entries()) {
    ingest.note(slot, names[index]!, whats[index]!, reasons[index] ?? '');
  }
}

/** Of the figures of a set, those that are numbers. */
export function countsIn(stats: Head<'closeSet'>['stats']): Record<string, number> {
  return Object.fromEntries(
    Object.entries(stats).filter((entry): entry is [string, number] => isCount(entry[1])),
  );
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}

/** What a client was set to; `isWanted` false: it is not kept. Throws PROTOCOL_VIOLATION. */
export function takeConfiguration(
  set: Ingest,
  { config }: Head<'configuration'>,
  isWanted = true,
): void {
  if (Buffer.byteLength(config) > MAX_TOLD_CONFIG_BYTES) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a configuration is too large');
  }
  if (isWanted) set.configure(config);
}
