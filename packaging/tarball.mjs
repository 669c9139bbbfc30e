/** The archive that runs from any folder, as any user: Node.js and all libraries inside but those of every system. */
import fs from 'node:fs';
import path from 'node:path';
import { emptyFolder, makeUniform, ROOT, tarGz, version, write } from './common.mjs';
import { licenceTexts } from './licences.mjs';
import { stage } from './replaced-files.mjs';
import { makeSbom } from './sbom.mjs';

/** The list of contents. */
const LIST = 'tardis.cdx.json';

export const tarballTop = (arch) => `tardis-${version}-linux-${arch}`;

/** Makes the folder that is archived, and that the image has as /opt/tardis. */
export function stageTarball({ work, arch, parts, libraries }) {
  const staged = path.join(work, `staged-${arch}`);
  stage(staged, parts, arch);
  const top = path.join(emptyFolder(path.join(work, `tarball-${arch}`)), tarballTop(arch));
  fs.renameSync(path.join(staged, 'usr/lib/tardis'), top);
  fs.renameSync(path.join(staged, 'usr/share'), path.join(top, 'share'));
  fs.renameSync(path.join(staged, 'etc/tardis'), path.join(top, 'share/samples'));
  for (const file of ['tardisd.cfg', 'healthcheck.mjs']) {
    const text = fs.readFileSync(path.join(ROOT, 'packaging/image', file));
    write(path.join(top, 'share/image', file), text);
  }
  fs.chmodSync(path.join(top, 'share/samples/tardis.cfg'), 0o644); // nothing secret is in it yet
  fs.rmSync(staged, { recursive: true });
  write(
    path.join(top, 'README'),
    `Tardis ${version} for Linux (${arch}, glibc), with its own Node.js: bin/tardis, bin/regenerate and the others run from here.
First backup: bin/tardis -D /media/disk/backup -C me --local --create ~    then: bin/lstardis -D /media/disk/backup -C me
To read on: share/doc/tardis/README.md, man -M share/man tardis; licences: LICENSES.txt; what is inside: tardis.cdx.json
`,
  );
  write(path.join(top, LIST), makeSbom({ arch, kind: 'tarball', home: top, libraries }));
  const licences = licenceTexts(path.join(top, 'dist/bundle'), arch, libraries);
  write(path.join(top, 'LICENSES.txt'), licences);
  makeUniform(path.dirname(top));
  return top;
}

export function makeTarball({ out, arch, top, level }) {
  const target = path.join(out, `${tarballTop(arch)}.tar.gz`);
  tarGz(target, path.dirname(top), [path.basename(top)], { level });
  fs.copyFileSync(path.join(top, LIST), `${target}.cdx.json`);
  return target;
}
