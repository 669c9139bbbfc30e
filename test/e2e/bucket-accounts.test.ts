// Pace: long
/** Accounts of a client in a bucket: made on one machine, used at every server, and taken. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  jsonLines,
  type Outcome,
  poolsStayAway,
  run,
} from '../helpers/commands.js';
import { differences, file, look, makeTree, noise } from '../helpers/tree.js';
import { pause, until } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const OWN_PASSWORD = 'the words of the account';

interface Lab {
  readonly lab: ServedLab;
  /** The client's owner, and its password on machines with the access key. */
  readonly me: NodeClient;
  readonly words: readonly string[];
  /** Runs `sonic account` on a machine with the access key. */
  account(machine: string, ...args: string[]): Promise<Outcome>;
}

async function labOf(t: ExecutionContext, args: readonly string[] = []): Promise<Lab> {
  const lab = await ServedLab.start(t);
  makeTree(lab.source, [file('letter', 'x'), file('large', noise(1, 300_000))]);
  const me = new NodeClient(lab, 'me');
  fs.writeFileSync(lab.at('own'), OWN_PASSWORD, { mode: 0o600 });
  const words = ['--password-file', lab.at('me.secret')];
  await lab.backUp('laptop', [...words, '--create', ...args]);
  const account = (machine: string, ...more: string[]): Promise<Outcome> =>
    lab.run(machine, 'sonic', ['account', ...words, '--newpassword-file', lab.at('own'), ...more]);
  return { lab, me, words, account };
}

test('an account that is made on one machine is used at every server, as far as its rights go', async (t) => {
  const { lab, me, words, account } = await labOf(t);
  const as = asAccount(lab);
  const [one, two] = [await startNode(t, lab, 'one'), await startNode(t, lab, 'two')];
  t.is(codeIn(await as(one.clientArgs, 'reader', 'lstardis')), 'LOGIN_FAILED');
  t.is((await account('laptop', '--add', 'reader', '--rights', 'list,read')).status, 0);
  t.is((await account('desk', '--add', 'adder', '--rights', 'add')).status, 0);
  const listed = await account('laptop', '--json');
  t.deepEqual(jsonLines<{ accounts: unknown }>(listed.stdout)[0]!.accounts, [
    { name: 'adder', rights: ['add'] },
    { name: 'reader', rights: ['read', 'list'] },
  ]);
  t.is(codeIn(await account('desk', '--add', 'reader', '--rights', 'list')), 'USAGE');
  await pause(2100); // a look before a login counts for two seconds
  for (const server of [one, two]) {
    const to = server.clientArgs;
    const output = lab.at(`out-${server.port}`);
    t.is((await as(to, 'reader', 'regenerate', lab.source, '-o', output)).status, 0);
    t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);
    t.is(codeIn(await as(to, 'reader', 'tardis', lab.source)), 'NOT_PERMITTED');
    fs.writeFileSync(path.join(lab.source, `at-${server.port}`), 'x');
    exited(t, 0, await as(to, 'adder', 'tardis', lab.source));
    t.is(codeIn(await as(to, 'adder', 'lstardis')), 'NOT_PERMITTED');
    t.is(codeIn(await as(to, 'nobody', 'lstardis')), 'LOGIN_FAILED');
  }
  t.is((await me.sets(two.clientArgs)).length, 3);
  // A machine with the access key opens the client as the account, too.
  const own = ['--account', 'reader', '--password-file', lab.at('own')];
  t.is((await lab.run('desk', 'lstardis', own)).status, 0);
  t.is((await account('laptop', '--change', 'adder', '--rights', 'list')).status, 0);
  t.is((await account('laptop', '--remove', 'reader')).status, 0);
  t.is(codeIn(await lab.run('desk', 'lstardis', own)), 'NO_SUCH_ACCOUNT');
  for (const server of [one, two]) {
    const to = server.clientArgs;
    await until(async () => (await as(to, 'reader', 'lstardis')).status === 12);
    t.is((await as(to, 'adder', 'lstardis')).status, 0, 'a login has the new rights');
    t.is(codeIn(await as(to, 'adder', 'tardis', lab.source)), 'NOT_PERMITTED');
  }
  // New keys leave no account, as in a directory.
  const rekey = ['rekey', ...words, '--yes'];
  exited(t, 0, await lab.run('laptop', 'sonic', rekey));
  const left = await account('desk', '--json', '--trust-store');
  t.deepEqual(jsonLines<{ accounts: unknown }>(left.stdout)[0]!.accounts, [], left.stderr);
  // A list that nobody can use is named by a check, and keeps accounts out, not the owner.
  const list = 'all/c/me/accounts/0000000005.json';
  lab.server.objects.put(list, Buffer.from('{}'), {});
  const check = exited(t, 3, await lab.run('laptop', 'sonic', ['check', ...words]));
  t.regex(check.stdout, /^unreadable: the object c\/me\/accounts\/0000000005.json /m);
  t.is(codeIn(await account('laptop', '--add', 'later', '--rights', 'list')), 'ACCOUNTS_DAMAGED');
  t.is((await lab.run('laptop', 'lstardis', words)).status, 0);
  lab.server.objects.remove(list);
  t.is((await lab.run('laptop', 'sonic', ['check', ...words])).status, 0);
});

function asAccount(lab: ServedLab) {
  const env = { XDG_STATE_HOME: lab.at('own-state'), XDG_CACHE_HOME: lab.at('own-cache') };
  const words = ['-C', 'me', '--password-file', lab.at('own'), '--account'];
  return (
    to: readonly string[],
    name: string,
    tool: 'tardis' | 'lstardis' | 'regenerate',
    ...more: string[]
  ): Promise<Outcome> => run(tool, [...more, ...to, ...words, name], { env });
}
