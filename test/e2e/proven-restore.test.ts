// Pace: long
/** The last proven restore: what counts as one, and every reader shows its time. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { RunRecord } from '../../src/model/index.js';
import { addRuns, openClientDirectory, readRuns } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import type { Proof } from '../../src/model/index.js';
import {
  backup,
  backupsRunHere,
  poolsStayAway,
  run,
  Running,
  succeed,
} from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { WebDoor } from '../helpers/web-door.js';

backupsRunHere();
poolsStayAway();

/** A time long before the test, in seconds. */
const EARLY = 1_000_000_000;

async function restoresIn(store: string): Promise<RunRecord[]> {
  const directory = openClientDirectory(nodeSystem(), { store, client: 'me' });
  return (await readRuns(nodeSystem(), directory)).filter(({ kind }) => kind === 'restore');
}

test('only a restore that wrote files without a failure is a proof, and every reader shows it', async (t) => {
  const { at, store, source, place, written } = lab(t);
  const env = { XDG_STATE_HOME: at('state') };
  await backup([...place, '--local', '--create', source]);
  const journal = path.join(store, 'me', 'runs');
  const restores = (): Promise<RunRecord[]> => restoresIn(store);
  /** Dates the restores of the journal, and forgets on this machine that they were noted. */
  const age = async (): Promise<void> => {
    const runs = (await restores()).map((one) => ({ ...one, endedMs: EARLY * 1000, beganMs: 0 }));
    fs.rmSync(journal, { recursive: true });
    fs.rmSync(at('state', 'tardis', 'backups'), { recursive: true });
    await addRuns(nodeSystem(), openClientDirectory(nodeSystem(), { store, client: 'me' }), runs);
  };
  const proofBy = async (...words: string[]): Promise<Proof> => {
    const { stdout } = await run('sonic', ['status', '--json', ...words]);
    return (JSON.parse(stdout) as { proof: Proof }).proof;
  };
  t.is((await proofBy(...place)).code, 'none');
  t.regex(
    (await run('sonic', ['status', ...place])).stdout,
    /^last restore +No restore has proven/m,
  );
  const restore = (...words: string[]) =>
    run('regenerate', [...words, path.join(source, 'two')], { env });
  await restore(...place, '-n', '-o', at('dry'));
  fs.mkdirSync(at('taken'));
  fs.writeFileSync(at('taken', 'two'), 'another one');
  await restore(...place, '-o', at('taken'));
  t.deepEqual(await restores(), [], 'a rehearsal, and a file that stayed as it was');
  t.is((await restore(...place, '-o', at('out'))).status, 0);
  const { restoredAtMs = 0 } = await proofBy(...place);
  t.true(Math.abs(restoredAtMs - Date.now()) < 60_000);
  await age();
  t.is((await restore(...place, '-o', at('out'))).status, 0);
  t.is((await restores()).length, 1, 'an equal file is there, and was not written');

  const metrics = at('store.prom');
  const mail = `MailTo = me@example.org\nMailCommand = tee -a ${at('mail')}\n`;
  const watch = `OverdueFor = me=1\nWatchInterval = 1\nMetricsFile = ${metrics}\n`;
  const config = ['--config', written('cfg', `[Tardis]\n${watch}${mail}`)];
  const socket = at('socket');
  const server = new Running('tardisd', ['-D', store, '--local', socket, ...config]);
  t.teardown(() => server.signalGroup('SIGKILL'));
  const textOf = (name: string): string =>
    fs.existsSync(name) ? fs.readFileSync(name, 'utf8') : '';
  const line = /^tardis_client_last_restore_timestamp_seconds\{client="me"\} (\d+)/m;
  await server.until('its metrics', () => line.exec(textOf(metrics))?.[1] === String(EARLY));
  await server.until('its mail', () =>
    textOf(at('mail')).includes('Files were last restored at 2001-09-09T01:46:40.000Z.'),
  );
  const there = ['--server', socket, '-C', 'me'];
  t.like(await proofBy(...there), { code: 'old', restoredAtMs: EARLY * 1000 });
  t.is((await restore(...there, '-o', at('far'))).status, 0);
  const now = (await restores()).at(-1)!.endedMs;
  t.true(now > EARLY * 1000, 'a restore through the server is noted there');
  await server.until('its metrics', () => Number(line.exec(textOf(metrics))?.[1] ?? 0) > EARLY);

  const door = await WebDoor.start(store, ['-C', 'me']);
  const cookie = await door.enter();
  const [shown] = JSON.parse((await door.request('/api/v1/clients', { cookie })).body) as {
    proof: Proof;
  }[];
  await door.close();
  const listed = await run('sonic', ['clients', '-D', store, '--json']);
  const { clients } = JSON.parse(listed.stdout) as { clients: { proof: Proof }[] };
  const proofs = [
    shown?.proof,
    clients[0]?.proof,
    await proofBy(...place),
    await proofBy(...there),
  ];
  for (const one of proofs) t.like(one, { code: 'restored', restoredAtMs: Math.floor(now) });
  t.regex((await run('sonic', ['clients', '-D', store])).stdout, /^client .*restored /);
  await age();
  fs.mkdirSync(at('export'));
  await succeed('sonic', ['export', ...place, '--to', at('export')]);
  t.true((await restores()).at(-1)!.endedMs > EARLY * 1000, 'an export is a restore of all sets');
});
