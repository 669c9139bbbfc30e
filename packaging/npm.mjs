/**
 * The package for `npm install -g`: no dependency, no script, and for one kind of processor. Modules that are joined
 * into bundles are there already; what stays outside of them, SQLite among it, lies beside them. npm prompts before it
 * runs scripts of packages, and takes every package that could be compiled for one with a script; so that none is
 * needed, npm sees this one package only.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  about,
  emptyFolder,
  filesBelow,
  makeUniform,
  ROOT,
  tarGz,
  version,
  write,
} from './common.mjs';
import { licenceTexts } from './licences.mjs';
import { describePackage, stage } from './replaced-files.mjs';
import { makeSbom } from './sbom.mjs';

export const npmName = (arch) => `${about.name}-${version}-linux-${arch}.tgz`;

export function makeNpm({ out, work, arch, parts, libraries, level }) {
  const staged = path.join(work, `staged-npm-${arch}`);
  stage(staged, parts, arch);
  const top = path.join(emptyFolder(path.join(work, `npm-${arch}`)), 'package');
  fs.renameSync(path.join(staged, 'usr/lib/tardis'), top);
  fs.rmSync(path.join(top, 'runtime'), { recursive: true, force: true });
  // These flags, for a Pi, are of the build's Node.js, and another one runs there.
  fs.rmSync(path.join(top, 'dist/bundle/flags'), { force: true });
  const share = path.join(staged, 'usr/share');
  for (const page of filesBelow(path.join(share, 'man'))) {
    write(
      path.join(top, 'man', path.basename(page)),
      fs.readFileSync(path.join(share, 'man', page)),
    );
  }
  for (const file of ['README.md', 'CHANGELOG.md'])
    fs.copyFileSync(path.join(ROOT, file), path.join(top, file));
  const sbom = makeSbom({ arch, kind: 'npm', home: top, libraries });
  write(path.join(top, 'tardis.cdx.json'), sbom);
  const bundle = path.join(top, 'dist/bundle');
  write(path.join(top, 'LICENSES.txt'), licenceTexts(bundle, arch, libraries, { withNode: false }));
  const man = fs
    .readdirSync(path.join(top, 'man'))
    .sort()
    .map((page) => `man/${page}`);
  const more = { cpu: [arch], libc: ['glibc'], bin: about.bin, man };
  write(path.join(top, 'package.json'), describePackage(about, more));
  fs.rmSync(staged, { recursive: true });
  makeUniform(path.dirname(top));
  const target = path.join(out, npmName(arch));
  tarGz(target, path.dirname(top), ['package'], { level });
  write(`${target}.cdx.json`, sbom);
  return target;
}
