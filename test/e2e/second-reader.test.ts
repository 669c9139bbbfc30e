// Pace: slow
/** The second reader on stores that are damaged, hostile, or without what it does not need. Other tests compare it with the programs. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { readByPython, whyNoSecondReader } from '../helpers/second-reader.js';
import { lab } from '../helpers/lab.js';
import { differences, dir, file, look, noise, symlink, text } from '../helpers/tree.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const MIB = 1 << 20;

interface Lab {
  readonly store: string;
  readonly source: string;
  readonly place: readonly string[];
  at(name: string): string;
  /** Restores the newest set into a new folder. */
  read(name: string, ...options: string[]): ReturnType<typeof readByPython>;
}

/** Makes two sets; undefined if there is no Python here. */
async function prepared(
  t: ExecutionContext,
  args: readonly string[] = [],
): Promise<Lab | undefined> {
  const why = whyNoSecondReader();
  if (why !== undefined) return leaveOut(t, `left out: ${why}`);
  const { store, source, place, at } = lab(t, [
    dir('small', [file('one', text(1, 3000)), file('two', text(2, 900)), symlink('up', '..')]),
    file('large', noise(3, 2 * MIB)),
  ]);
  const local = [...place, '--local', '--compress-data', 'none', ...args];
  await succeed('tardis', [...local, '--create', source]);
  fs.appendFileSync(path.join(source, 'large'), 'a little');
  await succeed('tardis', [...local, source]);
  const read: Lab['read'] = (name, ...options) =>
    readByPython('restore', store, 'me', 'newest', at(name), ...options);
  return { store, source, place, at, read };
}

test('packs alone are enough: catalog, copies, sums and parity may be missing', async (t) => {
  const made = await prepared(t);
  if (made === undefined) return;
  const { store, source, at, read } = made;
  const client = path.join(store, 'me');
  for (const name of fs.readdirSync(client)) {
    if (/^tardis\.db|^checked|^parity$|^lock|^reserve/.test(name))
      fs.rmSync(path.join(client, name), { recursive: true });
  }
  const { status, stderr } = await read('out');
  t.is(status, 0, stderr);
  t.deepEqual(differences(look(source), look(path.join(at('out'), source))), []);
  t.is((await read('out')).status, 1, 'a folder with entries is not restored into');
});

test('a byte of damage costs the files that need it, and each of them is named', async (t) => {
  const made = await prepared(t);
  if (made === undefined) return;
  const { store, source, at, read } = made;
  const packs = path.join(store, 'me', 'packs');
  const wanted = look(source);
  for (const name of fs.readdirSync(packs).filter((one) => one.endsWith('.pack'))) {
    const pack = path.join(packs, name);
    const sound = fs.readFileSync(pack);
    const spoilt = Buffer.from(sound);
    const at_ = spoilt.indexOf(fs.readFileSync(path.join(source, 'small', 'one')).subarray(0, 99));
    if (at_ < 0) continue;
    spoilt[at_]! ^= 1;
    fs.writeFileSync(pack, spoilt);
    const { status, stderr } = await read(`out ${name}`);
    t.is(status, 3);
    t.regex(stderr, /small\/one: content \w+: .* is damaged/);
    const found = look(path.join(at(`out ${name}`), source));
    t.deepEqual(
      [...wanted.keys()].filter((key) => !found.has(key)),
      ['small/one', 'small/two'],
    );
    t.is(found.get('large'), wanted.get('large'));
    fs.writeFileSync(pack, sound);
    return;
  }
  t.fail('the file is nowhere in the packs');
});

test('keys open what is theirs: another password, a sheet and a changed record are told apart', async (t) => {
  const made = await prepared(t, [`--password=${SECRET}`]);
  if (made === undefined) return;
  const { store, source, place, at, read } = made;
  fs.writeFileSync(at('right'), `${SECRET}\n`);
  fs.writeFileSync(at('wrong'), 'kelp-Sundry7-mulch\n');
  const refused = await read('wrong out', '-F', at('wrong'));
  t.is(refused.status, 1);
  t.regex(refused.stderr, /the password is wrong/);
  const args = [`--password=${SECRET}`, '--keys', at('sheet')];
  await succeed('sonic', ['keys', '--extract', '--remove', ...place, ...args]);
  t.regex((await read('no keys', '-F', at('right'))).stderr, /give the key file/);
  const typed = fs.readFileSync(at('sheet'), 'utf8');
  fs.writeFileSync(at('sheet'), typed.replace(/^( +\S{5})(.)/m, '$1_'));
  t.regex(
    (await read('mistyped', '-F', at('right'), '--keys', at('sheet'))).stderr,
    /the key file has an error in the line/,
  );
  fs.writeFileSync(at('sheet'), typed);
  const { status, stderr } = await read('out', '-F', at('right'), '--keys', at('sheet'));
  t.is(status, 0, stderr);
  t.deepEqual(differences(look(source), look(path.join(at('out'), source))), []);
  // A set whose listing is lost is refused, and read entry by entry only on request.
  const packs = path.join(store, 'me', 'packs');
  fs.rmSync(path.join(packs, fs.readdirSync(packs).find((name) => name.endsWith('.pack'))!));
  const lost = await read('lost', '-F', at('right'), '--keys', at('sheet'));
  t.is(lost.status, 1);
  t.regex(lost.stderr, /--allow-unproven/);
});
