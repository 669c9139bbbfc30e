/**
 * Makes packages of the built program in dist/packages: `npm run package [-- OPTION...]`.
 *
 *   --only=KIND,…  of deb, tarball, npm, image; all of them by default
 *   --arch=ARCH    x64 or arm64; this machine's by default
 *   --out=DIR      where to; dist/packages by default
 *   --level=N      how hard to compress, 1 to 9; 6 by default; `quick` for tests: 1, and gzip in the Debian package too
 *
 * It needs no network but npm's registry for the pinned Node.js, and apt's sources for the base of the image. The same
 * commit gives the same bytes, on a machine with the same compiler and libraries.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  emptyFolder,
  PackageError,
  PROCESSORS,
  requirePrograms,
  ROOT,
  version,
  write,
} from '../packaging/common.mjs';
import { makeDeb } from '../packaging/deb.mjs';
import { systemLibraries } from '../packaging/libraries.mjs';
import { makeNpm } from '../packaging/npm.mjs';
import { makeBase, makeContainerfile, makeImage } from '../packaging/oci.mjs';
import { makeParts, stage } from '../packaging/replaced-files.mjs';
import { makeBuildSbom } from '../packaging/sbom.mjs';
import { makeTarball, stageTarball } from '../packaging/tarball.mjs';

process.umask(0o022); // modes in the packages do not depend on the user's umask

const KINDS = ['deb', 'tarball', 'npm', 'image'];
const PROGRAMS = { strip: 'binutils', readelf: 'binutils', xz: 'xz-utils' };
const MORE_PROGRAMS = {
  deb: { 'dpkg-deb': 'dpkg' },
  tarball: { patchelf: 'patchelf' },
  npm: { patchelf: 'patchelf' },
  image: { patchelf: 'patchelf', mmdebstrap: 'mmdebstrap' },
};
const USAGE =
  'usage: npm run package [-- --only=deb,tarball,npm,image --arch=x64|arm64 --out=DIR --level=1..9|quick]';

function optionsOf(words) {
  const options = { only: KINDS.join(','), arch: process.arch, out: 'dist/packages', level: '6' };
  for (const word of words) {
    const [, name, value] = /^--(only|arch|out|level)=(.+)$/.exec(word) ?? [];
    if (name === undefined) throw new PackageError(USAGE);
    options[name] = value;
  }
  const kinds = options.only.split(',');
  const isRight =
    kinds.every((kind) => KINDS.includes(kind)) &&
    Object.hasOwn(PROCESSORS, options.arch) &&
    /^(?:[1-9]|quick)$/.test(options.level);
  if (!isRight) throw new PackageError(USAGE);
  const quick = options.level === 'quick';
  const level = quick ? '1' : options.level;
  return { ...options, kinds: new Set(kinds), out: path.resolve(options.out), level, quick };
}

/** Returns the list of everything that the build uses. */
function buildSbomOf(work, arch, parts) {
  const staged = path.join(work, `listed-${arch}`);
  stage(staged, parts, arch);
  const sbom = makeBuildSbom({ arch, home: path.join(staged, 'usr/lib/tardis') });
  fs.rmSync(staged, { recursive: true });
  return sbom;
}

function makeArchives(common, kinds) {
  const { out, work, arch } = common;
  const parts = makeParts(work, arch, { withLibraries: true, withNode: true });
  const top = stageTarball({ ...common, parts });
  const made = [];
  if (kinds.has('tarball'))
    made.push(makeTarball({ ...common, top }), makeContainerfile({ out, arch }));
  if (kinds.has('image')) {
    const root = path.join(work, `base-${arch}/root`);
    const system = makeBase(root, arch);
    made.push(makeImage({ ...common, top, root, system }));
  }
  return made;
}

/** Returns the bytes of a file, or of all files of a folder. */
function sizeOf(file) {
  if (!fs.statSync(file).isDirectory()) return fs.statSync(file).size;
  return fs.readdirSync(file).reduce((sum, name) => sum + sizeOf(path.join(file, name)), 0);
}

function main() {
  const { kinds, arch, out, level, quick } = optionsOf(process.argv.slice(2));
  requirePrograms(Object.assign({}, PROGRAMS, ...[...kinds].map((kind) => MORE_PROGRAMS[kind])));
  fs.mkdirSync(out, { recursive: true });
  const work = emptyFolder(path.join(out, '.work'));
  const libraries = systemLibraries(arch);
  const own = makeParts(work, arch, { withLibraries: false, withNode: true });
  const common = { out, work, arch, libraries, level, quick };
  const list = path.join(out, `tardis-${version}-linux-${arch}-build.cdx.json`);
  write(list, buildSbomOf(work, arch, own));
  const made = [list];
  if (kinds.has('deb')) made.push(makeDeb({ ...common, parts: own }));
  if (kinds.has('tarball') || kinds.has('image')) made.push(...makeArchives(common, kinds));
  if (kinds.has('npm')) {
    const parts = makeParts(work, arch, { withLibraries: true, withNode: false });
    made.push(makeNpm({ ...common, parts }));
  }
  fs.rmSync(work, { recursive: true });
  for (const file of made) {
    console.log(`${(sizeOf(file) / 1e6).toFixed(1).padStart(6)} MB  ${path.relative(ROOT, file)}`);
  }
}

try {
  main();
} catch (error) {
  if (!(error instanceof PackageError)) throw error;
  console.error(`package: ${error.message}`);
  process.exitCode = 1;
}
