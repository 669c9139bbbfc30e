/** Passwords of every tool: where they come from, what they open, and that they show nowhere. */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Outcome, run, Running, Server, succeed } from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/settings.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { differences, look } from '../helpers/tree.js';

const SECRET = 'gravel-Otter9-lamp';
const OTHER = 'kelp-Sundry7-mulch';

/** A lab with a client that has a password, and a set. */
async function lockedLab(t: ExecutionContext): Promise<Lab> {
  const made = lab(t);
  await succeed('sonic', ['create', ...made.place, `--password=${SECRET}`]);
  await succeed('tardis', [...made.place, '--local', '-P', SECRET, made.source]);
  return made;
}

function codeIn({ stderr }: Outcome): string | undefined {
  return /\[([A-Z_]+)\]/.exec(stderr)?.[1];
}

test('a password comes from option, terminal, file, program and keys', async (t) => {
  const { place, at, written } = await lockedLab(t);
  const file = written('secret', `${SECRET}\r\nwhat follows does not count\n`);
  const program = written('program', `#!/bin/sh\necho "${SECRET}"\necho more\n`);
  fs.chmodSync(program, 0o755);
  const config = (text: string): string[] => [
    '--config',
    written(`config ${text.length}`, `[Tardis]\n${text}\n`),
  ];
  for (const args of [
    [`--password=${SECRET}`],
    ['-P', SECRET],
    ['--password-file', file],
    ['-F', `file://${file}`],
    ['--password-prog', program],
    ['--password-prog', `sh -c "echo ${SECRET}"`],
    config(`Password = ${SECRET}`),
    config(`PasswordFile = ${file}`),
    config(`PasswordProg = '${program}'`),
    // What is on the command line wins over the file.
    [...config('Password = wrong'), '--password-file', file],
  ]) {
    await succeed('lstardis', [...place, ...args]);
  }
  for (const args of [[...place, '--password'], place]) {
    const { status, shown } = await runOnTerminal('lstardis', args, [`${SECRET}\r`]);
    t.is(status, 0, shown);
    t.regex(shown, /Password of me: /);
    t.false(shown.includes(SECRET), 'nothing typed is shown');
  }
  // Typing errors can be taken back.
  const typed = `x\x15${SECRET}ü\x7f\n`;
  t.is((await runOnTerminal('lstardis', place, [typed])).status, 0);
  t.is((await runOnTerminal('lstardis', place, ['\x03'])).status, 130);
  for (const [args, code] of [
    [['--password-file', at('nothing')], 'CONFIG_INVALID'],
    [['--password-file', written('empty', '\n')], 'PASSWORD_NEEDED'],
    [['--password-prog', 'false'], 'CONFIG_INVALID'],
    [['--password-prog', at('nothing')], 'CONFIG_INVALID'],
    [['-P', SECRET, '-F', file], 'CONFIG_INVALID'],
    [config(`Password = x\nPasswordFile = ${file}`), 'CONFIG_INVALID'],
    [['--password-file', 'ftp://localhost/x'], 'CONFIG_INVALID'],
    [['--password'], 'PASSWORD_NEEDED'], // no terminal here
  ] as const) {
    const outcome = await run('lstardis', [...place, ...args]);
    t.is(codeIn(outcome), code, args.join(' '));
    t.false(outcome.stderr.includes(SECRET));
  }
});

test('a password is fetched from a URL, which may lead on to another', async (t) => {
  const { place } = await lockedLab(t);
  const server = http.createServer(({ url }, response) => {
    if (url === '/secret') response.end(`${SECRET}\n`);
    else if (url === '/moved') response.writeHead(302, { location: '/secret' }).end();
    else if (url === '/round') response.writeHead(302, { location: '/round' }).end();
    else if (url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else if (url === '/long') response.end('x'.repeat(100_000));
    else response.writeHead(404).end(SECRET);
  });
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = (name: string): string[] => [
    ...place,
    '--password-file',
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/${name}`,
  ];
  await succeed('lstardis', at('secret'));
  await succeed('lstardis', at('moved'));
  for (const name of ['round', 'file', 'long', 'missing?key=hidden']) {
    const outcome = await run('lstardis', at(name));
    t.is(codeIn(outcome), 'CONFIG_INVALID', name);
    t.false(outcome.stderr.includes('hidden'));
  }
});

test('no tool opens a client without its password', async (t) => {
  const { store, place, source, at } = await lockedLab(t);
  const output = at('out');
  const calls = [
    ['lstardis', place],
    ['regenerate', [...place, '-o', output, source]],
    ['sonic', ['list', ...place]],
    ['tardis', [...place, '--local', source]],
  ] as const;
  for (const [tool, args] of calls) {
    for (const [more, code] of [
      [[], 'PASSWORD_NEEDED'],
      [['--password=wrong'], 'LOGIN_FAILED'],
    ] as const) {
      const outcome = await run(tool, [...args, ...more]);
      t.is(outcome.status, 12, `${tool} ${more.join()}: ${outcome.stderr}`);
      t.is(codeIn(outcome), code, tool);
    }
    if (tool === 'regenerate') t.false(fs.existsSync(output));
    await succeed(tool, [...args, `--password=${SECRET}`]);
  }
  t.deepEqual(differences(look(source), look(path.join(output, path.basename(source)))), []);
  // Keys are not in the packs: a rebuild needs no password, and leaves the client locked.
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  t.is((await run('lstardis', place)).status, 12);
  await succeed('lstardis', [...place, `--password=${SECRET}`]);
});

test('a client gets a password later, and what is stored stays as it is', async (t) => {
  const { store, place, source } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const unset = await run('tardis', [...place, '--local', `--password=${SECRET}`, source]);
  t.is(codeIn(unset), 'PASSWORD_NOT_SET');
  const chpass = ['chpass', ...place, '-P', 'x', '--newpassword', 'y'];
  t.is(codeIn(await run('sonic', chpass)), 'PASSWORD_NOT_SET');
  const packs = path.join(store, 'me', 'packs');
  const before = look(packs);
  const told = await succeed('sonic', ['setpass', ...place, '--json', `--password=${SECRET}`]);
  const { strength } = JSON.parse(told) as { strength: { bits: number; word: string } };
  t.true(strength.bits > 40);
  t.deepEqual(differences(before, look(packs)), []);
  t.is((await run('lstardis', place)).status, 12);
  const again = await run('sonic', ['setpass', ...place, `--password=${OTHER}`]);
  t.is(codeIn(again), 'PASSWORD_IS_SET');
  await succeed('lstardis', [...place, `--password=${SECRET}`]);
});

test('a password is changed, and the old one opens nothing any more', async (t) => {
  const { store, place, source, written } = await lockedLab(t);
  const packs = path.join(store, 'me', 'packs');
  const before = look(packs);
  const change = (from: string, ...to: string[]): Promise<Outcome> =>
    run('sonic', ['chpass', ...place, `--password=${from}`, ...to]);
  t.is((await change('wrong', `--newpassword=${OTHER}`)).status, 12);
  const said = await change(SECRET, `--newpassword=${OTHER}`);
  t.is(said.status, 0, said.stderr);
  t.regex(said.stdout, /changed.*\n.*guesses/);
  t.deepEqual(differences(before, look(packs)), []);
  t.deepEqual(fs.readdirSync(path.join(store, 'me', 'keys')), ['00000001.key', '00000002.key']);
  t.is((await run('lstardis', [...place, '-P', SECRET])).status, 12);
  t.is((await run('tardis', [...place, '--local', '-P', SECRET, source])).status, 12);
  await succeed('tardis', [...place, '--local', '-P', OTHER, source]);
  t.is((await change(OTHER, '--newpassword-prog', `echo third`)).status, 0);
  t.is((await change('third', '--newpassword-file', written('fourth', 'fourth\n'))).status, 0);
  await succeed('lstardis', [...place, '-P', 'fourth']);
  // On a terminal it is asked for twice.
  const answers = ['fourth\r', 'fifth\r', 'fifth\r'];
  const typed = await runOnTerminal('sonic', ['chpass', ...place], answers);
  t.is(typed.status, 0, typed.shown);
  const slip = await runOnTerminal('sonic', ['chpass', ...place], ['fifth\r', 'a\r', 'b\r']);
  t.is(slip.status, 12, slip.shown);
  await succeed('lstardis', [...place, '-P', 'fifth']);
});

test('sonic makes a client and changes its password through a server', async (t) => {
  const { store, source } = lab(t);
  const server = await Server.start(store);
  t.teardown(() => server.kill());
  const to = (client: string): string[] => [...server.clientArgs, '-C', client];
  await succeed('sonic', ['create', ...to('me'), `--password=${SECRET}`]);
  t.is(codeIn(await run('sonic', ['create', ...to('me'), '-P', 'x'])), 'CLIENT_EXISTS');
  await succeed('sonic', ['create', ...to('open')]);
  await succeed('sonic', ['setpass', ...to('open'), `--password=${OTHER}`]);
  // To who does not know the password it looks like a client that asks for one.
  t.is((await run('sonic', ['setpass', ...to('open'), '-P', 'x'])).status, 12);
  await succeed('sonic', ['create', ...to('used')]);
  await succeed('tardis', [...to('used'), source]);
  const late = await run('sonic', ['setpass', ...to('used'), '-P', OTHER]);
  t.is(codeIn(late), 'NOT_PERMITTED', 'it would open what is there');
  t.regex(late.stderr, /on the machine of the store/);
  await succeed('tardis', [...to('used'), source]);
  await succeed('sonic', ['chpass', ...to('me'), '-P', SECRET, '--newpassword', OTHER]);
  t.is((await run('tardis', [...to('me'), '-P', SECRET, source])).status, 12);
  for (const client of ['me', 'open']) {
    await succeed('tardis', [...to(client), '-P', OTHER, source]);
    await succeed('lstardis', ['-D', store, '-C', client, '-P', OTHER]);
  }
  const made = await run('tardis', [...to('third'), '--create', '-P', SECRET, source]);
  t.is(made.status, 0, made.stderr);
  t.regex(made.stderr, /tardis: The password is (good|strong)/);
  t.is((await run('tardis', [...to('third'), source])).status, 12);
  await succeed('tardis', [...to('third'), '-P', SECRET, source]);
  const typed = await runOnTerminal('tardis', [...to('third'), source], [`${SECRET}\r`]);
  t.is(typed.status, 0, typed.shown);
});

test('RequirePassword serves no client without a password', async (t) => {
  const { store, source, written } = lab(t);
  await succeed('sonic', ['create', '-D', store, '-C', 'open']);
  await succeed('sonic', ['create', '-D', store, '-C', 'locked', '-P', SECRET]);
  const config = written('config', '[Tardis]\nRequirePassword = yes\n');
  const server = await Server.start(store, ['--config', config]);
  t.teardown(() => server.kill());
  const to = (client: string): string[] => [...server.clientArgs, '-C', client];
  for (const args of [to('open'), [...to('open'), '-P', SECRET], [...to('new'), '--create']]) {
    t.is((await run('tardis', [...args, source])).status, 12, args.join(' '));
  }
  t.false(fs.existsSync(path.join(store, 'new')));
  await succeed('tardis', [...to('locked'), '-P', SECRET, source]);
  await succeed('tardis', [...to('new'), '--create', '-P', SECRET, source]);
});

test('a password is in no output, log, file or argument list', async (t) => {
  const { store, source, at, written } = lab(t);
  const log = at('server log');
  const server = await Server.start(store, ['-v', '-v', '-v', '--log-exceptions']);
  t.teardown(() => server.kill());
  const to = [...server.clientArgs, '-C', 'me'];
  const heard: Outcome[] = [
    await run('sonic', ['create', ...to, `--password=${SECRET}`]),
    await run('tardis', [...to, `--password=${SECRET}`, '-v', '-v', '--logfile', log, source]),
    await run('tardis', [...to, `--password=${SECRET}!`, '--logfile', log, source]),
    await run('lstardis', ['-D', store, '-C', 'me', '-P', `${SECRET}!`]),
    await run('lstardis', ['-D', store, '-C', 'me', '-P', SECRET, '--explain-config']),
    await run('lstardis', ['-D', store, '-P', SECRET, '--explain-config', '--json']),
    await run('lstardis', ['-D', store, `--pasword=${SECRET}`]),
    await run('lstardis', ['--config', written('slip', `[Tardis]\nPassword ${SECRET}\n`)]),
  ];
  t.deepEqual(
    heard.map(({ status }) => status),
    [0, 0, 12, 12, 0, 0, 1, 1],
  );
  heard.push(await server.stop());
  for (const { stdout, stderr } of heard) t.false(`${stdout}${stderr}`.includes(SECRET), stderr);
  t.regex(heard[4]!.stdout, /password +\(not shown\)/);
  t.false(fs.readFileSync(log, 'utf8').includes(SECRET));
  for (const [file, bytes] of filesBelow(store)) t.false(bytes.includes(SECRET), file);
});

function filesBelow(directory: string): [string, Buffer][] {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => [file, fs.readFileSync(file)]);
}

test('the list of processes does not show a password for long', async (t) => {
  const { place } = await lockedLab(t);
  // It waits for its second password for ever, so that there is time to look.
  const args = ['chpass', ...place, '-P', SECRET, '--newpassword-prog', 'sleep 100'];
  const running = new Running('sonic', args);
  t.teardown(() => running.signalGroup('SIGKILL'));
  const shownBy = (pid: number): string => {
    const file = `/proc/${pid}/cmdline`;
    return fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
  };
  // The launcher, a shell, may have children of its own before, which show its arguments at first.
  const isAsking = (): boolean =>
    running.childPids().some((pid) => shownBy(pid).startsWith('sleep\0'));
  await running.until('its program', isAsking);
  t.false(shownBy(running.pid).includes(SECRET));
  for (const pid of running.childPids()) t.false(shownBy(pid).includes(SECRET));
});
