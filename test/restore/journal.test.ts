/** The journal by which a restore continues after a kill. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import type { SetNumber } from '../../src/model/index.js';
import {
  type RestoreFailure,
  restoreId,
  RestoreJournal,
  temporaryPrefix,
} from '../../src/restore/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { scratchInMemory } from '../helpers/scratch.js';

const system = nodeSystem();
const SET = 7 as SetNumber;
const IDENTITY = { client: 'me', set: SET, paths: [Buffer.from('/home')], hierarchy: false };
const OTHER_SET = { ...IDENTITY, set: 8 as SetNumber };

/** Opens an output directory. Returns its descriptor and the names in it. */
function output(t: ExecutionContext): { rootFd: number; folder: string; names: () => string[] } {
  const folder = scratchInMemory(t);
  const rootFd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  t.teardown(() => fs.closeSync(rootFd));
  return { rootFd, folder, names: () => fs.readdirSync(folder) };
}

function failure(name: string, code: 'ATTRIBUTE_NOT_SET' | 'CONTENT_DAMAGED'): RestoreFailure {
  return {
    path: Buffer.from(name),
    error: new TardisError(code, name),
  } as unknown as RestoreFailure;
}

test('the id of a restore depends on all that makes it another one, but not on the set', (t) => {
  const id = restoreId(IDENTITY);
  t.is(restoreId(OTHER_SET), id);
  const others = [
    { ...IDENTITY, client: 'you' },
    { ...IDENTITY, hierarchy: true },
    { ...IDENTITY, paths: [] },
    { ...IDENTITY, paths: [Buffer.from('/hom'), Buffer.from('e')] },
    { ...IDENTITY, paths: [Buffer.from('/home'), Buffer.from('/home')] },
  ].map(restoreId);
  t.is(new Set([id, ...others]).size, others.length + 1);
  t.regex(temporaryPrefix(id), /^\.tardis-[0-9a-f]{16}-$/);
});

test('a restore without failures leaves no journal', async (t) => {
  const { rootFd, names } = output(t);
  const journal = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
  t.is(journal.resume, undefined);
  t.deepEqual(names(), [`.tardis-restore-${restoreId(IDENTITY)}`]);
  await journal.end([], true);
  journal.close();
  t.deepEqual(names(), []);
});

test('a run that was killed is continued by the same command, and by no other', async (t) => {
  const { rootFd, folder, names } = output(t);
  (await RestoreJournal.begin(system, rootFd, IDENTITY))!.close(); // as a kill does
  const seen = RestoreJournal.peek(system, rootFd, IDENTITY)!;
  t.like(seen, { isBrokenOff: true, set: SET, isSameSet: true, isSameBoot: true });
  t.false(RestoreJournal.peek(system, rootFd, OTHER_SET)!.isSameSet);
  t.is(RestoreJournal.peek(system, rootFd, { ...IDENTITY, client: 'you' }), undefined);
  const inode = (): bigint => fs.statSync(path.join(folder, names()[0]!), { bigint: true }).ino;
  const before = { names: names(), inode: inode() };
  const again = (await RestoreJournal.begin(system, rootFd, OTHER_SET))!;
  t.like(again.resume, { isBrokenOff: true, set: SET, isSameSet: false });
  t.is(again.resume!.sinceNs, seen.sinceNs, 'the time at which the killed run began');
  t.deepEqual(names(), before.names);
  t.is(inode(), before.inode, 'a new file would have begun later');
  again.close();
});

test('two runs of one command exclude each other, and a dry run disturbs neither', async (t) => {
  const { rootFd } = output(t);
  const journal = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
  t.truthy(RestoreJournal.peek(system, rootFd, IDENTITY));
  t.is(await rejectedCode(RestoreJournal.begin(system, rootFd, IDENTITY)), 'CLIENT_BUSY');
  journal.close();
});

test('a run with failures keeps their names, if a later run could repair anything', async (t) => {
  const damaged = failure('a', 'CONTENT_DAMAGED');
  const bare = failure('b', 'ATTRIBUTE_NOT_SET');
  for (const [failures, hasDirectories, isKept] of [
    [[damaged], true, true],
    [[damaged], false, false],
    [[bare], false, true],
    [[], true, false],
  ] as const) {
    const { rootFd, names } = output(t);
    const journal = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
    await journal.end(failures, hasDirectories);
    journal.close();
    t.is(names().length, isKept ? 1 : 0);
    if (!isKept) continue;
    const resume = RestoreJournal.peek(system, rootFd, IDENTITY)!;
    t.false(resume.isBrokenOff);
    t.true(resume.failed.has(failures[0].path));
    t.false(resume.failed.has(Buffer.from('c')));
  }
});

test('the first run that failed is remembered over all runs that follow', async (t) => {
  const { rootFd, names } = output(t);
  const first = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
  await first.end([failure('a', 'ATTRIBUTE_NOT_SET')], true);
  first.close();
  const { firstSinceNs } = RestoreJournal.peek(system, rootFd, IDENTITY)!;
  for (let run = 0; run < 2; run += 1) {
    const next = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
    t.is(next.resume!.firstSinceNs, firstSinceNs);
    await next.end([failure('a', 'ATTRIBUTE_NOT_SET')], true);
    next.close();
  }
  t.is(names().length, 1, 'no temporary name is left');
});

test('a file of a user in place of the journal is no reason to trust it', async (t) => {
  const { rootFd, folder } = output(t);
  const place = path.join(folder, `.tardis-restore-${restoreId(IDENTITY)}`);
  for (const text of ['', 'x', '\0'.repeat(5000), '{"set":"7","failed":[1]}']) {
    fs.writeFileSync(place, text);
    const journal = (await RestoreJournal.begin(system, rootFd, IDENTITY))!;
    journal.close();
    t.like(journal.resume, { isSameSet: false, isSameBoot: false, set: undefined });
    t.true(journal.resume!.failed.isEmpty);
  }
  fs.rmSync(place);
  fs.symlinkSync('/etc/passwd', place);
  await t.throwsAsync(RestoreJournal.begin(system, rootFd, IDENTITY));
  fs.rmSync(place);
});

test('an output directory that cannot be written has no journal', async (t) => {
  const { rootFd } = output(t);
  for (const code of ['EACCES', 'EPERM', 'EROFS']) {
    const native = Object.create(system.native) as typeof system.native;
    native.createFileAt = () => {
      throw Object.assign(new Error(code), { code });
    };
    t.is(await RestoreJournal.begin({ ...system, native }, rootFd, IDENTITY), undefined);
  }
});
