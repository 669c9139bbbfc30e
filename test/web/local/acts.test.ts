/** Acts of a user's own page: commands that run as jobs. */
import test, { type ExecutionContext } from 'ava';
import { openLocalHistory } from '../../../src/history/index.js';
import { type Act, type Commands, Job, Jobs, type OnLine } from '../../../src/web/local/index.js';
import { inlineLab, inlineSystem } from '../../helpers/inline.js';
import { serveHere } from '../../helpers/local-door.js';
import { file } from '../../helpers/tree.js';

const NO_RULES = { KeepDaily: '0', KeepWithin: '', KeepTags: 'old', Priorities: '40' };

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly canUndo: boolean;
  readonly hasWarnings: boolean;
  readonly report?: string;
  readonly result?: { readonly code: string; readonly n?: number };
  readonly latest?: string;
  readonly log: readonly string[];
  readonly error?: { readonly code: string; readonly message: string };
}

/** Commands that end when the test decides it. */
class FakeCommands implements Commands {
  readonly offers: Commands['offers'];
  readonly mountPoint = '/run/me';
  readonly acts: Act[] = [];
  print: OnLine = () => undefined;
  end: (status: number) => void = () => undefined;
  stops = 0;

  constructor(offers: Commands['offers']) {
    this.offers = offers;
  }

  setup(stored: Parameters<Commands['setup']>[0]): ReturnType<Commands['setup']> {
    return { Sources: '/home/ann', When: 'daily', Keep: `${stored.length} rules` };
  }

  start(act: Act): ReturnType<Commands['start']> {
    this.acts.push(act);
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.end = resolve;
    return {
      text: 'sonic something',
      follow: (onLine) => {
        this.print = onLine;
        return promise;
      },
      stop: () => {
        this.stops += 1;
        resolve(act.kind === 'mount' ? 0 : undefined); // a mount ends in order
      },
    };
  }
}

async function served(
  t: ExecutionContext,
  offers: Commands['offers'] = ['backup', 'change', 'mount', 'purge'],
  jobs: Jobs = new Jobs(),
) {
  const { place, backup } = inlineLab(t, [file('a.txt', 'x')]);
  const system = inlineSystem();
  await backup({}, system);
  const commands = new FakeCommands(offers);
  const history = openLocalHistory(system, { ...place, catalogFile: 'tardis.db' });
  const { base, headers } = await serveHere(t, history, { commands, jobs });
  const send = async (url: string, body?: object, method = 'POST') => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const { 'content-type': type, ...rest } = headers;
    const all = body === undefined ? rest : { ...rest, 'content-type': type! };
    const answer = await fetch(`${base}${url}`, { method, headers: all, ...sent });
    return { status: answer.status, job: (await answer.json()) as Shown & { code: string } };
  };
  const act = (kind: string, body?: object) => send(`/clients/me/${kind}`, body);
  const job = async (id: string) => (await send(`/jobs/${id}`, undefined, 'GET')).job;
  return { commands, send, act, job, base, headers };
}

test('an act is one command at a time, with its progress, its report and its warnings', async (t) => {
  const { commands, act, job } = await served(t);
  const { job: begun } = await act('backups');
  t.like(begun, { state: 'running', kind: 'backup', command: 'sonic something' });
  t.like(await act('backups'), { status: 503, job: { code: 'CLIENT_BUSY' } });
  commands.print('scanned 3 entries', 'messages');
  commands.print('warning: odd', 'messages');
  commands.print('scanned 4 entries', 'messages');
  commands.print('Backup set 2 (today) is complete.', 'output');
  t.like(await job(begun.id), {
    latest: 'scanned 4 entries',
    log: ['warning: odd', 'Backup set 2 (today) is complete.'],
  });
  commands.end(3);
  const done = await job(begun.id);
  t.like(done, { state: 'done', hasWarnings: true, report: 'Backup set 2 (today) is complete.' });
  t.deepEqual(done.result, { code: 'backup', n: 2 });
  t.is(done.latest, undefined);
});

test('a check counts the versions that it has found lost, and repairs if it is asked to', async (t) => {
  const { commands, act, job } = await served(t);
  const { job: begun } = await act('checks', { readsAll: true, repairs: true });
  t.deepEqual(commands.acts.at(-1), { kind: 'check', readsAll: true, repairs: true });
  commands.print('1,200 versions of files cannot be restored.', 'output');
  commands.end(3);
  t.deepEqual((await job(begun.id)).result, { code: 'check', n: 1200 });
});

test('a command that fails gives its own error, and one that is stopped ends as stopped', async (t) => {
  const { commands, act, send, job } = await served(t);
  const failing = (await act('deletions', { sets: [1] })).job;
  commands.print('sonic delete: set 1 is the newest [SET_IS_NEWEST]', 'messages');
  commands.print('sonic delete: Keep it.', 'messages');
  commands.end(1);
  t.like(await job(failing.id), {
    state: 'failed',
    error: { code: 'SET_IS_NEWEST', message: 'set 1 is the newest' },
  });
  const { job: begun } = await act('checks', { readsAll: true });
  const stopped = await send(`/jobs/${begun.id}`, undefined, 'DELETE');
  t.is(stopped.job.state, 'stopped');
  t.is(commands.stops, 1);
});

test('only answers that differ are given to the set-up, and those before them take it back', async (t) => {
  const { commands, act, send, job } = await served(t);
  const shown = (await send('/clients/me/setup', undefined, 'GET')).job as unknown;
  t.deepEqual(shown, { Sources: '/home/ann', When: 'daily', Keep: '0 rules' });
  t.is((await act('setup', { When: 'daily' })).status, 400);
  t.is((await act('setup', { When: 'daily\nPlace = /elsewhere' })).status, 400);
  t.is((await act('setup', { Place: '/elsewhere' })).status, 400);
  t.is((await act('setup', { HookBefore: 'sh' })).status, 400, 'the program does not offer it');
  const { job: begun } = await act('setup', { Sources: '/home/ann', When: 'weekly' });
  t.deepEqual(commands.acts.at(-1), { kind: 'setup', answers: { When: 'weekly' } });
  commands.end(0);
  t.true((await job(begun.id)).canUndo);
  await send(`/jobs/${begun.id}/undo`);
  t.deepEqual(commands.acts.at(-1), { kind: 'setup', answers: { When: 'daily' } });
  commands.end(0);
  await act('test-reports');
  t.deepEqual(commands.acts.at(-1), { kind: 'test-report' });
  commands.end(0);
});

test('only what an act has changed is taken back', async (t) => {
  const { commands, act, send, job } = await served(t);
  const locking = (await act('locks', { sets: [1], isLocked: true })).job;
  t.false(locking.canUndo);
  commands.end(0);
  const locked = await job(locking.id);
  t.true(locked.canUndo);
  t.deepEqual(locked.result, { code: 'lock', n: 1 });
  await send(`/jobs/${locking.id}/undo`);
  t.deepEqual(commands.acts.at(-1), { kind: 'lock', sets: [1], isLocked: false });
  commands.end(0);
  const again = (await act('locks', { sets: [1], isLocked: false })).job; // it is unlocked
  commands.end(0);
  t.false((await job(again.id)).canUndo);
  t.is((await send(`/jobs/${again.id}/undo`)).status, 400);
  const forgetting = (await act('forgets', { paths: ['/a/b'] })).job;
  commands.print('7: /a/b will be deleted; `sonic forget-path --undo 7` undoes this.', 'output');
  commands.end(0);
  t.true((await job(forgetting.id)).canUndo);
  await send(`/jobs/${forgetting.id}/undo`);
  t.deepEqual(commands.acts.at(-1), { kind: 'withdraw', request: 7 });
  commands.end(0);
});

test('a purge takes each rule in words, and stores those that differ', async (t) => {
  const { commands, act } = await served(t);
  const rules = { KeepLast: '3', KeepHourly: '0', KeepWithin: '2d', KeepTags: 'old new' };
  await act('purges', { rules, saves: true });
  t.deepEqual(commands.acts.at(-1), {
    kind: 'purge',
    rules: { ...rules, KeepHourly: '' },
    stores: { KeepLast: '3', KeepWithin: '2d', KeepTags: 'old new' },
  });
  commands.end(0);
});

test('a mount is shown where it is until it is stopped, and is the only one', async (t) => {
  const { commands, act, send, job } = await served(t);
  t.like((await send('/session', undefined, 'GET')).job, { mountPoint: '/run/me' });
  const { job: begun } = await act('mounts', { directory: '/mnt/here' });
  t.deepEqual(commands.acts, [{ kind: 'mount', directory: '/mnt/here' }]);
  t.like(begun, { state: 'running', output: '/mnt/here' });
  t.is(begun.report, undefined);
  commands.print('Mounted at /mnt/here; Ctrl-C unmounts it.', 'output');
  t.like(await job(begun.id), {
    state: 'running',
    report: 'Mounted at /mnt/here; Ctrl-C unmounts it.',
  });
  t.like(await act('mounts', { directory: '/mnt/there' }), { status: 503 });
  const { job: ended } = await send(`/jobs/${begun.id}`, undefined, 'DELETE');
  t.like(ended, { state: 'done', result: { code: 'mount' } });
});

test('an act that finds no room among the jobs that run starts no command', async (t) => {
  const jobs = new Jobs();
  const facts = { client: 'other', kind: 'archive', paths: [] } as const;
  const running = Array.from({ length: 32 }, () => jobs.add(new Job(facts)));
  const { commands, act } = await served(t, undefined, jobs);
  t.like(await act('deletions', { sets: [1] }), { status: 503, job: { code: 'CLIENT_BUSY' } });
  t.deepEqual(commands.acts, []);
  running[0]!.end({});
  t.is((await act('deletions', { sets: [1] })).status, 200);
  commands.end(0);
  for (const job of running) job.end({}); // the server waits for its jobs
});

test('no route answers without a login, or for a page of another site, whatever it does', async (t) => {
  const { commands, base, headers } = await served(t);
  const { paths } = (await (await fetch(`${base}/openapi.json`, { headers })).json()) as {
    paths: Record<string, Record<string, { security?: readonly object[] }>>;
  };
  const { authorization: _, ...unknown } = headers;
  let acts = 0;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { security }] of Object.entries(methods)) {
      const url = `${base}${path.replace('{client}', 'me').replaceAll(/\{\w+\}/g, '1')}`;
      const body = method === 'post' ? { body: '{}' } : {};
      const ask = async (more: Record<string, string>): Promise<number> =>
        (await fetch(url, { method: method.toUpperCase(), headers: more, ...body })).status;
      const foreign = { ...headers, origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' };
      t.is(await ask(foreign), 403, `${method} ${path}`);
      if (security?.length === 0) continue;
      t.is(await ask(unknown), 401, `${method} ${path}`);
      if (method === 'post') acts += 1;
    }
  }
  t.true(acts >= 12, String(acts)); // all acts are among them
  t.deepEqual(commands.acts, []);
});

test('acts that cannot work, and bodies that are no acts, begin nothing', async (t) => {
  const { commands, act } = await served(t);
  for (const [kind, body] of [
    ['locks', { sets: [], isLocked: true }],
    ['locks', { sets: ['--unlock'], isLocked: true }],
    ['tags', { sets: [1], addTags: ['--yes'], removeTags: [] }],
    ['tags', { sets: [1], addTags: [], removeTags: [] }],
    ['deletions', { sets: [99] }],
    ['forgets', { paths: ['/%ff'] }],
    ['forgets', { paths: ['--now'] }],
    ['mounts', {}],
    ['mounts', { directory: 'relative' }],
    ['mounts', { directory: '/a\u0000b' }],
    ['purges', { rules: NO_RULES, saves: true }],
    ['purges', { rules: { KeepDaily: '1', KeepTags: '--yes' }, saves: true }],
    ['purges', { rules: { KeepDaily: '1', KeepWithin: '2d --yes' }, saves: true }],
    ['purges', { rules: { KeepDaily: '1', BaseDir: '/' }, saves: true }],
  ] as const) {
    const { status } = await act(kind, body);
    t.true(status === 400 || status === 404, `${kind} ${JSON.stringify(body)}: ${status}`);
  }
  t.deepEqual(commands.acts, []);
  const none = await served(t, []);
  t.is((await none.act('backups')).status, 403);
  t.is((await none.act('deletions', { sets: [1] })).status, 403);
});
