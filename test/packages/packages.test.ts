// Pace: long
/**
 * Packages as a user gets them: their contents, identical bytes from two builds, and a backup and a restore with each.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { leaveOut } from '../helpers/left-out.js';
import {
  type ContentsList,
  librariesIn,
  lockedHashes,
  lockEntries,
  npmPackagesIn,
  sha512Of,
  titleOf,
} from '../helpers/package-contents.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';
import { seededRandom } from '../support/seeded-random.js';
import { ROOT } from '../tidy/house.js';
import { pause } from '../helpers/until.js';
import { folderIn } from '../helpers/scratch.js';

/** Programs that `npm run package` installs if it may. */
const PROGRAMS = ['strip', 'readelf', 'xz', 'dpkg-deb', 'patchelf', 'mmdebstrap'];
/** A generous limit for a busy machine, in milliseconds; no step waits for anything. */
const LONGEST_MS = 900_000;

function runProgram(
  command: string,
  args: readonly string[],
  options: Parameters<typeof spawnSync>[2] = {},
): SpawnSyncReturns<string> {
  const maxBuffer = 1 << 28;
  return spawnSync(command, args, { maxBuffer, ...options, encoding: 'utf8' });
}

/** Returns why packages cannot be built on this machine; undefined if they can. */
function whyNoPackages(): string | undefined {
  const lacking = PROGRAMS.filter(
    (program) => runProgram('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  const canInstall =
    process.getuid!() === 0 && runProgram('sh', ['-c', 'command -v apt-get']).status === 0;
  return lacking.length === 0 || canInstall ? undefined : `no ${lacking.join(', ')}`;
}

/** Runs a program that takes minutes without blocking, so that the test can report progress. */
async function runLong(
  command: string,
  args: readonly string[],
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Builds packages; on failure throws the script's output. */
async function makePackages(out: string, ...options: string[]): Promise<void> {
  const args = ['scripts/package.mjs', `--out=${out}`, '--level=quick', ...options];
  const made = await runLong(process.execPath, args);
  if (made.status !== 0) throw new Error(`${made.stdout}\n${made.stderr}`);
}

/** Returns the only entry of a folder whose name matches. */
function named(folder: string, pattern: RegExp): string {
  const [found, ...more] = fs.readdirSync(folder).filter((name) => pattern.test(name));
  if (found === undefined || more.length > 0) throw new Error(`${folder}: ${pattern}`);
  return path.join(folder, found);
}

/** Returns all files below a folder with their SHA-256. */
function digestsBelow(folder: string): Record<string, string> {
  const files = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(files.map((file) => [path.relative(folder, file), digestOf(file)]));
}

function digestOf(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Returns the size of all files below a folder. */
function bytesBelow(folder: string, isWanted: (file: string) => boolean = () => true): number {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isWanted(path.join(entry.parentPath, entry.name)))
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
}

/** Sections of the manual; those of the other tools are in section 1. */
const SECTIONS: Readonly<Record<string, number>> = { tardisd: 8, tardisremote: 8 };
const MOST_BYTES = 64e6;
const MOST_NPM_BYTES = 27e6;
const NOBODY = 65534;
/** Status of a script that cannot run here. */
const CANNOT = 75;
const START_MS = 60_000;
const PAUSE_MS = 200;
const ARCH = process.arch;

const about = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  name: string;
};
const reason = whyNoPackages();
// Not in a private scratch directory, because another user runs programs here.
const top = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-packages-'));
const out = path.join(top, 'first');

test.before(async () => {
  fs.chmodSync(top, 0o755);
  if (reason === undefined) await makePackages(out);
});
test.after.always(() => fs.rmSync(top, { recursive: true, force: true }));

/** Declares a test of the packages. It is left out if they cannot be made here. */
function ofPackages(title: string, body: (t: ExecutionContext) => void | Promise<void>): void {
  test.serial(title, async (t) => {
    if (reason === undefined) {
      await body(t);
      return;
    }
    t.log(`left out: packages cannot be made here (${reason})`);
    t.pass();
  });
}

function succeeds(t: ExecutionContext, ...line: Parameters<typeof runProgram>): string {
  const { status, stdout, stderr, error } = runProgram(...line);
  t.is(status, 0, `${line[0]} ${line[1].join(' ')}\n${stdout}\n${stderr}\n${error?.message ?? ''}`);
  return stdout;
}

/** Backs up a small tree with the programs of a folder, restores it and compares it. */
function goesRound(
  t: ExecutionContext,
  bin: string,
  more: { uid?: number; node?: string } = {},
): void {
  const home = fs.mkdtempSync(path.join(top, 'home '));
  const source = folderIn(home, 'source');
  fs.writeFileSync(path.join(source, 'file'), 'content');
  fs.writeFileSync(path.join(source, 'large'), Buffer.alloc(3e6, 'abcdefg'));
  fs.mkdirSync(path.join(home, 'back'));
  const password = path.join(home, 'password');
  fs.writeFileSync(password, 'four quiet otters juggle turnips\n', { mode: 0o600 });
  const { uid, node = '' } = more;
  if (uid !== undefined) succeeds(t, 'chown', ['-R', String(uid), home]);
  const env = { HOME: home, PATH: `${node}:/usr/bin:/bin`, TMPDIR: os.tmpdir() };
  const options = { env, cwd: home, ...(uid === undefined ? {} : { uid, gid: uid }) };
  const place = ['-D', path.join(home, 'store'), '-C', 'me', '-F', password];
  const saved = succeeds(
    t,
    path.join(bin, 'tardis'),
    [...place, '--local', '--create', '--json', source],
    options,
  );
  t.is((JSON.parse(saved) as { set: number }).set, 1);
  succeeds(
    t,
    path.join(bin, 'regenerate'),
    [...place, '-o', path.join(home, 'back'), source],
    options,
  );
  t.deepEqual(digestsBelow(path.join(home, 'back/source')), digestsBelow(source));
  const paper = path.join(home, 'keys.pdf');
  succeeds(t, path.join(bin, 'sonic'), ['keys', ...place, '--pdf', paper], options);
  t.is(fs.readFileSync(paper).subarray(0, 5).toString(), '%PDF-');
  t.is(succeeds(t, path.join(bin, 'tardis'), ['--version'], options), `tardis ${about.version}\n`);
}

const random = seededRandom(seed);
/** Trials that compute for a quarter of a minute or more each: one in each run, which TEST_SEED chooses. */
const tried = partOf(['two builds', 'bare Debian', 'lintian'], share, random);

/** Declares such a test. */
function ofTrial(
  trial: string,
  title: string,
  body: (t: ExecutionContext) => Promise<unknown>,
): void {
  ofPackages(title, async (t) => {
    t.timeout(LONGEST_MS);
    if (tried.includes(trial)) await body(t);
    else {
      t.log(`left out: TEST_SEED has chosen ${tried.join()}`);
      t.pass();
    }
  });
}

/** Kinds of packages that are built a second time: one in such a run. */
const builtAgain = partOf(['deb', 'tarball', 'npm', 'image'], share, random);

ofTrial('two builds', 'two builds give the same bytes', async (t) => {
  const again = path.join(top, 'second');
  await makePackages(again, `--only=${builtAgain.join()}`);
  const second = digestsBelow(again);
  t.log(Object.keys(second).join(' '));
  t.true(
    Object.keys(second).length >= 1 + builtAgain.length,
    'the list of the build, and a package',
  );
  t.like(digestsBelow(out), second);
  fs.rmSync(again, { recursive: true });
});

ofPackages('no package is large', (t) => {
  for (const name of fs.readdirSync(out)) {
    const file = path.join(out, name);
    const bytes = fs.statSync(file).isDirectory() ? bytesBelow(file) : fs.statSync(file).size;
    t.log(`${name}: ${(bytes / 1e6).toFixed(1)} MB, compressed as little as can be`);
    t.true(bytes < MOST_BYTES, name);
  }
});

ofPackages(
  'the Debian package has each file where it belongs, and configuration is known as such',
  (t) => {
    const deb = named(out, /\.deb$/);
    const field = (name: string): string => succeeds(t, 'dpkg-deb', ['-f', deb, name]).trim();
    t.is(field('Package'), 'tardis');
    t.is(field('Version'), `${about.version}-1`);
    t.regex(
      field('Depends'),
      /^libc6 \(>= \d+\.\d+\), libgcc-s1, librsync2 .*, libstdc\+\+6 \(>= \d+\), libzstd1/,
    );
    const lines = succeeds(t, 'dpkg-deb', ['-c', deb]).trim().split('\n');
    const files = new Map<string, string>();
    for (const line of lines) {
      const [, mode, owner, name] =
        /^(\S+) (\S+) +\d+ \S+ \S+ \.(\S*?)(?: (?:->|link to) .*)?$/.exec(line)!;
      t.is(owner, 'root/root', line);
      t.regex(mode!, /^(?:d|-|l)(?:rwxr-xr-x|rw-r--r--|rwxrwxrwx|rw-------)$/, line);
      if (!mode!.startsWith('d')) files.set(name!, mode!);
    }
    for (const tool of [
      'tardis',
      'tardis-import',
      'tardisd',
      'regenerate',
      'lstardis',
      'tardiff',
      'tardisfs',
      'tardis-web',
      'tardisremote',
      'sonic',
    ]) {
      t.true(files.has(`/usr/bin/${tool}`), tool);
      t.true(
        files.has(`/usr/share/man/man${SECTIONS[tool] ?? 1}/${tool}.${SECTIONS[tool] ?? 1}.gz`),
        tool,
      );
      t.true(files.has(`/usr/share/bash-completion/completions/${tool}`), tool);
    }
    for (const file of [
      'systemd/system/tardisd.service',
      'systemd/system/tardisremote.service',
      'systemd/system/tardis.timer',
      'sysusers.d/tardis.conf',
      'tmpfiles.d/tardis.conf',
      'tardis/runtime/bin/node',
      'tardis/dist/bundle/page/index.html',
      'tardis/dist/bundle/page/page.js',
    ]) {
      t.true(files.has(`/usr/lib/${file}`), file);
    }
    const control = path.join(top, 'control');
    succeeds(t, 'dpkg-deb', ['-e', deb, control]);
    const conffiles = fs.readFileSync(path.join(control, 'conffiles'), 'utf8').trim().split('\n');
    t.deepEqual(conffiles, [...files.keys()].filter((file) => file.startsWith('/etc/')).sort());
    t.true(
      conffiles.includes('/etc/tardis/tardisd.cfg') &&
        conffiles.includes('/etc/tardis/tardisremote.cfg') &&
        conffiles.includes('/etc/logrotate.d/tardis'),
    );
    t.is(files.get('/etc/tardis/tardis.cfg'), '-rw-------');
    for (const script of ['preinst', 'postinst', 'prerm', 'postrm']) {
      succeeds(t, 'sh', ['-n', path.join(control, script)]);
      t.notRegex(fs.readFileSync(path.join(control, script), 'utf8'), /@[A-Z]+@/);
    }
    t.deepEqual(
      [...files.keys()].filter((file) => /\.map$|\.d\.ts$|prebuilds\/(?!linux-)/.test(file)),
      [],
    );
  },
);

ofPackages('the archive runs from any folder, as an ordinary user', (t) => {
  const folder = folderIn(top, 'any where');
  succeeds(t, 'tar', ['-xf', named(out, /\.tar\.gz$/), '-C', folder]);
  const history = named(folder, /^tardis-.*-linux-/);
  t.is(path.basename(history), `tardis-${about.version}-linux-${ARCH}`);
  t.deepEqual(fs.readdirSync(folder).length, 1);
  t.is(fs.readFileSync(path.join(history, 'README'), 'utf8').trim().split('\n').length, 3);
  goesRound(t, path.join(history, 'bin'), process.getuid!() === 0 ? { uid: NOBODY } : {});
  const addon = path.join(history, 'native/build/Release/tardis_native.node');
  const libraries = succeeds(t, 'ldd', [addon]);
  for (const name of ['librsync', 'libzstd', 'libb2']) {
    t.regex(libraries, new RegExp(`${name}\\S* => ${path.dirname(addon)}/`), libraries);
  }
});

ofPackages('npm installs the packed file without a network, a script or a warning', (t) => {
  const prefix = path.join(top, 'prefix');
  const packed = named(out, /\.tgz$/);
  const install = ['install', '--global', '--offline', `--prefix=${prefix}`, packed];
  const env = { PATH: process.env.PATH, HOME: top, npm_config_globalconfig: '/dev/null' };
  const done = runProgram('npm', [...install, '--foreground-scripts'], { env, cwd: top });
  t.is(done.status, 0, done.stderr);
  t.notRegex(`${done.stdout}${done.stderr}`, /warn|script/i);
  goesRound(t, path.join(prefix, 'bin'), { node: path.dirname(process.execPath) });
  for (const page of ['man1/tardis.1', 'man1/sonic.1', 'man8/tardisd.8']) {
    const text = fs.readFileSync(path.join(prefix, 'share/man', page), 'utf8');
    t.regex(text, new RegExp(`^\\.TH \\w+ [18] "" "tardis ${about.version}"`, 'm'));
  }
  const bytes = bytesBelow(prefix, (file) => !file.includes('better-sqlite3'));
  t.log(`${(bytes / 1e6).toFixed(1)} MB installed, beside SQLite`);
  t.true(bytes < MOST_NPM_BYTES);
  const listed = JSON.parse(
    succeeds(t, 'npm', ['ls', '--global', `--prefix=${prefix}`, '--all', '--json'], {
      env,
      cwd: top,
    }),
  ) as object;
  t.like(listed, { dependencies: { [about.name]: { version: about.version } } });
  const folder = path.join(prefix, 'lib/node_modules', about.name);
  const described = JSON.parse(
    fs.readFileSync(path.join(folder, 'package.json'), 'utf8'),
  ) as object;
  // On another processor npm refuses the package: EBADPLATFORM.
  t.like(described, { cpu: [ARCH], os: ['linux'], libc: ['glibc'] });
  for (const key of ['scripts', 'dependencies', 'optionalDependencies'])
    t.false(key in described, key);
});

/** Checks a list of contents against the package. `root` is the unpacked package, `at` the program's folder in it. */
function holdsWhatItLists(t: ExecutionContext, text: string, root: string, at: string): void {
  const { bomFormat, components, dependencies, metadata } = JSON.parse(text) as ContentsList;
  t.is(bomFormat, 'CycloneDX');
  t.is(metadata.component.version, about.version);
  const refs = components.map((one) => one['bom-ref']);
  t.is(new Set(refs).size, refs.length);
  t.is(dependencies.filter(({ ref }) => !refs.includes(ref)).length, 1, 'the program itself');
  const home = path.join(root, at);
  const locked = lockedHashes('package-lock.json');
  const node = lockedHashes('runtime/package-lock.json').get(nodeTitle());
  const seen: string[] = [];
  for (const one of components.filter((each) => each.evidence !== undefined)) {
    t.is(one.scope, 'required');
    t.is(one.licenses?.length, 1, one.name);
    const places = one.evidence!.occurrences.map(({ location }) => path.join(root, location));
    t.true(places.length > 0 && places.every((place) => fs.existsSync(place)), one.name);
    const title = titleOf(one);
    const known = locked.get(title) ?? (title === nodeTitle() ? node : undefined);
    const source = 'node_modules/better-sqlite3/deps/sqlite3/sqlite3.c';
    const file = one.name === 'sqlite' ? source : places[0]!;
    t.deepEqual(one.hashes, [{ alg: 'SHA-512', content: known ?? sha512Of(file) }], title);
    if (one.name === 'sqlite') t.true(fs.readFileSync(places[0]!).includes(one.version));
    if (locked.has(title)) seen.push(title);
  }
  t.deepEqual(seen.sort(), npmPackagesIn(home));
  t.deepEqual(
    components.some((one) => titleOf(one) === nodeTitle()),
    fs.existsSync(path.join(home, 'runtime/bin/node')),
  );
  const places = components.flatMap(({ evidence }) => evidence?.occurrences ?? []);
  const listed = places.map(({ location }) => path.join(root, location));
  t.deepEqual(
    listed.filter((place) => place.includes('.so')).sort(),
    librariesIn(home).map((file) => path.join(home, file)),
  );
}

function nodeTitle(): string {
  const entry = lockEntries('runtime/package-lock.json').find(
    ([place]) => place === `node_modules/node-linux-${ARCH}`,
  );
  return `node-linux-${ARCH}@${entry![1].version}`;
}

ofPackages('each package has a list of exactly what is inside, with hashes and licences', (t) => {
  const unpacked = (name: string, ...line: [string, string[]]): string => {
    const folder = folderIn(top, `contents ${name}`);
    succeeds(t, ...line, { cwd: folder });
    return folder;
  };
  const deb = named(out, /\.deb$/);
  const inDeb = unpacked('deb', 'dpkg-deb', ['-x', deb, '.']);
  const packed = fs.readFileSync(path.join(inDeb, 'usr/share/doc/tardis/tardis.cdx.json.gz'));
  const ofDeb = gunzipSync(packed).toString('utf8');
  t.is(fs.readFileSync(`${deb}.cdx.json`, 'utf8'), ofDeb);
  holdsWhatItLists(t, ofDeb, inDeb, 'usr/lib/tardis');
  for (const pattern of [/\.tar\.gz$/, /\.tgz$/]) {
    const file = named(out, pattern);
    const root = named(unpacked(path.basename(file), 'tar', ['-xf', file]), /./);
    const text = fs.readFileSync(path.join(root, 'tardis.cdx.json'), 'utf8');
    t.is(fs.readFileSync(`${file}.cdx.json`, 'utf8'), text);
    holdsWhatItLists(t, text, root, '');
  }
  const layout = named(out, /-oci-\w+$/);
  const image = JSON.parse(fs.readFileSync(`${layout}.cdx.json`, 'utf8')) as ContentsList;
  const names = image.components.map(({ name }) => name);
  for (const name of ['libc6', 'openssl', 'piscina', `node-linux-${ARCH}`])
    t.true(names.includes(name), name);
  for (const { name, hashes, licenses } of image.components) {
    t.regex(hashes![0]!.content, /^[0-9a-f]{128}$/, name);
    t.is(licenses?.length, 1, name);
  }
});

ofPackages('the list of what is built with has every package of the lock file', (t) => {
  const list = JSON.parse(
    fs.readFileSync(named(out, /-build\.cdx\.json$/), 'utf8'),
  ) as ContentsList;
  const byTitle = new Map(list.components.map((one) => [titleOf(one), one]));
  for (const [title, hash] of lockedHashes('package-lock.json')) {
    t.is(byTitle.get(title)?.hashes?.[0]?.content, hash, title);
    t.is(byTitle.get(title)?.licenses?.length, 1, title);
  }
  const scopes = new Map(list.components.map(({ name, scope }) => [name, scope]));
  for (const name of ['better-sqlite3', 'commander', 'png-js', `node-linux-${ARCH}`])
    t.is(scopes.get(name), 'required', name);
  for (const name of ['typescript', 'ava', 'esbuild']) t.is(scopes.get(name), 'excluded', name);
});

interface Blob {
  readonly digest: string;
  readonly size: number;
}

interface ImageConfig {
  readonly config: {
    User: string;
    Entrypoint: string[];
    Cmd: string[];
    Env: string[];
    Volumes: object;
    Healthcheck: { Test: string[] };
  };
  readonly rootfs: { diff_ids: string[] };
}

/**
 * Checks every blob of an image layout against its digest, and unpacks its layers. Returns the image's configuration.
 */
function unpackImage(t: ExecutionContext, layout: string, root: string): ImageConfig {
  const blobs = path.join(layout, 'blobs/sha256');
  for (const name of fs.readdirSync(blobs)) t.is(digestOf(path.join(blobs, name)), name);
  const fileOf = ({ digest, size }: Blob): string => {
    const file = path.join(blobs, digest.replace(/^sha256:/, ''));
    t.is(fs.statSync(file).size, size);
    return file;
  };
  const json = (file: string): unknown => JSON.parse(fs.readFileSync(file, 'utf8'));
  t.deepEqual(json(path.join(layout, 'oci-layout')), { imageLayoutVersion: '1.0.0' });
  const index = json(path.join(layout, 'index.json')) as { manifests: Blob[] };
  const manifest = json(fileOf(index.manifests[0]!)) as { config: Blob; layers: Blob[] };
  const config = json(fileOf(manifest.config)) as ImageConfig;
  t.is(config.rootfs.diff_ids.length, manifest.layers.length);
  fs.mkdirSync(root);
  for (const layer of manifest.layers) {
    succeeds(t, 'tar', ['-xpf', fileOf(layer), '-C', root, '--numeric-owner']);
  }
  return config;
}

ofPackages(
  'the image is a server that runs without privileges and reports that it is well',
  async (t) => {
    const root = path.join(top, 'image');
    const { config } = unpackImage(t, named(out, /-oci-\w+$/), root);
    // The image contains nothing of the machine that made it.
    t.deepEqual(fs.readdirSync(path.join(root, 'etc')).sort(), [
      'group',
      'ld.so.conf.d',
      'nsswitch.conf',
      'passwd',
      'ssl',
      'tardis',
    ]);
    t.deepEqual(Object.keys(config.Volumes), ['/srv/tardis', '/var/lib/tardisd']);
    t.notRegex(config.User, /^(?:0|root)?(?::|$)/);
    const mounts = `mount --rbind /dev '${root}/dev' && mount -t proc proc '${root}/proc'`;
    const inside = (words: readonly string[]): string[] => [
      '--mount',
      '--net',
      '--propagation',
      'private',
      'sh',
      '-c',
      `'${root}/usr/bin/busybox' ip link set lo up && ${mounts} && exec chroot --userspec=${config.User} '${root}' "$@"`,
      'sh',
      ...words,
    ];
    if (
      process.getuid!() !== 0 ||
      runProgram('unshare', inside(['/bin/sh', '-c', 'true'])).status !== 0
    ) {
      t.log('left out: to run the image takes root and mounts');
      return;
    }
    const env = Object.fromEntries(config.Env.map((one) => one.split(/=(.*)/s).slice(0, 2)));
    const server = spawn('unshare', inside([...config.Entrypoint, ...config.Cmd]), {
      env: { ...env, PATH: `${env.PATH}:${process.env.PATH}` },
    });
    t.teardown(() => server.kill('SIGKILL'));
    let printed = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    // The check runs in the network namespace of the server, as a container engine runs it.
    const isWell = (): boolean =>
      runProgram('nsenter', [
        '-t',
        String(server.pid),
        '--mount',
        '--net',
        '--root',
        '--wd',
        `--setuid=${config.User.split(':')[0]}`,
        `--setgid=${config.User.split(':')[1]}`,
        ...config.Healthcheck.Test.slice(1),
      ]).status === 0;
    const start = performance.now();
    while (!isWell() && server.exitCode === null && performance.now() - start < START_MS) {
      await pause(PAUSE_MS);
    }
    t.true(isWell(), printed);
    t.regex(
      fs.readFileSync(path.join(root, 'var/lib/tardisd/cert.pem'), 'utf8'),
      /BEGIN CERTIFICATE/,
    );
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    t.is(await ended, 0, printed);
  },
);

ofPackages('the Containerfile goes with the archive', (t) => {
  const text = fs.readFileSync(path.join(out, 'Containerfile'), 'utf8');
  t.notRegex(text, /@[A-Z]+@/);
  t.true(text.includes(path.basename(named(out, /\.tar\.gz$/))));
  for (const word of ['USER', 'VOLUME', 'HEALTHCHECK', 'ENTRYPOINT'])
    t.regex(text, new RegExp(`^${word} `, 'm'));
});

ofTrial(
  'bare Debian',
  'the package installs on a bare Debian, serves, upgrades, and leaves stores when it goes',
  async (t) => {
    const run = await runLong('bash', ['scripts/try-deb.sh', named(out, /\.deb$/)]);
    if (run.status === CANNOT) return leaveOut(t, `left out: ${run.stderr.trim()}`);
    t.is(run.status, 0, `${run.stdout}\n${run.stderr}`);
    t.log(run.stdout.trim());
    t.regex(run.stdout, /^ok: installed again, and restored$/m);
  },
);

ofTrial('lintian', 'lintian finds nothing wrong with the package', async (t) => {
  const hasLintian = (): boolean => runProgram('sh', ['-c', 'command -v lintian']).status === 0;
  if (process.getuid!() === 0 && !hasLintian()) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = [
      '-o',
      'DPkg::Lock::Timeout=300',
      'install',
      '-y',
      '-qq',
      '--no-install-recommends',
      'lintian',
    ];
    runProgram('apt-get', install, { env });
  }
  if (!hasLintian()) return leaveOut(t, 'left out: no lintian');
  const checked = await runLong('lintian', ['--allow-root', named(out, /\.deb$/)]);
  t.is(checked.stdout, '', checked.stderr);
  t.is(checked.status, 0);
});
