// Pace: slow
/** A rewritten client shows the same history as before, whatever that history was. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { faultySystem } from '../../support/faults.js';
import { nodeSystem } from '../../../src/system/index.js';
import { openClientDirectory } from '../../../src/store/index.js';
import { Catalog, PageSums } from '../../../src/store/catalog/index.js';
import { codeOf } from '../../helpers/codes.js';
import { killWhen, Ledger } from '../../helpers/faults.js';
import { backupInline, inlineSystem, type Place, rebuildInline } from '../../helpers/inline.js';
import {
  giveKeys,
  keysIn,
  PASSWORD,
  rewriteInline,
  dumpedHistory,
} from '../../helpers/rewrites.js';
import { scratchInMemory, ownState } from '../../helpers/scratch.js';
import {
  addTo,
  dir,
  file,
  hardlink,
  isRoot,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
} from '../../helpers/tree.js';

const MIB = 1 << 20;
ownState(test);

type Lived = Awaited<ReturnType<typeof lived>>;

/** Makes sets of all kinds: changes, moves, deltas, other roots, interrupted sets, an unreadable file. */
async function lived(t: ExecutionContext, password?: string) {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  const [source, other] = [at('tree'), at('other')];
  makeTree(source, [
    dir('docs', [file('a', text(1, 9000)), dir('deep', [file('b', noise(2, 40_000))])]),
    dir('moves', [file('along', 'along'), dir('with', [file('it', 'it')])]),
    file('large', noise(3, 3 * MIB)),
    file('empty'),
    symlink('link', 'docs/a'),
    hardlink('second name', 'docs', 'a'),
    sparse('holes', 2 * MIB, [[MIB, text(4, 5000)]]),
    file('becomes directory', 'file'),
  ]);
  makeTree(other, [file('elsewhere', text(5, 3000))]);
  const place = { store: at('store'), client: 'me' };
  const backup = (roots = [source], setName = ''): ReturnType<typeof backupInline> =>
    backupInline(inlineSystem(), place, roots, {
      setName,
      ...(password === undefined ? {} : { password }),
    });
  await backupInline(inlineSystem(), place, [source], {
    create: true,
    setName: 'first of all',
    ...(password === undefined ? {} : { password }),
  });
  fs.renameSync(at('tree', 'moves'), at('tree', 'docs', 'moved'));
  fs.rmSync(at('tree', 'becomes directory'));
  addTo(source, dir('becomes directory', [file('inside', 'inside')]));
  fs.appendFileSync(at('tree', 'large'), 'a little more');
  await backup([source, other]);
  fs.rmSync(at('tree', 'docs', 'deep'), { recursive: true });
  addTo(source, dir('new', [file('one', noise(6, 300_000)), file('two', noise(8, 300_000))]));
  await broken(place, source, password);
  addTo(source, file('after', 'after'));
  if (!isRoot) fs.chmodSync(at('tree', 'docs', 'a'), 0);
  await backup([source], 'named');
  if (!isRoot) fs.chmodSync(at('tree', 'docs', 'a'), 0o644);
  await backup([other]);
  fs.renameSync(path.join(other, 'elsewhere'), at('aside'));
  await backup([source, other]); // the other root is protected, because it is suddenly empty
  fs.renameSync(at('aside'), path.join(other, 'elsewhere'));
  addTo(source, dir('last', [file('one', noise(7, 300_000)), file('two', noise(9, 300_000))]));
  await broken(place, source, password);
  return { place, source, password, backup };
}

/** Makes a set whose session is killed after a part of it is durable. */
async function broken(place: Place, source: string, password: string | undefined): Promise<void> {
  const plan = killWhen(
    (operation, seen) => operation === 'files.sync' && seen.times(operation) > 3,
  );
  const ledger = new Ledger(inlineSystem());
  const options = password === undefined ? {} : { password };
  const system = faultySystem(ledger.system, plan);
  await backupInline(system, place, [source], options).catch(() => undefined);
  ledger.closeAll();
  await rebuildInline(place); // adds the durable part to the catalog, as the next run would
}

function statesIn(reported: readonly string[]): string[] {
  return reported.flatMap((line) => /^set .*"state":"([a-z]+)"/.exec(line)?.[1] ?? []);
}

/** Opens the catalog for reading. */
function catalogOf(place: Place): Catalog {
  const { catalogPath } = openClientDirectory(nodeSystem(), place);
  return Catalog.openForReading(nodeSystem(), catalogPath);
}

async function compare(t: ExecutionContext, made: Lived, wanted: readonly string[]): Promise<void> {
  t.deepEqual(await dumpedHistory(made.place), wanted);
  const beside = fs.readdirSync(made.place.store).filter((name) => name.startsWith('.me'));
  t.deepEqual(beside, [], 'nothing is left beside it');
  const { damagedRecords } = await rebuildInline(made.place);
  t.is(damagedRecords, 0);
  t.deepEqual(await dumpedHistory(made.place), wanted, 'rebuilt from its packs');
}

test('a history is the same with keys, with others, and after a rebuild', async (t) => {
  const made = await lived(t);
  const wanted = await dumpedHistory(made.place);
  t.deepEqual(statesIn(wanted), [...Array<string>(5).fill('complete'), 'unfinished']);
  const [before, deltas] = (() => {
    const catalog = catalogOf(made.place);
    const found = [catalog.sets.all(), [...catalog.history.contents()].flat()] as const;
    catalog.close();
    return found;
  })();
  t.is(before.length, 7, 'one is superseded');
  const kinds = (contents: typeof deltas): number[] =>
    contents.map(({ kind }) => kind).sort((one, other) => one - other);

  const result = await rewriteInline(inlineSystem(), made.place);
  t.is(result!.sets, 6);
  t.is(result!.lostVersions, 0);
  t.is(result!.verifiedContents, result!.contents);
  await compare(t, made, wanted);
  const directory = path.join(made.place.store, made.place.client);
  const first = await keysIn(nodeSystem(), directory);
  t.true(first!.record.isEncrypting);

  await rewriteInline(inlineSystem(), made.place);
  await compare(t, made, wanted);
  const second = await keysIn(nodeSystem(), directory);
  t.notDeepEqual(second!.record.keysetId, first!.record.keysetId);
  const catalog = catalogOf(made.place);
  t.deepEqual(kinds([...catalog.history.contents()].flat()), kinds(deltas), 'deltas stay deltas');
  t.deepEqual(
    catalog.sets.all().map(({ set, state: is, openedAtMs }) => [set, is, openedAtMs]),
    before.map(({ set, state: is, openedAtMs }) => [set, is, openedAtMs]),
  );
  catalog.close();
});

test('a backup goes on after it: nothing that is there is read or sent again', async (t) => {
  const made = await lived(t);
  await made.backup();
  const quiet = await made.backup();
  t.is(quiet.progress.filesRead, 0);
  await rewriteInline(inlineSystem(), made.place);
  const again = { create: false, password: PASSWORD };
  const roots = [made.source];
  const next = await backupInline(inlineSystem(), made.place, roots, again);
  t.is(next.progress.filesRead, 0, 'entries are what they were');
  t.is(next.progress.contentsSent, 0);
  const after = await backupInline(inlineSystem(), made.place, roots, again);
  t.is(after.progress.sameDirectories, after.progress.directories, 'skip hashes are there again');
  addTo(made.source, file('copy of a', text(1, 9000)));
  const copied = await backupInline(inlineSystem(), made.place, roots, again);
  t.is(copied.progress.contentsSent, 0, 'contents are known by their new digests');
});

test('a client that was made with a password gets other keys', async (t) => {
  const made = await lived(t, PASSWORD);
  const wanted = await dumpedHistory(made.place);
  await rewriteInline(inlineSystem(), made.place);
  await compare(t, made, wanted);
});

test('a client whose keys only waited is encrypted with others', async (t) => {
  const made = await lived(t);
  await giveKeys(made.place, false);
  const wanted = await dumpedHistory(made.place);
  await rewriteInline(inlineSystem(), made.place);
  await compare(t, made, wanted);
  const { record } = (await keysIn(nodeSystem(), path.join(made.place.store, 'me')))!;
  t.true(record.isEncrypting);
});

test('what a store has mixed up does not get the seal of the new keys', async (t) => {
  const made = await lived(t, PASSWORD);
  const wanted = await dumpedHistory(made.place);
  const { catalogPath } = openClientDirectory(nodeSystem(), made.place);
  const changed = `${catalogPath} before`;
  fs.copyFileSync(catalogPath, changed);
  const database = nodeSystem().openDatabase(catalogPath, { readonly: false });
  // An entry disappears, as if it had never existed.
  database.exec(`DELETE FROM entries WHERE name IN (
    SELECT name FROM entries WHERE type = 1 AND last_set IS NULL ORDER BY size_bytes DESC LIMIT 1)`);
  database.close();
  const changedPages = await t.throwsAsync(rewriteInline(inlineSystem(), made.place));
  t.is(codeOf(changedPages), 'CATALOG_DAMAGED');
  PageSums.takeAll(nodeSystem().files, catalogPath); // a program that can change rows can change their checksums
  const error = await t.throwsAsync(rewriteInline(inlineSystem(), made.place));
  t.is(codeOf(error), 'NOT_AUTHENTIC');
  fs.copyFileSync(changed, catalogPath);
  await rewriteInline(inlineSystem(), made.place).catch(() => undefined);
  t.deepEqual(await dumpedHistory(made.place), wanted, 'whatever came of it, nothing is lost');
});

test('backups that finish meanwhile are there after the switch', async (t) => {
  const made = await lived(t);
  const controller = new AbortController();
  const running = rewriteInline(inlineSystem(), made.place, { signal: controller.signal });
  controller.abort();
  t.is(codeOf(await t.throwsAsync(running)), 'INTERRUPTED');
  t.true(fs.existsSync(path.join(made.place.store, '.me.next', 'generation.json')));
  addTo(made.source, file('meanwhile', 'meanwhile'));
  await made.backup([made.source], 'meanwhile');
  const wanted = await dumpedHistory(made.place);
  await rewriteInline(inlineSystem(), made.place);
  await compare(t, made, wanted);
  t.true(wanted.some((line) => line.includes('/meanwhile ')));
});

test('a catalog or keys that are other ones in the end hold the switch up', async (t) => {
  const made = await lived(t);
  const wanted = await dumpedHistory(made.place);
  const { catalogPath, path: directory } = openClientDirectory(nodeSystem(), made.place);
  const during = async (change: () => void): Promise<string> => {
    let isDone = false;
    const onProgress = (): void => {
      if (!isDone) change();
      isDone = true;
    };
    return codeOf(await t.throwsAsync(rewriteInline(inlineSystem(), made.place, { onProgress })));
  };
  const rebuilt = (): void => {
    fs.copyFileSync(catalogPath, `${catalogPath}.new`);
    fs.renameSync(`${catalogPath}.new`, catalogPath);
  };
  t.is(await during(rebuilt), 'CLIENT_BUSY');
  const keys = await keysIn(nodeSystem(), path.join(made.place.store, '.me.next'));
  const changed = (): void => {
    fs.mkdirSync(path.join(directory, 'keys'));
    fs.writeFileSync(path.join(directory, 'keys', '00000001.key'), keys!.record.bytes);
  };
  t.is(await during(changed), 'CLIENT_BUSY');
  fs.rmSync(path.join(directory, 'keys'), { recursive: true });
  t.deepEqual(await dumpedHistory(made.place), wanted);
  await rewriteInline(inlineSystem(), made.place);
  await compare(t, made, wanted);
});

test('without room for a second generation nothing is written', async (t) => {
  const made = await lived(t);
  const wanted = await dumpedHistory(made.place);
  const { files } = inlineSystem();
  const full = inlineSystem({ files: { ...files, freeBytes: () => 1 << 20 } });
  t.is(codeOf(await t.throwsAsync(rewriteInline(full, made.place))), 'DISK_FULL');
  t.false(fs.existsSync(path.join(made.place.store, '.me.next', 'packs')));
  t.deepEqual(await dumpedHistory(made.place), wanted);
});
