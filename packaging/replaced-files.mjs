/**
 * Files of a package that differ from those of the checkout: the pinned Node.js, the stripped addon and its libraries,
 * packages of npm for another processor. scripts/install-system.mjs takes them in place of the checkout's (PARTS).
 */
import fs from 'node:fs';
import path from 'node:path';
import { emptyFolder, filesBelow, PackageError, PROCESSORS, ROOT, run, write } from './common.mjs';
import { crossAddon } from './cross.mjs';

const ADDON = 'native/build/Release/tardis_native.node';
/** Libraries that any system has on which Node.js runs. All others that the addon needs are packaged, or dependencies. */
const OF_SYSTEM = /^(?:ld-linux.*|lib(?:c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so.*)$/;

/** Returns the folder of the pinned Node.js for a processor, an unpacked package of npm. Fetches it unless the checkout has it. */
export function nodePackage(arch) {
  const name = `node-linux-${arch}`;
  const lock = JSON.parse(fs.readFileSync(path.join(ROOT, 'runtime/package-lock.json'), 'utf8'));
  const wanted = lock.packages[`node_modules/${name}`]?.version;
  if (wanted === undefined) throw new PackageError(`runtime/package-lock.json has no ${name}`);
  const fetched = path.join(ROOT, `dist/.runtime-${arch}`);
  for (const top of [path.join(ROOT, 'runtime'), fetched]) {
    const folder = path.join(top, 'node_modules', name);
    const file = path.join(folder, 'package.json');
    if (fs.existsSync(file) && JSON.parse(fs.readFileSync(file, 'utf8')).version === wanted)
      return folder;
  }
  console.log(`package: fetching Node.js ${wanted} for linux-${arch}`);
  emptyFolder(fetched);
  for (const file of ['package.json', 'package-lock.json'])
    fs.copyFileSync(path.join(ROOT, 'runtime', file), path.join(fetched, file));
  npmCi(fetched, arch);
  return path.join(fetched, 'node_modules', name);
}

function npmCi(folder, arch, more = []) {
  const options = [
    '--ignore-scripts',
    '--include=optional',
    '--os=linux',
    `--cpu=${arch}`,
    '--libc=glibc',
  ];
  run('npm', ['ci', ...options, '--no-audit', '--no-fund', '--loglevel=error', ...more], {
    cwd: folder,
  });
}

/** Fetches the packages of npm for another processor: the checkout lacks those with native code. */
function putPackages(work, parts, arch) {
  if (arch === process.arch) return;
  const folder = emptyFolder(path.join(work, `packages-${arch}`));
  for (const file of ['package.json', 'package-lock.json'])
    fs.copyFileSync(path.join(ROOT, file), path.join(folder, file));
  npmCi(folder, arch, ['--omit=dev', '--engine-strict=false']);
  fs.renameSync(path.join(folder, 'node_modules'), path.join(parts, 'node_modules'));
}

/** Returns the names by which the loader looks for the libraries of a file. */
function neededBy(file) {
  const output = run('readelf', ['-dW', file]);
  return [...output.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1]);
}

/** Copies the libraries that the addon needs to beside it, and lets each find the others there. */
function putLibraries(folder, arch) {
  const { triplet } = PROCESSORS[arch];
  const places = ['/usr/lib', '/lib'].map((top) => path.join(top, triplet));
  const waiting = [path.join(folder, path.basename(ADDON))];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    let isAlone = true;
    for (const name of neededBy(file)) {
      if (OF_SYSTEM.test(name)) continue;
      isAlone = false;
      const target = path.join(folder, name);
      if (fs.existsSync(target)) continue;
      const place = places.map((one) => path.join(one, name)).find((one) => fs.existsSync(one));
      if (place === undefined) throw new PackageError(`${name} is not in ${places.join(' or ')}`);
      fs.copyFileSync(fs.realpathSync(place), target);
      fs.chmodSync(target, 0o644);
      waiting.push(target);
    }
    if (!isAlone) run('patchelf', ['--set-rpath', '$ORIGIN', file]);
  }
}

const stripFor = (arch) => (arch === process.arch ? 'strip' : `${PROCESSORS[arch].triplet}-strip`);

/**
 * Makes the parts for one processor; returns their folder. `withLibraries`: the addon brings what it is linked with.
 * `withNode`: Node.js goes along.
 */
export function makeParts(work, arch, { withLibraries, withNode }) {
  const name = `${arch}${withLibraries ? '-libraries' : ''}${withNode ? '-node' : ''}`;
  const parts = emptyFolder(path.join(work, `parts-${name}`));
  const strip = stripFor(arch);
  const addon = path.join(parts, ADDON);
  fs.mkdirSync(path.dirname(addon), { recursive: true });
  fs.copyFileSync(arch === process.arch ? path.join(ROOT, ADDON) : crossAddon(work, arch), addon);
  run(strip, ['--strip-unneeded', addon]);
  if (withLibraries) putLibraries(path.dirname(addon), arch);
  putPackages(work, parts, arch);
  if (withNode) {
    const node = path.join(parts, 'runtime/bin/node');
    fs.mkdirSync(path.dirname(node), { recursive: true });
    fs.copyFileSync(path.join(nodePackage(arch), 'bin/node'), node);
    // The addon uses dynamic symbols of Node.js's OpenSSL, which stay.
    run(strip, ['--strip-unneeded', node]);
    fs.chmodSync(node, 0o755);
    const flags = path.join(parts, 'dist/bundle/flags');
    write(flags, '');
    const here = path.join(nodePackage(process.arch), 'bin/node');
    run(here, [path.join(ROOT, 'scripts/node-flags.mjs'), flags]);
  }
  return parts;
}

/** Returns the licence of Node.js and of all that is linked into it. */
export function nodeLicence(arch) {
  return fs.readFileSync(path.join(nodePackage(arch), 'LICENSE'), 'utf8');
}

/** Fills `destdir` by scripts/install-system.mjs. */
export function stage(destdir, parts, arch) {
  emptyFolder(destdir);
  const env = { PREFIX: '/usr', SYSCONFDIR: '', DESTDIR: destdir, PARTS: parts, ARCH: arch };
  run(process.execPath, [path.join(ROOT, 'scripts/install-system.mjs')], { env });
  const strip = stripFor(arch);
  const bundle = path.join(destdir, 'usr/lib/tardis/dist/bundle');
  for (const file of filesBelow(bundle).filter((name) => name.endsWith('.node'))) {
    run(strip, ['--strip-unneeded', path.join(bundle, file)]);
  }
  // Packages know what they have put where.
  fs.rmSync(path.join(destdir, 'usr/lib/tardis/installed.json'));
  const description = path.join(destdir, 'usr/lib/tardis/package.json');
  write(description, describePackage(JSON.parse(fs.readFileSync(description, 'utf8'))));
}

/** Returns package.json without what concerns the build. */
export function describePackage(all, more = {}) {
  const { name, version, description, license, type, sideEffects, engines, os } = all;
  const kept = { name, version, description, license, type, sideEffects, engines, os, ...more };
  return `${JSON.stringify(kept, null, 2)}\n`;
}
