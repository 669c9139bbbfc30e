/** Compiles the addon for another processor than this one, with Debian's compilers and libraries for it. */
import fs from 'node:fs';
import path from 'node:path';
import { PackageError, PROCESSORS, ROOT, run } from './common.mjs';
import { nodePackage } from './replaced-files.mjs';

/** Compiles the addon with the headers of the packaged Node.js; returns its file. */
export function crossAddon(work, arch) {
  const { triplet, debian } = PROCESSORS[arch];
  const compiler = `${triplet}-g++`;
  const [target] = JSON.parse(
    fs.readFileSync(path.join(ROOT, 'native/binding.gyp'), 'utf8'),
  ).targets;
  const library = path.join('/usr/lib', triplet, 'librsync.so');
  if (!fs.existsSync(library)) {
    throw new PackageError(
      `there is no ${library}: dpkg --add-architecture ${debian} && apt-get update && ` +
        `apt-get install g++-${triplet.replace('_', '-')} librsync-dev:${debian} libzstd-dev:${debian}`,
    );
  }
  const addon = path.join(work, `tardis_native-${arch}.node`);
  const flags = [...target.cflags, ...target.cflags_cc, ...target.defines.map((one) => `-D${one}`)];
  const include = path.join(nodePackage(arch), 'include/node');
  const sqlite = path.join(ROOT, 'node_modules/better-sqlite3/deps/sqlite3');
  const sources = target.sources.map((file) => path.join('native', file));
  const link = [
    '-shared',
    '-fPIC',
    '-pthread',
    '-std=gnu++20',
    '-DNODE_GYP_MODULE_NAME=tardis_native',
  ];
  run(
    compiler,
    [...link, ...flags, '-I', include, '-I', sqlite, '-o', addon, ...sources, ...target.libraries],
    { cwd: ROOT },
  );
  return addon;
}
