// Pace: slow
/** Memory used to stretch a password: the client chooses the amount, and the server uses none. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { resolveSettings, type Tool } from '../../src/config/index.js';
import { parseKeyRecord, stretchBytes } from '../../src/crypto/index.js';
import { run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

const MIB = 1 << 20;
const WORD = '--password=gravel-Otter9-lamp';
const NEXT = '--newpassword=kelp-Sundry7-mulch';

function byProfile(tool: Tool, profile: string): unknown {
  const commandLine = new Map([['profile', [profile]]]);
  const given = { commandLine, environment: { TARDIS_DEFAULTS: '' } };
  return resolveSettings(tool, given).sources.get('passwordMemoryBytes')?.value;
}

test('a new password costs the memory that is set, and less on a small machine', async (t) => {
  for (const tool of ['tardis', 'sonic create', 'sonic chpass', 'sonic rekey'] as const) {
    t.is(byProfile(tool, 'desktop'), 128 * MIB, tool);
    t.is(byProfile(tool, 'pi'), 32 * MIB, tool);
  }
  const { place, source, store, written } = lab(t);
  const memoryOf = (...names: string[]): number =>
    stretchBytes(parseKeyRecord(fs.readFileSync(path.join(store, 'me', ...names))).parameters);
  const create = ['--local', '--create', WORD, '--password-memory', '32M', source];
  const made = await run('tardis', [...place, ...create]);
  t.regex(made.stderr, /each of which needs 32 MiB/);
  t.is(memoryOf('keys', '00000001.key'), 32 * MIB);
  const config = ['--config', written('cfg', '[Tardis]\nPasswordMemory = 64M\n')];
  const changed = await succeed('sonic', ['chpass', ...place, ...config, WORD, NEXT]);
  t.regex(changed, /each of which needs 64 MiB/);
  t.is(memoryOf('keys', '00000002.key'), 64 * MIB);
  const own = [...place, NEXT.replace('new', '')];
  await succeed('sonic', ['rotate', ...own]);
  t.is(memoryOf('keys', '00000003.key'), 64 * MIB, 'the password is the one there was');
  const reader = ['--add', 'reader', '--rights', 'list', NEXT, '--password-memory', '16M'];
  await succeed('sonic', ['account', ...own, ...reader]);
  t.is(memoryOf('accounts', 'reader', 'keys', '00000001.key'), 16 * MIB);
  for (const size of ['8M', '512M']) {
    const refused = await run('sonic', ['chpass', ...own, NEXT, '--password-memory', size]);
    t.regex(refused.stderr, /CONFIG_INVALID/);
  }
});

test('logins that come at once take nothing of the memory of their passwords from the server', async (t) => {
  const { place, source, store } = lab(t);
  const make = [...place, '--local', '--create', WORD, '--password-memory', '128M', source];
  await succeed('tardis', make);
  const server = await Server.during(t, store);
  const far = [...server.clientArgs, '-C', 'me', WORD];
  await succeed('lstardis', far);
  const before = peakBytes(server.running.pid);
  const logins = [far, far, [...far.slice(0, -1), '--password=wrong'], far];
  const ended = await Promise.all(logins.map((args) => run('lstardis', args)));
  t.deepEqual(
    ended.map(({ status }) => status),
    [0, 0, 12, 0],
  );
  t.true(peakBytes(server.running.pid) - before < 128 * MIB);
});

/** Returns the peak resident memory of a process in bytes. */
function peakBytes(pid: number): number {
  const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)![1]) * 1024;
}
