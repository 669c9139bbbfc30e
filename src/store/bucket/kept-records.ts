/** The newest records of chains (record-chain.ts) that this machine has read, each in a file of the cache. */
import path from 'node:path';
import { type System, writeNew } from '../../system/index.js';
import { KNOWN_ACCOUNTS_DIRECTORY } from '../layout/layout.js';
import type { ChainRecord } from './record-chain.js';

const ID_BYTES = 8;

/** Returns the file in a cache that has the newest record with a name. */
export function keptFile(cache: string, name: string): string {
  return path.join(cache, KNOWN_ACCOUNTS_DIRECTORY, `${name}.json`);
}

/**
 * Writes a record to its file, unless the file has a newer one. `keptNumber` returns the number of the record in the
 * file. It is called again right before the file is replaced, so that a slow request does not bring an earlier record
 * back.
 */
export async function keepRecord(
  { files, random }: System,
  file: string,
  { number, bytes }: ChainRecord,
  keptNumber: () => number | undefined,
): Promise<void> {
  const isNewer = (): boolean => number > (keptNumber() ?? 0);
  if (!isNewer()) return;
  const folder = path.dirname(file);
  if (files.status(folder) === undefined) files.makeDirectory(folder, true);
  const fresh = `${file}.${random.bytes(ID_BYTES).toString('hex')}`;
  await writeNew(files, fresh, bytes, { isSecret: true });
  if (isNewer()) files.rename(fresh, file);
  else files.unlink(fresh);
}
