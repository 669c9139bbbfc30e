/** Places of stores and copies: where something new is made, and where nothing is. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn } from '../helpers/codes.js';
import { backup, backupsRunHere, type Outcome, run, type Tool } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { file, makeTree } from '../helpers/tree.js';

backupsRunHere();

/** A tree, a store with one set of it, and a working directory in which nothing may appear. */
interface Lab {
  readonly source: string;
  readonly own: readonly string[];
  at(name: string): string;
  run(tool: Tool, ...words: readonly string[]): Promise<Outcome>;
}

async function lab(t: ExecutionContext): Promise<Lab> {
  const home = scratchInMemory(t);
  const at = (name: string): string => path.join(home, name);
  makeTree(at('tree'), [file('a', 'a')]);
  fs.mkdirSync(at('here'));
  const own = ['-D', at('store'), '-C', 'me'];
  await backup([...own, '--local', '--create', at('tree')]);
  return {
    source: at('tree'),
    own,
    at,
    run: (tool, ...words) => run(tool, words, { cwd: at('here'), isProcess: true }),
  };
}

test('an address of another kind is no directory, whichever option, variable or key has it', async (t) => {
  const { source, own, at, run: tool } = await lab(t);
  const config = at('client.cfg');
  const withKey = (key: string, value: string): string[] => {
    fs.writeFileSync(config, `[Tardis]\nClient = me\n${key} = ${value}\n`);
    return ['--config', config];
  };
  const local = ['--local', '--create', source];
  const tries: readonly (readonly [string, () => Promise<Outcome>])[] = [
    ['-D', () => tool('tardis', '-C', 'me', '-D', 'user@host:/backup', ...local)],
    ['empty', () => tool('tardis', '-C', 'me', '-D', '', ...local)],
    ['further -D', () => tool('tardis', ...own, '-D', 'sftp:host:/x', '--local', source)],
    ['--also-to', () => tool('tardis', ...own, '--also-to', 's3:bucket/z', '--local', source)],
    ['--to', () => tool('sonic', 'copy', ...own, '--to', 'https://host/x')],
    ['--to', () => tool('sonic', 'copy', ...own, '--all', '--to', 's3//bucket/z')],
    ['Database', () => tool('tardis', ...withKey('Database', '~/st'), ...local)],
    ['AlsoTo', () => tool('tardis', ...own, ...withKey('AlsoTo', 'remote:x'), '--local', source)],
    ['relative', () => tool('tardis', ...own, ...withKey('AlsoTo', 'copy'), '--local', source)],
    ['create', () => tool('sonic', 'create', '-C', 'me', '-D', 'file:///x')],
    ['server', () => tool('tardisd', '-D', 'C:\\backup')],
  ];
  for (const [what, attempt] of tries) {
    const failed = await attempt();
    t.is(failed.status, 1, `${what}: ${failed.stderr}`);
    t.is(codeIn(failed), 'CONFIG_INVALID', what);
  }
  t.deepEqual(fs.readdirSync(at('here')), []);
});
