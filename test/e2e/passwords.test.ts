// Pace: slow
/** Passwords of every tool: their sources, what they open, and that they are never shown. */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  type Outcome,
  run,
  Running,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { type Lab, lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { differences, look } from '../helpers/tree.js';
import { filesBelow } from '../helpers/plaintext.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';
const OTHER = 'kelp-Sundry7-mulch';

/** Creates a lab with a client that has a password and one set. */
async function lockedLab(t: ExecutionContext): Promise<Lab> {
  const made = lab(t);
  await succeed('sonic', ['create', ...made.place, `--password=${SECRET}`]);
  await succeed('tardis', [...made.place, '--local', `--password=${SECRET}`, made.source]);
  return made;
}

/** Returns the packs of a client with their bytes. The copies of key records beside them are left out. */
function packsOf(store: string): [name: string, bytes: Buffer][] {
  const folder = path.join(store, 'me', 'packs');
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.pack'));
  return names.map((name) => [name, fs.readFileSync(path.join(folder, name))]);
}

test('a byte order mark is no part of a password, nor of any other text that an editor writes', async (t) => {
  const { place, source, written, at } = lab(t);
  const marked = (name: string, text: string): string => written(name, `\ufeff${text}`);
  const password = ['--password-file', marked('secret', `${SECRET}\r\n`)];
  const keys = at('keys');
  await succeed('sonic', ['create', ...place, ...password, '--keys', keys]);
  const program = ['--password-prog', `cat ${password[1]!}`];
  const config = ['--config', marked('config', `[Tardis]\nKeyFile = ${keys}\n`)];
  const endings = ['--nocompress-file', marked('endings', '.one\n.two\n')];
  const args = written('arguments', '');
  fs.writeFileSync(args, '\ufeff--local\n');
  await succeed('tardis', [...place, ...config, ...program, ...endings, `@${args}`, source]);
  fs.writeFileSync(keys, `\ufeff${fs.readFileSync(keys, 'utf8')}`);
  for (const given of [password, program, [`--password=${SECRET}`]]) {
    await succeed('regenerate', [...place, ...config, ...given, '-o', at('out'), '-O', source]);
    t.deepEqual(differences(look(source), look(at('out/tree'))), []);
  }
});

test('a text in UTF-16 is refused, wherever it is used', async (t) => {
  const { place, source, written, at } = lab(t);
  const [little, big] = ['little', 'big'].map((name) => written(name, '')) as [string, string];
  const bytes = Buffer.from(`\ufeff${SECRET}\r\n`, 'utf16le');
  fs.writeFileSync(little, bytes);
  fs.writeFileSync(big, bytes.swap16());
  const keys = at('keys');
  for (const file of [little, big]) {
    for (const given of [
      ['--password-file', file],
      ['--password-file', `file://${file}`],
      ['--password-prog', `cat ${file}`],
    ]) {
      const words = ['create', ...place, ...given, '--keys', keys];
      const { stderr } = exited(t, 1, await run('sonic', words));
      t.regex(stderr, /is UTF-16: save it as UTF-8 \[CONFIG_INVALID\]/, given.join(' '));
      t.false(fs.existsSync(keys));
    }
    for (const given of [`@${file}`, `--config=${file}`, `--nocompress-file=${file}`]) {
      const { stderr } = await run('tardis', [...place, '--local', '--create', given, source]);
      t.true(stderr.includes(`${file} is UTF-16: save it as UTF-8 [CONFIG_INVALID]`), stderr);
    }
  }
});

test('a password comes from option, terminal, file, program and keys', async (t) => {
  const { place, source, at, written } = await lockedLab(t);
  const file = written('secret', `${SECRET}\r\nwhat follows does not count\n`);
  const program = written('program', `#!/bin/sh\necho "${SECRET}"\necho more\n`);
  fs.chmodSync(program, 0o755);
  const config = (text: string): string[] => [
    '--config',
    written(`config ${text.length}`, `[Tardis]\n${text}\n`),
  ];
  for (const args of [
    [`--password=${SECRET}`],
    [`--password=${SECRET}`],
    ['--password-file', file],
    ['-F', `file://${file}`],
    ['--password-prog', program],
    ['--password-prog', `sh -c "echo ${SECRET}"`],
    config(`Password = ${SECRET}`),
    config(`PasswordFile = ${file}`),
    config(`PasswordProg = '${program}'`),
    // An option on the command line overrides the configuration file.
    [...config('Password = wrong'), '--password-file', file],
  ]) {
    await succeed('lstardis', [...place, ...args]);
  }
  for (const args of [
    [...place, '--password'],
    [...place, source],
  ]) {
    const { status, shown } = await runOnTerminal('lstardis', args, [`${SECRET}\r`]);
    t.is(status, 0, shown);
    t.regex(shown, /Password of me: /);
    t.false(shown.includes(SECRET), 'nothing typed is shown');
  }
  // Typing errors can be corrected: Ctrl-U deletes the line, Delete the last character.
  const typed = `x\x15${SECRET}ü\x7f\n`;
  t.is((await runOnTerminal('lstardis', [...place, source], [typed])).status, 0);
  t.is((await runOnTerminal('lstardis', [...place, source], ['\x03'])).status, 130);
  for (const [args, code] of [
    [['--password-file', at('nothing')], 'CONFIG_INVALID'],
    [['--password-file', written('empty', '\n')], 'PASSWORD_NEEDED'],
    [['--password-prog', 'false'], 'CONFIG_INVALID'],
    [['--password-prog', at('nothing')], 'CONFIG_INVALID'],
    [[`--password=${SECRET}`, '-F', file], 'CONFIG_INVALID'],
    [config(`Password = x\nPasswordFile = ${file}`), 'CONFIG_INVALID'],
    [['--password-file', 'ftp://localhost/x'], 'CONFIG_INVALID'],
    [['--password'], 'PASSWORD_NEEDED'], // no terminal here
  ] as const) {
    const outcome = await run('lstardis', [...place, ...args]);
    t.is(codeIn(outcome), code, args.join(' '));
    t.false(outcome.stderr.includes(SECRET));
  }
});

test('a bare -P prompts and takes no word: what follows is backed up, and only the typed password opens it', async (t) => {
  const { place, source, at } = lab(t);
  const typed = [`${SECRET}\r`, `${SECRET}\r`];
  const made = await runOnTerminal(
    'tardis',
    [...place, '--local', '--create', '-P', source],
    typed,
  );
  t.is(made.status, 0, made.shown);
  await runOnTerminal('regenerate', [...place, '-P', '-o', at('out'), source], typed.slice(1));
  t.deepEqual(differences(look(source), look(path.join(at('out'), path.basename(source)))), []);
  // -P works in one word with another option and in front of a path; the long name works too.
  for (const args of [['-lP'], ['-P'], ['--password']]) {
    const { status, shown } = await runOnTerminal(
      'lstardis',
      [...place, ...args, source],
      [typed[0]!],
    );
    t.is(status, 0, `${args.join(' ')}: ${shown}`);
    t.regex(shown, /Password of me: /);
  }
  // The path after -P was not taken as the password.
  t.is((await run('lstardis', [...place, `--password=${source}`])).status, 12);
  // A value right after -P could be meant as further options. The command refuses it, and does not repeat it in the
  // message.
  for (const args of [[`-P${SECRET}`], ['-Pl'], [`-lP${SECRET}`]]) {
    const refused = await run('lstardis', [...place, ...args]);
    t.is(codeIn(refused), 'USAGE', args.join(' '));
    t.regex(refused.stderr, /-P takes no value and prompts for it/);
    t.false(refused.stderr.includes(SECRET));
  }
  const changed = ['chpass', ...place, `--password=${SECRET}`, '--newpassword', OTHER];
  const refused = await run('sonic', changed);
  t.is(codeIn(refused), 'USAGE');
  t.false(refused.stderr.includes(OTHER));
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
  const far = await run('lstardis', [...place, '--password-file', 'http://192.0.2.1/secret']);
  t.is(codeIn(far), 'CONFIG_INVALID');
  t.regex(far.stderr, /not fetched by http from 192\.0\.2\.1.*use https/);
});

test('no tool opens a client without its password', async (t) => {
  const { store, place, source, at } = await lockedLab(t);
  const output = at('out');
  const calls = [
    ['lstardis', [...place, source]],
    ['regenerate', [...place, '-o', output, source]],
    ['sonic', ['info', ...place]],
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
  // Packs contain no keys: a rebuild needs no password, and the client still needs one afterwards.
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', ...place]);
  t.is((await run('lstardis', [...place, source])).status, 12);
  await succeed('lstardis', [...place, `--password=${SECRET}`]);
});

test('a wrong password speaks of somebody between only where there is a network', async (t) => {
  const { place, source, store } = await lockedLab(t);
  const wrong = '--password=wrong';
  const server = await Server.start(store);
  try {
    const far = exited(t, 12, await run('lstardis', [...server.clientArgs, '-C', 'me', wrong]));
    t.regex(
      far.stderr,
      /password is wrong, or the server has no client.* an attacker may be between/,
    );
  } finally {
    await server.stop();
  }
  for (const near of [
    await run('lstardis', [...place, wrong]),
    await run('tardis', [...place, wrong, '--local', source]),
    await run('sonic', ['chpass', ...place, wrong, `--newpassword=${OTHER}`]),
  ]) {
    t.is(near.status, 12);
    t.regex(near.stderr, /the password is wrong \[LOGIN_FAILED\]/);
    t.notRegex(near.stderr, /between|server/);
  }
});

test('a client gets a password later, and what is stored stays as it is', async (t) => {
  const { store, place, source } = lab(t);
  await succeed('tardis', [...place, '--local', '--create', source]);
  const unset = await run('tardis', [...place, '--local', `--password=${SECRET}`, source]);
  t.is(codeIn(unset), 'PASSWORD_NOT_SET');
  const chpass = ['chpass', ...place, '--password=x', '--newpassword=y'];
  t.is(codeIn(await run('sonic', chpass)), 'PASSWORD_NOT_SET');
  const before = packsOf(store);
  const reported = await succeed('sonic', ['setpass', ...place, '--json', `--password=${SECRET}`]);
  const { strength } = JSON.parse(reported) as { strength: { bits: number; word: string } };
  t.true(strength.bits > 40);
  t.deepEqual(packsOf(store), before);
  t.is((await run('lstardis', [...place, source])).status, 12);
  const again = await run('sonic', ['setpass', ...place, `--password=${OTHER}`]);
  t.is(codeIn(again), 'PASSWORD_IS_SET');
  await succeed('lstardis', [...place, `--password=${SECRET}`]);
});

test('a password is changed, and the old one no longer opens anything', async (t) => {
  const { store, place, source, written } = await lockedLab(t);
  const before = packsOf(store);
  const change = (from: string, ...to: string[]): Promise<Outcome> =>
    run('sonic', ['chpass', ...place, `--password=${from}`, ...to]);
  t.is((await change('wrong', `--newpassword=${OTHER}`)).status, 12);
  const printed = exited(t, 0, await change(SECRET, `--newpassword=${OTHER}`));
  t.regex(printed.stdout, /changed.*\n.*guesses/);
  t.deepEqual(packsOf(store), before);
  t.deepEqual(fs.readdirSync(path.join(store, 'me', 'keys')), ['00000001.key', '00000002.key']);
  t.is((await run('lstardis', [...place, `--password=${SECRET}`])).status, 12);
  t.is((await run('tardis', [...place, '--local', `--password=${SECRET}`, source])).status, 12);
  await succeed('tardis', [...place, '--local', `--password=${OTHER}`, source]);
  t.is((await change(OTHER, '--newpassword-prog', `echo third`)).status, 0);
  t.is((await change('third', '--newpassword-file', written('fourth', 'fourth\n'))).status, 0);
  await succeed('lstardis', [...place, '--password=fourth']);
  // On a terminal, the new password is requested twice.
  const answers = ['fourth\r', 'fifth\r', 'fifth\r'];
  const typed = await runOnTerminal('sonic', ['chpass', ...place], answers);
  t.is(typed.status, 0, typed.shown);
  const slip = await runOnTerminal('sonic', ['chpass', ...place], ['fifth\r', 'a\r', 'b\r']);
  t.is(slip.status, 12, slip.shown);
  await succeed('lstardis', [...place, '--password=fifth']);
});

test('sonic creates a client and changes its password through a server', async (t) => {
  const { store, source } = lab(t);
  const server = await Server.during(t, store);
  const to = (client: string): string[] => [...server.clientArgs, '-C', client];
  await succeed('sonic', ['create', ...to('me'), `--password=${SECRET}`]);
  t.is(codeIn(await run('sonic', ['create', ...to('me'), '--password=x'])), 'CLIENT_EXISTS');
  await succeed('sonic', ['create', ...to('open')]);
  await succeed('sonic', ['setpass', ...to('open'), `--password=${OTHER}`]);
  // Without the right password, the command fails at the login, like any other command.
  t.is((await run('sonic', ['setpass', ...to('open'), '--password=x'])).status, 12);
  await succeed('sonic', ['create', ...to('used')]);
  await succeed('tardis', [...to('used'), source]);
  const late = await run('sonic', ['setpass', ...to('used'), `--password=${OTHER}`]);
  t.is(codeIn(late), 'NOT_PERMITTED', 'it would open what is there');
  t.regex(late.stderr, /on the machine of the store/);
  await succeed('tardis', [...to('used'), source]);
  await succeed('sonic', ['chpass', ...to('me'), `--password=${SECRET}`, `--newpassword=${OTHER}`]);
  t.is((await run('tardis', [...to('me'), `--password=${SECRET}`, source])).status, 12);
  for (const client of ['me', 'open']) {
    await succeed('tardis', [...to(client), `--password=${OTHER}`, source]);
    await succeed('lstardis', ['-D', store, '-C', client, `--password=${OTHER}`]);
  }
  const made = await run('tardis', [...to('third'), '--create', `--password=${SECRET}`, source]);
  t.is(made.status, 0, made.stderr);
  t.regex(made.stderr, /tardis: The password is (good|strong)/);
  t.is((await run('tardis', [...to('third'), source])).status, 12);
  await succeed('tardis', [...to('third'), `--password=${SECRET}`, source]);
  const typed = await runOnTerminal('tardis', [...to('third'), source], [`${SECRET}\r`]);
  t.is(typed.status, 0, typed.shown);
});

test('RequirePassword serves no client without a password', async (t) => {
  const { store, source, written } = lab(t);
  await succeed('sonic', ['create', '-D', store, '-C', 'open']);
  await succeed('sonic', ['create', '-D', store, '-C', 'locked', `--password=${SECRET}`]);
  const config = written('config', '[Tardis]\nRequirePassword = yes\n');
  const server = await Server.during(t, store, ['--config', config]);
  const to = (client: string): string[] => [...server.clientArgs, '-C', client];
  for (const args of [
    to('open'),
    [...to('open'), `--password=${SECRET}`],
    [...to('new'), '--create'],
  ]) {
    t.is((await run('tardis', [...args, source])).status, 12, args.join(' '));
  }
  t.false(fs.existsSync(path.join(store, 'new')));
  await succeed('tardis', [...to('locked'), `--password=${SECRET}`, source]);
  await succeed('tardis', [...to('new'), '--create', `--password=${SECRET}`, source]);
});

test('a password is in no output, log, file or argument list', async (t) => {
  const { store, source, at, written } = lab(t);
  const log = at('server log');
  const server = await Server.during(t, store, ['-v', '-v', '-v', '--log-exceptions']);
  const to = [...server.clientArgs, '-C', 'me'];
  const heard: Outcome[] = [
    await run('sonic', ['create', ...to, `--password=${SECRET}`]),
    await run('tardis', [...to, `--password=${SECRET}`, '-v', '-v', '--logfile', log, source]),
    await run('tardis', [...to, `--password=${SECRET}!`, '--logfile', log, source]),
    await run('lstardis', ['-D', store, '-C', 'me', `--password=${SECRET}!`]),
    await run('lstardis', ['-D', store, '-C', 'me', `--password=${SECRET}`, '--explain-config']),
    await run('lstardis', ['-D', store, `--password=${SECRET}`, '--explain-config', '--json']),
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
  for (const file of filesBelow(store)) t.false(fs.readFileSync(file).includes(SECRET), file);
});

test('the list of processes does not show a password for long', async (t) => {
  const { place } = await lockedLab(t);
  // The program that returns the new password never ends, so that there is time to look at the list of processes.
  const args = ['chpass', ...place, `--password=${SECRET}`, '--newpassword-prog', 'sleep 100'];
  const running = new Running('sonic', args);
  t.teardown(() => running.signalGroup('SIGKILL'));
  const shownBy = (pid: number): string => {
    const file = `/proc/${pid}/cmdline`;
    return fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
  };
  // Wait for this program: the launcher is a shell, and earlier children of it show its arguments for a moment.
  const isPrompting = (): boolean =>
    running.childPids().some((pid) => shownBy(pid).startsWith('sleep\0'));
  await running.until('its program', isPrompting);
  t.false(shownBy(running.pid).includes(SECRET));
  for (const pid of running.childPids()) t.false(shownBy(pid).includes(SECRET));
});
