// Pace: slow
/** All files of a store belong to its owner, even after root has run commands on it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type CommandOptions, run, succeed, poolsStayAway } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree } from '../helpers/tree.js';

poolsStayAway();

const NOBODY = 65_534;
const nobody: CommandOptions = { uid: NOBODY };
const PASSWORD = '--password=long enough for this';
const NEXT = '--newpassword=long enough for that';

const canSwitch =
  isRoot && (await run('lstardis', ['--version'], nobody).catch(() => undefined))?.status === 0;

/** Returns the paths below a directory that do not belong to `NOBODY`. */
function strangers(directory: string): string[] {
  const found = spawnSync('find', [
    directory,
    '(',
    '!',
    '-user',
    String(NOBODY),
    '-o',
    '!',
    '-group',
    String(NOBODY),
    ')',
  ]);
  return found.stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

for (const [what, password] of [
  ['plain', []],
  ['encrypting', [PASSWORD]],
] as const) {
  test(`all that root's commands make in a store of another user belongs to him: ${what}`, async (t) => {
    if (!canSwitch) return leaveOut(t, 'left out: commands cannot run as somebody else here');
    const home = scratchInMemory(t);
    fs.chmodSync(home, 0o755);
    const store = path.join(home, 'store');
    const source = path.join(home, 'source');
    fs.mkdirSync(store);
    fs.chownSync(store, NOBODY, NOBODY);
    const large = Buffer.alloc(3 << 20, 'large');
    makeTree(source, [dir('tree', [file('one', 'one'), file('large', large)])]);
    const place = ['-D', store, '-C', 'me', ...password];
    const tree = path.join(source, 'tree');
    const runTool = async (tool: 'tardis' | 'sonic', ...words: string[]): Promise<void> => {
      await succeed(tool, words);
      t.deepEqual(strangers(store), [], `${tool} ${words.join(' ')}`);
    };
    await runTool('sonic', 'create', ...place);
    await runTool('tardis', ...place, '--local', tree);
    fs.writeFileSync(path.join(tree, 'two'), 'two');
    await runTool('tardis', ...place, '--local', tree);
    await runTool('sonic', 'delete', ...place, '--yes', '1');
    await runTool('sonic', 'orphans', ...place);
    await runTool('sonic', 'check', ...place, '--read-data');
    await runTool('sonic', 'tag', '--add', 'word', ...place, '2');
    await runTool('sonic', 'rebuild', ...place);
    fs.rmSync(path.join(store, 'me', 'format.json'));
    await runTool('sonic', 'rebuild', ...place);
    if (password.length > 0) {
      await runTool('sonic', 'rekey', ...place, '--yes');
      await runTool('sonic', 'chpass', ...place, NEXT);
    }
    fs.writeFileSync(path.join(tree, 'three'), 'three');
    const newest = password.length > 0 ? [NEXT.replace('new', '')] : [];
    const theirs = ['-D', store, '-C', 'me', ...newest];
    const env = { XDG_STATE_HOME: path.join(home, 'state'), TMPDIR: '/tmp' };
    fs.mkdirSync(env.XDG_STATE_HOME);
    fs.chownSync(env.XDG_STATE_HOME, NOBODY, NOBODY);
    spawnSync('chmod', ['-R', 'a+rX', source]);
    await succeed('tardis', [...theirs, '--local', tree], { ...nobody, env });
    await succeed('sonic', ['check', ...theirs, '--read-data'], { ...nobody, env });
  });
}
