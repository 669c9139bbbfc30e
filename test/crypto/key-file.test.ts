// Pace: slow
/** The key file: its format, the files that are refused, and changes that lose no keys wherever they stop. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test from 'ava';
import {
  addEpoch,
  changePassword,
  KeyFile,
  KeyFileText,
  type KeyRecord,
  MAX_KEY_FILE_BYTES,
  moveOn,
  newKeyRecord,
  openKeyRecord,
  parseKeyRecord,
  unlockKeyRecord,
  wholeRecord,
  withNewKeys,
  withoutKeys,
} from '../../src/crypto/index.js';
import { TardisError } from '../../src/errors/index.js';
import { changeKeys } from '../../src/server/index.js';
import { createClientDirectory, newestKeys, openClientDirectory } from '../../src/store/index.js';
import { type FaultMode, faultySystem } from '../support/faults.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { Ledger, Plan } from '../helpers/faults.js';
import { WatchedDisk } from '../helpers/watched-disk.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { LIGHT } from '../helpers/light.js';

const system = nodeSystem(0o077);
const { modPow } = system.native;
const PASSWORD = Buffer.from('correct horse');
const OTHER = Buffer.from('battery staple');

async function newRecord(): Promise<KeyRecord> {
  return (await newKeyRecord(modPow, PASSWORD, true, LIGHT)).record;
}

async function nextRecord(record: KeyRecord, password = PASSWORD): Promise<KeyRecord> {
  return (await changePassword(modPow, record, PASSWORD, { password })).record;
}

const textOf = (bytes: Buffer): KeyFileText => KeyFileText.parse(bytes, 'F');
const EMPTY = Buffer.alloc(0);

/** Returns the path of a key file that does not exist yet, and the object for it. */
function newPlace(t: Parameters<typeof scratchInMemory>[0]): { file: string; keys: KeyFile } {
  const file = path.join(scratchInMemory(t), 'keys');
  return { file, keys: new KeyFile(system, Buffer.from(file)) };
}

test('a record without keys serves logins and opens nothing, and nonsense is refused', async (t) => {
  const { record, secrets } = await newKeyRecord(modPow, PASSWORD, true, LIGHT);
  const bare = withoutKeys(record);
  t.deepEqual(
    [bare.number, bare.keysetId, bare.salt, bare.verifier, bare.parameters, bare.isEncrypting],
    [1, record.keysetId, record.salt, record.verifier, LIGHT, true],
  );
  t.false(bare.hasKeys);
  t.is(bare.bytes.length, 468);
  const wrapped = record.bytes.subarray(464, -4);
  for (let at = 0; at + 16 <= wrapped.length; at += 1) {
    t.false(bare.bytes.includes(wrapped.subarray(at, at + 16)));
  }
  t.is(
    thrownCode(() => openKeyRecord(bare, secrets.wrapKey)),
    'KEYS_ELSEWHERE',
  );
  t.is(
    thrownCode(() => wholeRecord(bare, undefined, 'me')),
    'KEYS_ELSEWHERE',
  );
  // A record without keys has no nonce and belongs to a client that encrypts. A record with keys has room for them.
  const { record: waiting } = await newKeyRecord(modPow, PASSWORD, false, LIGHT);
  t.is(
    thrownCode(() => withoutKeys(waiting)),
    'KEYS_DAMAGED',
  );
  const changed = (bytes: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return withChecksum(copy);
  };
  for (const [what, bytes] of [
    ['a nonce', changed(bare.bytes, 48, 1)],
    ['cut', withChecksum(bare.bytes.subarray(0, -1))],
    ['more', withChecksum(Buffer.concat([bare.bytes, Buffer.alloc(16)]))],
    ['no keys where they should be', changed(bare.bytes, 10, 1)],
    ['keys where there are none', changed(record.bytes, 10, 0)],
  ] as const) {
    t.is(
      thrownCode(() => parseKeyRecord(bytes)),
      'KEYS_DAMAGED',
      what,
    );
  }
});

function withChecksum(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(crc32(copy.subarray(0, -4)), copy.length - 4);
  return copy;
}

test('a file holds several clients, and leaves others as they are, to the byte', async (t) => {
  const [one, two, three] = [await newRecord(), await newRecord(), await newRecord()];
  const first = textOf(EMPTY).with('laptop', [one]);
  const second = textOf(first).with('desk.top-1', [two]);
  t.deepEqual(second.subarray(0, first.length), first, 'it is added behind');
  // Edits by users and editors are kept: comments, line ends, spaces, and a damaged section.
  const mine = Buffer.from(
    second
      .toString('latin1')
      .replace('[desk.top-1]\n', '[desk.top-1]\r\n# of caf\xe9\r\n\r\n')
      .concat('[broken]\nkeys = nothing\nwhat is this'),
    'latin1',
  );
  const third = textOf(mine).with('server', [three]);
  t.deepEqual(third.subarray(0, mine.length), mine);
  const next = await nextRecord(one);
  const changed = textOf(third).with('laptop', [one, next]);
  const rest = (bytes: Buffer): string => bytes.toString('latin1').replace(/\[laptop\][^[]*/, '');
  t.is(rest(changed), rest(third));
  for (const [bytes, records] of [
    [third, [one]],
    [changed, [one, next]],
    [textOf(changed).with('laptop', [next]), [next]],
  ] as const) {
    const found = textOf(bytes).find(one.keysetId);
    t.deepEqual(
      found.map((record) => record.bytes),
      records.map((record) => record.bytes),
    );
    t.deepEqual(textOf(bytes).find(two.keysetId)[0]?.bytes, two.bytes);
  }
  // Two stores may have clients of the same name, and two files may be joined by cat.
  const both = Buffer.concat([
    textOf(EMPTY).with('laptop', [one]),
    textOf(EMPTY).with('laptop', [two]),
  ]);
  t.deepEqual(textOf(both).find(two.keysetId)[0]?.bytes, two.bytes);
  t.deepEqual(textOf(textOf(both).without(two.keysetId)).find(two.keysetId), []);
  t.deepEqual(textOf(textOf(both).without(two.keysetId)).find(one.keysetId)[0]?.bytes, one.bytes);
});

test('what is no key file, or damaged where it is wanted, is refused', async (t) => {
  const [one, two] = [await newRecord(), await newRecord()];
  const good = textOf(textOf(EMPTY).with('laptop', [one])).with('desktop', [two]);
  const code = (bytes: Buffer, wanted = one): string | undefined =>
    thrownCode(() => textOf(bytes).find(wanted.keysetId));
  const text = good.toString('latin1');
  const line = /^ {2}(.*)$/m.exec(text)![1]!;
  const id = one.keysetId.toString('hex');
  for (const [what, bytes] of [
    ['an ini file', Buffer.from('[laptop]\nkeys = x\n')],
    ['of another version', Buffer.from(text.replace('file 1', 'file 2'))],
    ['binary', Buffer.concat([good, Buffer.of(0)])],
    ['random', randomBytes(5000)],
    ['too large', Buffer.concat([good, Buffer.alloc(MAX_KEY_FILE_BYTES, '#')])],
    ['too many sections', Buffer.from(`${text}${'[x]\n'.repeat(2000)}`)],
    ['there twice', Buffer.concat([good, good])],
    ['a line that means nothing', Buffer.from(text.replace('record 1\n', 'record 1\nfoo = bar\n'))],
    ['a record of no bytes', Buffer.from(text.replace(/(record 1\n)( {2}.*\n)+/, '$1'))],
    ['no record', Buffer.from(text.replace(/record 1\n( {2}.*\n)+/, ''))],
    ['another number', Buffer.from(text.replace('record 1', 'record 2'))],
    [
      'of another client',
      Buffer.from(text.replace(id, 'TMP').replace(two.keysetId.toString('hex'), id)),
    ],
    ['a line less', Buffer.from(text.replace(`  ${line}\n`, ''))],
    ['no base64', Buffer.from(text.replace(line, `*${line.slice(1)}`))],
    [
      'too many records',
      Buffer.from(text.replace('record 1\n', `${'record 1\n  AAAA\n'.repeat(9)}record 1\n`)),
    ],
    [
      'without keys',
      Buffer.from(
        text.replace(
          /(record 1\n)( {2}.*\n)+/,
          `$1  ${withoutKeys(one).bytes.toString('base64')}\n`,
        ),
      ),
    ],
  ] as const) {
    t.is(code(bytes), 'KEY_FILE_INVALID', what);
  }
  // Each character of the armour counts. Damage to the section of one client does not affect another client.
  const from = text.indexOf(line);
  for (let at = from; at < text.indexOf('[desktop]') - 2; at += 3) {
    if (!/[A-Za-z0-9+/]/.test(text[at]!)) continue;
    const bytes = Buffer.from(good);
    bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
    t.is(code(bytes), 'KEY_FILE_INVALID', `byte ${at}`);
    t.is(code(bytes, two), undefined);
    t.is(
      thrownCode(() => textOf(bytes).with('laptop', [one])),
      'KEY_FILE_INVALID',
      'it is not overwritten either',
    );
  }
  t.throws(() => textOf(EMPTY).with('x', [one, ...Array<KeyRecord>(2000).fill(one)]));
});

test('a key file that was typed from paper needs no blanks, and may have others', async (t) => {
  const one = await newRecord();
  const text = textOf(EMPTY).with('laptop', [one]).toString();
  for (const typed of [
    text.replaceAll(/^ +/gm, ''),
    text.replaceAll(/^(?=.)/gm, '\t   '),
    `\r\n \n${text.replaceAll('\n', '\r\n')}`,
  ]) {
    const [found] = textOf(Buffer.from(typed)).find(one.keysetId);
    t.true(found?.bytes.equals(one.bytes), typed);
  }
});

test('a typing error is reported with its line, and sums need not be typed', async (t) => {
  const one = await newRecord();
  const text = textOf(EMPTY).with('laptop', [one]).toString();
  const lines = text.match(/^ {2}\S+ #[0-9a-f]{4}$/gm)!;
  t.true(lines.length > 2);
  const why = (typed: string): string =>
    t.throws(() => textOf(Buffer.from(typed)).find(one.keysetId)).message;
  for (const [index, line] of lines.entries()) {
    const [armour, sum] = line.trim().split(' ') as [string, string];
    const wrong = `${armour.slice(0, 3)}${armour[3] === 'A' ? 'B' : 'A'}${armour.slice(4)}`;
    t.true(why(text.replace(armour, wrong)).includes(`${sum}: "${wrong}"`));
    t.true(why(text.replace(armour, armour.slice(1))).includes(`${sum}: "${armour.slice(1)}"`));
    const next = lines[index + 1];
    if (next === undefined) continue;
    const [after, afterSum] = next.trim().split(' ') as [string, string];
    t.true(why(text.replace(`${line}\n`, '')).includes(`${afterSum}: "${after}"`));
  }
  const [found] = textOf(Buffer.from(text.replaceAll(/ #[0-9a-f]{4}$/gm, ''))).find(one.keysetId);
  t.true(found?.bytes.equals(one.bytes));
});

test('lines that are missing at the end, or that lack their sums, are named', async (t) => {
  const one = await newRecord();
  const text = textOf(EMPTY).with('laptop', [one]).toString();
  const lines = text.match(/^ {2}\S+ #[0-9a-f]{4}$/gm)!;
  const why = (typed: string): string =>
    t.throws(() => textOf(Buffer.from(typed)).find(one.keysetId)).message;
  const first = (count: number): string =>
    text.replace(lines.join('\n'), lines.slice(0, count).join('\n'));
  const whole = lines.length;
  t.regex(
    why(first(whole - 1)),
    new RegExp(`the last line is missing: ${whole - 1} of ${whole} lines were typed$`),
  );
  t.regex(
    why(first(2)),
    new RegExp(`the last ${whole - 2} lines are missing: 2 of ${whole} lines were typed$`),
  );
  t.regex(why(first(1)), /only 1 of its lines was typed$/);
  t.regex(why(first(0)), /only 0 of its lines was typed$/);

  const withoutSum = (line: string): string => line.replace(/ #.*/, '');
  const slipped = (line: string): string =>
    line.replace(/[A-Za-z0-9+/]/, (c) => (c === 'A' ? 'B' : 'A'));
  for (const [index, line] of lines.entries()) {
    const bare = slipped(withoutSum(line));
    const reported = why(text.replace(line, bare));
    t.true(
      reported.includes(`: line ${index + 1} "${bare.trim()}" lacks its checksum: `),
      reported,
    );
    const both = text.replace(line, bare).replace(lines.at(-2)!, withoutSum(lines.at(-2)!));
    if (index >= whole - 2) continue;
    t.true(why(both).includes(` "${bare.trim()}", line ${whole - 1} "`));
    // Without check sums the missing line cannot be named. The first two lines contain the number of lines.
    const bareText = text.replaceAll(/ #[0-9a-f]{4}$/gm, '').replace(`${withoutSum(line)}\n`, '');
    const lost = index < 2 ? /lack their checksums: / : /: a line is missing: \d+ of \d+ lines/;
    t.regex(why(bareText), lost);
  }
  t.regex(why(text.replace('record 1\n', 'record 7\n')), /"record 7" that should be "record 1"/);
});

test('a key file has mode 0600, keeps its link, and is replaced as a whole', async (t) => {
  const { file, keys } = newPlace(t);
  const one = await newRecord();
  await keys.put('laptop', [one]);
  t.is(fs.statSync(file).mode & 0o777, 0o600);
  fs.chmodSync(file, 0o644);
  const link = `${file} link`;
  fs.symlinkSync(path.basename(file), link);
  fs.writeFileSync(`${file}.new`, 'of an interrupted one');
  const inode = fs.statSync(file).ino;
  await new KeyFile(system, Buffer.from(link)).put('laptop', [one, await nextRecord(one)]);
  t.true(fs.lstatSync(link).isSymbolicLink());
  t.not(fs.statSync(file).ino, inode);
  t.is(fs.statSync(file).mode & 0o777, 0o600, 'also if somebody had opened it to others');
  t.deepEqual(fs.readdirSync(path.dirname(file)).sort(), ['keys', 'keys link']);
  // An unchanged file is not written again.
  const before = fs.statSync(file).ino;
  await keys.put('laptop', [one, ...keys.recordsOf(one.keysetId).slice(1)]);
  t.is(fs.statSync(file).ino, before);
  const nowhere = `${file} nowhere`;
  fs.symlinkSync('not there', nowhere);
  for (const [at, code] of [
    [nowhere, 'KEY_FILE_INVALID'],
    [path.dirname(file), 'KEY_FILE_INVALID'],
    ['/dev/null', 'KEY_FILE_INVALID'],
    [path.join(file, 'below a file'), 'KEY_FILE_NOT_WRITTEN'],
    [path.join(path.dirname(file), 'no', 'directory'), 'KEY_FILE_NOT_WRITTEN'],
  ] as const) {
    t.is(await rejectedCode(new KeyFile(system, Buffer.from(at)).put('laptop', [one])), code, at);
  }
  t.false(fs.existsSync(path.join(path.dirname(file), 'not there')));
  // A planted link at the name of the temporary file does not redirect the write.
  const canary = `${file} canary`;
  fs.writeFileSync(canary, 'canary');
  fs.symlinkSync(canary, `${file}.new`);
  await keys.put('laptop', [one]);
  t.is(fs.readFileSync(canary, 'utf8'), 'canary');
});

test('changes of one file at the same time are all in it', async (t) => {
  const { file, keys } = newPlace(t);
  const records = await Promise.all(Array.from({ length: 12 }, () => newRecord()));
  await Promise.all(
    records.map((record, at) =>
      new KeyFile(system, Buffer.from(file)).put(`client-${at}`, [record]),
    ),
  );
  for (const record of records) t.is(keys.recordsOf(record.keysetId).length, 1);
});

test('a file that is older, newer or other than the store is reported', async (t) => {
  const { keys, file } = newPlace(t);
  const one = await newRecord();
  const two = await nextRecord(one, OTHER);
  const three = (await addEpoch(modPow, two, OTHER)).record;
  const codeFor = (shown: KeyRecord): string | undefined =>
    thrownCode(() => keys.recordOf(shown, 'laptop'));
  t.is(codeFor(one), 'KEY_FILE_INVALID', 'no file');
  await keys.put('laptop', [two]);
  for (const [shown, code] of [
    [two, undefined],
    [withoutKeys(two), undefined],
    [one, 'KEY_FILE_DIFFERS'],
    [withoutKeys(one), 'KEY_FILE_DIFFERS'],
    [withoutKeys(three), 'KEY_FILE_DIFFERS'],
    [withoutKeys(await nextRecord(one, OTHER)), 'KEY_FILE_DIFFERS'],
    [await newRecord(), 'KEY_FILE_INVALID'],
  ] as const) {
    t.is(codeFor(shown), code);
  }
  t.regex(
    t.throws(() => keys.recordOf(withoutKeys(three), 'laptop')).message,
    /record 2 .* store has 3/,
  );
  const other = await newRecord();
  t.regex(t.throws(() => keys.recordOf(other, 'laptop')).message, /\[laptop\] with other keys/);
  t.regex(t.throws(() => keys.recordOf(other, 'desktop')).message, /no section of "desktop"/);
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/keys = ...../, 'keys = ?'));
  t.regex(t.throws(() => keys.recordOf(two, 'laptop')).message, /damaged section \[laptop\]/);
  // The client has a key file, so a server that claims that the client has no password is not trusted.
  t.is(
    thrownCode(() => wholeRecord(undefined, keys, 'laptop')),
    'PASSWORD_NOT_SET',
  );
});

test('keys of a client that was not made do not stay in the file', async (t) => {
  const { keys } = newPlace(t);
  const [one, two] = [await newRecord(), await newRecord()];
  await keys.put('laptop', [one]);
  const making = (code: 'CLIENT_EXISTS' | 'CONNECTION_LOST'): Promise<unknown> =>
    withNewKeys(keys, 'laptop', two, () => Promise.reject(new TardisError(code, 'x')));
  t.is(await rejectedCode(making('CLIENT_EXISTS')), 'CLIENT_EXISTS');
  t.is(keys.recordsOf(two.keysetId).length, 0);
  t.is(await rejectedCode(making('CONNECTION_LOST')), 'CONNECTION_LOST');
  t.is(keys.recordsOf(two.keysetId).length, 1, 'in doubt they do');
  t.is(keys.recordsOf(one.keysetId).length, 1);
});

test('the server takes no record that has lost what it never had', async (t) => {
  const store = scratchInMemory(t);
  const options = { store, client: 'me' };
  const directory = await createClientDirectory(system, options);
  const one = await newRecord();
  const change = ({ bytes }: KeyRecord): Promise<string | undefined> =>
    rejectedCode(changeKeys(system, directory, bytes));
  t.is(await change(withoutKeys(one)), 'NOT_PERMITTED', 'a first one');
  t.is(await change(one), undefined);
  const two = await nextRecord(one);
  t.is(await change(withoutKeys(await newRecord())), 'PASSWORD_IS_SET');
  const other = await newRecord();
  t.is(await change(withoutKeys(await nextRecord(other))), 'NOT_PERMITTED', 'of other keys');
  const plain = (await newKeyRecord(modPow, PASSWORD, false, LIGHT)).record;
  const stops = await nextRecord({ ...plain, keysetId: one.keysetId });
  t.is(await change(stops), 'NOT_PERMITTED', 'it stops to encrypt');
  t.is(await change(withoutKeys(two)), undefined);
  t.false(parseKeyRecord(newestKeys(system, directory.path)!.bytes).hasKeys);
  t.is(await change(await nextRecord(two)), undefined, 'and back');
});

/** Each change: whether the store has the keys before it (`keptBefore`) and after it (`keepsKeys`). */
const CHANGES = [
  { what: 'a new password', keptBefore: false, keepsKeys: false },
  { what: 'a new password of a client with a copy of its keys', keptBefore: true, keepsKeys: true },
  { what: 'keys taken out', keptBefore: true, keepsKeys: false },
  { what: 'keys put in', keptBefore: false, keepsKeys: true },
] as const;
const MODES: readonly FaultMode[] = [{ kind: 'kill' }, { kind: 'fail-once', code: 'EIO' }];
const MOST_STEPS = 300;

for (const { what, keptBefore, keepsKeys } of CHANGES) {
  test(`a change that ends at any step loses no keys: ${what}`, async (t) => {
    const top = scratchInMemory(t);
    const from = await newRecord();
    const to = (await addEpoch(modPow, from, PASSWORD)).record;
    t.is((await unlockKeyRecord(to, PASSWORD)).keys.length, 5);
    const others = await newRecord();
    const before = folderIn(top, 'before');
    const place = { store: path.join(before, 'store'), client: 'me' };
    const stored = keptBefore ? from : withoutKeys(from);
    await createClientDirectory(system, { ...place, keys: stored.bytes });
    const first = new KeyFile(system, Buffer.from(path.join(before, 'keys')));
    await first.put('me', [from]);
    await first.put('other', [others]);
    const change = async (home: string, calls: System): Promise<void> => {
      const directory = openClientDirectory(calls, {
        store: path.join(home, 'store'),
        client: 'me',
      });
      const file = new KeyFile(calls, Buffer.from(path.join(home, 'keys')));
      await moveOn(file, 'me', { from, to, keepsKeys }, async ({ bytes }) => {
        await changeKeys(calls, directory, bytes);
      });
    };
    const outcomes = new Set<string>();
    for (const mode of MODES) {
      let isUntouched = false;
      for (let at = 1; !isUntouched; at += 1) {
        t.true(at < MOST_STEPS);
        const home = path.join(top, `${mode.kind} ${at}`);
        fs.cpSync(before, home, { recursive: true });
        const plan = new Plan(at, mode);
        const ledger = new Ledger(system);
        await change(home, faultySystem(ledger.system, plan)).catch(() => undefined);
        ledger.closeAll(); // as at the end of a process
        t.is(ledger.strayCloses, 0);
        isUntouched = plan.hit === undefined;
        const file = new KeyFile(system, Buffer.from(path.join(home, 'keys')));
        const shown = parseKeyRecord(newestKeys(system, path.join(home, 'store', 'me'))!.bytes);
        const found = wholeRecord(shown, file, 'me')!;
        t.true(
          [from, to].some(({ bytes }) => bytes.equals(found.bytes)),
          `${mode.kind} ${at}`,
        );
        t.is(file.recordsOf(others.keysetId).length, 1);
        outcomes.add(`${shown.number}`);
        if (shown.number === 1) await change(home, system);
        t.deepEqual(file.recordsOf(from.keysetId).at(-1)!.bytes, to.bytes);
        fs.rmSync(home, { recursive: true });
      }
    }
    t.deepEqual([...outcomes].sort(), ['1', '2']);
  });
}

test('the file is on the disk before the store changes, and before it forgets the old record', async (t) => {
  const { file } = newPlace(t);
  const disk = new WatchedDisk(path.dirname(file));
  const keys = new KeyFile({ native: system.native, files: disk.files }, Buffer.from(file));
  const from = await newRecord();
  const to = await nextRecord(from);
  await keys.put('me', [from]);
  await moveOn(keys, 'me', { from, to, keepsKeys: false }, (record) => {
    t.false(record.hasKeys);
    t.true(disk.isDurable(file));
    t.is(keys.recordsOf(from.keysetId).length, 2);
    return Promise.resolve();
  });
  t.true(disk.isDurable(file));
  t.deepEqual(
    keys.recordsOf(from.keysetId).map(({ number }) => number),
    [2],
  );
  t.is(disk.openCount, 0);
});
