// Pace: long
/** Accounts of a client in a bucket, with passwords and tokens: made on one machine, used at every server, and taken. */
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { FarClient, startNode } from '../helpers/bucket-nodes.js';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import {
  backupsRunHere,
  jsonLines,
  type Outcome,
  pause,
  poolsStayAway,
  run,
  Running,
  until,
} from '../helpers/commands.js';
import { differences, file, look, makeTree, noise } from '../helpers/tree.js';
import type { S3Fault } from '../support/s3-faults.js';

backupsRunHere();
poolsStayAway();

const OWN_PASSWORD = 'the words of the account';

interface Lab {
  readonly lab: ServedLab;
  /** The client's owner, and its password on machines with the access key. */
  readonly me: FarClient;
  readonly words: readonly string[];
  goAway(isAway: boolean): void;
  /** Runs `sonic account` on a machine with the access key. */
  account(machine: string, ...args: string[]): Promise<Outcome>;
}

async function labOf(t: ExecutionContext, args: readonly string[] = []): Promise<Lab> {
  let fault: S3Fault | undefined;
  const lab = await ServedLab.start(t, { faultAt: () => fault });
  makeTree(lab.source, [file('letter', 'x'), file('large', noise(1, 300_000))]);
  const me = new FarClient(lab, 'me');
  fs.writeFileSync(lab.at('own'), OWN_PASSWORD, { mode: 0o600 });
  const words = ['--password-file', lab.at('me.secret')];
  await lab.backUp('laptop', [...words, '--create', ...args]);
  const account = (machine: string, ...more: string[]): Promise<Outcome> =>
    lab.run(machine, 'sonic', ['account', ...words, '--newpassword-file', lab.at('own'), ...more]);
  const goAway = (isAway: boolean): void => void (fault = isAway ? 'drop' : undefined);
  return { lab, me, words, goAway, account };
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
    const added = await as(to, 'adder', 'tardis', lab.source);
    t.is(added.status, 0, added.stderr);
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
  const done = await lab.run('laptop', 'sonic', rekey);
  t.is(done.status, 0, done.stderr);
  const left = await account('desk', '--json', '--trust-store');
  t.deepEqual(jsonLines<{ accounts: unknown }>(left.stdout)[0]!.accounts, [], left.stderr);
  // A list that nobody can use is named by a check, and keeps accounts out, not the owner.
  const list = 'all/c/me/accounts/0000000005.json';
  lab.server.objects.put(list, Buffer.from('{}'), {});
  const check = await lab.run('laptop', 'sonic', ['check', ...words]);
  t.is(check.status, 3, check.stdout);
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

/** Returns the status of a request with a token. */
function statusOf(url: string, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const options = { headers, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const request = https.get(`${url}api/v1/clients/me/sets`, options, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.on('error', reject);
  });
}

test('a token that is made on one machine logs in to a tardisremote on the bucket, until it is removed', async (t) => {
  const { lab, account, goAway } = await labOf(t);
  const made = await account('laptop', '--add', 'bot', '--rights', 'list', '--token', '--json');
  const { token } = jsonLines<{ token: string }>(made.stdout)[0]!;
  for (const key of lab.server.objects.keys()) {
    t.false(lab.server.objects.bytesOf(key)!.includes(token.split('/')[2]!), key);
  }
  const words = ['-D', STORE, '--port', '0', '--address', '127.0.0.1', '--json', '--ssl'];
  const files = [
    '--certfile',
    lab.at('cert.pem'),
    '--keyfile',
    lab.at('key.pem'),
    '--make-certificate',
  ];
  const remote = new Running('tardisremote', [...words, ...files], { env: lab.on('web') });
  t.teardown(() => remote.signalGroup('SIGKILL'));
  await remote.until('its line', () => remote.stdout.includes('\n'));
  const { ready } = JSON.parse(remote.stdout) as { ready: string };
  t.is(await statusOf(ready, token), 200);
  t.is(await statusOf(ready, `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), 401);
  goAway(true);
  await until(async () => (await statusOf(ready, token)) === 503);
  goAway(false);
  await until(async () => (await statusOf(ready, token)) === 200);
  t.is((await account('desk', '--remove', 'bot')).status, 0);
  await until(async () => (await statusOf(ready, token)) === 401);
  remote.signal('SIGTERM');
  t.is((await remote.ended).status, 0);
});
