/** Creates a folder for a target to work in, which is deleted when the process ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export function scratchFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fuzz-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
