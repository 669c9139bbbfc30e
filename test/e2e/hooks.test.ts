// Pace: slow
/** Hooks and notifications around a backup, by option and key. */
import fs from 'node:fs';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  poolsStayAway,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { urlListener } from '../helpers/listener.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();
poolsStayAway();

/** Returns a hook that appends its event, the client and the named values as a line to a file. */
const noting = (file: string, ...names: string[]): string => {
  const values = names.map((name) => `$TARDIS_HOOK_${name}`).join(' ');
  return `sh -c 'echo "$TARDIS_HOOK_EVENT $TARDIS_HOOK_CLIENT ${values}" >>${file}'`;
};

const notes = (file: string): string[] => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);

test('hooks run before, after, on failure and on warning, and receive the result', async (t) => {
  const { at, place, source, written } = lab(t);
  const log = at('log');
  const reported = at('told');
  const keys =
    `HookBefore = ${noting(reported)}\nHookAfter = ${noting(reported, 'STATUS', 'SET', 'CODE')}\n` +
    `HookFailure = ${noting(reported, 'STATUS', 'CODE')}\n` +
    `HookWarning = ${noting(reported, 'STATUS', 'ENTRIES', 'WARNINGS')}\n`;
  const config = ['--config', written('cfg', `[Tardis]\nLogFiles = ${log}\n${keys}`)];
  const local = [...place, '--local', ...config];
  await backup(['--create', ...local, source]);
  t.deepEqual(notes(reported), ['before me ', 'after me 0 1 ']);
  // A hook may run our commands: its TARDIS_HOOK_ variables do not disturb them.
  await backup([...local, '--hook-before', 'tardis --version', source], {
    env: { PATH: `${process.cwd()}/bin:${process.env['PATH']}` },
  });
  t.regex(fs.readFileSync(log, 'utf8'), /hook before: tardis \d/);

  fs.rmSync(reported);
  exited(t, 1, await run('tardis', [...local, at('nowhere')]));
  t.deepEqual(notes(reported), [
    'before me ',
    'failure me 1 SOURCE_MISSING',
    'after me 1  SOURCE_MISSING',
  ]);

  fs.rmSync(reported);
  fs.rmSync(source, { recursive: true });
  fs.mkdirSync(source); // suddenly empty, so the root is protected
  t.is((await run('tardis', [...local, source])).status, 3);
  t.deepEqual(notes(reported).slice(1), ['warning me 3 0 0', 'after me 3 3 ']);
});

test('no program that is not ours has the access key of a bucket in its environment', async (t) => {
  const { at, place, source, written } = lab(t);
  const [hook, mail, password] = [at('hook'), at('mail'), at('password')];
  const env = {
    AWS_ACCESS_KEY_ID: 'an id',
    AWS_SECRET_ACCESS_KEY: 'a secret',
    AWS_SESSION_TOKEN: 'a session',
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'a token',
    AWS_PROFILE: 'of the hook',
  };
  const printing = (file: string): string => `sh -c 'cat >/dev/null; env >${file}'`;
  const keys =
    `HookWarning = ${printing(hook)}\nMailTo = me@localhost\nMailCommand = ${printing(mail)}\n` +
    `PasswordProg = sh -c 'env >${password}; echo a secret that is long enough'\n`;
  const config = [
    '--config',
    written('cfg', `[Tardis]\n${keys}Directories = "${source}" "${at('nowhere')}"\n`),
  ];
  const local = [...place, '--local', ...config];
  exited(t, 3, await run('tardis', ['--create', ...local], { env }));
  const given = (file: string): string[] =>
    notes(file)
      .map((line) => line.split('=')[0]!)
      .filter((name) => name in env)
      .sort();
  t.deepEqual(given(hook), ['AWS_PROFILE']);
  t.deepEqual(given(mail), ['AWS_PROFILE']);
  t.deepEqual(given(password), Object.keys(env).sort());
});

test('a hook before the backup that fails keeps it from running', async (t) => {
  const { at, place, source, store } = lab(t);
  const hook = ['--hook-before', 'sh -c "echo mount: no such disk >&2; exit 32"'];
  const after = ['--hook-after', noting(at('told'), 'CODE')];
  const { status, stderr } = await run('tardis', [
    ...place,
    '--local',
    '--create',
    ...hook,
    ...after,
    source,
  ]);
  t.is(status, 1);
  t.regex(stderr, /^tardis: hook before: mount: no such disk$/m);
  t.regex(
    stderr,
    /the hook before the backup failed: exit status 32 \(mount: no such disk\) \[HOOK_FAILED\]/,
  );
  t.deepEqual(notes(at('told')), ['after me HOOK_FAILED']);
  t.false(fs.existsSync(store));
  // The hook may mount the disk that the local server needs.
  const mount = ['--hook-before', `mkdir ${at('mounted')}`];
  const mounted = ['-D', at('mounted', 'store'), '-C', 'me', '--local', '--create'];
  await backup([...mounted, ...mount, source]);
  t.true(fs.existsSync(at('mounted', 'store', 'me')));
});

test('a hook that takes longer than HookTimeout is ended', async (t) => {
  const { place, source, written } = lab(t);
  const config = [
    '--config',
    written('cfg', '[Tardis]\nHookTimeout = 0.2\nHookAfter = sleep 60\n'),
  ];
  const json = await succeed('tardis', [
    ...place,
    '--local',
    '--create',
    '--json',
    ...config,
    source,
  ]);
  t.deepEqual(JSON.parse(json).warnings, ['the hook "after" failed: timed out after 0.2 s']);
  const option = ['--hook-timeout', '0.2', '--hook-before', 'sleep 60'];
  const { stderr } = exited(t, 1, await run('tardis', [...place, '--local', ...option, source]));
  t.regex(stderr, /timed out after 0\.2 s \[HOOK_FAILED\]/);
});

test('an interruption ends the hook before the backup, and the hooks at the end run all the same', async (t) => {
  const { at, place, source } = lab(t);
  const reported = at('told');
  const hooks = [
    ['--hook-before', `sh -c 'touch ${at('began')}; sleep 60'`],
    ['--hook-failure', noting(reported, 'STATUS')],
    ['--hook-after', noting(reported, 'CODE')],
  ].flat();
  const running = new Running('tardis', [...place, '--local', '--create', ...hooks, source]);
  await running.until('hook', () => fs.existsSync(at('began')));
  t.is((await running.endedBy('SIGINT')).status, 130);
  t.deepEqual(notes(reported), ['failure me 130', 'after me INTERRUPTED']);
});

test('web addresses are requested at start, success and failure', async (t) => {
  const { place, at, source, written } = lab(t);
  const { base, requested } = await urlListener(t);
  const keys = ['Start', 'Success', 'Failure'].map((name) => `Url${name} = ${base}/k/${name}\n`);
  const config = ['--config', written('cfg', `[Tardis]\n${keys.join('')}`)];
  const local = [...place, '--local', ...config];
  await backup(['--create', ...local, source]);
  t.deepEqual(requested, [
    { method: 'GET', url: '/k/Start', body: '' },
    { method: 'GET', url: '/k/Success', body: '' },
  ]);
  requested.length = 0;
  const options = [
    '--url-failure',
    `${base}/?f=1`,
    '--url-method',
    'POST',
    '--url-start',
    `${base}/s`,
  ];
  t.is((await run('tardis', [...local, ...options, at('nowhere')])).status, 1);
  t.deepEqual(
    requested.map(({ method, url }) => `${method} ${url}`),
    ['POST /s', 'POST /?f=1'],
  );
  t.like(JSON.parse(requested[1]!.body), {
    event: 'failure',
    client: 'me',
    code: 'SOURCE_MISSING',
  });
  const explained = await succeed('tardis', ['--explain-config', ...local, source]);
  t.notRegex(explained, /\/k\//);
  const wrong = await run('tardis', [...local, '--url-start', 'mailto:secret', source]);
  t.regex(wrong.stderr, /UrlStart must be a URL .* \[CONFIG_INVALID\]/);
  t.notRegex(wrong.stderr, /secret/);
});

test('an address that does not answer costs three times UrlTimeout, and no backup', async (t) => {
  const { place, source, written, at } = lab(t);
  const { base, requested } = await urlListener(t, () => undefined);
  const text = `[Tardis]\nUrlTimeout = 1\nUrlSuccess = ${base}/secret\nLogFiles = ${at('log')}\n`;
  const config = ['--config', written('cfg', text)];
  const local = [...place, '--local', '--create', '--json', ...config];
  const { warnings } = JSON.parse(await succeed('tardis', [...local, source]));
  t.deepEqual(warnings, [`the request to ${base} failed: no answer in time`]);
  t.is(requested.length, 3);
  t.notRegex(fs.readFileSync(at('log'), 'utf8'), /secret/);
});

test('a failed backup sends mail', async (t) => {
  const { place, at, written } = lab(t);
  const text = `[Tardis]\nMailTo = ops@example.org\nMailCommand = tee -a ${at('mail')}\nMailFrom = me@host\n`;
  const config = ['--config', written('cfg', text)];
  t.is((await run('tardis', [...place, '--local', ...config, at('nowhere')])).status, 1);
  const mail = fs.readFileSync(at('mail'), 'utf8');
  t.regex(
    mail,
    /^From: me@host\nTo: ops@example\.org\nSubject: .* of me has failed \[SOURCE_MISSING\]$/m,
  );
  t.regex(mail, /^code: SOURCE_MISSING$/m);
  t.regex(mail, /^This machine knows of no good backup\.$/m);
});

test('a failure is reported with the time of the last good backup and what to do, also while its disk is away', async (t) => {
  const { place, at, source, store, written } = lab(t);
  const env = { XDG_STATE_HOME: at('state') };
  const keys = `MailTo = ops@example.org\nMailCommand = tee -a ${at('mail')}\n`;
  const hook = `HookFailure = ${noting(at('told'), 'LAST_GOOD', 'ADVICE')}\n`;
  const local = [...place, '--local', '--config', written('cfg', `[Tardis]\n${keys}${hook}`)];
  await succeed('tardis', ['--create', ...local, source], { env });
  t.false(fs.existsSync(at('mail')));
  const mailOf = async (...sources: string[]): Promise<string> => {
    fs.rmSync(at('mail'), { force: true });
    t.not((await run('tardis', [...local, ...sources], { env })).status, 0);
    return fs.readFileSync(at('mail'), 'utf8');
  };
  const last = /^The last good backup ended at \d{4}-\d\d-\d\d [\d:]+, 0 minutes ago\.$/m;
  const failed = await mailOf(at('nowhere'));
  t.regex(failed, last);
  t.regex(failed, /^What to do: Name directories and files that exist/m);
  fs.renameSync(store, at('unplugged'));
  const away = await mailOf(source);
  t.regex(away, last);
  t.regex(away, /^What to do: Connect the disk or the server of the store/m);
  t.regex(notes(at('told'))[1]!, /^failure me \d{4}-\S+Z Connect the disk or the server/);
});

test('--test-mail sends a mail and shows a notice as the settings say, and names what went wrong', async (t) => {
  const { at, written } = lab(t);
  fs.mkdirSync(at('bin'));
  const desktop = (status: number): void => {
    const script = `#!/bin/sh\nprintf '%s\\n' "$@" >${at('notice')}\nexit ${status}\n`;
    fs.writeFileSync(at('bin', 'busctl'), script, { mode: 0o755 });
  };
  const env = { PATH: `${at('bin')}:${process.env['PATH']}` };
  const test = (text: string) =>
    run('tardis', ['--test-mail', '--config', written('cfg', `[Tardis]\nClient = me\n${text}`)], {
      env,
    });
  const mail = `MailTo = ops@example.org\nMailCommand = tee -a ${at('mail')}\n`;
  desktop(0);
  const both = await test(`${mail}Notices = yes\n`);
  t.is(both.status, 0, both.stderr);
  t.is(both.stdout, 'tee took a mail to ops@example.org\nThe desktop took a notice.\n');
  t.regex(fs.readFileSync(at('mail'), 'utf8'), /^To: ops@example\.org\nSubject: tardis: a test/m);
  const words = fs.readFileSync(at('notice'), 'utf8').split('\n');
  t.deepEqual(words.slice(-7, -1), ['0', '1', 'urgency', 'y', '1', '-1']);
  t.true(words.includes('org.freedesktop.Notifications') && words.includes('Notify'));
  desktop(1);
  const failed = await test(`MailTo = ops@example.org\nMailCommand = false\nNotices = yes\n`);
  t.is(failed.status, 1);
  t.regex(
    failed.stderr,
    /false could not send mail: exit status 1; no notice .*: exit status 1 \[REPORT_FAILED\]/,
  );
  t.regex((await test('')).stderr, /nobody to report to.*\[CONFIG_INVALID\]/);
});

test('a notice on the desktop is what a failed backup shows there, and has no markup of others', async (t) => {
  const { at, place, written } = lab(t);
  fs.mkdirSync(at('bin'));
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" >${at('notice')}\n`;
  fs.writeFileSync(at('bin', 'busctl'), script, { mode: 0o755 });
  const env = { PATH: `${at('bin')}:${process.env['PATH']}` };
  const local = [...place, '--local', '--config', written('cfg', '[Tardis]\nNotices = yes\n')];
  await run('tardis', [...local, at('<b>nowhere')], { env });
  const notice = fs.readFileSync(at('notice'), 'utf8');
  t.regex(notice, /^tardis: the backup of me has failed \[SOURCE_MISSING\]$/m);
  t.regex(notice, /&lt;b>nowhere/);
  t.regex(notice, /\nWhat to do: .*\n0\n1\nurgency\ny\n2\n-1\n$/);
});

test('a backup that could not save everything is reported by mail', async (t) => {
  const { place, at, source, written } = lab(t);
  const text = `[Tardis]\nMailTo = ops@example.org\nMailCommand = tee -a ${at('mail')}\n`;
  const args = [...place, '--local', '--config', written('cfg', text)];
  await succeed('tardis', [...args, '--create', source]);
  t.false(fs.existsSync(at('mail')));
  fs.rmSync(source, { recursive: true });
  fs.mkdirSync(source); // suddenly empty, so the root is protected
  t.is((await run('tardis', [...args, source])).status, 3);
  const mail = fs.readFileSync(at('mail'), 'utf8');
  t.regex(mail, /^Subject: .* of me has not saved everything$/m);
  t.regex(mail, /^status: 3$/m);
});
