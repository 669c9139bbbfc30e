/** The directory of `sonic export`: names of sets, the record, and a file system without hard links. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { asTardisError } from '../../src/errors/index.js';
import type { BackupSet } from '../../src/history/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { ExportDirectory } from '../../src/tools/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

const system = nodeSystem();

function opened(home: string, world: System = system): ExportDirectory {
  const how = { client: 'me', kind: 'trees', isDry: false } as const;
  return ExportDirectory.open(world, Buffer.from(path.join(home, 'out')), how);
}

function setOf(set: number, name: string, openedAtMs = set): BackupSet {
  return { set, name, openedAtMs } as BackupSet;
}

test('a file system without hard links is refused, and nothing stays there', (t) => {
  const home = scratchInMemory(t);
  const linkAt = (): never => {
    throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
  };
  const fat = { ...system, native: { ...system.native, linkAt } };
  using directory = opened(home, fat);
  const error = t.throws(() => directory.requireLinks());
  t.is(asTardisError(error).code, 'TARGET_WITHOUT_LINKS');
  t.deepEqual(fs.readdirSync(path.join(home, 'out')), []);
  using other = opened(scratchInMemory(t));
  other.requireLinks();
  t.deepEqual(fs.readdirSync(other.path), []);
});

test('a set has its own name, or its number if that is taken or no name of a file', async (t) => {
  const home = scratchInMemory(t);
  using directory = opened(home);
  const sets = [setOf(1, 'daily'), setOf(2, 'daily'), setOf(3, 'a/b'), setOf(4, '.tardis-export')];
  const planned = directory.plan(sets);
  t.deepEqual(
    planned.map(({ name }) => name),
    ['daily', '2', '3', '4'],
  );
  for (const one of planned.slice(0, 2)) {
    fs.mkdirSync(directory.placeOf(directory.unfinishedName(one)));
    await directory.finish(directory.unfinishedName(one), one);
  }
  // The first set was deleted in the store; another one got its name, and a new client the number of the second.
  const later = directory.plan([setOf(2, 'daily'), setOf(5, 'daily'), setOf(2, 'other', 77)]);
  t.deepEqual(
    later.map(({ name, isThere }) => [name, isThere]),
    [
      ['2', true],
      ['5', false],
      ['other', false],
    ],
  );
});

test('one export at a time writes into a directory', (t) => {
  const home = scratchInMemory(t);
  using directory = opened(home);
  const error = t.throws(() => opened(home));
  t.is(asTardisError(error).code, 'CLIENT_BUSY');
  t.is(directory.path, path.join(home, 'out'));
});
