// Pace: slow
/** Key records and their copies: one repairs damage in the other, and no old password becomes valid again. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { flipAt } from '../helpers/rot.js';
import { type Lab, lab, restoredBy } from '../helpers/lab.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const NEXT = 'kelp-Sundry7-mulch';
const RECORD_BYTES = 644;

interface Keyed extends Lab {
  readonly all: readonly string[];
  /** Returns the path of a file in the client's directory. */
  inClient(...names: string[]): string;
  restored(name: string, args?: readonly string[]): Promise<string[]>;
}

async function keyed(t: ExecutionContext): Promise<Keyed> {
  const made = lab(t);
  const all = [...made.place, `--password=${SECRET}`];
  await succeed('tardis', [...all, '--local', '--create', made.source]);
  return {
    ...made,
    all,
    inClient: (...names) => path.join(made.store, 'me', ...names),
    async restored(name, args = all) {
      return restoredBy(args, made.source, made.at(name));
    },
  };
}

const PRIMARY = ['keys', '00000001.key'] as const;
const COPY = ['packs', 'keys', '00000001.key'] as const;

test('whatever bit of a key record has changed, its copy opens the client, and a check mends it', async (t) => {
  const { inClient, place, restored } = await keyed(t);
  const right = fs.readFileSync(inClient(...PRIMARY));
  t.is(right.length, RECORD_BYTES);
  t.deepEqual(fs.readFileSync(inClient(...COPY)), right);
  // One position in each field (docs/inside/formats.md, "Key records").
  const places = [0, 4, 6, 11, 12, 20, 40, 50, 70, 77, 200, 500, 635, 642];
  for (const [index, at] of places.entries()) {
    const damaged = index % 2 === 0 ? PRIMARY : COPY;
    flipAt(inClient(...damaged), at, index % 8);
    if (index % 5 === 0) t.deepEqual(await restored(`back-${index}`), []);
    const checked = exited(t, 3, await run('sonic', ['check', ...place]));
    t.regex(
      checked.stdout,
      new RegExp(`^keys: ${damaged.join('/')} was damaged or lost, and has been restored`, 'm'),
    );
    t.deepEqual(fs.readFileSync(inClient(...PRIMARY)), right);
    t.deepEqual(fs.readFileSync(inClient(...COPY)), right);
  }
  await succeed('sonic', ['check', ...place]);
});

test('a client whose folder of keys is gone is read, written and mended', async (t) => {
  const { inClient, all, source, restored, place } = await keyed(t);
  const right = fs.readFileSync(inClient(...PRIMARY));
  fs.rmSync(inClient('keys'), { recursive: true });
  t.deepEqual(await restored('back'), []);
  t.is((await run('regenerate', [...place, `--password=${NEXT}`, source])).status, 12);
  fs.writeFileSync(path.join(source, 'new'), 'new');
  await succeed('tardis', [...all, '--local', source]);
  t.deepEqual(fs.readFileSync(inClient(...PRIMARY)), right);
  fs.rmSync(inClient('keys'), { recursive: true });
  await succeed('sonic', ['rebuild', ...place]);
  t.deepEqual(fs.readFileSync(inClient(...PRIMARY)), right);
  fs.rmSync(inClient('packs', 'keys'), { recursive: true });
  fs.writeFileSync(path.join(source, 'newer'), 'newer');
  await succeed('tardis', [...all, '--local', source]);
  t.deepEqual(fs.readFileSync(inClient(...COPY)), right);
});

test('a damaged newest key record lets no password in that was given up', async (t) => {
  const { inClient, place, source, restored, at } = await keyed(t);
  await succeed('sonic', ['chpass', ...place, `--password=${SECRET}`, `--newpassword=${NEXT}`]);
  const [newest, copy] = [
    inClient('keys', '00000002.key'),
    inClient('packs', 'keys', '00000002.key'),
  ];
  t.deepEqual(fs.readFileSync(copy), fs.readFileSync(newest));
  t.false(fs.existsSync(inClient(...COPY)), 'the copy of the old one is gone');
  const next = [...place, `--password=${NEXT}`];
  const old = [...place, `--password=${SECRET}`];
  flipAt(newest, 100);
  t.deepEqual(await restored('by-copy', next), []);
  t.is((await run('regenerate', [...old, '-o', at('old'), source])).status, 12);
  fs.rmSync(newest);
  t.deepEqual(await restored('by-copy-alone', next), []);
  t.is((await run('regenerate', [...old, '-o', at('old'), source])).status, 12);
  flipAt(copy, 100);
  for (const args of [old, next]) {
    const refused = exited(t, 1, await run('regenerate', [...args, '-o', at('none'), source]));
    t.regex(refused.stderr, /\[KEYS_DAMAGED\]\n.*packs\/keys\//);
  }
  const checked = exited(t, 3, await run('sonic', ['check', ...place]));
  t.regex(checked.stdout, /^keys: keys the newest key record is damaged, and so is its copy$/m);
  const state = { env: { XDG_STATE_HOME: at('another machine') } };
  // The user takes the step that the error names.
  fs.rmSync(copy);
  await succeed('regenerate', [...old, '-o', at('again'), source], state);
});

test('keys that are taken out of the store are in no copy', async (t) => {
  const { inClient, all, at } = await keyed(t);
  const wrapped = fs.readFileSync(inClient(...PRIMARY)).subarray(464, 624);
  await succeed('sonic', ['keys', ...all, '--extract', '--remove', '--keys', at('file')]);
  for (const name of fs.readdirSync(inClient(), { recursive: true, encoding: 'utf8' })) {
    const file = inClient(name);
    if (fs.statSync(file).isFile()) t.false(fs.readFileSync(file).includes(wrapped), name);
  }
  t.deepEqual(fs.readdirSync(inClient('packs', 'keys')), ['00000002.key']);
});

test('an account gets in by the copy of its key record, and a removed one by none', async (t) => {
  const { inClient, all, store, place, source } = await keyed(t);
  const password = [`--newpassword=${NEXT}`];
  await succeed('sonic', [
    'account',
    ...all,
    '--add',
    'reader',
    '--rights',
    'list,read',
    ...password,
  ]);
  const folder = inClient('accounts', 'reader');
  flipAt(path.join(folder, 'keys', '00000001.key'), 90);
  const server = await Server.during(t, store);
  const reader = [...server.clientArgs, '-C', 'me', '--account', 'reader', `--password=${NEXT}`];
  await succeed('lstardis', [...reader, source]);
  const checked = await run('sonic', ['check', ...place]);
  t.regex(checked.stdout, /^keys: accounts\/reader\/keys\/00000001.key was damaged/m);
  await succeed('sonic', ['account', ...all, '--remove', 'reader']);
  t.false(fs.existsSync(folder));
  t.not((await run('lstardis', [...reader, source])).status, 0);
});
