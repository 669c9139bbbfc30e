/** Refuses changes that would remove data from a client while it has a second generation. */
import path from 'node:path';
import { TardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  GENERATION_FILE,
  hasEncryptingKeys,
  MAX_GENERATION_BYTES,
  secondGenerationPath,
  tryLock,
  unfinishedRewrites,
} from '../index.js';
import { type Files, readStart, type System } from '../../system/index.js';

/**
 * Throws CLIENT_BUSY while a run writes a second generation of the client. Throws REKEY_UNFINISHED if an unfinished one
 * is left. A second generation is made from the first, set by set, so the first must keep its sets.
 */
export async function requireNoSecond(system: System, directory: ClientDirectory): Promise<void> {
  const { files } = system;
  const second = secondGenerationPath(directory);
  if (files.status(second) === undefined) return requireNoRewrites(system, directory);
  const { client } = directory;
  if (isBeingMade(system, second)) {
    throw new TardisError('CLIENT_BUSY', `"${client}" is being rewritten (sonic rekey)`);
  }
  throw unfinishedRewrite(system, directory);
}

/**
 * Throws REKEY_UNFINISHED if another machine writes a second generation in the bucket, or has left an unfinished one.
 */
async function requireNoRewrites(system: System, directory: ClientDirectory): Promise<void> {
  if ((await unfinishedRewrites(system, directory)).length === 0) return;
  const what = `another machine is rewriting "${directory.client}", or has begun to`;
  const ways = 'the command there continues it, `sonic rekey --abort` discards it on any machine';
  throw new TardisError('REKEY_UNFINISHED', `${what}: ${ways}`);
}

/** Returns the error for a second generation that no run is writing. */
export function unfinishedRewrite(system: System, directory: ClientDirectory): TardisError {
  const { files } = system;
  const second = secondGenerationPath(directory);
  if (files.status(path.join(directory.path, GENERATION_FILE)) !== undefined) {
    const what = `${second}, the old generation of "${directory.client}", is not removed yet`;
    return new TardisError('REKEY_UNFINISHED', `${what}: \`sonic rekey\` removes it`);
  }
  const command = commandOf(system, directory, second);
  const what = `a run that rewrites "${directory.client}" has not finished (${second})`;
  const ways = `\`sonic ${command}\` continues it, \`sonic ${abortOf(command)}\` discards it`;
  return new TardisError('REKEY_UNFINISHED', `${what}: ${ways}`);
}

function abortOf(command: string): string {
  return `${command.split(' ', 1)[0]} --abort`;
}

/** Returns the command of `sonic` that completes a second generation. */
function commandOf(system: System, { path: first }: ClientDirectory, second: string): string {
  if (isWithoutSome(system.files, path.join(second, GENERATION_FILE))) {
    return 'forget-path --finish';
  }
  return hasEncryptingKeys(system, first) ? 'rekey' : 'encrypt';
}

function isBeingMade(system: System, second: string): boolean {
  const file = `${second}.lock`;
  if (system.files.status(file) === undefined) return false;
  const lock = tryLock(system, file);
  lock?.release();
  return lock === undefined;
}

/**
 * True if a marker of a second generation records that it leaves out paths. False for an invalid marker; the run that
 * continues the generation reports that.
 */
function isWithoutSome(files: Files, marker: string): boolean {
  const text = readStart(files, marker, MAX_GENERATION_BYTES)?.toString('utf8');
  return text !== undefined && /"without":"[0-9a-f]/.test(text);
}
