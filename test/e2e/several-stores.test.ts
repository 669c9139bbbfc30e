// Pace: slow
/** Backups to several stores of this machine, to a bucket, and to another machine. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KEY_VARIABLES } from '../helpers/buckets.js';
import { codeIn, exited } from '../helpers/codes.js';
import { BIN, backupsRunHere, jsonLines, type Outcome, run, succeed } from '../helpers/commands.js';
import { restoredBy } from '../helpers/lab.js';
import { RUNS_IT, sshProgram } from '../helpers/ssh.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, noise, text } from '../helpers/tree.js';
import { BUCKET, S3Server } from '../support/s3-server.js';
import { openClientDirectory, readRuns } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';

interface Result {
  readonly set: number;
  readonly progress: { readonly filesRead: number };
  readonly copies: readonly {
    readonly to: string;
    readonly sets?: readonly number[];
    readonly error?: { readonly code: string };
  }[];
}

/** A tree, and places for stores. */
class Lab {
  readonly home: string;
  readonly source: string;

  constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
    this.source = this.at('tree');
    makeTree(this.source, [dir('docs', [file('a', text(1, 5000))]), file('b', noise(2, 300_000))]);
  }

  at(name: string): string {
    return path.join(this.home, name);
  }

  run(args: readonly string[], options: { env?: Record<string, string> } = {}): Promise<Outcome> {
    return run('tardis', ['-C', 'me', '--local', ...args, this.source], options);
  }

  /** Runs a backup, and returns its JSON. */
  async result(args: readonly string[], status = 0): Promise<Result> {
    const ended = await this.run([...args, '--json']);
    if (ended.status !== status) throw new Error(`${ended.status}: ${ended.stdout}${ended.stderr}`);
    return jsonLines<Result>(ended.stdout)[0]!;
  }

  /** Restores the newest set of a store, and returns how it differs from the tree. */
  async restored(store: string, args: readonly string[] = []): Promise<string[]> {
    const output = fs.mkdtempSync(this.at('out-'));
    const from = ['-D', store, '-C', 'me', ...args];
    return restoredBy(from, this.source, output);
  }
}

test('a backup goes to several stores, and files are read once', async (t) => {
  const lab = new Lab(t);
  const [one, two, three] = [lab.at('one'), lab.at('two'), lab.at('three')];
  const stores = ['-D', one, '-D', two, '--also-to', three];
  const first = await lab.result(['--create', ...stores]);
  t.is(first.progress.filesRead, 2);
  t.deepEqual(
    first.copies.map(({ to, sets }) => ({ to, sets })),
    [
      { to: two, sets: [1] },
      { to: three, sets: [1] },
    ],
  );
  fs.appendFileSync(path.join(lab.source, 'b'), 'more');
  const second = await lab.result(stores);
  t.deepEqual(
    second.copies.map(({ sets }) => sets),
    [[2], [2]],
  );
  for (const store of [one, two, three]) {
    t.deepEqual(await lab.restored(store), []);
    await succeed('sonic', ['check', '-D', store, '-C', 'me', '--read-data']);
  }
});

test('a backup goes to another machine by ssh too, also if its connection is cut in the middle of the copy', async (t) => {
  const lab = new Lab(t);
  const [one, far, cut] = [lab.at('one'), lab.at('far'), lab.at('cut')];
  const [first, ...others] = RUNS_IT.split('\n');
  const cuts = `${first}\nif [ -e '${cut}' ]; then rm '${cut}'; dd bs=64k count=60 2>/dev/null | PATH='${BIN}':$PATH sh -c "$last"; exit 255; fi`;
  const env = sshProgram(t, [cuts, ...others].join('\n'));
  const stores = ['-D', one, '--also-to', `ssh://nas${far}`, `--password=${SECRET}`];
  const made = exited(t, 0, await lab.run(['--create', ...stores], { env }));
  t.regex(made.stdout, /"me" to ssh:\/\/nas\/.*: 1 set, .*; the copy has 1 set/);
  fs.writeFileSync(path.join(lab.source, 'large'), noise('large', 12 << 20));
  fs.writeFileSync(cut, '');
  const next = exited(t, 0, await lab.run([...stores, '--json'], { env }));
  t.false(fs.existsSync(cut));
  t.regex(next.stderr, /connection lost, trying again/);
  const [{ copies }] = jsonLines<Result>(next.stdout) as [Result];
  t.deepEqual(copies, [{ ...copies[0]!, to: `ssh://nas${far}`, sets: [2] }]);
  t.deepEqual(await lab.restored(far, [`--password=${SECRET}`]), []);
  fs.rmSync(far, { recursive: true });
  const away = exited(t, 3, await lab.run(stores, { env }));
  t.regex(away.stderr, /was not copied to ssh:.*NO_SUCH_STORE.* copy --create --to-server/);
});

test('a store that cannot be reached is caught up by the next backup, and the others get theirs', async (t) => {
  const lab = new Lab(t);
  const [one, two, three] = [lab.at('one'), lab.at('disk/two'), lab.at('three')];
  const stores = ['-D', one, '-D', two, '-D', three];
  fs.mkdirSync(lab.at('disk'));
  await lab.result(['--create', ...stores]);
  fs.renameSync(lab.at('disk'), lab.at('unmounted'));
  fs.mkdirSync(lab.at('disk'));
  const failed = await lab.result(stores, 3);
  t.deepEqual(
    failed.copies.map(({ error, sets }) => error?.code ?? sets),
    ['NO_SUCH_STORE', [2]],
  );
  const reported = exited(t, 3, await lab.run(stores));
  t.regex(reported.stderr, /the backup was not copied to .*disk\/two: .*; the next run does it/);
  t.regex(reported.stdout, /Backup set 3 .* is complete/);
  t.deepEqual(fs.readdirSync(lab.at('disk')), []);
  fs.rmdirSync(lab.at('disk'));
  fs.renameSync(lab.at('unmounted'), lab.at('disk'));
  const { copies } = await lab.result(stores);
  t.deepEqual(
    copies.map(({ sets }) => sets),
    [[2, 3, 4], [4]],
  );
  t.deepEqual(await lab.restored(two), []);
  const system = nodeSystem();
  const runs = await readRuns(system, openClientDirectory(system, { store: one, client: 'me' }));
  t.deepEqual(
    runs.flatMap(({ kind, end, code, numbers }) =>
      kind === 'copy' ? [[end, code ?? numbers.sets]] : [],
    ),
    [
      ['done', 1],
      ['done', 1],
      ['failed', 'NO_SUCH_STORE'],
      ['done', 1],
      ['failed', 'NO_SUCH_STORE'],
      ['done', 1],
      ['done', 3],
      ['done', 1],
    ],
  );
});

test('AlsoTo names a bucket and a directory, for a client that encrypts', async (t) => {
  const server = await S3Server.during(t, {});
  const lab = new Lab(t);
  const bucket = `s3://${BUCKET}/copies`;
  const password = lab.at('password');
  fs.writeFileSync(password, SECRET, { mode: 0o600 });
  const config = lab.at('client.cfg');
  fs.writeFileSync(
    config,
    `[Tardis]\nDatabase = ${lab.at('one')}\nAlsoTo = ${bucket}, ${lab.at('two')}\n`,
  );
  const env = {
    ...KEY_VARIABLES,
    TARDIS_ENDPOINT: server.url,
    XDG_CACHE_HOME: lab.at('cache'),
    XDG_STATE_HOME: lab.at('state'),
  };
  const key = ['--password-file', password];
  for (const more of [['--create', '--crypt'], []]) {
    exited(t, 0, await lab.run(['--config', config, ...key, ...more], { env }));
  }
  t.deepEqual(await lab.restored(lab.at('two'), key), []);
  const elsewhere = {
    ...env,
    XDG_CACHE_HOME: lab.at('cache-2'),
    XDG_STATE_HOME: lab.at('state-2'),
  };
  const output = lab.at('out');
  const words = ['-D', bucket, '-C', 'me', ...key, lab.source, '-o', output];
  await succeed('regenerate', words, { env: elsewhere });
  t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);
});

test('copies are made of a store of this machine, and not into itself', async (t) => {
  const lab = new Lab(t);
  const one = lab.at('one');
  const same = await lab.run(['--create', '-D', one, '-D', one]);
  t.is(codeIn(same), 'USAGE');
  t.false(fs.existsSync(path.join(one, 'me')));
  fs.mkdirSync(one);
  fs.symlinkSync(one, lab.at('link'));
  const linked = await lab.run(['--create', '-D', one, '-D', lab.at('link')]);
  t.regex(linked.stderr, /link is the first store/);
  const remote = await run('tardis', [
    '-C',
    'me',
    '--server',
    'localhost',
    '-D',
    one,
    '-D',
    one,
    lab.source,
  ]);
  t.regex(remote.stderr, /give --local/);
});
