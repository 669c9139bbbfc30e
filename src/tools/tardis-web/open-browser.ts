/** Opens an address in the user's browser. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { environmentOfOthers } from '../../system/index.js';

const OPENER = 'xdg-open';
const OWNER_ONLY = 0o600;

/**
 * Opens an address that other users must not see. Every user can see the arguments of a command. So the browser gets a
 * file that only its user can read, and that redirects to the address. Returns a function that removes the file.
 */
export function openBrowser(url: string, warn: (line: string) => void): () => void {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tardis-web-'));
  const file = path.join(folder, 'open.html');
  const page = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=${url}"><title>Tardis</title>\n`;
  writeFileSync(file, page, { mode: OWNER_ONLY });
  const how = { stdio: 'ignore', detached: true, env: environmentOfOthers() } as const;
  const child = spawn(OPENER, [pathToFileURL(file).href], how);
  child.on('error', () => warn(`${OPENER} is not there; open the address yourself`));
  child.on('exit', (status) => {
    if (status !== 0 && status !== null) warn(`${OPENER} failed; open the address yourself`);
  });
  child.unref();
  return () => rmSync(folder, { recursive: true, force: true });
}
