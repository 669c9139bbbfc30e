/** Commands, URLs and mail: time and output are bounded, and failures are returned as text, not thrown. */
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import test from 'ava';
import {
  callUrl,
  checkMailSettings,
  hookVariables,
  type HookEvent,
  mailText,
  parseUrl,
  runCommand,
  sendMail,
} from '../../src/notify/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { thrownCode } from '../helpers/codes.js';
import { urlListener } from '../helpers/listener.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';

async function lines(script: string, timeoutMs = 20_000): Promise<[string | undefined, string[]]> {
  const printed: string[] = [];
  const onLine = (line: string): void => void printed.push(line);
  return [await runCommand(['sh', '-c', script], { timeoutMs, onLine }), printed];
}

/** Returns true if a process runs. One that has ended and is not reaped yet does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false; // there is none
  }
}

test('a command is run as it is given, and its end is reported in words', async (t) => {
  t.deepEqual(await lines('echo one; echo two >&2; printf three'), [
    undefined,
    ['one', 'two', 'three'],
  ]);
  t.deepEqual((await lines('exit 3'))[0], 'exit status 3');
  t.deepEqual((await lines('kill -9 $$'))[0], 'killed by SIGKILL');
  const options = { timeoutMs: 20_000 };
  t.is(
    await runCommand(['/nowhere/at/all'], options),
    'cannot run it: no such file or directory (ENOENT)',
  );
  t.is(await runCommand(['/etc'], options), 'cannot run it: permission denied (EACCES)');
  t.is(await runCommand([], options), 'the command is empty');
  t.is(await runCommand([''], options), 'the command is empty');
  t.is(await runCommand(['true'], { ...options, input: 'x'.repeat(1 << 20) }), undefined);
});

test('the output of a command is cut into short lines, and is not much', async (t) => {
  const [why, printed] = await lines(
    String.raw`printf 'a\033[2J\r\nb\n'; head -c 1000000 /dev/zero | tr '\0' x`,
  );
  t.is(why, undefined);
  t.deepEqual(printed.slice(0, 2), [String.raw`a\x1b[2J`, 'b']);
  t.is(printed.at(-1), '(further output omitted)');
  t.true(printed.every((line) => line.length <= 1000));
  t.true(printed.join('').length <= 65 << 10);
});

test('a command that takes too long is ended with all it has started', async (t) => {
  const at = path.join(scratchInMemory(t), 'pid');
  const stubborn = `trap "" TERM; echo $$ >${at}; exec sleep 600`;
  const script = `sh -c '${stubborn}' & trap 'exit 0' TERM; wait`;
  t.is((await lines(script, 300))[0], 'timed out after 0.3 s');
  const pid = Number(fs.readFileSync(at, 'utf8'));
  t.true(pid > 0);
  await until(() => !isAlive(pid));
});

test('what a command leaves behind with its output open holds nobody up', async (t) => {
  const at = path.join(scratchInMemory(t), 'pid');
  const script = `echo said; sleep 600 & echo $! >${at}; exit 0`;
  t.deepEqual(await lines(script), [undefined, ['said']]);
  const pid = Number(fs.readFileSync(at, 'utf8'));
  t.true(isAlive(pid), 'it was not waited for');
  process.kill(pid, 'SIGKILL');
});

test('an interruption ends a command, or keeps it from being run', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const script = ['sh', '-c', 'echo begun; exec sleep 600'];
  const onLine = (): void => controller.abort();
  const ended = await runCommand(script, { timeoutMs: 600_000, signal, onLine });
  t.is(ended, 'interrupted (begun)');
  t.regex((await runCommand(['true'], { timeoutMs: 1000, signal }))!, /interrupted/);
});

test('a hook gets variables without control characters, and of bounded length', (t) => {
  const event: HookEvent = { event: 'failure', client: 'me', message: 'a\nb\0c', code: undefined };
  const variables = hookVariables({ ...event, setName: 'x'.repeat(1e6), status: 0 });
  t.is(variables['TARDIS_HOOK_MESSAGE'], String.raw`a\x0ab\x00c`);
  t.is(variables['TARDIS_HOOK_SET_NAME']!.length, 4096);
  t.is(variables['TARDIS_HOOK_STATUS'], '0');
  t.false('TARDIS_HOOK_CODE' in variables);
});

const CALL = {
  system: nodeSystem(),
  method: 'GET',
  body: '',
  timeoutMs: 5000,
  pauseMs: 1,
} as const;

test('an address is called again where that may help, and nowhere else', async (t) => {
  const answers = [503, 429, 200, 404, 301, 500, 500, 500];
  const { base, requested } = await urlListener(t, (_requested, index) => answers[index]);
  const url = new URL(`${base}/secret-path?key=secret`);
  t.is(await callUrl(url, CALL), undefined);
  t.is(requested.length, 3);
  t.is(await callUrl(url, CALL), `the request to ${base} failed: status 404`);
  t.regex((await callUrl(url, CALL))!, /status 301 \(give the URL it redirects to\)/);
  t.is(requested.length, 5);
  t.is(await callUrl(url, CALL), `the request to ${base} failed: status 500`);
  t.is(requested.length, 8);
  t.true(requested.every((one) => one.method === 'GET' && one.url === '/secret-path?key=secret'));
});

test('an address that is silent or gone is given up, and its secrets are not shown', async (t) => {
  const { base, requested } = await urlListener(t, () => undefined);
  const silent = await callUrl(new URL(`${base}/secret`), { ...CALL, timeoutMs: 1000 });
  t.is(silent, `the request to ${base} failed: no answer in time`);
  t.is(requested.length, 3);
  const gone = await callUrl(new URL('http://user:secret@127.0.0.1:1/secret'), CALL);
  t.is(gone, 'the request to http://127.0.0.1:1 failed: connection refused (ECONNREFUSED)');
  for (const text of ['ftp://a/secret', 'secret', '', 'file:///secret', 'http://']) {
    const error = t.throws(() => parseUrl(text, 'UrlStart'));
    t.notRegex(error.message, /secret/);
  }
});

const MAIL = {
  mailTo: ['ops@example.org', 'root'],
  mailFrom: 'tardis@host',
  mailCommand: ['true'],
};

test('mail has headers nobody can add to, and lines that every server takes', (t) => {
  const subject = 'failed\r\nBcc: evil@example.org \u00fc'.padEnd(300, '\u00fc');
  const mail = { subject, lines: ['one\r\n.\r\ntwo', '\u00fc'.repeat(1000)], dateMs: 0 };
  const [head, body] = mailText(MAIL, mail).split('\n\n') as [string, string];
  t.regex(head, /^To: ops@example\.org, root$/m);
  t.regex(head, /^Date: Thu, 01 Jan 1970 00:00:00 \+0000$/m);
  t.notRegex(head, /^Bcc/m);
  const words = /^Subject: ((?:=\?utf-8\?B\?[A-Za-z0-9+/=]+\?=(?:\n )?)+)$/m.exec(head)![1]!;
  const decoded = words.split('\n ').map((word) => Buffer.from(word.slice(10, -2), 'base64'));
  t.is(Buffer.concat(decoded).toString().slice(0, 20), String.raw`failed\x0d\x0aBcc: e`);
  t.true(head.split('\n').every((line) => line.length <= 78));
  t.is(body.split('\n')[0], String.raw`one\x0d\x0a.\x0d\x0atwo`);
  t.true(body.split('\n').every((line) => Buffer.byteLength(line) <= 998));
});

test('mail addresses that are none, or options, are refused', (t) => {
  t.notThrows(() => checkMailSettings(MAIL));
  for (const address of ['', '-oQ/tmp', 'a b', 'a,b', 'a\nBcc: b', '<a@b>', 'a@b;c']) {
    const code = thrownCode(() => checkMailSettings({ ...MAIL, mailTo: [address] }));
    t.is(code, 'CONFIG_INVALID', address);
    t.notThrows(() => checkMailSettings({ ...MAIL, mailTo: [], mailFrom: address }));
  }
  t.is(
    thrownCode(() => checkMailSettings({ ...MAIL, mailCommand: [] })),
    'CONFIG_INVALID',
  );
});

test('a mail command that fails is reported with its last line', async (t) => {
  const mail = { subject: 's', lines: ['l'], dateMs: 0 };
  const at = path.join(scratchInMemory(t), 'mail');
  t.is(await sendMail({ ...MAIL, mailCommand: ['tee', at] }, mail), undefined);
  t.regex(fs.readFileSync(at, 'utf8'), /^From: tardis@host\n[^]*\n\nl\n$/);
  const mailCommand = ['sh', '-c', 'echo first; echo no route >&2; exit 75'];
  const why = await sendMail({ ...MAIL, mailCommand }, mail);
  t.is(why, 'sh could not send mail: exit status 75 (no route)');
});
