import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UsageError } from './usage-error.js';

/** Paths of the command line. */
interface Paths {
  readonly tree: string | undefined;
  readonly work: string | undefined;
  readonly plots: string | undefined;
  readonly json: string | undefined;
}

/** Throws a UsageError if a path cannot be used. A long run would otherwise end without what it measured. */
export function requirePaths({ tree, work, plots, json }: Paths): void {
  requireDirectory('--tree', tree, 'no directory to copy');
  requireDirectory('--work', work, 'no directory to work in');
  requireDirectory('--plots', plots, 'no directory to write plots to');
  if (json === undefined) return;
  requireDirectory('--json', dirname(resolve(json)), 'no directory to write figures to');
  if (isDirectory(json)) throw new UsageError(`--json: ${json} is a directory`);
}

function requireDirectory(option: string, path: string | undefined, what: string): void {
  if (path !== undefined && !isDirectory(path)) {
    throw new UsageError(`${option}: ${path} is ${what}`);
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
