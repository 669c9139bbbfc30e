/** Identities of files and directories, for calls and jobs that open what was listed. */
import fs from 'node:fs';
import path from 'node:path';
import { IDENTITY_BYTES } from '../../src/model/index.js';
import { directoryAt, nodeSystem } from '../../src/system/index.js';
import type { ListedFile } from '../../src/workers/index.js';

const { native } = nodeSystem();

/** Returns the identity of a file or directory; one that nothing has if it does not exist. */
export function identityAt(at: string | Buffer): Buffer {
  const bytes = Buffer.from(at);
  const isThere = fs.lstatSync(bytes, { throwIfNoEntry: false }) !== undefined;
  return isThere ? directoryAt(native, bytes).identity : Buffer.alloc(IDENTITY_BYTES);
}

/** Returns a file as a job gets it from a listing; `name` is one that it does not have. */
export function listedFile(file: string, name: string = path.basename(file)): ListedFile {
  const folder = path.dirname(file);
  const row = native.statRow(Buffer.from(file), Buffer.from(name));
  return { directoryPath: Buffer.from(folder), directory: identityAt(folder), row };
}
