// Pace: slow
/** A machine joins a server by a code: from the code to its first set, and against servers and users that lie. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { commandsAreProcesses, run, Running, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';

commandsAreProcesses(); // setup starts other commands

const SECRET = 'gravel-Otter9-lamp';

/** Starts a server that lets no session create a client; returns its address. */
async function serve(t: ExecutionContext, store: string, config: string): Promise<string> {
  const args = ['-D', store, '--port', '0', '--address', '127.0.0.1', '--create'];
  const server = new Running('tardisd', args, { env: { XDG_CONFIG_HOME: config } });
  t.teardown(() => server.signalGroup('SIGKILL'));
  await server.until('its lines', () => /tardis --server .*\n/.test(server.stdout));
  return /^Ready: (127\.0\.0\.1:\d+)/.exec(server.stdout)![1]!;
}

/** A home with a file, and a stand-in for systemctl. */
function machine(t: ExecutionContext) {
  const its = lab(t);
  for (const name of ['home', 'bin']) fs.mkdirSync(its.at(name));
  fs.writeFileSync(its.at('home', 'letter'), 'dear Otto');
  fs.writeFileSync(its.at('bin', 'systemctl'), '#!/bin/sh\n', { mode: 0o755 });
  const env = {
    HOME: its.at('home'),
    XDG_CONFIG_HOME: its.at('home', '.config'),
    XDG_STATE_HOME: its.at('state'),
    PATH: `${its.at('bin')}:${process.env['PATH']}`,
  };
  const answers = (place: string, more = ''): string =>
    its.written(
      'answers',
      `[Setup]\nSources = home\nPlace = ${place}\nTimer = user\nReport = nobody\nWhen = never\n${more}`,
    );
  return { ...its, env, answers };
}

test('a code leads from the server to the first set of a new machine, and works once', async (t) => {
  const { at, store, env, answers, written } = machine(t);
  const address = await serve(t, store, at('server'));
  const make = ['create', '-D', store, '-C', 'laptop', '--code-for', address];
  const fault = await run('sonic', make, { env });
  t.regex(fault.stderr, /--certfile.*\[USAGE\]/s);
  const certificate = at('server', 'tardis', 'tardisd-cert.pem');
  const shown = await succeed('sonic', [...make, '--certfile', certificate], { env });
  const code = /^ {2}(join:laptop@127\.0\.0\.1:\d+#\S+)$/m.exec(shown)![1]!;

  const asArgument = await run('sonic', ['create', '--join', code], { env });
  t.regex(asArgument.stderr, /takes a file.*\[USAGE\]/s);
  t.false(asArgument.stderr.includes(code));
  const codeFile = written('code', code);
  const renamed = [
    [
      'sonic',
      'create',
      '--join',
      codeFile,
      '-C',
      'other',
      '--password-file',
      written('pw', SECRET),
    ],
    ['tardis', 'setup', '--join', codeFile, '-C', 'other', '--answers', answers('/nowhere')],
  ] as const;
  for (const [tool, ...words] of renamed) {
    const refused = await run(tool, words, { env });
    t.regex(refused.stderr, /makes the client "laptop" and no other/, words[0]);
  }

  const noPassword = answers(code, 'Encrypt = no\n');
  const bare = await run('tardis', ['setup', '--answers', noPassword], { env });
  t.regex(bare.stderr, /needs a password.*\[USAGE\]/s);
  const password = `PasswordFile = ${written('pw', SECRET)}\n`;
  const both = await run('tardis', ['setup', '--join', '-', '--answers', '-'], {
    env,
    input: code,
  });
  t.regex(both.stderr, /standard input.*\[USAGE\]/s);
  const wrong = answers(`${code.slice(0, -27)}${'A'.repeat(27)}`, password);
  const refused = await run('tardis', ['setup', '--answers', wrong], { env });
  t.regex(refused.stderr, /nothing was set up: run `tardis setup` again, with a new code/);
  t.not(refused.status, 0);
  t.false(fs.existsSync(at('home', '.config', 'tardis', 'backup.cfg')));
  t.false(fs.existsSync(at('home', '.config', 'systemd')));
  const joining = answers(code, password);
  await succeed('tardis', ['setup', '--answers', joining], { env });
  const config = fs.readFileSync(at('home', '.config', 'tardis', 'backup.cfg'), 'utf8');
  t.regex(config, /^Client = laptop$/m);
  t.false(config.includes('join:'));
  t.regex(await succeed('tardis', ['list', at('home')], { env }), /letter/);
  await succeed('tardis', ['setup', '--answers', joining], { env }); // the client is there: no code is needed

  const again = ['create', '--join', written('code', code), '--password-file', at('pw')];
  const spent = await run('sonic', again, { env: { ...env, XDG_STATE_HOME: at('other') } });
  t.regex(spent.stderr, /new code.*\[JOIN_CODE_INVALID\]|\[JOIN_CODE_INVALID\]/s);
  t.is(spent.status, 1);
});

test('a machine joins only the server whose certificate is in the code, and sends no other the code', async (t) => {
  const { at, store, env, written } = machine(t);
  const address = await serve(t, store, at('server'));
  const other = await serve(t, at('other-store'), at('other'));
  const certificate = at('server', 'tardis', 'tardisd-cert.pem');
  const make = ['create', '-D', store, '-C', 'laptop', '--code-for', address, '--json'];
  const { code } = JSON.parse(
    await succeed('sonic', [...make, '--certfile', certificate], { env }),
  ) as { code: string };
  const join = (text: string) =>
    run('sonic', ['create', '--join', '-', '--password-file', written('pw', SECRET)], {
      env,
      input: text,
    });
  const relayed = await join(code.replace(address, other));
  t.regex(relayed.stderr, /not the one that the code names.*\[CERTIFICATE_REFUSED\]/s);
  t.false(fs.existsSync(at('other-store', 'laptop')));
  for (const broken of [
    '',
    code.slice(0, -1),
    `${code}x`,
    code.replace('join:laptop', 'join:..'),
  ]) {
    t.regex((await join(broken)).stderr, /\[JOIN_CODE_INVALID\]/, broken);
  }
  // A typed password does not stay either.
  const typed = (text: string) =>
    runOnTerminal(
      'tardis',
      ['setup'],
      ['\n', `${text}\n`, '\n', `${SECRET}\n`, `${SECRET}\n`, '6\n', 'never\n', '\n'],
      env,
    );
  const wrong = await typed(`${code.slice(0, -27)}${'A'.repeat(27)}`);
  t.regex(wrong.shown, /nothing was set up/);
  t.deepEqual(fs.readdirSync(at('home', '.config', 'tardis')), []);
  t.is((await join(`${code}\n`)).status, 0);
  t.true(fs.existsSync(`${store}/laptop/format.json`));
});
