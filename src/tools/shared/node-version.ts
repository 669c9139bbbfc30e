/** The versions of Node.js that this program supports. */
import { TardisError } from '../../errors/index.js';

/**
 * Smallest minor version of each supported major version, as in `engines` of package.json. All major versions from
 * LEAST_NEWER on are supported.
 */
const LEAST_MINOR: ReadonlyMap<number, number> = new Map([
  [22, 20],
  [24, 12],
]);
const LEAST_NEWER = 26;

/**
 * Throws NODE_NOT_SUPPORTED for a version that is not supported. With such a version SQLite's addon would end the
 * process without a message.
 */
export function requireNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const leastMinor = LEAST_MINOR.get(major);
  const fits = leastMinor === undefined ? major >= LEAST_NEWER : minor >= leastMinor;
  if (fits) return;
  const what = `this is Node.js ${version}, and 22.20, 24.12, 26 or later is needed`;
  throw new TardisError('NODE_NOT_SUPPORTED', what);
}
