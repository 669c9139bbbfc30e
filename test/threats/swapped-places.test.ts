// Pace: long
/**
 * A local user exchanges a directory for a link to a closed one, again and again, at each place that a command of root reads or
 * writes. No file of the closed directory gets into a set or an output, and nothing in it changes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { makeJoinCode, requestBackup } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { certificateIn } from '../helpers/certificates.js';
import { codeIn, codeOf } from '../helpers/codes.js';
import { backupsRunHere, run, succeed, type Tool } from '../helpers/commands.js';
import { CLIENT, DATA, wanted } from '../helpers/python-stores.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { shareOf } from '../helpers/share.js';
import { Swapper } from '../helpers/swapper.js';
import { isRoot } from '../helpers/tree.js';

backupsRunHere();

const BOB = 1234;
const SWAPS = shareOf(100_000, 300);
const MOST_RUNS = 100_000;
const SECRET = 'what only root may read '.repeat(7);
const [DAY, TAR] = ['2020-01-01', '2020-01-02.tar'];

/** A directory of bob with a link to a closed one of root beside it, in which the same names have other contents. */
function labOf(t: ExecutionContext) {
  const home = scratchInMemory(t);
  fs.chmodSync(home, 0o755);
  const at = (...names: string[]): string => path.join(home, ...names);
  const filled = (folder: string, text: string): string => {
    for (const file of ['f', `${DAY}/f`, 'packs/f', 'plain/f', 'log', 'pid', 'passwd'])
      written(folderIn(folder, path.dirname(file)), path.basename(file), text);
    execFileSync('tar', ['-cf', path.join(folder, TAR), '-C', folder, 'f']);
    return folder;
  };
  const [x, closed] = [filled(at('bob', 'x'), 'of bob'), filled(at('closed'), SECRET)];
  fs.chmodSync(closed, 0o700);
  fs.symlinkSync(closed, at('bob', 'y'));
  filled(at('plain'), 'of root');
  const store = ['-D', at('store'), '-C', 'me'];
  for (const folder of [x, closed])
    execFileSync('tar', [
      '-xzf',
      path.join(DATA, '1.9.4-plain-zlib.tar.gz'),
      '-C',
      folder,
      '--no-same-owner',
    ]);
  for (const name of fs.readdirSync(path.join(x, CLIENT)))
    if (/^\w\w$/.test(name)) fs.rmSync(path.join(x, CLIENT, name), { recursive: true });
  return { at, x, closed, store };
}

/**
 * The places: a title, and a command with X for the directory that becomes a link, N for the number of the run, STORE for a store of
 * root, NEW for a new client in another one, and PLAIN for a source of root. `env` has variables that name X.
 */
const PLACES: readonly (readonly [title: string, command: string, ...env: string[]])[] = [
  ['a source', 'tardis STORE --local X PLAIN'],
  ['a file as a source', 'tardis STORE --local X/f PLAIN'],
  ['a directory in a source', 'tardis STORE --local X/.. PLAIN'],
  ['dated trees', 'tardis-import NEW --kept-as /kept --sets X/%Y-%m-%d'],
  ['a tar file', 'tardis-import NEW --kept-as /kept --sets X/%Y-%m-%d.tar'],
  ['a store of Tardis (Python)', `tardis-import NEW X/${CLIENT}`],
  ['the disk that is compared', 'tardiff STORE -r X'],
  ['a tar archive', 'regenerate STORE --all --tar X/out-N'],
  ['a zip archive', 'regenerate STORE --all --zip X/out-N'],
  ['an output', 'regenerate STORE --all -o X/out-N'],
  ['a log', 'tardis STORE --local --logfile X/log PLAIN'],
  ['an export', 'sonic export STORE --to X/out-N'],
  ['an export as archives', 'sonic export STORE --tar --to X/out-N'],
  ['a new store', 'tardis -D X/S-N -C me --local --create PLAIN'],
  ['a store that is copied to', 'sonic copy STORE --create --to X/S-N'],
  [
    'directories of state',
    'tardis STORE --local PLAIN',
    'XDG_STATE_HOME',
    'XDG_CONFIG_HOME',
    'XDG_CACHE_HOME',
    'XDG_RUNTIME_DIR',
  ],
  ['TMPDIR', 'tardis-import NEW --kept-as /kept --sets X/%Y-%m-%d.tar', 'TMPDIR'],
];

function digestOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Returns what a directory has, with times and modes. */
function picture(top: string): string[] {
  return ['', ...fs.readdirSync(top, { recursive: true, encoding: 'utf8' })].sort().map((name) => {
    const [full, status] = [path.join(top, name), fs.lstatSync(path.join(top, name))];
    const digest = digestOf(status.isFile() ? fs.readFileSync(full) : '');
    return `${name} ${status.mode} ${status.uid} ${status.mtimeMs} ${status.nlink} ${digest}`;
  });
}

/** Returns the digests of the contents in the store of Tardis (Python) of the closed directory. */
function sizedDigests(): string[] {
  const entries = [0, 1, 2].flatMap((index) => Object.values(wanted(index)));
  return entries.filter(({ size }) => Number(size) > 0).map(({ sha256 }) => String(sha256));
}

/** Returns the digests of the files in all sets of a store. */
async function digestsIn(store: string): Promise<Set<string>> {
  const clients = fs.existsSync(store) ? fs.readdirSync(store) : [];
  const found = new Set<string>();
  for (const client of clients.filter((name) => !name.startsWith('.'))) {
    const words = ['-D', store, '-C', client, '--json', '--find', '*'];
    const { stdout } = await run('lstardis', words);
    for (const [, digest] of stdout.matchAll(/"digest":"(\w+)"/g)) found.add(digest!);
  }
  return found;
}

for (const [title, command, ...variables] of PLACES) {
  test.serial(`a directory that becomes a link leads root nowhere: ${title}`, async (t) => {
    if (!isRoot) return t.pass('only root can be another user');
    const { at, x, closed, store } = labOf(t);
    await succeed('tardis', [...store, '--local', '--create', at('plain'), x]);
    for (const one of ['bob', ...fs.readdirSync(at('bob'), { recursive: true, encoding: 'utf8' })])
      fs.lchownSync(one === 'bob' ? at('bob') : at('bob', one), BOB, BOB);
    const before = picture(closed);
    const swapper = new Swapper(t, at('bob'), ['x', 'y']);
    const ends = new Map<string, number>();
    let runs = 0;
    for (; runs < 2 || (swapper.swaps < SWAPS && runs < MOST_RUNS); runs += 1) {
      const words = command
        .replace('STORE', store.join(' '))
        .replace('NEW', `-D ${at('imports')} -C c${runs} --create`)
        .replace('PLAIN', at('plain'))
        .replace(/\bX\b/, x)
        .replace(/\bN$|(?<=-)N\b/, `${runs}`);
      const [tool, ...rest] = words.split(' ') as [Tool, ...string[]];
      const env = Object.fromEntries(variables.map((name) => [name, x]));
      const { status, stdout, stderr } = await run(tool, rest, { env });
      const code = status === 0 ? undefined : codeIn({ stderr });
      const end = `${status} ${code ?? ''}`.trim();
      ends.set(end, (ends.get(end) ?? 0) + 1);
      t.false(`${stdout}${stderr}`.includes(SECRET));
      t.not(code, 'INTERNAL', stderr);
      await setImmediate();
    }
    await swapper.end();
    t.log(
      `${swapper.swaps} swaps in ${runs} runs: ${[...ends].map((e) => e.join(' × ')).join(', ')}`,
    );
    t.deepEqual(picture(closed), before);
    const [ofStore, ofImports] = [await digestsIn(at('store')), await digestsIn(at('imports'))];
    const theirs = [digestOf(SECRET), ...sizedDigests()];
    t.deepEqual(
      theirs.filter((digest) => ofStore.has(digest) || ofImports.has(digest)),
      [],
    );
    t.true(ofStore.has(digestOf('of root')));
  });
}

for (const [name, act] of Object.entries({
  '.joins': (store: string, certificate: Buffer) =>
    makeJoinCode(nodeSystem(), store, { client: 'passwd', server: 'host', certificate }),
  '.requests': (store: string) =>
    requestBackup(nodeSystem(), store, { client: 'passwd', by: 'me/' }),
})) {
  test.serial(
    `a directory that becomes a link leads root nowhere: ${name} in a store`,
    async (t) => {
      if (!isRoot) return t.pass('only root can be another user');
      const { at, closed, store } = labOf(t);
      const { cert } = await certificateIn(at());
      await succeed('tardis', [...store, '--local', '--create', at('plain')]);
      folderIn(at('store'), name);
      fs.symlinkSync(closed, at('store', '.y'));
      for (const one of ['', name, '.y']) fs.lchownSync(at('store', one), BOB, BOB);
      const before = picture(closed);
      const swapper = new Swapper(t, at('store'), [name, '.y']);
      let [runs, refused] = [0, 0];
      for (; runs < 2 || (swapper.swaps < SWAPS && runs < MOST_RUNS); runs += 1) {
        await act(at('store'), cert).catch((error: unknown) => {
          refused += 1;
          t.not(codeOf(error), 'INTERNAL');
        });
        await setImmediate();
      }
      await swapper.end();
      t.log(`${swapper.swaps} swaps in ${runs} runs, of which ${refused} were refused`);
      t.deepEqual(picture(closed), before);
    },
  );
}
