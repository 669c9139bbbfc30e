// Pace: slow
/** Places that the system refuses: each error names the right place, and advises on that one. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  backup,
  backupsRunHere,
  type CommandOptions,
  run,
  type Tool,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { file, isRoot } from '../helpers/tree.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();

const NOBODY = 65_534;
const AS_NOBODY: CommandOptions = { uid: NOBODY };

interface Place {
  readonly top: string;
  readonly store: string;
  readonly source: string;
  readonly own: readonly string[];
  /** A directory of root that others may read. */
  readonly closed: string;
}

/** Makes a store of root that others may read, and a tree of all. */
async function newPlace(t: ExecutionContext): Promise<Place> {
  const { home: top, store, source, at } = lab(t, [file('a', 'a')]);
  const closed = at('closed');
  fs.chmodSync(top, 0o755);
  fs.mkdirSync(closed);
  const own = ['-D', store, '-C', 'me'];
  await backup([...own, '--local', '--create', source]);
  spawnSync('chmod', ['-R', 'a+rX', store]);
  return { top, store: store, source: source, own, closed: closed };
}

/** Checks the code of a command that fails, and that its message names the place and its advice not another one. */
async function refused(
  t: ExecutionContext,
  [tool, ...args]: readonly [Tool, ...string[]],
  code: string,
  named: string,
  options: CommandOptions = AS_NOBODY,
): Promise<void> {
  const { status, stderr } = await run(tool, args, options);
  t.is(status, 1, `${tool} ${args.join(' ')}\n${stderr}`);
  const [message = '', advice = ''] = stderr
    .split('\n')
    .filter((line) => line.startsWith(`${tool}: `));
  t.true(message.endsWith(` [${code}]`), stderr);
  t.true(message.includes(named), stderr);
  if (!code.startsWith('STORE_')) t.notRegex(advice, /owner and mode of the store/, stderr);
}

/** True if an unprivileged user can run the commands of this checkout; logs it if not. */
async function canNobodyRun(t: ExecutionContext): Promise<boolean> {
  const { status } = await run('lstardis', ['--version'], AS_NOBODY);
  if (status !== 0) t.log('left out: the checkout cannot be read by others');
  else t.pass();
  return status === 0;
}

const testAsRoot = isRoot ? test : undefined;

testAsRoot?.(
  'a store that may not be read is not called one that may not be written',
  async (t) => {
    if (!(await canNobodyRun(t))) return;
    const { store, own } = await newPlace(t);
    const catalog = path.join(store, 'me', 'tardis.db');
    fs.chmodSync(catalog, 0o600);
    await refused(t, ['lstardis', ...own], 'STORE_NOT_READABLE', catalog);
    fs.chmodSync(catalog, 0o644);
    fs.chmodSync(store, 0o711);
    await refused(t, ['sonic', 'clients', '-D', store], 'STORE_NOT_READABLE', store);
  },
);

testAsRoot?.(
  'files beside the store that may not be used are not called a part of it',
  async (t) => {
    if (!(await canNobodyRun(t))) return;
    const { top, source, own, closed } = await newPlace(t);
    const secret = path.join(top, 'secret');
    fs.writeFileSync(secret, 'secret', { mode: 0o600 });
    const password = written(top, 'password', 'correct horse');
    const safe = ['-D', path.join(top, 'safe'), '-C', 'safe', '-F', password];
    await backup([...safe, '--local', '--create', source]);
    spawnSync('chown', ['-R', `${NOBODY}`, path.join(top, 'safe')]);
    await refused(t, ['lstardis', ...safe.slice(0, 4), '-F', secret], 'CONFIG_INVALID', secret);
    await refused(t, ['lstardis', ...safe, '--keys', secret], 'ACCESS_REFUSED', secret);
    const sheet = path.join(closed, 'sheet.pdf');
    await refused(t, ['sonic', 'keys', ...safe, '--pdf', sheet], 'TARGET_NOT_WRITABLE', sheet);
    await refused(
      t,
      ['tardis', ...own, '--local', '--logfile', `${closed}/log`, source],
      'CONFIG_INVALID',
      closed,
    );
    await refused(
      t,
      ['regenerate', ...own, '-o', `${closed}/x`, source],
      'TARGET_NOT_WRITABLE',
      closed,
    );
    await refused(
      t,
      ['regenerate', ...own, '--tar', `${closed}/x.tar`, source],
      'TARGET_NOT_WRITABLE',
      closed,
    );
    const elsewhere: CommandOptions = { ...AS_NOBODY, env: { TMPDIR: closed } };
    await refused(t, ['sonic', 'check', ...own], 'CONFIG_INVALID', 'TMPDIR', elsewhere);
  },
);

testAsRoot?.('an archive over an immutable file is an error of the target', async (t) => {
  const { top, source, own } = await newPlace(t);
  const archive = written(top, 'a.tar', 'mine');
  if (spawnSync('chattr', ['+i', archive]).status !== 0) {
    t.log('left out: the file system has no flags');
    return t.pass();
  }
  t.teardown(() => void spawnSync('chattr', ['-i', archive]));
  const words = ['--tar', archive, '--overwrite=always', source];
  await refused(t, ['regenerate', ...own, ...words], 'TARGET_NOT_WRITABLE', archive, {});
  t.deepEqual(
    fs.readdirSync(top).filter((name) => name.startsWith('.tardis-')),
    [],
  );
});
