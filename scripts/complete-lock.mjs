// Adds to package-lock.json the optional packages for other systems that npm left out of it because
// the registry it asked does not have them; `npm ci` refuses a lock file without them. Run it after
// `npm install`, where npm ci says `Missing: ... from lock file`. They are never fetched on a system
// they are not for, so that name and version will do.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

const lockPath = join(dirname(dirname(fileURLToPath(import.meta.url))), 'package-lock.json');
const lock = JSON.parse(readFileSync(lockPath, 'utf8'));

/** What a name like `@oxlint/binding-linux-arm-musleabihf` tells of the system it is for. */
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

if (added > 0) {
  const compare = new Intl.Collator('en').compare;
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => compare(a, b));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(lockPath, `${JSON.stringify(lock, null, 2)}\n`);
}
console.log(`complete-lock: ${added} added`);
