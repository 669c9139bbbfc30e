// Pace: slow
/** `regenerate --authenticate`: restores only what the seals of the client prove. */
import fs from 'node:fs';
import test from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem, withNative } from '../helpers/inline.js';
import { lab } from '../helpers/lab.js';
import { differences, dir, file, look } from '../helpers/tree.js';

backupsRunHere();

const PASSWORD = 'a password of this test';

test.serial('--authenticate restores what is proven, and stops at anything else', async (t) => {
  const { store, source, at } = lab(t, [file('a', 'a'), dir('sub', [file('b', 'b')])]);
  process.env['XDG_STATE_HOME'] = at('state');
  const place = { store: store, client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true, password: PASSWORD });
  const before = look(source);
  // In set 2 a directory cannot be read. It appears there as in set 1, which nothing in set 2 proves.
  fs.writeFileSync(at('tree', 'sub', 'new'), 'new');
  const closed = withNative((real) => ({
    listOrHold: (directory, mostNames, identity) => {
      if (!directory.equals(Buffer.from(at('tree', 'sub')))) {
        return real.listOrHold(directory, mostNames, identity);
      }
      throw Object.assign(new Error('EACCES: closed'), { code: 'EACCES' });
    },
  }));
  await backupInline(closed, place, [source], { password: PASSWORD });
  fs.rmSync(at('tree', 'sub', 'new'));
  nodeSystem().files.makeDirectory(at('out'));
  const args = ['-D', store, '-C', 'me', `--password=${PASSWORD}`, '--authenticate'];
  await succeed('regenerate', [...args, '-b', '1', '-o', at('out', '1'), source]);
  t.deepEqual(differences(before, look(at('out', '1', 'tree'))), []);
  const doubtful = await run('regenerate', [...args, '-b', '2', '-o', at('out', '2'), source]);
  t.is(doubtful.status, 1, doubtful.stdout);
  t.regex(doubtful.stderr, /not read whole by this set.*\[NOT_PROVEN\]/);
  t.false(fs.existsSync(at('out', '2', 'tree', 'sub', 'b')), 'what is not proven stays away');
  const lenient = args.filter((word) => word !== '--authenticate');
  const reported = await run('regenerate', [...lenient, '-b', '2', '-o', at('out', '3'), source]);
  t.is(reported.status, 3, reported.stderr);
  t.regex(reported.stderr, /not read whole by this set: nothing proves which entries are there/);
  t.is(fs.readFileSync(at('out', '3', 'tree', 'sub', 'b'), 'utf8'), 'b');
});

test.serial('what has no seals is not authenticated, and nothing goes unchecked', async (t) => {
  const { store, source, at } = lab(t, [file('a', 'a')]);
  const place = { store: store, client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true });
  const args = ['-D', place.store, '-C', 'me', '-o', at('out'), source];
  const plain = exited(t, 1, await run('regenerate', ['--authenticate', ...args]));
  t.regex(plain.stderr, /does not encrypt.*\[NOT_PROVEN\]/);
  const unchecked = exited(t, 1, await run('regenerate', ['--noauthenticate', ...args]));
  t.regex(unchecked.stderr, /contents are always checked.*\[CAPABILITY_MISSING\]/);
  t.false(fs.existsSync(at('out')));
});
