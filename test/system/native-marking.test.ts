/** Facts that are not in a row, but decide whether an entry is left out: the no-dump flag, and read access. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { failing, inChild, isRoot, makeAllKinds, native } from '../helpers/native.js';
import { entriesOf } from '../helpers/rows.js';
import { scratch, scratchInMemory } from '../helpers/scratch.js';

/** Returns the names of the marked rows. */
function marked(rows: Buffer, marks: Buffer): string[] {
  const entries = entriesOf(rows);
  if (marks.length !== entries.length) throw new Error('not one mark for each row');
  return entries.filter((_entry, index) => marks[index] === 1).map(({ name }) => name.toString());
}

/** Opens a directory until the end of the test. */
function opened(t: ExecutionContext, folder: string): number {
  const fd = native.openDirectory(Buffer.from(folder));
  t.teardown(() => native.close(fd));
  return fd;
}

for (const [where, make] of [
  ['on a disk', scratch],
  ['in memory', scratchInMemory],
] as const) {
  test(`entries that are not to be dumped are known, ${where}`, async (t) => {
    const folder = make(t);
    await makeAllKinds(t, folder);
    fs.writeFileSync(path.join(folder, 'plain'), '');
    const rows = native.listDirectory(Buffer.from(folder));
    const fd = opened(t, folder);
    const noDump = (): string[] => marked(rows, native.noDumpRows(fd, rows));
    t.deepEqual(noDump(), []);
    const { status } = spawnSync('chattr', [
      '+d',
      path.join(folder, 'plain'),
      path.join(folder, 'sub'),
    ]);
    t.deepEqual(noDump(), status === 0 ? ['plain', 'sub'] : []);
    fs.unlinkSync(path.join(folder, 'plain'));
    t.deepEqual(noDump(), status === 0 ? ['sub'] : [], 'what is gone is not marked');
  });
}

test('entries that may not be read are known, by the rights in effect', async (t) => {
  const folder = scratch(t);
  await makeAllKinds(t, folder);
  fs.chmodSync(folder, 0o755);
  const modes: Record<string, number> = { open: 0o644, closed: 0o600, executable: 0o711 };
  for (const [name, mode] of Object.entries(modes)) {
    fs.writeFileSync(path.join(folder, name), '');
    fs.chmodSync(path.join(folder, name), mode);
    fs.mkdirSync(path.join(folder, `${name}.d`));
    fs.chmodSync(path.join(folder, `${name}.d`), mode | (mode === 0o644 ? 0o111 : 0));
  }
  fs.mkdirSync(path.join(folder, 'listed.d'));
  fs.chmodSync(path.join(folder, 'listed.d'), 0o744);
  const rows = native.listDirectory(Buffer.from(folder));
  const own = marked(rows, native.forbiddenRows(opened(t, folder), rows));
  t.deepEqual(own, [], 'the owner may');
  if (!isRoot) return;
  const printed = inChild(
    `const [folder] = values;
    const rows = native.listDirectory(Buffer.from(folder));
    const fd = native.openDirectory(Buffer.from(folder));
    process.setgroups([]);
    process.setegid(65534);
    process.seteuid(65534);
    process.stdout.write(native.forbiddenRows(fd, rows).toString('hex'));`,
    [folder],
  );
  t.deepEqual(marked(rows, Buffer.from(printed, 'hex')), [
    'closed',
    'closed.d',
    'executable',
    'executable.d',
    'file',
    'hard',
    'listed.d',
    'sub',
  ]);
});

test('rows that are none, and directories that are not open, are refused', (t) => {
  const folder = opened(t, scratch(t));
  for (const call of [native.noDumpRows, native.forbiddenRows]) {
    t.deepEqual(call(folder, Buffer.alloc(0)), Buffer.alloc(0));
    t.is(failing(() => call(folder, Buffer.alloc(71))).code, 'EINVAL');
    t.is(failing(() => call(folder, Buffer.alloc(72, 0xff))).code, 'EINVAL');
    t.is(failing(() => call(-1, Buffer.alloc(0))).code, 'EBADF');
  }
});
