// Adds to package-lock.json the optional packages for other systems that npm left out of it because
// its registry does not have them; `npm ci` refuses a lock file without them. Run it after
// `npm install`, where npm ci prints `Missing: ... from lock file`. They are never fetched on a system
// they are not for, so that name and version will do.
//
// It also adds the hash (`integrity`) of each package that lacks one, as the registry gives it, so that `npm ci` refuses a
// package with other contents. A registry may not have the packages for other systems.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const AT_ONCE = 6;
const QUESTION_MS = 60_000;

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

const lockPath = join(dirname(dirname(fileURLToPath(import.meta.url))), 'package-lock.json');
const lock = JSON.parse(readFileSync(lockPath, 'utf8'));

/** Returns the system that a package is for, by a name like `@oxlint/binding-linux-arm-musleabihf`. */
function systemOf(name) {
  const words = name.split(/[/-]/);
  const os = words.find((word) => SYSTEMS.includes(word));
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) return undefined;
  const musl = words.some((word) => word.startsWith('musl'));
  const glibc = words.some((word) => word.startsWith('gnu'));
  const libc = musl ? { libc: ['musl'] } : glibc ? { libc: ['glibc'] } : {};
  return { cpu: [cpu], ...libc, os: [os] };
}

let added = 0;
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const isThere = [`${place}/node_modules/${name}`, `node_modules/${name}`].some((key) =>
      Object.hasOwn(lock.packages, key),
    );
    const system = systemOf(name);
    if (isThere || system === undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue;
    const { cpu, ...rest } = system;
    const dev = entry.dev === true ? { dev: true } : {};
    lock.packages[`node_modules/${name}`] = { version, cpu, ...dev, optional: true, ...rest };
    added += 1;
    console.log(`complete-lock: ${name}@${version}`);
  }
}

/** Returns the registry's hash of a package; undefined if it has none. */
async function integrityOf(name, version) {
  const question = ['view', '--json', `${name}@${version}`, 'dist.integrity'];
  try {
    const { stdout } = await promisify(execFile)('npm', question, { timeout: QUESTION_MS });
    const answer = stdout.trim() === '' ? undefined : JSON.parse(stdout);
    return typeof answer === 'string' ? answer : undefined;
  } catch (error) {
    if (/E404|ETARGET/.test(String(error.stderr))) return undefined;
    throw error;
  }
}

const lacking = Object.entries(lock.packages).filter(
  ([place, { integrity, link }]) => place !== '' && integrity === undefined && link !== true,
);
let hashed = 0;
const missing = [];
async function addHashes() {
  for (let next = lacking.pop(); next !== undefined; next = lacking.pop()) {
    const [place, entry] = next;
    const name = entry.name ?? place.slice(place.lastIndexOf('node_modules/') + 13);
    const integrity = await integrityOf(name, entry.version);
    if (integrity === undefined) missing.push(`${name}@${entry.version}`);
    else {
      const { version, ...rest } = entry;
      lock.packages[place] = { version, integrity, ...rest };
      hashed += 1;
    }
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, addHashes));

if (added + hashed > 0) {
  const compare = new Intl.Collator('en').compare;
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => compare(a, b));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(lockPath, `${JSON.stringify(lock, null, 2)}\n`);
}
for (const name of missing.toSorted())
  console.log(`complete-lock: the registry does not have ${name}`);
console.log(
  `complete-lock: ${added} added, ${hashed} hashes added, ${missing.length} without a hash`,
);
