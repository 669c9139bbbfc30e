/** Libraries of the system that packages bring along: where they come from, and their licences. */
import fs from 'node:fs';
import path from 'node:path';
import { has, PROCESSORS, run } from './common.mjs';

/** Licences of what a library is made of; its other files (packaging, examples) may have others. */
const LICENCES = {
  'librsync.so.2': 'LGPL-2.1-or-later',
  'libzstd.so.1': 'BSD-3-Clause OR GPL-2.0-only',
  'libb2.so.1': 'CC0-1.0',
  'libgomp.so.1': 'GPL-3.0-or-later WITH GCC-exception-3.1',
};

/**
 * Returns `{ file, name, version, license, purl, copyright }` of each library that is on this machine. `purl` and name are those
 * of the distribution's package, where there is dpkg.
 */
export function systemLibraries(arch) {
  const { triplet } = PROCESSORS[arch];
  return Object.entries(LICENCES).flatMap(([file, license]) => {
    const places = ['/usr/lib', '/lib'].map((top) => path.join(top, triplet, file));
    const place = places.find((one) => fs.existsSync(one));
    if (place === undefined) return [];
    return [{ file, license, ...(has('dpkg-query') ? packaged(places, arch) : plain(place)) }];
  });
}

function packaged(places, arch) {
  const { debian } = PROCESSORS[arch];
  const script = 'dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "$2"';
  const name = run('sh', ['-c', script, 'sh', ...places]).split(':')[0];
  const version = run('dpkg-query', ['-W', '-f', '${Version}', `${name}:${debian}`]);
  const copyright = path.join('/usr/share/doc', name, 'copyright');
  const text = fs.existsSync(copyright) ? fs.readFileSync(copyright, 'utf8') : '';
  return { name, version, purl: debPurl({ name, version, arch: debian }), copyright: text };
}

/** The name of the file contains name and version: librsync.so.2.3.2. */
function plain(place) {
  const [name, version] = path.basename(fs.realpathSync(place)).split('.so.');
  return { name, version, purl: `pkg:generic/${name}@${version}`, copyright: '' };
}

/** Returns the URL of a package of Debian, as lists of contents name it. */
export function debPurl({ name, version, arch }) {
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${arch}`;
}
