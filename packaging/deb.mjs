/** The Debian package: Node.js inside, librsync and libzstd of the distribution. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  about,
  epoch,
  filesBelow,
  makeUniform,
  PackageError,
  PROCESSORS,
  ROOT,
  run,
  version,
  write,
} from './common.mjs';
import { copyright, licenceTexts } from './licences.mjs';
import { stage } from './replaced-files.mjs';
import { makeSbom } from './sbom.mjs';

const HOME = 'usr/lib/tardis';
const DOCUMENTS = 'usr/share/doc/tardis';
/** For N of GLIBCXX_3.4.N, up to the first number: the oldest release of GCC whose libstdc++ has that version of its symbols. */
const GCC_OF_SYMBOLS = [
  [21, '5'],
  [22, '6'],
  [24, '7'],
  [25, '8'],
  [28, '9'],
  [29, '11'],
  [30, '12'],
  [32, '13'],
  [33, '14'],
  [34, '15'],
];
const SCRIPTS = ['preinst', 'postinst', 'prerm', 'postrm'];

/** The version of the package. `~` lets a pre-release sort before its release. */
export const debVersion = `${version.replaceAll('-', '~')}-1`;
export const debName = (arch) => `tardis_${debVersion}_${PROCESSORS[arch].debian}.deb`;

/** Returns name and address of the maintainer, from the variables that other Debian tools read too. */
function maintainer() {
  const { DEBFULLNAME = 'Tardis maintainers', DEBEMAIL = 'maintainers@tardis.invalid' } =
    process.env;
  return `${DEBFULLNAME} <${DEBEMAIL}>`;
}

/** Makes the package; returns its file. */
export function makeDeb({ out, work, arch, parts, libraries, level, quick }) {
  const top = path.join(work, `deb-${arch}`);
  stage(top, parts, arch);
  const { CATALOG_VERSION } = catalogVersion();
  write(path.join(top, HOME, 'catalog-version'), `${CATALOG_VERSION}\n`);
  const sbom = makeSbom({
    arch,
    kind: 'deb',
    home: path.join(top, HOME),
    at: `${HOME}/`,
    libraries,
  });
  putDocuments(top, arch, sbom);
  const control = path.join(top, 'DEBIAN');
  const conffiles = filesBelow(path.join(top, 'etc')).map((file) => `/etc/${file}\n`);
  write(path.join(control, 'conffiles'), conffiles.join(''));
  for (const name of SCRIPTS) {
    const text = fs.readFileSync(path.join(ROOT, 'packaging/debian', name), 'utf8');
    write(path.join(control, name), text.replaceAll('@CATALOG@', CATALOG_VERSION), 0o755);
  }
  const files = filesBelow(top).filter((file) => !file.startsWith('DEBIAN/'));
  const sums = files.flatMap((file) => {
    if (file.startsWith('etc/') || fs.lstatSync(path.join(top, file)).isSymbolicLink()) return [];
    const sum = createHash('md5')
      .update(fs.readFileSync(path.join(top, file)))
      .digest('hex');
    return [`${sum}  ${file}\n`];
  });
  write(path.join(control, 'md5sums'), sums.join(''));
  write(path.join(control, 'control'), controlText(top, files, arch));
  makeUniform(top);
  const target = path.join(out, debName(arch));
  const kind = quick ? '-Zgzip' : '-Zxz';
  const compression = [kind, `-z${level}`, '--uniform-compression'];
  run('dpkg-deb', ['--root-owner-group', ...compression, '--build', top, `${target}.new`]);
  fs.renameSync(`${target}.new`, target);
  write(`${target}.cdx.json`, sbom);
  return target;
}

/** Reads the version of catalogs from the source that defines it. */
function catalogVersion() {
  const text = fs.readFileSync(path.join(ROOT, 'src/store/catalog/versions.ts'), 'utf8');
  const found = /export const CATALOG_VERSION = (\d+);/.exec(text)?.[1];
  if (found === undefined)
    throw new PackageError('src/store/catalog/versions.ts has no CATALOG_VERSION');
  return { CATALOG_VERSION: found };
}

/** Compresses manual pages and the changelog; adds licences and the list of contents. */
function putDocuments(top, arch, sbom) {
  const compress = (from, to, text = fs.readFileSync(from)) => {
    if (from !== undefined) fs.rmSync(from);
    write(to, gzipSync(text, { level: 9 })); // with no name and no time in it
  };
  for (const page of filesBelow(path.join(top, 'usr/share/man'))) {
    const file = path.join(top, 'usr/share/man', page);
    compress(file, `${file}.gz`);
  }
  const documents = path.join(top, DOCUMENTS);
  compress(path.join(documents, 'CHANGELOG.md'), path.join(documents, 'changelog.gz'));
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const entry = `  * Release ${version}: see changelog.gz.`;
  const changes = `tardis (${debVersion}) stable; urgency=medium\n\n${entry}\n\n -- ${maintainer()}  ${date}\n`;
  compress(undefined, path.join(documents, 'changelog.Debian.gz'), changes);
  write(
    path.join(documents, 'copyright'),
    copyright(path.join(top, HOME, 'dist/bundle'), maintainer()),
  );
  compress(
    undefined,
    path.join(documents, 'LICENSES.txt.gz'),
    licenceTexts(path.join(top, HOME, 'dist/bundle'), arch, []),
  );
  compress(undefined, path.join(documents, 'tardis.cdx.json.gz'), sbom);
  const overrides = path.join(ROOT, 'packaging/debian/lintian-overrides');
  write(path.join(top, 'usr/share/lintian/overrides/tardis'), fs.readFileSync(overrides));
}

/** Returns the highest version that a pattern finds, as numbers. */
function highest(output, pattern) {
  const found = [...output.matchAll(pattern)].map((match) => match[1].split('.').map(Number));
  const order = (a, b) => a[0] - b[0] || (a[1] ?? 0) - (b[1] ?? 0);
  return found.sort(order).at(-1);
}

function dependencies(top, files) {
  const binaries = files.filter((file) => /\.node$|\/runtime\/bin\/node$/.test(file));
  const output = run('readelf', ['-VW', ...binaries.map((file) => path.join(top, file))]);
  const libc = highest(output, /\bGLIBC_(\d+\.\d+)/g);
  const [symbols] = highest(output, /\bGLIBCXX_3\.4\.(\d+)/g);
  const gcc = GCC_OF_SYMBOLS.find(([last]) => symbols <= last)?.[1];
  if (gcc === undefined) throw new PackageError(`which GCC has GLIBCXX_3.4.${symbols}?`);
  return [
    `libc6 (>= ${libc.join('.')})`,
    'libgcc-s1',
    'librsync2 (>= 2.2) | librsync2t64',
    `libstdc++6 (>= ${gcc})`,
    'libzstd1 (>= 1.4)',
    'adduser',
  ];
}

function controlText(top, files, arch) {
  const kib = files.reduce(
    (sum, file) => sum + Math.ceil(fs.lstatSync(path.join(top, file)).size / 1024),
    0,
  );
  const fields = {
    Package: 'tardis',
    Version: debVersion,
    Architecture: PROCESSORS[arch].debian,
    Maintainer: maintainer(),
    'Installed-Size': kib,
    Depends: dependencies(top, files).join(', '),
    Recommends: 'openssl',
    Suggests: 'fuse3, logrotate, logwatch, python3-cryptography, python3-zstandard',
    Section: 'utils',
    Priority: 'optional',
    Description: about.description,
  };
  const long = `
 Every run of a backup gives a set, every set shows the whole tree as it was,
 and an unchanged file costs nothing in a later set. Backups go to a directory
 or to a server, by TLS, and may be encrypted with keys that the server does not
 have.
 .
 This package brings client and servers (tardis, tardisd, tardisremote), the
 tools to restore and to look into a store (regenerate, lstardis, tardiff,
 tardisfs, tardis-web, sonic), and its own Node.js. It enables and starts
 nothing by itself.
`;
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  return lines.join('\n') + long;
}
