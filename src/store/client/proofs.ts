/**
 * When the backups of a client were last proven: a check has read data again, or files were restored and all of their
 * contents had the right digests. Each time is that of a file in the client's directory. A rewrite of the client leaves both
 * files behind, since they prove nothing about its new records.
 */
import path from 'node:path';
import type { ProofTimes } from '../../model/index.js';
import { failedStoreWrite, replaceFile, type System } from '../../system/index.js';
import { CHECKED_FILE, RESTORED_FILE } from '../layout/layout.js';
import { type ClientDirectory, guardClient } from './client-directory.js';

/** Time in which further restores are not noted, since each note is synced to the disk. */
const AGAIN_MS = 60_000;

/** The files, by which a change of the times is found. */
export const PROOF_FILES: readonly string[] = [CHECKED_FILE, RESTORED_FILE];

/** Returns the times of a client; 0 for what was never done, or is not known. */
export function proofTimes({ files }: System, directory: string): ProofTimes {
  const timeOf = (name: string): number =>
    Math.floor(files.status(path.join(directory, name))?.mtimeMs ?? 0);
  return { checkedAtMs: timeOf(CHECKED_FILE), restoredAtMs: timeOf(RESTORED_FILE) };
}

/**
 * Notes that files were restored and proven now. Makes no directory: the client may have been removed, or the disk of the
 * store may be away. Throws STORE_NOT_WRITABLE or the like.
 */
export async function noteRestored(system: System, directory: ClientDirectory): Promise<void> {
  guardClient(directory); // files of root get the owner of the store
  const { restoredAtMs } = proofTimes(system, directory.path);
  const ageMs = system.clock.nowMs() - restoredAtMs;
  if (ageMs >= 0 && ageMs < AGAIN_MS) return;
  const file = path.join(directory.path, RESTORED_FILE);
  try {
    await replaceFile(system.files, file, Buffer.alloc(0));
  } catch (error) {
    throw failedStoreWrite(system.files, file, error);
  }
}
