/**
 * An image in the layout of the Open Container Initiative, made without a container program: a layer with the few packages
 * of Debian that the server needs, taken by mmdebstrap, and one with the archive. And the Containerfile that makes such
 * an image on a usual base.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import {
  about,
  emptyFolder,
  epoch,
  PackageError,
  PROCESSORS,
  ROOT,
  run,
  TAR_OPTIONS,
  version,
  write,
} from './common.mjs';
import { makeSbom } from './sbom.mjs';
import { tarballTop } from './tarball.mjs';

/** The number of the user in the image, who owns the volumes. */
const UID = '990';
const HOME = '/opt/tardis';
/** A shell and its programs for the launchers and hooks, what Node.js is linked with, and `openssl`, which makes certificates. */
const PACKAGES = ['busybox-static', 'libc6', 'libgcc-s1', 'libstdc++6', 'openssl'];
const PROGRAMS =
  'awk cat chmod chown cp cut date df du echo env expr false find free grep head hostname id kill ln ls mkdir mktemp mv nc ps pwd readlink rm rmdir sed sh sleep sort stat tail tar tee test touch tr true uname wc which xargs';
/** Documents, and what is of this machine or of apt. */
const UNWANTED = [
  'etc/apt',
  'etc/dpkg',
  'etc/fstab',
  'etc/hostname',
  'etc/resolv.conf',
  'tmp',
  'usr/share/gcc',
  'usr/share/gdb',
  'usr/share/initramfs-tools',
  'var/lib/dpkg',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/bug',
  'usr/share/doc-base',
  'usr/share/info',
  'var/cache',
  'var/lib/apt',
  'var/log',
  'dev',
  'run',
  'proc',
  'sys',
];

/** Returns the name of this machine's release of Debian, and the text of its files of package sources. */
function machineSources() {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (suite === undefined)
    throw new PackageError('/etc/os-release does not say which release this is');
  const folder = '/etc/apt/sources.list.d';
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).sort() : [];
  const names = ['/etc/apt/sources.list', ...files.map((name) => path.join(folder, name))];
  const isOfRelease = new RegExp(`(?:^Suites:| )[ ]*${suite}(?: |$|-)`, 'm');
  const texts = names
    .filter((file) => /\.(?:list|sources)$/.test(file) && fs.existsSync(file))
    .map((file) => fs.readFileSync(file, 'utf8'))
    .filter((text) => isOfRelease.test(text));
  return { suite, text: texts.join('\n') };
}

/** Returns `{ name, version, arch, sha512 }` of each downloaded package. */
function packagesOf(archives) {
  return fs
    .readdirSync(archives)
    .filter((file) => file.endsWith('.deb'))
    .sort()
    .map((file) => {
      const [name, version, arch] = file.slice(0, -4).split('_').map(decodeURIComponent);
      const bytes = fs.readFileSync(path.join(archives, file));
      return { name, version, arch, sha512: createHash('sha512').update(bytes).digest('hex') };
    });
}

/** Makes /bin and the like links to those of /usr, as every Debian has them, before packages are unpacked. */
const MERGE_USR =
  'for name in bin sbin lib lib64; do mkdir -p "$1/usr/$name" && ln -s "usr/$name" "$1/$name"; done';

/** Makes the root file system without the program; returns its packages. */
export function makeBase(root, arch) {
  emptyFolder(path.dirname(root));
  const { suite, text } = machineSources();
  const options = ['--quiet', '--variant=extract', `--include=${PACKAGES.join(',')}`];
  const more = [
    `--architectures=${PROCESSORS[arch].debian}`,
    '--skip=cleanup',
    '--skip=check/qemu',
    `--setup-hook=${MERGE_USR}`,
  ];
  run('mmdebstrap', [...options, ...more, suite, root, '-'], {
    input: text,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const packages = packagesOf(path.join(root, 'var/cache/apt/archives'));
  for (const folder of UNWANTED)
    fs.rmSync(path.join(root, folder), { recursive: true, force: true });
  fs.rmSync(path.join(root, `usr/lib/${PROCESSORS[arch].triplet}/gconv`), {
    recursive: true,
    force: true,
  });
  for (const folder of ['dev', 'proc', 'sys', 'run', 'var/log', 'root'])
    fs.mkdirSync(path.join(root, folder), { recursive: true });
  const bin = path.join(root, 'usr/bin');
  for (const program of PROGRAMS.split(' ')) {
    if (!fs.existsSync(path.join(bin, program))) fs.symlinkSync('busybox', path.join(bin, program));
  }
  write(
    path.join(root, 'etc/passwd'),
    `root:x:0:0:root:/root:/bin/sh\ntardis:x:${UID}:${UID}:Backup server:/srv/tardis:/bin/false\n`,
  );
  write(path.join(root, 'etc/group'), `root:x:0:\ntardis:x:${UID}:\n`);
  write(path.join(root, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
  return packages;
}

/** Writes a blob under its hash; returns its descriptor. */
function addBlob(layout, mediaType, bytes) {
  const digest = createHash('sha256').update(bytes).digest('hex');
  write(path.join(layout, 'blobs/sha256', digest), bytes);
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
}

/** Makes a layer of folders: `{ from, names, options }`, of which tar adds one after the other. */
function addLayer(layout, work, pieces, level) {
  const tar = path.join(work, 'layer.tar');
  fs.rmSync(tar, { force: true });
  for (const { from, names, options = [] } of pieces) {
    const mode = fs.existsSync(tar) ? '-rf' : '-cf';
    run('tar', [...TAR_OPTIONS, ...options, '-C', from, mode, tar, ...names]);
  }
  const diffId = createHash('sha256').update(fs.readFileSync(tar)).digest('hex');
  run('gzip', ['-n', `-${level}`, '-f', tar]);
  const blob = addBlob(
    layout,
    'application/vnd.oci.image.layer.v1.tar+gzip',
    fs.readFileSync(`${tar}.gz`),
  );
  fs.rmSync(`${tar}.gz`);
  return { blob, diffId: `sha256:${diffId}` };
}

function configuration(arch, layers) {
  const seconds = 1_000_000_000; // of Healthcheck, in nanoseconds
  const created = new Date(epoch * 1000).toISOString();
  const labels = {
    title: 'tardis',
    description: about.description,
    version,
    licenses: 'LicenseRef-Unlicensed',
    created,
  };
  return {
    created,
    architecture: PROCESSORS[arch].oci,
    os: 'linux',
    config: {
      User: `${UID}:${UID}`,
      ExposedPorts: { '7420/tcp': {} },
      Env: [
        `PATH=${HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
        'HOME=/srv/tardis',
      ],
      Entrypoint: [`${HOME}/bin/tardisd`],
      Cmd: ['--config', '/etc/tardis/tardisd.cfg'],
      Volumes: { '/srv/tardis': {}, '/var/lib/tardisd': {} },
      WorkingDir: '/',
      Labels: Object.fromEntries(
        Object.entries(labels).map(([name, value]) => [`org.opencontainers.image.${name}`, value]),
      ),
      StopSignal: 'SIGTERM',
      Healthcheck: {
        Test: ['CMD', `${HOME}/runtime/bin/node`, `${HOME}/share/image/healthcheck.mjs`],
        Interval: 60 * seconds,
        Timeout: 10 * seconds,
        StartPeriod: 30 * seconds,
      },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ by }) => ({ created, created_by: by })),
  };
}

/** Makes the layout; returns its folder. `top` is the archive's folder, `root` what makeBase has made. */
export function makeImage({ out, work, arch, top, root, system, libraries, level }) {
  const layout = emptyFolder(path.join(out, `tardis-${version}-oci-${arch}`));
  const program = emptyFolder(path.join(work, `image-${arch}`));
  fs.mkdirSync(path.join(program, 'opt'));
  run('cp', ['-al', top, path.join(program, HOME)]);
  write(
    path.join(program, 'etc/tardis/tardisd.cfg'),
    fs.readFileSync(path.join(top, 'share/image/tardisd.cfg')),
  );
  const at = `${HOME.slice(1)}/`;
  const sbom = makeSbom({ arch, kind: 'image', home: top, at, libraries, system });
  write(path.join(program, 'usr/share/sbom/tardis-image.cdx.json'), sbom);
  write(`${layout}.cdx.json`, sbom);
  const own = emptyFolder(path.join(work, `places-${arch}`));
  for (const folder of ['srv/tardis', 'var/lib/tardisd', 'tmp'])
    fs.mkdirSync(path.join(own, folder), { recursive: true });
  fs.writeFileSync(path.join(own, 'srv/tardis/.tardis-store'), ''); // a new store, also in a new volume
  const base = addLayer(layout, work, [{ from: root, names: ['.'] }], level);
  const upper = addLayer(
    layout,
    work,
    [
      { from: program, names: ['etc', 'opt', 'usr'] },
      { from: own, names: ['tmp'], options: ['--mode=1777'] },
      {
        from: own,
        names: ['srv/tardis', 'var/lib/tardisd'],
        options: [`--owner=${UID}`, `--group=${UID}`, '--mode=u=rwX,g=rX,o='],
      },
    ],
    level,
  );
  const layers = [
    { ...base, by: `mmdebstrap --variant=extract --include=${PACKAGES.join(',')}` },
    { ...upper, by: `${tarballTop(arch)}.tar.gz` },
  ];
  const json = (value) => Buffer.from(JSON.stringify(value));
  const config = addBlob(
    layout,
    'application/vnd.oci.image.config.v1+json',
    json(configuration(arch, layers)),
  );
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType: type,
    config,
    layers: layers.map(({ blob }) => blob),
  };
  const entry = addBlob(layout, type, json(manifest));
  const platform = { architecture: PROCESSORS[arch].oci, os: 'linux' };
  const annotations = { 'org.opencontainers.image.ref.name': version };
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ ...entry, platform, annotations }],
  };
  write(path.join(layout, 'index.json'), json(index));
  write(path.join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  return layout;
}

/** Writes the Containerfile for the archive beside it. */
export function makeContainerfile({ out, arch }) {
  const values = {
    ARCHIVE: `${tarballTop(arch)}.tar.gz`,
    TOP: tarballTop(arch),
    UID,
    VERSION: version,
    DESCRIPTION: about.description,
  };
  const text = fs.readFileSync(path.join(ROOT, 'packaging/image/Containerfile'), 'utf8');
  const target = path.join(out, arch === 'x64' ? 'Containerfile' : `Containerfile.${arch}`);
  write(
    target,
    text.replaceAll(/@([A-Z]+)@/g, (_, name) => values[name]),
  );
  return target;
}
