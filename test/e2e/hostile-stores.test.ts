// Pace: long
/**
 * Hostile strings in a store or a tree, and a target that changes while a restore writes: names are restored
 * unchanged, or are refused; nothing outside of the target is touched.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { isEntryName } from '../../src/model/index.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { sandbox } from '../helpers/guarded.js';
import {
  isFileName,
  someStrings,
  strings,
  Tally,
  reportedCode,
  tried,
} from '../helpers/hostile-strings.js';
import { backupInline, inlineSystem, restoreInline, withHistory } from '../helpers/inline.js';
import { share } from '../helpers/share.js';
import { folderIn, ownState } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, symlink } from '../helpers/tree.js';

backupsRunHere();

// The state that clients remember is not needed after the test.
ownState(test);

const system = inlineSystem();

test('paths and sets that are given on this machine', async (t) => {
  const guard = sandbox(t, ['store/me', 'source', 'target']);
  const place = { store: guard.store, client: 'me' };
  makeTree(guard.source, [file('one', 'one')]);
  await backupInline(system, place, [guard.source], { create: true });
  const tally = new Tally();
  const sets = new Tally();
  await withHistory(place, async (archive) => {
    for (const bytes of strings(t, guard)) {
      await tried(t, bytes, () => archive.find(bytes, 1));
      await tried(t, bytes, () => archive.versions(bytes));
      sets.add(await tried(t, bytes, () => archive.findSet(bytes.toString())));
    }
  });
  t.is(sets.codes.join(), 'NO_SUCH_SET');
  const some = someStrings(t, guard);
  for (const bytes of some) {
    const paths = [bytes.toString(), `${guard.source}/${bytes.toString()}`];
    for (const wanted of paths) {
      const code = await tried(t, bytes, () =>
        restoreInline(system, place, { paths: [wanted], output: guard.target }),
      );
      tally.add(code);
    }
  }
  t.log(Object.fromEntries(tally.counts));
  t.true(tally.of('NO_SUCH_PATH') > 1.6 * some.length);
  t.deepEqual(guard.touched(), []);
});

for (const [what, password] of [
  ['plain', undefined],
  ['encrypted', 'a password of the tests'],
] as const) {
  test(`a tree of hostile names and targets comes back as it was: ${what}`, async (t) => {
    const guard = sandbox(t, ['store/me', 'store/.login', 'source', 'target']);
    const all = strings(t, guard);
    const names = all.filter(isFileName);
    const targets = all.filter(
      (bytes) => bytes.length > 0 && bytes.length < 4096 && !bytes.includes(0),
    );
    t.true(names.length > 150 && targets.length > 400);
    makeTree(guard.source, [
      dir(
        'files',
        names.map((name) => file(name, name)),
      ),
      dir(
        'directories',
        names.map((name) => dir(name, [file('x', name)])),
      ),
      dir(
        'links',
        targets.map((target, at) => symlink(`link ${at}`, target)),
      ),
    ]);
    const place = { store: guard.store, client: 'me' };
    const more = password === undefined ? {} : { password };
    await backupInline(system, place, [guard.source], { create: true, ...more });
    const output = ['-o', guard.target, guard.source];
    const login = password === undefined ? [] : [`--password=${password}`];
    await succeed('regenerate', ['-D', guard.store, '-C', 'me', ...login, ...output]);
    t.deepEqual(differences(look(guard.source), look(path.join(guard.target, 'source'))), []);
    t.deepEqual(guard.touched(), []);
  });
}

/** Returns SQL that copies an entry under another name. */
const copyOf = (name: string): string =>
  `INSERT OR REPLACE INTO entries (name, directory_id, first_set, last_set, type, flags, size_bytes, content_id,
     child_id, metadata)
   SELECT ?, directory_id, first_set, last_set, type, flags, size_bytes, content_id, child_id, metadata
   FROM entries WHERE name = CAST('${name}' AS BLOB)`;

for (const [what, sql] of [
  ['files', copyOf('one')],
  ['directories', copyOf('below')],
  ['links', copyOf('link')],
  [
    'owners',
    `INSERT OR REPLACE INTO owner_names (is_group, id, first_set, name) VALUES (0, ?, 1, ?)`,
  ],
] as const) {
  test(`a store that was made to mislead a restore: ${what}`, async (t) => {
    const guard = sandbox(t, ['store/me', 'source', 'target']);
    const place = { store: guard.store, client: 'me' };
    makeTree(guard.source, [
      file('one', 'one'),
      symlink('link', 'one'),
      dir('below', [file('two', 'two')]),
    ]);
    await backupInline(system, place, [guard.source], { create: true });
    const all = strings(t, guard);
    changeCatalog(guard.store, (catalog) => {
      const statement = catalog.prepare(sql);
      for (const [at, bytes] of all.entries()) {
        statement.run(...(what === 'owners' ? [at, bytes] : [bytes]));
      }
    });
    const output = path.join(guard.target, 'files');
    const failures = await restoreInline(system, place, { paths: [guard.source], output });
    const tally = new Tally();
    for (const { path: name, error } of failures) {
      tally.add(reportedCode(t, new TardisError(error.code, error.message), name));
    }
    t.deepEqual(guard.touched(), []);
    // Empty names are never listed. Valid names that are too long for a file system fail there with another code.
    const bad = all.filter((bytes) => bytes.length > 0 && !isEntryName(bytes)).length;
    t.true(bad > 300);
    t.is(tally.of('RECORD_DAMAGED'), what === 'owners' ? 0 : bad);
    t.true(what !== 'owners' || failures.length === 0);
    t.log(what, Object.fromEntries(tally.counts));
    // Tar unpacks an archive, and trusts its names.
    const archive = path.join(guard.target, 'archive.tar');
    const args = ['-D', guard.store, '-C', 'me', '--tar', archive, guard.source];
    const { status, stderr } = await run('regenerate', args);
    t.is(status, what === 'owners' ? 0 : 3, stderr.slice(0, 500));
    const unpacked = folderIn(guard.target, 'unpacked');
    spawnSync('tar', ['-x', '-P', '-f', archive, '-C', unpacked, '--no-same-owner']);
    t.true(fs.existsSync(path.join(unpacked, 'source', 'one')));
    t.deepEqual(guard.touched(), []);
  });
}

test('a store that was made to mislead a restore: targets of links', async (t) => {
  const guard = sandbox(t, ['store/me', 'source', 'target']);
  const place = { store: guard.store, client: 'me' };
  const all = strings(t, guard);
  makeTree(
    guard.source,
    all.map((_bytes, at) => symlink(`link ${at}`, 'x')),
  );
  await backupInline(system, place, [guard.source], { create: true });
  changeCatalog(guard.store, (catalog) => {
    const statement = catalog.prepare(
      `UPDATE entries SET metadata = CAST(substr(metadata, 1, 56) || ? AS BLOB) WHERE name = ?`,
    );
    for (const [at, bytes] of all.entries()) statement.run(bytes, Buffer.from(`link ${at}`));
  });
  const output = guard.target;
  const failures = await restoreInline(system, place, { paths: [guard.source], output });
  for (const { path: name, error } of failures) {
    reportedCode(t, new TardisError(error.code, error.message), name);
  }
  t.true(failures.length > 0 && failures.length < all.length / 3, `${failures.length}`);
  t.deepEqual(guard.touched(), []);
});

test('a store that was made to mislead a restore: paths of roots', async (t) => {
  const guard = sandbox(t, ['store/me', 'source', 'target']);
  const place = { store: guard.store, client: 'me' };
  makeTree(guard.source, [file('one', 'one')]);
  await backupInline(system, place, [guard.source], { create: true });
  const tally = new Tally();
  for (const bytes of someStrings(t, guard)) {
    changeCatalog(
      guard.store,
      (catalog) => void catalog.prepare('UPDATE roots SET path = ?').run(bytes),
    );
    const output = path.join(guard.target, 'out');
    const paths = [bytes.toString(), `/${bytes.toString()}`];
    for (const wanted of paths) {
      const code = await tried(t, bytes, async () => {
        const failures = await restoreInline(system, place, { paths: [wanted], output });
        for (const { error } of failures)
          reportedCode(t, new TardisError(error.code, error.message), bytes);
      });
      tally.add(code);
    }
  }
  t.log(Object.fromEntries(tally.counts));
  t.deepEqual(guard.touched(), []);
});

/** Swaps a directory for a link and back, as fast as possible, until `counts[0]` is set. */
const SWAPPER = `
  const { workerData: { directory, aside, outside, shared } } = require('node:worker_threads');
  const fs = require('node:fs');
  const counts = new Int32Array(shared);
  const attempt = (work) => { try { work(); return true; } catch { return false; } };
  while (Atomics.load(counts, 0) === 0) {
    if (!attempt(() => fs.renameSync(directory, aside))) continue;
    if (attempt(() => fs.symlinkSync(outside, directory))) {
      Atomics.add(counts, 1, 1);
      attempt(() => fs.unlinkSync(directory));
    }
    // A directory that the restore has made there meanwhile is removed.
    if (!attempt(() => fs.renameSync(aside, directory))) {
      attempt(() => fs.rmSync(directory, { recursive: true, force: true }));
      attempt(() => fs.renameSync(aside, directory));
    }
  }
`;
/** Fewer than in a soak run, since the links are swapped all the time. */
const RESTORES = share < 1 ? 20 : 60;
const LOOKS = 100;
const ENOUGH_SWAPS = 500;

for (const [what, overwrite] of [
  ['beside what is there', 'never'],
  ['over what is there', 'always'],
] as const) {
  test(`a directory of the target becomes a link while a restore writes into it: ${what}`, async (t) => {
    const guard = sandbox(t, ['store/me', 'source', 'target']);
    const place = { store: guard.store, client: 'me' };
    const many = (letter: string): ReturnType<typeof file>[] =>
      Array.from({ length: 30 }, (_, at) => file(`${letter} ${at}`, `${letter}${at}`));
    // The tree has the same names as the directory to which the link points.
    const victim = dir('victim', [
      file('canary', 'not a canary'),
      ...many('f'),
      dir('below', [file('canary', 'no'), ...many('g')]),
    ]);
    makeTree(guard.source, [victim, dir('other', many('h'))]);
    await backupInline(system, place, [guard.source], { create: true });
    const restore = (): ReturnType<typeof restoreInline> =>
      restoreInline(system, place, {
        paths: [guard.source],
        output: guard.target,
        policy: { overwrite },
      });
    t.is((await restore()).length, 0);
    const directory = path.join(guard.target, 'source', 'victim');
    const shared = new SharedArrayBuffer(8);
    const counts = new Int32Array(shared);
    const worker = new Worker(SWAPPER, {
      eval: true,
      workerData: { directory, aside: `${guard.target}/aside`, outside: guard.outside, shared },
    });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const tally = new Tally();
    let linksSeen = 0;
    try {
      // Goes on until enough links were met, however the threads take turns.
      const isEnough = (): boolean =>
        linksSeen > RESTORES && Atomics.load(counts, 1) >= ENOUGH_SWAPS;
      for (let round = 0; round < RESTORES || !isEnough(); round += 1) {
        // Counts how often access by path name leads outside.
        for (let look = 0; look < LOOKS; look += 1) {
          if (fs.existsSync(path.join(directory, 'me'))) linksSeen += 1;
        }
        // Gives the restore a file to write.
        fs.rmSync(path.join(directory, `f ${round % 30}`), { force: true });
        const code = await tried(t, Buffer.from(`${round}`), async () => {
          for (const { error } of await restore()) {
            tally.add(
              reportedCode(t, new TardisError(error.code, error.message), Buffer.from(what)),
            );
          }
        });
        tally.add(code);
      }
    } finally {
      Atomics.store(counts, 0, 1);
      await ended;
    }
    t.log(`${counts[1]} swaps, ${linksSeen} seen`, Object.fromEntries(tally.counts));
    t.deepEqual(guard.touched(), []);
    fs.rmSync(path.join(guard.target, 'source'), { recursive: true, force: true });
    t.is((await restore()).length, 0, 'and then all of it comes back');
    t.deepEqual(differences(look(guard.source), look(path.join(guard.target, 'source'))), []);
  });
}
