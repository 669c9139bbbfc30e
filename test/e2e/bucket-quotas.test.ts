// Pace: slow
/** Quotas of accounts in a bucket: the clients of an account count together, wherever they back up. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import {
  backupsRunHere,
  jsonLines,
  type Outcome,
  poolsStayAway,
  run,
} from '../helpers/commands.js';
import { noise } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
/** Records of the server's own, and heads, that a session counts otherwise than a list of the bucket. */
const SLACK_BYTES = 64 << 10;
/** Time after which no server goes by an earlier look at the accounts. */
const LOOK_MS = 2001;

interface Report {
  readonly quotaBytes?: number;
  readonly usedBytes: number;
}

function reportOf(
  t: { is(one: unknown, other: unknown, what?: string): void },
  done: Outcome,
): Report {
  t.is(done.status, 0, done.stderr);
  return JSON.parse(done.stdout) as Report;
}

test('a quota covers the clients of an account at all servers of a bucket', async (t) => {
  const lab = await ServedLab.grown(t);
  const folder = lab.at('accounts');
  fs.mkdirSync(folder);
  const putFiles = (): Promise<Outcome> =>
    run('sonic', ['bucket', '-D', STORE, '--accounts', folder, '--json'], { env: lab.on('desk') });
  const codeOfGiven = async (...given: Parameters<typeof give>): Promise<string | undefined> =>
    (jsonLines((await give(...given)).stdout)[0] as { error?: { code: string } }).error?.code;
  const give = async (lines: string, file = 'office'): Promise<Outcome> => {
    fs.writeFileSync(path.join(folder, file), lines);
    return putFiles();
  };
  const listedBytes = (client: string): number =>
    lab.server.objects
      .keys()
      .filter((key) => key.includes(`/c/${client}/`) && !key.includes('/snap/'))
      .reduce((sum, key) => sum + lab.server.objects.bytesOf(key)!.length, 0);
  const [one, two] = [await startNode(t, lab, 'one'), await startNode(t, lab, 'two')];
  const [me, you] = [new NodeClient(lab, 'me'), new NodeClient(lab, 'you')];
  const other = lab.at('other');
  fs.mkdirSync(other);
  fs.writeFileSync(path.join(other, 'large'), noise(77, 2 * MIB));

  t.is(await codeOfGiven('SpaceQuota: much\nTargets: me\n'), 'CONFIG_INVALID');
  const given = await give('SpaceQuota: 6M\nTargets: me you\n');
  t.deepEqual(jsonLines(given.stdout)[0], {
    version: 1,
    isChanged: true,
    accounts: [{ name: 'office', quotaBytes: 6 * MIB, targets: ['me', 'you'] }],
  });
  t.like(jsonLines((await give('SpaceQuota: 6M\nTargets: me you\n')).stdout)[0], {
    isChanged: false,
  });
  t.is(await codeOfGiven('Targets: you\n', 'second'), 'CONFIG_INVALID', 'a client has one account');
  fs.rmSync(path.join(folder, 'second'));

  const first = reportOf(
    t,
    await me.run(one.clientArgs, 'tardis', ['--create', '--json', lab.source]),
  );
  t.is(first.quotaBytes, 6 * MIB);
  t.true(Math.abs(first.usedBytes - listedBytes('me')) < SLACK_BYTES, `${first.usedBytes}`);
  const second = reportOf(
    t,
    await you.run(two.clientArgs, 'tardis', ['--create', '--json', other]),
  );
  const both = listedBytes('me') + listedBytes('you');
  t.true(Math.abs(second.usedBytes - both) < SLACK_BYTES, `${second.usedBytes} ${both}`);

  fs.writeFileSync(path.join(other, 'more'), noise(78, 2 * MIB));
  const refused = await you.run(two.clientArgs, 'tardis', [other]);
  t.is(codeIn(refused), 'QUOTA_EXCEEDED', refused.stderr);
  t.true(listedBytes('me') + listedBytes('you') < 6 * MIB + SLACK_BYTES);
  t.is((await you.sets(one.clientArgs)).filter(({ state }) => state === 'complete').length, 1);

  // Both servers count alike, and a larger quota lets the backup go on.
  await give('SpaceQuota: 60M\nSpacePerFile: 1M\nTargets: me you\n');
  await pause(LOOK_MS);
  const later = reportOf(t, await you.run(one.clientArgs, 'tardis', ['--json', other]));
  t.is(later.quotaBytes, 60 * MIB);
  const wanted = listedBytes('me') + listedBytes('you') + 6 * MIB; // six files
  t.true(Math.abs(later.usedBytes - wanted) < SLACK_BYTES, `${later.usedBytes} ${wanted}`);
  // A machine with the access key is under no quota.
  await give('SpaceQuota: 1K\nTargets: me you\n');
  await pause(LOOK_MS);
  await lab.backUp('laptop', ['--password-file', lab.at('me.secret')]);
  t.is(codeIn(await me.run(one.clientArgs, 'tardis', [lab.source])), 'QUOTA_EXCEEDED');
  // Accounts that nobody can read open no door, and restores go on.
  const newest = lab.server.objects
    .keys()
    .filter((key) => /all\/accounts\/\d+\.json$/.test(key))
    .at(-1)!;
  const next = newest.replace(/\d{10}/, (digits) => String(Number(digits) + 1).padStart(10, '0'));
  lab.server.objects.put(next, Buffer.from('{}'), {});
  t.is(codeIn(await me.run(two.clientArgs, 'tardis', [lab.source])), 'ACCOUNTS_DAMAGED');
  t.deepEqual(await me.restored(two.clientArgs), []);
  lab.server.objects.remove(next);
  fs.rmSync(path.join(folder, 'office'));
  t.like(jsonLines((await putFiles()).stdout)[0], { accounts: [] });
  const free = reportOf(t, await me.run(two.clientArgs, 'tardis', ['--json', lab.source]));
  t.is(free.quotaBytes, undefined);
});
