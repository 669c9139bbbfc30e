// Pace: long
/** A FIFO in place of a file of the store blocks no command; opening it would wait for the other end. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, run, Server, succeed, poolsStayAway } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun, partOf, share } from '../helpers/share.js';
import { file } from '../helpers/tree.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();
poolsStayAway();

const PASSWORD = '--password=long enough for this';
/** Milliseconds for one command, far more than any of them takes here. */
const TIMEOUT_MS = 60_000;
const FILES = [
  'lock',
  'format.json',
  'reserve',
  'tardis.db-journal',
  'tardis.db-wal',
  'tardis.db-sums',
  'packs/00000001.pack',
  'keys/00000001.key',
  'packs/keys/00000001.key',
];

async function prepared(t: ExecutionContext, password: readonly string[]) {
  const { store, source } = lab(t, [file('one', 'one')]);
  for (const client of ['me', 'healthy']) {
    await succeed('tardis', [
      '-D',
      store,
      '-C',
      client,
      ...password,
      '--local',
      '--create',
      source,
    ]);
  }
  return { store, source, password };
}

/** Replaces a file of a client by a FIFO while `work` runs. */
async function withPipe(at: string, work: () => Promise<void>): Promise<void> {
  const isThere = fs.existsSync(at);
  if (!fs.existsSync(path.dirname(at))) return;
  if (isThere) fs.renameSync(at, `${at}-aside`);
  spawnSync('mkfifo', [at]);
  try {
    await work();
  } finally {
    fs.rmSync(at, { force: true });
    if (isThere) fs.renameSync(`${at}-aside`, at);
  }
}

for (const password of [[], [PASSWORD]]) {
  const kind = password.length === 0 ? 'plain' : 'encrypting';
  test(`a pipe in place of a file of a client holds no command up: ${kind}`, async (t) => {
    t.timeout(20 * TIMEOUT_MS);
    const { store, source } = await prepared(t, password);
    const place = ['-D', store, '-C', 'me', ...password];
    const commands = [
      ['tardis', ...place, '--local', source],
      ['lstardis', ...place],
      ['regenerate', ...place, '-o', path.join(store, '..', 'out'), source],
      ['sonic', 'check', ...place],
      ['sonic', 'clients', '-D', store],
      ['sonic', 'rebuild', ...place],
    ] as ['tardis', ...string[]][];
    const there = FILES.filter((name) => fs.existsSync(path.dirname(path.join(store, 'me', name))));
    const cases = there.flatMap((name) => commands.map((command) => ({ name, command })));
    const kinds = ({ name, command }: (typeof cases)[number]): string[] => [
      name,
      `${command[0]} ${command[1]}`,
    ];
    for (const { name, command } of ofThisRun(cases, kinds)) {
      await withPipe(path.join(store, 'me', name), async () => {
        const [tool, ...words] = command;
        const { stderr } = await run(tool, words, { timeoutMs: TIMEOUT_MS });
        t.notRegex(stderr, /INTERNAL|USAGE/, `${name}: ${tool} ${words[0]}`);
      });
    }
  });
}

test('a pipe in the directory of one client stops no server', async (t) => {
  t.timeout(20 * TIMEOUT_MS);
  const { store } = await prepared(t, [PASSWORD]);
  const server = await Server.during(t, store);
  const names = [...FILES.map((name) => path.join('me', name)), '.login/keys/00000001.key'];
  for (const name of partOf(names, 10 * share, seededRandom(seed))) {
    await withPipe(path.join(store, name), async () => {
      for (const client of ['me', 'unheard', 'healthy']) {
        const args = [...server.clientArgs, '-C', client, PASSWORD];
        const { status } = await run('lstardis', args);
        if (client === 'healthy') t.is(status, 0, name);
      }
    });
  }
});
