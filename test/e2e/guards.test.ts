// Pace: slow
/**
 * "Unchanged" never hides a loss: if an entry or its content was not saved, for whatever reason, the next run
 * sends it. Until then the older version stays.
 *
 * The tests run serially: client and server are in this thread, and of twenty pairs at once some would time out
 * waiting for each other.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { createClientDirectory } from '../../src/store/index.js';
import { exited } from '../helpers/codes.js';
import { faultySystem } from '../support/faults.js';
import { type System } from '../../src/system/index.js';
import type { JobRunner } from '../../src/workers/index.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { copyStore, killWhen, Ledger, type Plan } from '../helpers/faults.js';
import {
  backupInline,
  dumpHistory,
  type InlineBackup,
  type InlineServer,
  inlineSystem,
  type Place,
  restoreInline,
  SMALL_STORE,
  withHistory,
  withNative,
} from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  look,
  makeTree,
  noise,
  type Snapshot,
  text,
  type TreeNode,
} from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
let restores = 0;

class Lab {
  readonly home: string;
  readonly source: string;
  place: Place;

  constructor(home: string, tree: readonly TreeNode[]) {
    this.home = home;
    this.source = path.join(home, 'tree');
    this.place = { store: path.join(home, 'store'), client: 'me' };
    makeTree(this.source, tree);
  }

  at(...names: string[]): string {
    return path.join(this.source, ...names);
  }

  backup(options: InlineBackup & InlineServer = {}, system: System = inlineSystem()) {
    return backupInline(system, this.place, [this.source], options);
  }

  /** Restores a set (by default the newest), and returns a snapshot of the result. */
  async restored(set?: string): Promise<Snapshot> {
    restores += 1;
    const output = path.join(this.home, `restored ${restores}`);
    const request = { paths: [this.source], output, ...(set === undefined ? {} : { set }) };
    const failures = await restoreInline(inlineSystem(), this.place, request);
    const failed = failures.filter(({ error }) => error.code !== 'UNREAD_AT_BACKUP');
    if (failed.length > 0) throw new Error(JSON.stringify(failed));
    return look(path.join(output, 'tree'));
  }

  /** Runs a backup that a plan kills. From then on the lab uses a copy of the store from that moment. */
  async crash(
    planned: (onHit: () => void) => Plan,
    options: InlineBackup & InlineServer = {},
  ): Promise<void> {
    const copy = `${this.place.store}+`;
    const { store } = this.place;
    const ledger = new Ledger(inlineSystem());
    const plan = planned(() => copyStore(store, copy));
    let isThrough = false;
    try {
      await this.backup(options, faultySystem(ledger.system, plan));
      isThrough = true;
    } catch {
      isThrough = false; // the planned crash
    }
    ledger.closeAll();
    if (isThrough || plan.hit === undefined) throw new Error('the crash did not happen');
    this.place = { ...this.place, store: copy };
  }
}

const isSync = (operation: string): boolean => operation === 'files.sync';

/** Kills between the last parcel and its checkpoint: at the checkpoint's first fsync. */
const beforeCheckpoint = (number: number) => (onHit: () => void) =>
  killWhen((operation, plan) => isSync(operation) && plan.times('files.sync') > number - 1, onHit);

/** Kills when the checkpoint is on the disk, but not yet in the catalog. */
const beforeCommit = (onHit: () => void) =>
  killWhen(
    (operation, plan) =>
      operation === 'sql.exec' && plan.times('files.sync') >= 2 && plan.seen.at(-2) !== 'sql.exec',
    onHit,
  );

function someTree(): TreeNode[] {
  return [
    dir('a', [file('one', text(1, 3000)), file('two', text(2, 4000)), file('empty')]),
    dir('b', [file('three', text(3, 40_000)), dir('c', [file('four', text(4, 100))])]),
  ];
}

test.serial(
  'a crash between the last parcel and its checkpoint: all of it is sent again',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), someTree());
    await createClientDirectory(inlineSystem(), lab.place);
    await lab.crash(beforeCheckpoint(1));
    const again = await lab.backup();
    t.is(again.progress.contentsSent, 4);
    t.deepEqual(differences(look(lab.source), await lab.restored()), []);
    const third = await lab.backup();
    t.like(third.progress, { listings: 0, contentsSent: 0 });
  },
);

test.serial('the same over an older set: the changes are sent again', async (t) => {
  const lab = new Lab(scratchInMemory(t), someTree());
  await lab.backup({ create: true });
  const before = look(lab.source);
  fs.writeFileSync(lab.at('a', 'one'), 'changed');
  fs.writeFileSync(lab.at('b', 'c', 'new'), 'new');
  fs.rmSync(lab.at('a', 'two'));
  await lab.crash(beforeCheckpoint(1));
  const again = await lab.backup();
  t.is(again.progress.contentsSent, 2);
  t.true(again.progress.listings >= 2);
  t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  t.deepEqual(differences(before, await lab.restored('1')), []);
});

test.serial(
  'a crash after the checkpoint, before the catalog: nothing is lost or sent twice',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), someTree());
    await createClientDirectory(inlineSystem(), lab.place);
    await lab.crash(beforeCommit);
    const again = await lab.backup();
    t.is(again.progress.contentsSent, 0);
    t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  },
);

test.serial('a crash after some checkpoints: what they cover is not sent again', async (t) => {
  const tree = Array.from({ length: 150 }, (_, at) =>
    dir(`${at}`, [
      file('a', text(at, 900)),
      file('b', noise(at, 900)),
      file('c', text(-at - 1, 50)),
    ]),
  );
  const lab = new Lab(scratchInMemory(t), tree);
  await createClientDirectory(inlineSystem(), lab.place);
  const storage = { ...SMALL_STORE, checkpoint: { ...SMALL_STORE.checkpoint, entries: 100 } };
  await lab.crash(beforeCheckpoint(9), { storage });
  const { progress } = await lab.backup();
  const { contentsSent, sameDirectories } = progress;
  t.true(contentsSent > 0 && contentsSent < 450, `${contentsSent} contents`);
  t.true(sameDirectories > 0, `${sameDirectories} directories`);
  t.deepEqual(differences(look(lab.source), await lab.restored()), []);
});

/** Returns a system on which one file or directory cannot be read. */
function unreadable(name: string): System {
  const refuse = (given: Buffer): void => {
    if (!given.toString().endsWith(name)) return;
    throw Object.assign(new Error(`EACCES: permission denied, ${name}`), { code: 'EACCES' });
  };
  return withNative((real) => ({
    openOwnersAt: (fd, given, row) => {
      refuse(given);
      return real.openOwnersAt(fd, given, row);
    },
    openListedAt: (fd, given, identity) => {
      refuse(given);
      return real.openListedAt(fd, given, identity);
    },
    listOrHold: (given) => {
      refuse(given);
      return real.listDirectory(given);
    },
  }));
}

for (const [what, bytes] of [
  ['a small file', 5000],
  ['a large file', 3 * MIB],
] as const) {
  test.serial(
    `${what} that cannot be read keeps its older version and is saved by the next good run`,
    async (t) => {
      const lab = new Lab(scratchInMemory(t), [
        dir('a', [file('secret', noise(1, bytes)), file('open', 'open')]),
      ]);
      await lab.backup({ create: true });
      const before = look(lab.source);
      fs.writeFileSync(lab.at('a', 'secret'), noise(2, bytes + 1));
      const reported: string[] = [];
      const second = await lab.backup(
        { onFailures: (some) => reported.push(...some.map(({ path: name }) => String(name))) },
        unreadable('secret'),
      );
      t.is(second.progress.unreadable, 1);
      t.deepEqual(reported, [lab.at('a', 'secret')]);
      await withHistory(lab.place, async (history) => {
        const versions = await history.versions(Buffer.from(lab.at('a', 'secret')));
        t.deepEqual(
          versions.map(({ firstSet, lastSet }) => [firstSet, lastSet]),
          [[1, undefined]],
        );
        const [note] = await history.notes(2);
        t.like(note, { what: 'unreadable', reason: 'EACCES' });
      });
      const kept = await lab.restored('2');
      t.is(kept.get('a/secret'), before.get('a/secret'));

      const third = await lab.backup();
      t.like(third.progress, { contentsSent: 1, unreadable: 0 });
      t.true(third.progress.listings >= 1, 'the listing was settled though a child was not saved');
      t.deepEqual(differences(look(lab.source), await lab.restored()), []);
      t.like((await lab.backup()).progress, { listings: 0, contentsSent: 0 });
    },
  );
}

test.serial(
  'a file that could not be read the first time is missing until it can be',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), [
      dir('a', [file('secret', 'secret'), file('open', 'open')]),
    ]);
    const first = await lab.backup({ create: true }, unreadable('secret'));
    t.is(first.progress.unreadable, 1);
    t.false((await lab.restored()).has('a/secret'));
    t.is((await lab.backup()).progress.contentsSent, 1);
    t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  },
);

test.serial(
  'a directory is found where it went, though a file has its name and nothing else is gone',
  async (t) => {
    for (const elsewhere of ['before', 'within', 'zz behind']) {
      const lab = new Lab(scratchInMemory(t), [
        dir('moves', [file('a', 'a'), dir('deep', [file('b', 'b')])]),
        dir('within', [file('c', 'c')]),
      ]);
      await lab.backup({ create: true });
      const to = elsewhere === 'within' ? lab.at('within', 'moved') : lab.at(elsewhere);
      fs.renameSync(lab.at('moves'), to);
      fs.writeFileSync(lab.at('moves'), 'a file now');
      const { progress } = await lab.backup();
      t.is(progress.contentsSent, 1, elsewhere);
      t.deepEqual(differences(look(lab.source), await lab.restored()), [], elsewhere);
      await lab.backup();
      t.deepEqual(differences(look(lab.source), await lab.restored()), [], elsewhere);
    }
  },
);

test.serial('an unreadable directory is never recorded as deleted', async (t) => {
  const lab = new Lab(scratchInMemory(t), [
    dir('a', [file('x', 'x')]),
    dir('closed', [file('y', 'y'), dir('below', [file('z', 'z')])]),
  ]);
  await lab.backup({ create: true });
  const before = look(lab.source);
  fs.writeFileSync(lab.at('closed', 'y'), 'changed');
  fs.writeFileSync(lab.at('closed', 'below', 'z'), 'changed too');
  const second = await lab.backup({}, unreadable('/closed'));
  t.is(second.progress.unreadable, 1);
  t.deepEqual(differences(before, await lab.restored('2')), []);
  const third = await lab.backup();
  t.is(third.progress.contentsSent, 2);
  t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  t.deepEqual(differences(before, await lab.restored('1')), []);
});

test.serial('an unreadable root keeps all of its older version', async (t) => {
  const lab = new Lab(scratchInMemory(t), someTree());
  await lab.backup({ create: true });
  const before = look(lab.source);
  fs.writeFileSync(lab.at('a', 'one'), 'changed');
  const second = await lab.backup({}, unreadable('/tree'));
  t.is(second.progress.unreadable, 1);
  t.deepEqual(differences(before, await lab.restored('2')), []);
  t.is((await lab.backup()).progress.contentsSent, 1);
  t.deepEqual(differences(look(lab.source), await lab.restored()), []);
});

test.serial(
  'a small file that changes while it is read is read again by the next run',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), [
      dir('a', [file('busy', text(1, 5000)), file('quiet', 'q')]),
    ]);
    const busy = withNative((real) => ({
      readFileAt: (fd, name, rows, rowAt, ...rest) => {
        const got = real.readFileAt(fd, name, rows, rowAt, ...rest);
        if (fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('/busy')) {
          rows[rowAt + 9]! |= 8; // the flag that the call sets if the file changed meanwhile
          const handle = fs.openSync(lab.at('a', 'busy'), 'r+');
          fs.writeSync(handle, `${process.hrtime.bigint()}`);
          fs.closeSync(handle);
        }
        return got;
      },
    }));
    const first = await lab.backup({ create: true }, busy);
    t.is(first.progress.changed, 1);
    const second = await lab.backup();
    t.true(second.progress.listings >= 1);
    t.is(second.progress.contentsSent, 1);
    t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  },
);

test.serial(
  'a file changed after its listing was read, with equal times and size, is not missed',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), [
      dir('a', [file('busy', text(1, 5000)), file('quiet', 'q')]),
    ]);
    // Half a second after the last change, no file may count as settled.
    const thenMs = Math.round(fs.statSync(lab.at('a', 'quiet')).ctimeMs) + 500;
    const clock = { nowMs: () => thenMs, monotonicMs: () => performance.now() };
    const present = inlineSystem({ clock });
    const first = await lab.backup({ create: true }, present);
    t.is(first.progress.changed, 0);
    const second = await lab.backup();
    t.is(second.progress.filesRead, 2, 'entries too young to be trusted were not read again');
    t.is((await lab.backup()).progress.filesRead, 0);
  },
);

test.serial(
  'a large file that changes while it is read is read again by the next run',
  async (t) => {
    const lab = new Lab(scratchInMemory(t), [
      dir('a', [file('busy', noise(1, 3 * MIB)), file('q', 'q')]),
    ]);
    const wrapJobs = (jobs: JobRunner): JobRunner => ({
      recent: jobs.recent,
      run: (name, input, transfer) => jobs.run(name, input, transfer),
      stopRanges: () => jobs.stopRanges(),
      close: () => jobs.close(),
      [Symbol.asyncDispose]: () => jobs.close(),
      loadSignature: (...args) => jobs.loadSignature(...args),
      native: jobs.native,
      runRange: (input, window, onChunk) =>
        jobs.runRange(input, window, (chunk) => {
          fs.appendFileSync(lab.at('a', 'busy'), 'more');
          return onChunk(chunk);
        }),
    });
    const first = await lab.backup({ create: true, wrapJobs });
    t.is(first.progress.changed, 1);
    const second = await lab.backup();
    t.is(second.progress.contentsSent, 1);
    t.deepEqual(differences(look(lab.source), await lab.restored()), []);
  },
);

/** Flips one bit of a file's content in the store. */
async function damage(place: Place, name: string): Promise<void> {
  await withHistory(place, async (history) => {
    const set = await history.findSet(undefined);
    const entry = await history.find(Buffer.from(name), set.set);
    const [pieces] = await history.locate([entry!]);
    const { object, position, recordBytes } = pieces!.at(-1)!;
    const handle = fs.openSync(path.join(history.directory!.path, object), 'r+');
    const byte = Buffer.alloc(1);
    const at = position + recordBytes - 5; // in the body, the last part of a record
    fs.readSync(handle, byte, 0, 1, at);
    byte[0]! ^= 0x10;
    fs.writeSync(handle, byte, 0, 1, at);
    fs.closeSync(handle);
  });
}

for (const [what, bytes] of [
  ['in a frame', 9000],
  ['in a record of its own', 300_000],
  ['streamed to a pack', MIB + 5],
  ['in an object of its own', 2 * MIB],
  ['in a part of its own', 65 * MIB],
] as const) {
  test.serial(`a damaged content ${what} is reported, noted and sent again`, async (t) => {
    const lab = new Lab(scratchInMemory(t), [
      dir('a', [file('good', text(1, 20_000)), file('hit', noise(2, bytes))]),
      dir('b', [file('also good', text(3, 20_000)), file('copy of hit', noise(2, bytes))]),
    ]);
    await lab.backup({ create: true, settings: { parcelFiles: 1 } });
    await damage(lab.place, lab.at('a', 'hit'));
    const place = ['-D', lab.place.store, '-C', lab.place.client];
    const out = path.join(lab.home, 'out');
    const found = exited(t, 3, await run('regenerate', [...place, '-o', out, lab.source]));
    t.regex(found.stderr, /tree\/a\/hit: .*\[(CONTENT|RECORD)_DAMAGED\]/);
    t.regex(found.stderr, /the damage was marked/);
    const wanted = look(lab.source);
    const partly = look(path.join(out, 'tree'));
    t.deepEqual(
      [...wanted.keys()].filter((name) => partly.get(name) !== wanted.get(name)),
      ['a/hit', 'b/copy of hit'],
    );
    t.false(partly.has('a/hit'), 'a damaged file was left behind');

    const again = await lab.backup();
    t.is(again.progress.contentsSent, 1);
    await succeed('regenerate', [...place, '-o', path.join(lab.home, 'whole'), lab.source]);
    t.deepEqual(differences(wanted, look(path.join(lab.home, 'whole', 'tree'))), []);
    t.deepEqual(differences(wanted, await lab.restored('1')), []);
    const reported = await dumpHistory(lab.place);
    await succeed('sonic', ['rebuild', ...place]).catch(() => undefined); // 3: the damaged record is left out
    t.deepEqual(await dumpHistory(lab.place), reported);
    t.deepEqual(differences(wanted, await lab.restored()), []);
  });
}

test.serial(
  'what shares a frame with damaged bytes outlives a rebuild, though the source is gone',
  async (t) => {
    const files = Array.from({ length: 20 }, (_, index) => file(`${index}`, noise(index, 2000)));
    const lab = new Lab(scratchInMemory(t), [dir('a', files)]);
    await lab.backup({ create: true, settings: { parcelFiles: 100 } });
    const wanted = look(lab.source);
    await damage(lab.place, lab.at('a', '7'));
    fs.rmSync(lab.source, { recursive: true });
    const place = ['-D', lab.place.store, '-C', lab.place.client];
    for (const round of ['before', 'after']) {
      const out = path.join(lab.home, round);
      exited(t, 3, await run('regenerate', [...place, '-o', out, lab.source]));
      const found = look(path.join(out, 'tree'));
      const lacking = [...wanted.keys()].filter((name) => found.get(name) !== wanted.get(name));
      t.is(lacking.length, 1, `${round}: ${lacking.join()}`); // the flipped bit is in the frame's last content
      if (round === 'after') return;
      exited(t, 3, await run('sonic', ['rebuild', ...place]));
    }
  },
);

for (const [what, spoil] of [
  ['cut off', (pack: string) => fs.truncateSync(pack, 200_000)],
  ['gone', (pack: string) => fs.rmSync(pack)],
] as const) {
  test.serial(
    `a rebuild over a pack that is ${what} keeps what the old catalog knew, and the catalog`,
    async (t) => {
      const lab = new Lab(scratchInMemory(t), [
        dir('a', [file('in an object', noise(1, 3 * MIB)), file('in a pack', noise(2, 300_000))]),
      ]);
      const storage = { ...SMALL_STORE, store: { packBytes: 64 * MIB, packContentBytes: MIB } };
      await lab.backup({ create: true, storage });
      const { store, client } = lab.place;
      spoil(path.join(store, client, 'packs', '00000001.pack'));
      const place = ['-D', store, '-C', client];
      const { stdout } = exited(t, 3, await run('sonic', ['rebuild', ...place, '--json']));
      const reported = JSON.parse(stdout) as { lostCommits: number; keptCatalog: string };
      t.true(reported.lostCommits > 0);
      t.is(reported.keptCatalog, 'tardis.db.before-rebuild-1');
      t.true(fs.existsSync(path.join(store, client, reported.keptCatalog)));
      const out = path.join(lab.home, 'out');
      t.is((await run('regenerate', [...place, '-o', out, lab.source])).status, 3);
      const restored = fs.readFileSync(path.join(out, 'tree', 'a', 'in an object'));
      t.true(restored.equals(fs.readFileSync(lab.at('a', 'in an object'))));
      await succeed('sonic', ['rebuild', ...place]).catch(() => undefined);
      const again = await lab.backup();
      t.true(again.set > 1, 'a number was given twice');
      t.deepEqual(differences(look(lab.source), await lab.restored()), []);
    },
  );
}
