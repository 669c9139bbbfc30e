// Pace: long
/** Stores of encrypting clients: they show nothing in clear, and the password restores everything. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RecordKind } from '../../src/store/index.js';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  jsonLines,
  rest,
  run,
  Server,
  succeed,
} from '../helpers/commands.js';
import { here } from '../helpers/kinds.js';
import { WORDS, wordsIn } from '../helpers/plaintext.js';
import { recordsIn } from '../helpers/records.js';
import { lab, restoredBy } from '../helpers/lab.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
} from '../helpers/tree.js';
import { folderIn } from '../helpers/scratch.js';

backupsRunHere();

const MIB = 1 << 20;
/** More than a part of a file. */
const IN_PARTS = 65 * MIB;
const attributed = here.attributes ? { attributes: { 'user.note': WORDS.attribute } } : {};

type Place = ReturnType<typeof made>;

/** Makes a tree, and names a store for it. The file `parts` is large enough for parts only if a test requests that. */
function made(t: ExecutionContext, password?: string, partsBytes = 3 * MIB) {
  const {
    store,
    source,
    place: own,
    at,
  } = lab(t, [
    dir(WORDS.directory, [
      file(WORDS.name, WORDS.content, attributed),
      symlink('link', WORDS.target),
      dir('deep', [file('x'.repeat(255), 'a long name')]),
    ]),
    file('raw.gz', WORDS.content),
    file('large', Buffer.concat([Buffer.from(WORDS.content), noise(1, 2 * MIB)])),
    file('parts', noise(2, partsBytes)),
    file('text', text(3, 300_000)),
    file('empty', ''),
    sparse('holes', 3 * MIB, [[MIB, text(4, 5000)]]),
    file(Buffer.from([0x01, 0x2e, 0xff, 0x0a]), 'odd'),
  ]);
  const secret = at('password');
  const place = [...own, ...(password === undefined ? [] : ['-F', secret])];
  fs.writeFileSync(secret, password ?? 'unused');
  return { store, source, at, place };
}

test('an encrypted store shows no name, content, target, attribute or name of a set', async (t) => {
  const args = ['--local', '--name', WORDS.set, '--compress-data', 'none'];
  const plain = made(t);
  await backup([...plain.place, ...args, '--create', plain.source]);
  const all = Object.keys(WORDS).filter((what) => what !== 'attribute' || here.attributes);
  t.deepEqual(wordsIn(plain.store), all.sort(), 'what is searched for is found where it is');

  const sealed = made(t, 'a password of the tests');
  await backup([...sealed.place, ...args, '--create', sealed.source]);
  t.deepEqual(wordsIn(sealed.store), []);
  // The same after a second backup, which changes one file.
  fs.writeFileSync(path.join(sealed.source, WORDS.directory, WORDS.name), `${WORDS.content} again`);
  await backup([...sealed.place, '--local', '--compress-data', 'none', sealed.source]);
  t.deepEqual(wordsIn(sealed.store), []);
  const [first] = (await listed(sealed)).map(({ name }) => name);
  t.is(first, WORDS.set, 'a user with the password sees the name');
});

async function listed({ place }: Place): Promise<{ name: string }[]> {
  const [report] = jsonLines(await succeed('lstardis', [...place, '--json']));
  return (report as unknown as { sets: { name: string }[] }).sets;
}

test('what was encrypted comes back, as of any set, and after a rebuild', async (t) => {
  const { place, source, at, store } = made(t, 'a password of the tests');
  await backup([...place, '--local', '--create', source]);
  const before = look(source);
  const second = await backup([...place, '--local', source]);
  t.is(second.progress.contentsSent, 0, 'nothing is sent twice');
  fs.writeFileSync(path.join(source, WORDS.directory, 'new'), 'new');
  fs.rmSync(path.join(source, 'empty'));
  fs.renameSync(path.join(source, 'text'), path.join(source, 'renamed'));
  const third = await backup([...place, '--local', source]);
  t.true(third.progress.contentsSent <= 2);
  const restore = async (name: string, ...more: string[]): Promise<string[]> => {
    await succeed('regenerate', [...place, '-o', at(name), ...more, source]);
    return differences(more.length > 0 ? before : look(source), look(path.join(at(name), 'tree')));
  };
  t.deepEqual(await restore('first', '-b', '1'), []);
  t.deepEqual(await restore('newest'), []);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', '-D', store, '-C', 'me']);
  t.deepEqual(await restore('rebuilt first', '-b', '1'), []);
  t.deepEqual(await restore('rebuilt'), []);
});

test('listings of encrypted names are in order, in large directories too', async (t) => {
  const { place, source, at } = made(t, 'a password of the tests');
  const many = folderIn(source, 'many');
  const names = Array.from({ length: 5000 }, (_, index) => `f ${String(index).padStart(5, '0')}`);
  for (const name of names) fs.writeFileSync(path.join(many, name), name);
  await backup([...place, '--local', '--create', source]);
  const entries = jsonLines(await succeed('lstardis', [...place, '--json', many]));
  t.deepEqual(
    entries.map((entry) => entry['name']),
    names,
  );
  // The directory becomes so large that it is listed in pages.
  for (let index = 0; index < 13_000; index += 1) {
    fs.writeFileSync(path.join(many, `g ${index}`), '');
  }
  t.is((await backup([...place, '--local', source])).progress.contentsSent, 0);
  fs.writeFileSync(path.join(many, 'f 00007'), 'changed');
  fs.rmSync(path.join(many, 'f 00008'));
  t.is((await backup([...place, '--local', source])).progress.contentsSent, 1);
  t.deepEqual(await restoredBy(place, many, at('out')), []);
});

test('the signature of zeros is as small as they are, and gives a delta', async (t) => {
  const { store, source, place: own, at } = lab(t, [file('tree', Buffer.alloc(40 * MIB))]);
  const place = [...own, '--password=a password of the tests'];
  const save = (...more: string[]) => backup([...place, '--local', ...more, source]);
  await save('--create');
  fs.appendFileSync(path.join(source, 'tree'), 'x');
  t.is((await save()).progress.deltasSent, 1);
  const all = await recordsIn(path.join(store, 'me'));
  const signatures = all.filter(({ kind }) => kind === RecordKind.signature);
  t.is(signatures.length, 2);
  for (const { bodyBytes } of signatures) t.true(bodyBytes < 2000, `${bodyBytes}`);
  t.deepEqual(await restoredBy(place, source, at('out')), []);
});

test('the signature of a version is as long as the scattered changes that it serves', async (t) => {
  let content = noise('tree', 20 * MIB);
  const { store, source, place: own, at } = lab(t, [file('box', content)]);
  const place = [...own, '--password=a password of the tests'];
  const signatures = async (): Promise<number[]> => {
    const all = await recordsIn(path.join(store, 'me'));
    const ofSignatures = all.filter(({ kind }) => kind === RecordKind.signature);
    return ofSignatures.map(({ bodyBytes }) => bodyBytes);
  };
  const append = (bytes: Buffer): Buffer => Buffer.concat([bytes, noise('day', 20_000)]);
  const scatter = (bytes: Buffer): Buffer => {
    const edited = Buffer.from(bytes);
    for (let n = 0; n < 200; n += 1) noise(`${n}`, 50).copy(edited, n * 100_000);
    return edited;
  };
  const longBytes = (20 * MIB * 20) / 2048;
  const days = [append, append, scatter, append];
  await backup([...place, '--local', '--create', source]);
  for (const [day, change] of days.entries()) {
    content = change(content);
    fs.writeFileSync(path.join(source, 'box'), content);
    await rest();
    const { progress } = await backup([...place, '--local', source]);
    t.is(progress.deltasSent, 1);
    const newest = (await signatures()).at(-1)!;
    if (change === append) t.true(newest < longBytes / 5, `day ${day}: ${newest}`);
    else t.true(newest > longBytes / 2, `day ${day}: ${newest}`);
    const out = at(`out ${day}`);
    await succeed('regenerate', [...place, '-o', out, source]);
    t.true(fs.readFileSync(path.join(out, 'tree', 'box')).equals(content));
  }
});

test('a large encrypted file that changes a little sends a little, and comes back after a rebuild', async (t) => {
  const { place, source, at, store } = made(t, 'a password of the tests', IN_PARTS);
  const parts = path.join(source, 'parts');
  await backup([...place, '--local', '--create', source]);
  for (const [round, position] of [70_000, 64 * MIB + 5000, 12].entries()) {
    const fd = fs.openSync(parts, 'r+');
    fs.writeSync(fd, `changed ${round}`, position);
    fs.closeSync(fd);
    const { progress } = await backup([...place, '--local', source]);
    t.is(progress.deltasSent, 1, `round ${round}`);
    // The signature is sent with the delta: 20 bytes for each 2 KiB.
    t.true(progress.sentBytes < 100_000, `${progress.sentBytes}`);
  }
  const restore = (name: string) => restoredBy(place, source, at(name));
  t.deepEqual(await restore('newest'), []);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', '-D', store, '-C', 'me']);
  t.deepEqual(await restore('rebuilt'), []);
});

test('an encrypting client backs up to a server, and reads from it', async (t) => {
  const { source, at, place, store } = made(t, 'a password of the tests');
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, ...place.slice(2)];
  await backup([...far, '--create', source]);
  t.deepEqual(wordsIn(store), []);
  t.is((await backup([...far, source])).progress.contentsSent, 0);
  const [here, there] = await Promise.all(
    [place, far].map((which) => succeed('lstardis', [...which, '--json', source])),
  );
  t.is(there, here);
  t.deepEqual(await restoredBy(far, source, at('out')), []);
  // Restores over the existing files, one of which is another version.
  const parts = path.join(at('out'), 'tree', 'parts');
  fs.appendFileSync(parts, 'more');
  const json = await succeed('regenerate', [...far, '--json', '-O', '-o', at('out'), source]);
  t.is((JSON.parse(json) as { files: number }).files, 1);
  t.deepEqual(differences(look(source), look(path.join(at('out'), 'tree'))), []);
});

test('a client without encryption can have a password', async (t) => {
  const { place, source, store } = made(t, 'a password of the tests');
  await backup([...place, '--local', '--create', '--no-crypt', source]);
  t.true(wordsIn(store).includes('name'));
  t.is((await run('lstardis', ['-D', store, '-C', 'me', source])).status, 12);
  await succeed('lstardis', [...place, source]);
  // The client stays unencrypted, even if a later run sets --crypt.
  await backup([...place, '--local', '--crypt', source]);
  t.true(wordsIn(store).includes('name'));
});

test('after a rotation old and new contents are read, and the newest key record counts', async (t) => {
  const { place, source, at, store } = made(t, 'a password of the tests');
  await backup([...place, '--local', '--create', source]);
  await succeed('sonic', ['rotate', ...place]);
  t.is((await backup([...place, '--local', source])).progress.contentsSent, 0, 'digests stay');
  fs.writeFileSync(path.join(source, 'more'), noise(9, 3 * MIB));
  t.is((await backup([...place, '--local', source])).progress.contentsSent, 1);
  t.deepEqual(await restoredBy(place, source, at('out')), []);
  // With an older key record, a server would bring an old password or an old key back into use.
  const keys = path.join(store, 'me', 'keys');
  t.deepEqual(fs.readdirSync(keys), ['00000001.key', '00000002.key']);
  fs.rmSync(path.join(keys, '00000002.key'));
  fs.rmSync(path.join(store, 'me', 'packs', 'keys', '00000002.key'));
  t.regex((await run('lstardis', place)).stderr, /STORE_ROLLED_BACK/);
  t.regex((await run('tardis', [...place, '--local', source])).stderr, /STORE_ROLLED_BACK/);
  await succeed('lstardis', [...place, '--trust-store']);
});

test('a rebuild keeps apart what belongs to which root, and old sets stay proven', async (t) => {
  const { place, source, at, store } = made(t, 'a password of the tests');
  const others = ['one', 'two'].map((name) => at(name));
  for (const other of others) makeTree(other, [dir('d', [file('f', other)])]);
  await backup([...place, '--local', '--create', source, ...others]);
  fs.writeFileSync(path.join(others[1]!, 'd', 'f'), 'changed');
  await backup([...place, '--local', others[1]!]);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', '-D', store, '-C', 'me']);
  fs.writeFileSync(path.join(others[0]!, 'd', 'f'), 'changed too');
  await backup([...place, '--local', source, ...others]);
  for (const set of ['1', '2', '3']) {
    const args = [...place, '-b', set, '-o', at(`out ${set}`), others[1]!];
    t.notRegex(await succeed('regenerate', args), /nothing proves/);
  }
  t.deepEqual(differences(look(others[1]!), look(path.join(at('out 3'), 'two'))), []);
});

test('a place where nothing can be remembered is reported, and the set is complete', async (t) => {
  const { place, source } = made(t, 'a password of the tests');
  const env = { XDG_STATE_HOME: '/proc/nothing' };
  const { status, stderr } = await run('tardis', [...place, '--local', '--create', source], {
    env,
  });
  t.is(status, 0, stderr);
  t.regex(stderr, /newest set is not remembered/);
  t.regex(stderr, /warning: .*its keys are not remembered.*\[MEMORY_NOT_WRITTEN\]/);
  const again = exited(t, 0, await run('tardis', [...place, '--local', source], { env }));
  t.regex(again.stderr, /warning: .*newest key record is not remembered.*\[MEMORY_NOT_WRITTEN\]/);
});

test('what does not encrypt has no key to change', async (t) => {
  const { place } = made(t, 'a password of the tests');
  await succeed('sonic', ['create', ...place, '--no-crypt']);
  t.regex((await run('sonic', ['rotate', ...place])).stderr, /does not encrypt/);
});

for (const [what, spoil] of [
  ['a byte of a pack', (bytes: Buffer) => bytes.fill(bytes[5000]! ^ 1, 5000, 5001)],
] as const) {
  test(`nothing of what was spoilt is restored: ${what}`, async (t) => {
    const { place, source, store, at } = made(t, 'a password of the tests');
    await backup([...place, '--local', '--create', source]);
    const pack = path.join(store, 'me', 'packs', '00000001.pack');
    const bytes = fs.readFileSync(pack);
    spoil(bytes);
    fs.writeFileSync(pack, bytes);
    exited(t, 3, await run('regenerate', [...place, '-o', at('out'), source]));
  });
}

test('a set in which a root was held can be read, and the next one too', async (t) => {
  const { place, source, at } = made(t, 'a password of the tests');
  const other = at('other');
  makeTree(other, [dir('below', [file('kept', 'kept')])]);
  await backup([...place, '--local', '--create', source, other]);
  fs.renameSync(path.join(other, 'below'), at('aside'));
  const held = exited(t, 3, await run('tardis', [...place, '--local', source, other]));
  t.regex(held.stderr, /protected \(it is empty now\)/);
  fs.renameSync(at('aside'), path.join(other, 'below'));
  await backup([...place, '--local', source, other]);
  for (const set of ['1', '2', '3']) {
    const restored = await run('regenerate', [...place, '-b', set, '-o', at(set), source, other]);
    // The client did not read the protected root in set 2, so nothing in that set proves its entries.
    t.is(restored.status, set === '2' ? 3 : 0, restored.stderr);
    t.deepEqual(differences(look(source), look(path.join(at(set), 'tree'))), [], set);
    t.is(fs.readFileSync(path.join(at(set), 'other', 'below', 'kept'), 'utf8'), 'kept', set);
  }
});
