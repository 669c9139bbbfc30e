// Pace: slow
/** Foreign entries in a client's directory: a check reports them, and no command fails with an internal error. */
import fs from 'node:fs';
import net from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { ownState } from '../helpers/scratch.js';

backupsRunHere();

ownState(test);

const FOUND = 3;
const WORD = '--password=long enough for this';

/** Functions that create an entry of a kind at a path. */
const KINDS = {
  file: (at: string) => fs.writeFileSync(at, 'nothing'),
  directory: (at: string) => fs.mkdirSync(at),
  link: (at: string) => fs.symlinkSync('nowhere', at),
} satisfies Record<string, (at: string) => void>;

type Made = Awaited<ReturnType<typeof client>>;

async function client(t: ExecutionContext) {
  const { store, source } = lab(t, []);
  fs.writeFileSync(path.join(source, 'file'), 'text');
  const words = ['-D', store, '-C', 'c', WORD];
  await succeed('tardis', [...words, '--create', '--local', source]);
  return { words, client: path.join(store, 'c'), source };
}

/** A check reports exactly these files, with status 3; the last line of its JSON output counts them. */
async function checkNames(t: ExecutionContext, made: Made, files: readonly string[]) {
  const check = await run('sonic', ['check', ...made.words]);
  t.is(check.status, FOUND, check.stdout + check.stderr);
  const named = [...check.stdout.matchAll(/^stray: (\S+) is /gm)].map(([, file]) => file);
  t.deepEqual(named, files);
  t.regex(check.stdout, /not belong there: find out who created/);
  const lines = jsonLines((await run('sonic', ['check', ...made.words, '--json'])).stdout);
  t.like(lines.at(-1), { finding: 'end', isClean: false, strayFiles: files.length });
  t.is(
    lines.filter((line) => (line as { finding: string }).finding === 'stray').length,
    files.length,
  );
}

/** A check through a server: its findings are sent over the connection. */
async function checkThroughServer(t: ExecutionContext, made: Made): Promise<void> {
  const [pack, copy] = [1, 9].map((number) =>
    path.join(made.client, `packs/0000000${number}.pack`),
  );
  fs.copyFileSync(pack!, copy!);
  const server = await Server.start(path.dirname(made.client));
  try {
    const check = await run('sonic', ['check', ...server.clientArgs, '-C', 'c', WORD]);
    t.is(check.status, FOUND, check.stdout + check.stderr);
    t.regex(check.stdout, /^stray: packs\/empty is a directory that does not belong there/m);
    t.regex(check.stdout, /^pack: packs\/00000009\.pack contains pack 1 of this client/m);
  } finally {
    await server.stop();
    fs.rmSync(copy!);
  }
}

test('a check names what lies among the packs and is no pack', async (t) => {
  const made = await client(t);
  const packs = path.join(made.client, 'packs');
  KINDS.file(path.join(packs, '00000001.pack.bak'));
  KINDS.directory(path.join(packs, '00000008.pack'));
  KINDS.directory(path.join(packs, 'empty'));
  KINDS.link(path.join(packs, 'link'));
  KINDS.file(path.join(packs, 'odd\u001b[31m'));
  const server = net.createServer();
  server.listen(path.join(packs, 'socket'));
  await once(server, 'listening');
  try {
    const names = ['00000001.pack.bak', '00000008.pack', 'empty', 'link', 'odd\\x1b[31m', 'socket'];
    await checkThroughServer(t, made);
    await checkNames(
      t,
      made,
      names.map((name) => `packs/${name}`),
    );
  } finally {
    server.close();
  }
  await succeed('tardis', [...made.words, '--local', made.source]);
  for (const name of fs.readdirSync(packs)) {
    if (!/^0000000[12]\.pack$/.test(name)) fs.rmSync(path.join(packs, name), { recursive: true });
  }
  await succeed('sonic', ['check', ...made.words]);
});

test('what file systems leave among the packs is no stray, and a second name of a pack is one', async (t) => {
  const made = await client(t);
  const packs = path.join(made.client, 'packs');
  KINDS.file(path.join(packs, '.nfs000000000012345600000001'));
  KINDS.file(path.join(packs, '.fuse_hidden0000000100000002'));
  KINDS.directory(path.join(packs, '@eaDir'));
  await succeed('sonic', ['check', ...made.words]);
  fs.copyFileSync(path.join(packs, '00000001.pack'), path.join(packs, '000000001.pack'));
  await checkNames(t, made, ['packs/000000001.pack']);
});

for (const name of ['lock', 'lock.wanted', 'accounts.lock', 'reserve', 'reserve.3']) {
  test(`a directory in the place of ${name} is named, and no command ends as a bug`, async (t) => {
    const made = await client(t);
    const at = path.join(made.client, name);
    fs.rmSync(at, { force: true });
    KINDS.directory(at);
    await checkNames(t, made, [name]);
    for (const [tool, ...words] of [
      ['tardis', '--local', made.source],
      ['sonic', 'orphans'],
      ['sonic', 'rebuild'],
      ['sonic', 'delete', '--yes', '1'],
    ] as const) {
      const verb = tool === 'sonic' ? words.slice(0, 1) : [];
      const rest = words.slice(verb.length);
      const ended = await run(tool, [...verb, ...made.words, ...rest]);
      t.notRegex(ended.stderr, /INTERNAL|IO_FAILED/);
      if (name === 'lock') t.is(ended.status, 1, `${tool} ${verb.join(' ')}`);
      if (ended.status === 1 && /STORE_UNSAFE/.test(ended.stderr)) {
        t.regex(ended.stderr, new RegExp(`/c/${name}`));
        t.regex(ended.stderr, /Find out who created the file that is named, and remove it/);
      }
    }
    fs.rmdirSync(at);
    await succeed('tardis', [...made.words, '--local', made.source]);
    await succeed('sonic', ['check', ...made.words]);
  });
}
