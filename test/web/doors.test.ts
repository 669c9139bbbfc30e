// Pace: slow
/** One set through all doors: whatever the names are, the bytes are equal. Real programs are clients of WebDAV. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { joinPath } from '../../src/model/index.js';
import { leaveOut } from '../helpers/left-out.js';
import { pathInZip } from '../helpers/zip-paths.js';
import { ALL_NAMES, someNames } from '../helpers/generated-names.js';
import { backupInline, inlineLab, inlineSystem } from '../helpers/inline.js';
import { certificateIn } from '../helpers/certificates.js';
import { mounted } from '../helpers/mounted-sets.js';
import { LeftOut, Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { openDoors, quotedPath, type WebDoors } from '../helpers/web-doors.js';

const SLASH = Buffer.from('/');

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Lists the files of an archive with Python: the bytes of each name in hex, and the digest. */
const LIST_ARCHIVE = `
import hashlib, sys, tarfile, zipfile
def told(name, content): print(name.hex(), hashlib.sha256(content).hexdigest())
if sys.argv[1].endswith('.zip'):
    with zipfile.ZipFile(sys.argv[1]) as whole:
        for one in whole.infolist():
            name = one.orig_filename.encode('utf-8' if one.flag_bits & 0x800 else 'cp437')
            if not name.endswith(b'/'): told(name, whole.read(one))
else:
    with tarfile.open(sys.argv[1], errors='surrogateescape') as whole:
        for one in whole:
            if one.isfile(): told(one.name.encode('utf-8', 'surrogateescape'), whole.extractfile(one).read())
`;

async function archived(
  t: ExecutionContext,
  doors: WebDoors,
  home: string,
  format: 'zip' | 'tar',
  source: string,
): Promise<Map<string, string> | undefined> {
  const query = `format=${format}&path=${quotedPath(source)}`;
  const answer = await doors.get(`/api/v1/clients/me/sets/latest/archive?${query}`);
  t.is(answer.status, 200);
  const archive = written(home, `all.${format}`, Buffer.from(await answer.arrayBuffer()));
  const limits = { maxBuffer: 1 << 26, encoding: 'utf8' } as const;
  const { status, stdout, stderr, error } = spawnSync(
    'python3',
    ['-c', LIST_ARCHIVE, archive],
    limits,
  );
  if (error !== undefined) {
    t.log(`left out: ${error.message}`);
    return undefined;
  }
  t.is(status, 0, stderr);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return new Map(
    rows.map(([hex, digest]) => {
      const stored = Buffer.from(hex!, 'hex');
      const name = format === 'zip' ? pathInZip(stored) : stored;
      return [name.subarray(path.basename(source).length + 1).toString('latin1'), digest!];
    }),
  );
}

test('the API, WebDAV, zip and tar give equal bytes for generated names', async (t) => {
  const home = scratchInMemory(t);
  const [source, place] = [
    path.join(home, 'tree'),
    { store: path.join(home, 'store'), client: 'me' },
  ];
  const names = someNames(shareOf(ALL_NAMES, 200));
  t.log(`${names.length} names, TEST_SEED=${seed}`);
  makeTree(
    source,
    names.map((name) => file(name, name)),
  );
  await backupInline(inlineSystem(), place, [source], { create: true });
  const wanted = new Map(names.map((name) => [name.toString('latin1'), sum(name)]));
  const doors = await openDoors(t, place);
  const sorted = (found: Map<string, string>): [string, string][] =>
    [...found].sort(([one], [other]) => (one < other ? -1 : 1));
  for (const format of ['zip', 'tar'] as const) {
    const found = await archived(t, doors, home, format, source);
    if (found !== undefined) t.deepEqual(sorted(found), sorted(wanted), format);
  }
  const listed = await doors.get(`/dav/me/Current${quotedPath(source)}/`, {
    method: 'PROPFIND',
    headers: { depth: '1' },
  });
  const hrefs = [...(await listed.text()).matchAll(/<D:href>(.*?)<\/D:href>/g)].map(
    ([, href]) => href!,
  );
  const shown = hrefs.slice(1).map((href) => {
    const hex = href.slice(hrefs[0]!.length).replaceAll('%', '\\x');
    return hex.replaceAll(/\\x([0-9A-F]{2})/g, (_, two: string) =>
      String.fromCodePoint(Number.parseInt(two, 16)),
    );
  });
  t.deepEqual(shown.sort(), [...wanted.keys()].sort());
  for (const name of names) {
    const full = quotedPath(Buffer.concat([Buffer.from(source), SLASH, name]));
    const urls = [`/dav/me/Current${full}`, `/api/v1/clients/me/sets/latest/content?path=${full}`];
    for (const url of urls) {
      const answer = await doors.get(url);
      const bytes = Buffer.from(await answer.arrayBuffer());
      if (!bytes.equals(name)) t.fail(`${url}: ${answer.status} ${bytes.toString('latin1')}`);
    }
  }
});

test.serial(
  'a mount and WebDAV show the same names with the same bytes',
  mounted(async (lab, t) => {
    const names = someNames(shareOf(ALL_NAMES, 200));
    t.log(`${names.length} names, TEST_SEED=${seed}`);
    makeTree(
      lab.source,
      names.map((name) => file(name, name)),
    );
    await lab.save();
    await lab.mountStore();
    const doors = await openDoors(t, { store: lab.store, client: 'me' });
    const top = Buffer.from(lab.view('Current', lab.source));
    const shown = fs.readdirSync(top, { encoding: 'buffer' });
    t.is(shown.length, names.length);
    for (const name of shown) {
      const mine = fs.readFileSync(joinPath(top, name));
      const answer = await doors.get(
        `/dav/me/Current${quotedPath(lab.source)}/${quotedPath(name)}`,
      );
      if (!mine.equals(Buffer.from(await answer.arrayBuffer()))) t.fail(name.toString('hex'));
    }
    t.is(lab.inside('umount', lab.point).status, 0);
    t.true(await lab.ended());
  }),
);

const TREE = [
  dir('docs', [file('letter one.txt', text(1, 3000)), file('schön & <gut>', 'x')]),
  file('large', noise(2, 3 << 20)),
  file('empty'),
];

async function clientLab(
  t: ExecutionContext,
): Promise<{ doors: WebDoors; home: string; source: string; url: string }> {
  const { home, place, source, backup } = inlineLab(t, TREE);
  await backup();
  const doors = await openDoors(t, place);
  return { doors, home, source, url: `${doors.origin}/dav/me/Current${quotedPath(source)}` };
}

/** Runs a program beside the server of this process; undefined if it is not installed. */
function runBeside(
  program: string,
  args: readonly string[],
): Promise<{ status: number | null; stdout: Buffer; stderr: string } | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err]: Buffer[][] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out!.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err!.push(chunk));
    child.once('error', () => resolve(undefined));
    child.once('close', (status) =>
      resolve({ status, stdout: Buffer.concat(out!), stderr: Buffer.concat(err!).toString() }),
    );
  });
}

test('curl, wget and rclone read WebDAV', async (t) => {
  const { doors, home, source, url } = await clientLab(t);
  const large = fs.readFileSync(path.join(source, 'large'));
  const user = `any:${doors.token}`;
  const part = await runBeside('curl', [
    '-sS',
    '-u',
    user,
    '-r',
    '1000000-1000999',
    `${url}/large`,
  ]);
  if (part === undefined) t.log('left out: curl is not installed');
  else t.true(part.stdout.equals(large.subarray(1_000_000, 1_001_000)), part.stderr);
  const login = ['--auth-no-challenge', '--user=any', `--password=${doors.token}`];
  const got = await runBeside('wget', ['-q', '-O', '-', ...login, `${url}/large`]);
  if (got === undefined) t.log('left out: wget is not installed');
  else t.true(got.stdout.equals(large), got.stderr);
  const obscured = spawnSync('rclone', ['obscure', doors.token], { encoding: 'utf8' });
  if (obscured.error !== undefined) return leaveOut(t, 'left out: rclone is not installed');
  const remote = `:webdav,url='${url}',vendor=other,user=any,pass='${obscured.stdout.trim()}':`;
  const none = ['--config', '/dev/null'];
  const out = path.join(home, 'out');
  const copied = await runBeside('rclone', [...none, 'copy', remote, out]);
  t.is(copied!.status, 0, copied!.stderr);
  for (const name of ['docs/letter one.txt', 'docs/schön & <gut>', 'large', 'empty']) {
    t.true(
      fs.readFileSync(path.join(out, name)).equals(fs.readFileSync(path.join(source, name))),
      name,
    );
  }
  const refused = await runBeside('rclone', [...none, 'deletefile', `${remote}large`]);
  t.not(refused!.status, 0);
});

test('curl and wget read the API over TLS, by HTTP/2 and HTTP/1.1', async (t) => {
  const { home, place, source, backup } = inlineLab(t, TREE);
  await backup();
  const tls = await certificateIn(home);
  const doors = await openDoors(t, place, { tls });
  const large = fs.readFileSync(path.join(source, 'large'));
  const set = `${doors.origin}/api/v1/clients/me/sets/latest`;
  const content = `${set}/content?path=${quotedPath(path.join(source, 'large'))}`;
  const login = `Authorization: Bearer ${doors.token}`;
  for (const version of ['--http2', '--http1.1']) {
    const words = ['-sS', '--cacert', tls.certFile, version, '-w', '%{stderr}%{http_version}'];
    const got = await runBeside('curl', [...words, '-H', login, content]);
    if (got === undefined) {
      t.log('left out: curl is not installed');
      break;
    }
    t.is(got.stderr, version === '--http2' ? '2' : '1.1');
    t.true(got.stdout.equals(large));
    const tar = path.join(home, `curl${version}.tar`);
    const archive = `${set}/archive?format=tar&path=${quotedPath(source)}`;
    const saved = await runBeside('curl', [...words, '-H', login, '-o', tar, archive]);
    t.is(saved!.status, 0, saved!.stderr);
    const { stdout } = spawnSync('tar', ['-xOf', tar, 'tree/large'], { maxBuffer: 1 << 26 });
    t.true(stdout.equals(large));
  }
  const words = ['-q', '-O', '-', `--ca-certificate=${tls.certFile}`, `--header=${login}`];
  const got = await runBeside('wget', [...words, content]);
  if (got === undefined) t.pass('left out: wget is not installed');
  else t.true(got.stdout.equals(large), got.stderr);
});

test('davfs2 mounts a store read-only', (t) =>
  unlessLeftOut(t, async () => {
    const { doors, source } = await clientLab(t);
    if (!fs.existsSync('/dev/fuse')) throw new LeftOut('there is no /dev/fuse');
    if (!fs.existsSync('/sbin/mount.davfs')) throw new LeftOut('davfs2 is not installed');
    const mounts = await Mounts.open(t);
    const point = mounts.directory('drive');
    const secrets = path.join(mounts.home, 'secrets');
    const config = path.join(mounts.home, 'davfs2.conf');
    fs.writeFileSync(secrets, `${doors.origin}/dav any "${doors.token}"\n`, { mode: 0o600 });
    const cache = mounts.directory('cache');
    // It runs as a user of its own.
    fs.chmodSync(mounts.home, 0o755);
    fs.chmodSync(cache, 0o777);
    const lines = [`secrets ${secrets}`, `cache_dir ${cache}`, 'use_locks 0', 'ask_auth 0'];
    fs.writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 });
    const inside = (...words: string[]): ReturnType<typeof runBeside> =>
      runBeside('nsenter', ['-m', '-t', String(mounts.mountsOf), ...words]);
    const options = `ro,conf=${config}`;
    const url = `${doors.origin}/dav`;
    const done = await inside('mount', '-t', 'davfs', '-o', options, url, point);
    if (done!.status !== 0) throw new LeftOut(`mount.davfs: ${done!.stderr.trim()}`);
    const top = path.join(point, 'me', 'Current', source);
    const names = await inside('ls', top);
    if (names!.stderr.includes('Invalid argument')) {
      t.log('this kernel does not list directories of davfs2: listing is left out');
    } else {
      t.deepEqual(names!.stdout.toString().trim().split('\n'), ['docs', 'empty', 'large']);
    }
    const read = await inside('cat', path.join(top, 'large'));
    t.true(read!.stdout.equals(fs.readFileSync(path.join(source, 'large'))));
    t.not((await inside('touch', path.join(top, 'new')))!.status, 0);
    t.is((await inside('umount', point))!.status, 0);
  }));
