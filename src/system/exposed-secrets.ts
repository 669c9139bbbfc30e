/**
 * Warns about secrets that other users can read, because the file system does not keep permissions, and about files by
 * which others can change what root does.
 */
import fs from 'node:fs';
import { displayName } from '../model/index.js';
import { foreignHand } from './ways.js';
import { textBytes } from './process-input.js';

const OTHERS_READ = 0o044;
const OTHERS_WRITE = 0o022;

const reported = new Set<string>();
let report: (text: string) => void = () => undefined;

/** Sets the function that receives the warnings; before that they are dropped. */
export function onExposedSecret(listener: (text: string) => void): void {
  report = listener;
}

/**
 * Warns once about a file that was created for its owner alone, if other users can read or change it. `file` is byte
 * text; `what` names the kind of file in words; `risk` describes what a reader gains.
 */
export function reportIfExposed(file: string, what: string, risk: string): void {
  const status = fs.statSync(textBytes(file), { throwIfNoEntry: false });
  if (status === undefined || (status.mode & (OTHERS_READ | OTHERS_WRITE)) === 0) return;
  if (reported.has(file)) return;
  reported.add(file);
  const mayWrite = (status.mode & OTHERS_WRITE) !== 0;
  const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
  report(
    `other users can read${mayWrite ? ' and change' : ''} ${what} ${displayName(textBytes(file))}: its file system does not keep permissions (mode ${mode}, not 0600); ${risk}`,
  );
}

/** Warns once about a file with settings of root that another user can change. */
export function reportIfForeign(file: Uint8Array): void {
  const name = displayName(file);
  const hand = reported.has(name) ? undefined : foreignHand(file);
  if (hand === undefined) return;
  reported.add(name);
  report(
    `${name} has settings of root that another user can change: ${hand}; commands in it are refused`,
  );
}
