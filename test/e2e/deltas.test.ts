/** Deltas through the commands: what is sent, stored and comes back. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { RecordKind } from '../../src/store/index.js';
import { backup, rest, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, rebuildInline } from '../helpers/inline.js';
import { dumpCatalog } from '../helpers/packed-store.js';
import { recordsIn } from '../helpers/records.js';
import { lab } from '../helpers/settings.js';
import { dir, file, makeTree, noise, scratch } from '../helpers/tree.js';

const MIB = 1 << 20;

test('SendSig sends the signature of a first version', async (t) => {
  const { at, store, written } = lab(t);
  makeTree(at('files'), [dir('a', [file('large', noise('l', 3 * MIB)), file('small', 'x')])]);
  await rest();
  const signatures = async (client: string, ...args: string[]): Promise<number> => {
    await backup(['-D', store, '-C', client, '--local', '--create', ...args, at('files')]);
    const kinds = await recordsIn(path.join(store, client));
    return kinds.filter(({ kind }) => kind === RecordKind.signature).length;
  };
  t.is(await signatures('off'), 0);
  t.is(await signatures('flag', '--send-sig'), 1);
  const config = written('cfg', '[Tardis]\nSendSig = True\n');
  t.is(await signatures('key', '--config', config), 1);
});

test('signatures are found again by a rebuild, and kept once', async (t) => {
  const home = scratch(t);
  const source = path.join(home, 'tree');
  makeTree(source, [dir('a', [file('large', noise('l', 2 * MIB))])]);
  fs.copyFileSync(path.join(source, 'a', 'large'), path.join(source, 'a', 'copy'));
  const place = { store: path.join(home, 'store'), client: 'me' };
  const options = { create: true, settings: { sendSignatures: true } };
  await backupInline(inlineSystem(), place, [source], options);
  const catalog = path.join(place.store, 'me', 'tardis.db');
  const before = dumpCatalog(catalog);
  t.is(before['signatures']?.length, 1);
  await rebuildInline(place);
  t.deepEqual(dumpCatalog(catalog), before);
  await succeed('regenerate', [
    '-D',
    place.store,
    '-C',
    'me',
    '-o',
    path.join(home, 'out'),
    source,
  ]);
  t.true(
    fs
      .readFileSync(path.join(home, 'out', 'tree', 'a', 'copy'))
      .equals(fs.readFileSync(path.join(source, 'a', 'large'))),
  );
});
