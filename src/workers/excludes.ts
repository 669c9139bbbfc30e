/** What `--exclude` leaves out. */
import { createRequire } from 'node:module';
import type Picomatch from 'picomatch';
import { joinPath } from '../model/index.js';

const require = createRequire(import.meta.url);

/**
 * Exclude patterns are globs: one without a slash is held against the name, one with a slash against
 * the whole path (from the root of the file system if it starts with `/`, else its end).
 */
export function compileExcludes(globs: readonly string[]): (path: Buffer, name: Buffer) => boolean {
  if (globs.length === 0) return () => false;
  const picomatch = require('picomatch') as typeof Picomatch; // loaded only by who excludes
  const options = { dot: true, nonegate: true };
  const names = globs.filter((glob) => !glob.includes('/')).map((glob) => picomatch(glob, options));
  const paths = globs
    .filter((glob) => glob.includes('/'))
    .map((glob) => {
      const trimmed = glob.replace(/\/+$/, '');
      return picomatch(trimmed.startsWith('/') ? trimmed : `**/${trimmed}`, options);
    });
  return (path, name) => {
    const text = name.toString('utf8');
    if (names.some((matches) => matches(text))) return true;
    if (paths.length === 0) return false;
    const full = joinPath(path, name).toString('utf8');
    return paths.some((matches) => matches(full));
  };
}
