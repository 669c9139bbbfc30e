// Pace: slow
/**
 * Files of a client that have no second copy: the effect of their loss or damage, and the command that heals it
 * (docs/damage/recovery.md, the table).
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { flipAt } from '../helpers/rot.js';
import { type Lab, lab, restoredBy } from '../helpers/lab.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const NEXT = 'kelp-Sundry7-mulch';

interface Client extends Lab {
  readonly all: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  inClient(...names: string[]): string;
}

async function client(t: ExecutionContext): Promise<Client> {
  const made = lab(t);
  const all = [...made.place, `--password=${SECRET}`];
  const env = { XDG_STATE_HOME: made.at('state') };
  await succeed('tardis', [...all, '--local', '--create', made.source], { env });
  return { ...made, all, env, inClient: (...names) => path.join(made.store, 'me', ...names) };
}

type Spoil = 'removed' | 'changed';

function spoil(file: string, how: Spoil, at: number): void {
  if (how === 'removed') fs.rmSync(file, { recursive: true });
  else flipAt(file, at, 1);
}

/** Checks that all can be restored, that a backup succeeds, and that a check finds nothing wrong. */
async function isWell(t: ExecutionContext, { all, env, at, source, place }: Client): Promise<void> {
  fs.writeFileSync(path.join(source, 'later'), 'later');
  await succeed('tardis', [...all, '--local', source], { env });
  t.deepEqual(await restoredBy(all, source, at('back'), { env }), []);
  await succeed('sonic', ['check', ...place], { env });
}

/**
 * The file, the place of a byte in it, the error of a backup until it is healed (undefined: none), and the command that
 * heals it.
 */
const ROWS: readonly [string, number, string | undefined, readonly string[] | undefined][] = [
  ['format.json', 10, 'FORMAT_DAMAGED', ['rebuild']],
  ['lock', 0, undefined, undefined],
  ['tardis.db', 40, 'CATALOG_DAMAGED', ['rebuild']],
  ['tardis.db-sums', 14, undefined, ['check']],
  ['keys/00000001.key', 300, undefined, undefined],
  ['packs/keys/00000001.key', 300, undefined, undefined],
  ['reserve', 5, undefined, undefined],
];

for (const [name, at, code, heals] of ROWS) {
  for (const how of ['removed', 'changed'] as const) {
    if (name === 'lock' && how === 'changed') continue; // the file is empty
    test(`${name} that is ${how} costs what the table has, and is healed as it has`, async (t) => {
      const made = await client(t);
      const { inClient, all, env, source, place } = made;
      spoil(inClient(name), how, at);
      const isMade = name === 'tardis.db' && how === 'removed'; // the next backup makes it
      const tried = await run('tardis', [...all, '--local', source], { env });
      if (code === undefined || isMade) t.is(tried.status, 0, tried.stderr);
      else t.regex(tried.stderr, new RegExp(`\\[${code}\\]`));
      if (heals !== undefined) await succeed('sonic', [...heals, ...place], { env });
      await isWell(t, made);
      t.true(fs.existsSync(inClient(name)));
    });
  }
}

test('a client whose memory of seals is lost on its machine is read and written, and one that is damaged is made anew by --trust-store', async (t) => {
  const made = await client(t);
  const folder = made.at('state', 'tardis', 'seals');
  const [name] = fs.readdirSync(folder);
  flipAt(path.join(folder, name!), 3, 6);
  const refused = await run('lstardis', made.all, { env: made.env });
  t.regex(refused.stderr, /\[MEMORY_DAMAGED\]/);
  await succeed('lstardis', ['--trust-store', ...made.all], { env: made.env });
  await isWell(t, made);
  fs.rmSync(folder, { recursive: true });
  fs.rmSync(made.at('back'), { recursive: true });
  await isWell(t, made);
});

test('an account whose rights are lost or damaged does nothing, and gets them again', async (t) => {
  const { all, place, inClient, source, env } = await client(t);
  const add = [
    'account',
    ...all,
    '--add',
    'reader',
    '--rights',
    'list,read',
    `--newpassword=${NEXT}`,
  ];
  await succeed('sonic', add, { env });
  const reader = [...place, '--account', 'reader', `--password=${NEXT}`, source];
  await succeed('lstardis', reader, { env });
  flipAt(inClient('accounts', 'reader', 'rights'), 0, 1);
  t.regex((await run('lstardis', reader, { env })).stderr, /\[ACCOUNT_INVALID\]/);
  await succeed('sonic', ['account', ...all, '--change', 'reader', '--rights', 'list,read'], {
    env,
  });
  await succeed('lstardis', reader, { env });
  fs.rmSync(inClient('accounts', 'reader', 'rights'));
  t.regex((await run('lstardis', reader, { env })).stderr, /\[NO_SUCH_ACCOUNT\]/);
  await succeed('sonic', add, { env });
  await succeed('lstardis', reader, { env });
});

test('settings of a client, tags and locks are in the packs, and a rebuild has them', async (t) => {
  const { all, place, inClient, env } = await client(t);
  await succeed('sonic', ['tag', '--add', 'kept', ...all, '1'], { env });
  const reported = async (): Promise<string> => succeed('lstardis', [...all, '--json'], { env });
  const before = await reported();
  t.true(before.includes('kept'));
  fs.rmSync(inClient('tardis.db'));
  await succeed('sonic', ['rebuild', ...place], { env });
  t.is(await reported(), before);
});
