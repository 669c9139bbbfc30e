// Pace: slow
/** Messages: singular forms, many failures, reasons why something was not read, mistyped names. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'ava';
import { errnoText } from '../../src/errors/index.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, run, Server, succeed, poolsStayAway } from '../helpers/commands.js';
import { BucketLab, STORE } from '../helpers/bucket-lab.js';
import { S3Server } from '../support/s3-server.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { dir, file, isRoot, makeTree } from '../helpers/tree.js';
import { listening } from '../helpers/listener.js';

backupsRunHere();
poolsStayAway();

const NOBODY = 65_534;

test('one of a thing is reported in the singular', async (t) => {
  const { source, place, at } = lab(t, [file('a', 'a')]);
  const saved = await succeed('tardis', [...place, '--local', '--create', source]);
  t.regex(saved, /1 entry in 1 directory, .* read 1 file, .* sent 1 content, /);
  const restored = await succeed('regenerate', [...place, '-o', at('out'), source]);
  t.regex(restored, /Restored 1 file, 1 directory and 0 links/);
});

test('the first backup of a client says where, whether it is encrypted, how to look and how to restore; a later one does not', async (t) => {
  const home = scratchInMemory(t);
  const source = path.join(home, 'tree');
  makeTree(source, [file('a', 'a')]);
  const password = written(home, 'password', 'nine loud herons paint fences');
  const store = path.join(home, 'a store');
  const place = ['-D', store, '-C', 'me'];
  const { stdout, stderr } = await run('tardis', [...place, '--local', '--create', source]);
  t.regex(stderr, /the client "me" is new: .*\/a store\/me, on .* both$/m);
  const shown = `-D '${store}' -C me`;
  t.true(
    stdout.includes(
      `It is not encrypted: whoever has the disk can read it; \`sonic encrypt ${shown}\``,
    ),
    stdout,
  );
  t.true(
    stdout.includes(
      `\nlook:    tardis list ${shown}\nrestore: tardis restore ${shown} -o DIRECTORY PATH\n`,
    ),
    stdout,
  );
  t.notRegex(await succeed('tardis', [...place, '--local', source]), /encrypted|restore:/);
  const sealed = ['-D', store, '-C', 'safe', '-F', password, '--local', '--create', source];
  t.regex(
    await succeed('tardis', sealed),
    /^It is encrypted: without the password nobody can read it/m,
  );
  t.notRegex(await succeed('tardis', [...place, '--local', '--json', source]), /restore:/);
});

test('the first backup to a bucket names the bucket in what it says about the next commands', async (t) => {
  const home = scratchInMemory(t);
  const bucket = await S3Server.during(t);
  const lab = new BucketLab(home, bucket.url);
  makeTree(lab.source, [file('a', 'a')]);
  const endpoint = ['--endpoint', bucket.url];
  const stdout = await lab.succeed('one', 'tardis', [
    ...endpoint,
    '--local',
    '--create',
    lab.source,
  ]);
  const shown = `-D ${STORE} ${endpoint.join(' ')} -C me`;
  t.regex(stdout, /^It is not encrypted: whoever reads the bucket can read it/m);
  t.true(stdout.includes(`\nlook:    tardis list ${shown}\n`), stdout);
});

test('of very many failures a restore names the first, and JSON names all', async (t) => {
  const names = Array.from({ length: 130 }, (_, index) => `f${index}`);
  const { source, place, at } = lab(t, [
    ...names.map((name) => file(name, name)),
    file('other', 'x'),
  ]);
  const out = at('out');
  await succeed('tardis', [...place, '--local', '--create', source]);
  fs.mkdirSync(out);
  makeTree(
    path.join(out, 'tree'),
    names.map((name) => dir(name, [file('in the way')])),
  );
  const args = [...place, '-o', out, '--overwrite', 'always', source];
  const { stdout, stderr } = exited(t, 3, await run('regenerate', args));
  t.is(stderr.match(/^regenerate: .*\/f\d+: .*\[TARGET_EXISTS\]$/gm)?.length, 100, stderr);
  t.regex(stderr, /^regenerate: … and 30 more; --json lists all$/m);
  t.regex(stdout, /^130 could not be restored\.$/m);
  const asJson = await run('regenerate', [...args, '--json']);
  t.is((JSON.parse(asJson.stdout) as { failed: unknown[] }).failed.length, 130);
});

test('a word that a command does not take is answered with the options that name things', async (t) => {
  const secret = 'nine loud herons';
  for (const [tool, words, why] of [
    [
      'sonic',
      ['account', secret],
      /"account" takes only options, such as --add <name> or -D <dir>/,
    ],
    ['tardisd', [secret], /"tardisd" takes only options, such as .*-D <dir>/],
    ['sonic', ['status', secret], /^sonic: "status" takes only options, such as -D <dir>/],
  ] as const) {
    const { stderr } = exited(t, 1, await run(tool, words));
    t.regex(stderr, why);
    t.false(stderr.includes(secret), 'the word may be a password without its option');
  }
});

test('a restore into what is no directory, or to an archive of such a name, advises no --overwrite', async (t) => {
  const { source, place } = lab(t, [file('a', 'a')]);
  await succeed('tardis', [...place, '--local', '--create', source]);
  for (const [option, why] of [
    ['-o', /\/dev\/null is no directory, .*: name a directory \[USAGE\]/],
    ['--tar', /\/dev\/null is no plain file: name a new file, or - for a pipe \[USAGE\]/],
  ] as const) {
    const { status, stderr } = await run('regenerate', [...place, option, '/dev/null', source]);
    t.is(status, 1);
    t.regex(stderr, why);
    t.notRegex(stderr, /--overwrite/);
  }
});

test('a client that is not there is answered with those of a store on this machine, not of a server', async (t) => {
  const store = path.join(scratchInMemory(t), 'store');
  for (const client of ['ann', 'bob'])
    await succeed('sonic', ['create', '-D', store, '-C', client]);
  const missing = ['-D', store, '-C', 'eve'];
  for (const [tool, words] of [
    ['lstardis', missing],
    ['tardis', [...missing, '--local', store]],
    ['sonic', ['check', ...missing]],
  ] as const) {
    const { stderr } = exited(t, 10, await run(tool, words));
    t.regex(stderr, /has no client "eve" \(its clients: ann, bob\) \[NO_SUCH_CLIENT\]/);
  }
  const server = await Server.during(t, store);
  const remote = await run('lstardis', ['-C', 'eve', '--reconnect', '0', ...server.clientArgs]);
  t.notRegex(remote.stderr, /ann|bob/);
});

test('a port that is taken, and a host that does not exist, are told in words', async (t) => {
  const store = path.join(scratchInMemory(t), 'store');
  await succeed('sonic', ['create', '-D', store, '-C', 'me']);
  const port = await listening(t, net.createServer());
  for (const tool of ['tardisd', 'tardisremote'] as const) {
    const words = ['-D', store, '--insecure-tcp', '--port', String(port)];
    const { stderr } = exited(t, 1, await run(tool, words));
    t.regex(stderr, /cannot listen on 127\.0\.0\.1:\d+: address already in use \(EADDRINUSE\)/);
  }
  t.is(errnoText('ENOTFOUND'), 'there is no host of this name (ENOTFOUND)');
});

test('a mistyped variable is only compared with what is like it', async (t) => {
  for (const [name, hint] of [
    ['TARDIS_NONSENSE', ''],
    ['TARDIS_PASSWORD', undefined],
    ['TARDIS_CLEINT', ' (the nearest one is "TARDIS_CLIENT")'],
  ] as const) {
    const { stderr } = exited(t, 1, await run('lstardis', [], { env: { [name]: 'x' } }));
    if (hint === undefined) t.notRegex(stderr, /TARDIS_PORT/);
    else t.true(stderr.includes(`no variable "${name}"${hint} [`), stderr);
  }
});

test('a link in a store is no further client', async (t) => {
  const store = path.join(scratchInMemory(t), 'store');
  await succeed('sonic', ['create', '-D', store, '-C', 'real']);
  fs.symlinkSync('real', path.join(store, 'link'));
  const listed = JSON.parse(await succeed('sonic', ['clients', '-D', store, '--json'])) as {
    clients: { client: string }[];
  };
  t.deepEqual(
    listed.clients.map(({ client }) => client),
    ['real'],
  );
});

if (isRoot) {
  test('what could not be looked at is reported with the reason of the system', async (t) => {
    const { home, source, place } = lab(t, [
      dir('listed', [file('not looked at')], { mode: 0o744 }),
    ]);
    fs.chmodSync(home, 0o777);
    const args = [...place, '--local', '--create', source];
    const { stderr } = exited(t, 3, await run('tardis', args, { uid: NOBODY }));
    t.regex(stderr, /not looked at: unreadable: permission denied \(EACCES\)/);
  });
}
