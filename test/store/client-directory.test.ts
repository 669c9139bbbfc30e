import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test from 'ava';
import {
  type ClientDirectory,
  createClientDirectory,
  DirectoryBackend,
  isClientName,
  listClients,
  lockClient,
  mediumOf,
  newestKeys,
  addRuns,
  openClientDirectory,
  STORE_FORMAT,
} from '../../src/store/index.js';
import { FaultPlan, faultySystem, KilledError } from '../support/faults.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { aRun } from '../helpers/runs.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { Ledger } from '../helpers/faults.js';
import { keyRecord } from '../helpers/records.js';
import { folderIn, scratch } from '../helpers/scratch.js';
import { untilLocked } from '../helpers/until.js';

const system = nodeSystem();
const STORE_URL = new URL('../../src/store/index.js', import.meta.url).href;
const SYSTEM_URL = new URL('../../src/system/index.js', import.meta.url).href;

const BAD_NAMES = [
  '',
  '.',
  '..',
  '...',
  '.hidden',
  '-option',
  'a/b',
  '/etc',
  '../x',
  'a\0b',
  'a b',
  'a\n',
  'ä',
  'x'.repeat(129),
  'x'.repeat(200),
];

test('a client that was made can be opened and is listed', async (t) => {
  const store = path.join(scratch(t), 'store');
  for (const client of ['laptop', 'a', 'x'.repeat(128), 'Host_1.example-2']) {
    const made = await createClientDirectory(system, { store, client });
    t.deepEqual(openClientDirectory(system, { store, client }), made);
    t.like(made, { client, path: path.join(store, client) });
  }
  fs.mkdirSync(path.join(store, 'stranger'));
  fs.writeFileSync(path.join(store, 'file'), '');
  fs.mkdirSync(path.join(store, '.hidden'));
  t.deepEqual(listClients(system, store), ['Host_1.example-2', 'a', 'laptop', 'x'.repeat(128)]);
});

test('of two creations of one client at once, one succeeds, and its keys are stored', async (t) => {
  const store = scratch(t);
  const [first, second] = [keyRecord(1), keyRecord(2)];
  const keys = path.join(store, 'me', 'keys');
  let other: Promise<string | undefined> | undefined;
  const syncDirectory = async (directory: string): Promise<void> => {
    await system.files.syncDirectory(directory);
    if (directory !== keys || other !== undefined) return;
    const started = await untilLocked((process) =>
      rejectedCode(createClientDirectory(process, { store, client: 'me', keys: second })),
    );
    other = started.ended;
  };
  const files = { ...system.files, syncDirectory };
  await createClientDirectory({ ...system, files }, { store, client: 'me', keys: first });
  t.is(await other, 'CLIENT_EXISTS');
  t.deepEqual(newestKeys(system, path.join(store, 'me')), { number: 1, bytes: first });
});

test('the name of the catalog can be chosen', async (t) => {
  const store = scratch(t);
  const options = { store, client: 'c', catalogFile: 'other.db' };
  const made = await createClientDirectory(system, options);
  t.is(made.catalogPath, path.join(store, 'c', 'other.db'));
  t.is(
    openClientDirectory(system, { store, client: 'c' }).catalogPath,
    path.join(store, 'c', 'tardis.db'),
  );
});

test('a client is made once', async (t) => {
  const store = scratch(t);
  await createClientDirectory(system, { store, client: 'c' });
  const format = path.join(store, 'c', 'format.json');
  const before = fs.readFileSync(format, 'utf8');
  const code = await rejectedCode(createClientDirectory(system, { store, client: 'c' }));
  t.is(code, 'CLIENT_EXISTS');
  t.is(fs.readFileSync(format, 'utf8'), before);
});

test('every client has an id of its own', async (t) => {
  const store = scratch(t);
  const ids = await Promise.all(
    ['a', 'b'].map(async (client) => {
      const made = await createClientDirectory(system, { store, client });
      const text = fs.readFileSync(path.join(made.path, 'format.json'), 'utf8');
      return (JSON.parse(text) as { format: number; clientId: string }).clientId;
    }),
  );
  t.regex(ids[0]!, /^[0-9a-f]{32}$/);
  t.not(ids[0], ids[1]);
});

test('no name leads out of the store, or to a strange directory', async (t) => {
  const parent = scratch(t);
  const store = folderIn(parent, 'store');
  for (const client of BAD_NAMES) {
    const shown = JSON.stringify(client);
    t.false(isClientName(client), shown);
    const code = await rejectedCode(createClientDirectory(system, { store, client }));
    t.is(code, 'CLIENT_NAME_INVALID', shown);
    t.is(
      thrownCode(() => openClientDirectory(system, { store, client })),
      'CLIENT_NAME_INVALID',
      shown,
    );
  }
  t.deepEqual(fs.readdirSync(parent), ['store']);
  t.deepEqual(fs.readdirSync(store), []);
});

test('a run of a client that was removed meanwhile leaves nothing in its place', async (t) => {
  const place = { store: scratch(t), client: 'c' };
  const made = await createClientDirectory(system, place);
  fs.rmSync(made.path, { recursive: true });
  t.is(await rejectedCode(addRuns(system, made, [aRun()])), 'IO_FAILED');
  t.false(fs.existsSync(made.path));
  await addRuns(system, await createClientDirectory(system, place), [aRun()]);
  t.is(fs.readdirSync(path.join(made.path, 'runs')).length, 1);
});

test('what is missing has a name', async (t) => {
  const folder = scratch(t);
  fs.writeFileSync(path.join(folder, 'file'), '');
  fs.mkdirSync(path.join(folder, 'unmade'));
  const open = (store: string, client: string): string | undefined =>
    thrownCode(() => openClientDirectory(system, { store, client }));
  t.is(open(path.join(folder, 'none'), 'c'), 'NO_SUCH_STORE');
  t.is(open(path.join(folder, 'file'), 'c'), 'NO_SUCH_STORE');
  t.is(open(path.join(folder, 'unmade'), 'c'), 'NO_SUCH_STORE', 'the place of a disk');
  t.is(open(folder, 'c'), 'NO_SUCH_STORE', 'other files');
  fs.unlinkSync(path.join(folder, 'file'));
  await createClientDirectory(system, { store: folder, client: 'other' });
  t.is(open(folder, 'c'), 'NO_SUCH_CLIENT');
  t.is(open(folder, 'unmade'), 'NO_SUCH_CLIENT');
  t.is(
    thrownCode(() => listClients(system, path.join(folder, 'none'))),
    'NO_SUCH_STORE',
  );
});

const OF_CLIENT = { clientId: '00', keys: 'none' };

/** Returns the text of a format file with its sum. */
function summed(body: object): string {
  const sum = crc32(JSON.stringify(body)).toString(16).padStart(8, '0');
  return JSON.stringify({ ...body, sum });
}

test('a client of a later format is left alone, a broken format file is damage', async (t) => {
  const store = scratch(t);
  const options = { store, client: 'c' };
  const { path: directory } = await createClientDirectory(system, options);
  const formats: [string, string][] = [
    [summed({ format: STORE_FORMAT + 1 }), 'STORE_NEWER'],
    [summed({ format: 1e9, more: true }), 'STORE_NEWER'],
    [`{"format":${STORE_FORMAT + 1}}`, 'FORMAT_DAMAGED'],
    [summed({ format: '1', ...OF_CLIENT }), 'FORMAT_DAMAGED'],
    [summed({ format: 1, keys: 'none' }), 'FORMAT_DAMAGED'],
    [summed({ format: 1, clientId: '00' }), 'FORMAT_DAMAGED'],
    [summed({ format: 1, clientId: '00', keys: 'some' }), 'FORMAT_DAMAGED'],
    [JSON.stringify({ format: 1, ...OF_CLIENT }), 'FORMAT_DAMAGED'],
    [summed({ format: 1, ...OF_CLIENT }).replace('none', 'password'), 'FORMAT_DAMAGED'],
    ['', 'FORMAT_DAMAGED'],
    ['{"format":1', 'FORMAT_DAMAGED'],
    ['null', 'FORMAT_DAMAGED'],
    ['{}', 'FORMAT_DAMAGED'],
    ['{"format":"1"}', 'FORMAT_DAMAGED'],
  ];
  fs.writeFileSync(path.join(directory, 'format.json'), summed({ format: 1, ...OF_CLIENT }));
  t.notThrows(() => openClientDirectory(system, options), 'with its sum it is sound');
  for (const [text, expected] of formats) {
    fs.writeFileSync(path.join(directory, 'format.json'), text);
    t.is(
      thrownCode(() => openClientDirectory(system, options)),
      expected,
      text,
    );
  }
});

/** Returns the system with one file call that always fails. */
function failing(call: keyof System['files'], code: string): System {
  const fail = (): never => {
    throw Object.assign(new Error(`${code}: injected`), { code });
  };
  return { ...system, native: system.native, files: { ...system.files, [call]: fail } };
}

test('a store that cannot be written gives the reason, and no half client stays', async (t) => {
  const store = scratch(t);
  await createClientDirectory(system, { store, client: 'other' });
  const options = { store, client: 'c' };
  const failures: [keyof System['files'], string, string][] = [
    ['makeDirectory', 'EACCES', 'STORE_NOT_WRITABLE'],
    ['makeDirectory', 'EROFS', 'STORE_NOT_WRITABLE'],
    ['open', 'EACCES', 'STORE_NOT_WRITABLE'],
    ['write', 'ENOSPC', 'DISK_FULL'],
    ['sync', 'EIO', 'IO_FAILED'],
    ['rename', 'EDQUOT', 'DISK_FULL'],
  ];
  for (const [call, code, expected] of failures) {
    const result = await rejectedCode(createClientDirectory(failing(call, code), options));
    t.is(result, expected, call);
    t.is(
      thrownCode(() => openClientDirectory(system, options)),
      'NO_SUCH_CLIENT',
      call,
    );
  }
  await createClientDirectory(system, options);
  t.is(
    thrownCode(() => openClientDirectory(failing('status', 'EACCES'), options)),
    'STORE_NOT_READABLE',
  );
  t.is(
    thrownCode(() => openClientDirectory(failing('open', 'EACCES'), options)),
    'STORE_NOT_READABLE',
  );
});

test('a client whose making was killed at any point can be made again', async (t) => {
  const parent = scratch(t);
  let killed = 0;
  for (let at = 1; ; at += 1) {
    const options = { store: path.join(parent, `${at}`), client: 'c' };
    const plan = new FaultPlan(at, { kind: 'kill' });
    const ledger = new Ledger(system);
    let isOver = true;
    try {
      await createClientDirectory(faultySystem(ledger.system, plan), options);
    } catch (error) {
      isOver = false;
      if (!(error instanceof KilledError || (error as Error).cause instanceof KilledError))
        throw error;
    }
    if (isOver) break;
    killed += 1;
    ledger.closeAll();
    const again = await rejectedCode(createClientDirectory(system, options));
    t.true(again === undefined || again === 'CLIENT_EXISTS', `${at}: ${again}`);
    t.is(openClientDirectory(system, options).client, 'c');
  }
  t.true(killed > 10, `${killed}`);
});

// --- the lock ----------------------------------------------------------------------------------

/** Starts a process that holds the client's lock until it is killed. */
async function holdElsewhere(directory: ClientDirectory): Promise<{ kill(): Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { lockClient } from ${JSON.stringify(STORE_URL)};
       import { nodeSystem } from ${JSON.stringify(SYSTEM_URL)};
       lockClient(nodeSystem(), JSON.parse(process.argv[1]));
       process.stdout.write('held');
       process.stdin.resume();`,
      JSON.stringify(directory),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const kill = async (): Promise<void> => {
    const over = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await over;
  };
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return { kill };
}

test('a lock held in another process keeps us out until that process ends', async (t) => {
  const directory = await createClientDirectory(system, { store: scratch(t), client: 'c' });
  const holder = await holdElsewhere(directory);
  t.teardown(() => holder.kill());
  for (let round = 0; round < 3; round += 1) {
    t.is(
      thrownCode(() => lockClient(system, directory)),
      'CLIENT_BUSY',
    );
  }
  await holder.kill();
  lockClient(system, directory).release();
});

test('a lock keeps out a second session of the same process, and only of that client', async (t) => {
  const store = scratch(t);
  const directory = await createClientDirectory(system, { store, client: 'c' });
  const other = await createClientDirectory(system, { store, client: 'd' });
  const lock = lockClient(system, directory);
  t.is(
    thrownCode(() => lockClient(system, directory)),
    'CLIENT_BUSY',
  );
  lockClient(system, other).release();
  lock.release();
  lockClient(system, directory).release();
});

test('refused locks leave no descriptor open', async (t) => {
  const directory = await createClientDirectory(system, { store: scratch(t), client: 'c' });
  const lock = lockClient(system, directory);
  let open = 0;
  const { files } = system;
  const counting: System = {
    ...system,
    native: system.native,
    files: {
      ...files,
      open: (...values) => ((open += 1), files.open(...values)),
      close: (fd) => ((open -= 1), files.close(fd)),
    },
  };
  t.is(
    thrownCode(() => lockClient(counting, directory)),
    'CLIENT_BUSY',
  );
  t.is(open, 0);
  lock.release();
});

test('what an interrupted session had staged is cleared away', async (t) => {
  const directory = await createClientDirectory(system, { store: scratch(t), client: 'c' });
  t.notThrows(() => mediumOf(system, directory).clearStaged());
  const backend = new DirectoryBackend(directory.path, system.files);
  for (const text of ['one', 'two']) backend.stage().append(Buffer.from(text));
  backend.create('packs/1').close();
  mediumOf(system, directory).clearStaged();
  t.deepEqual(fs.readdirSync(path.join(directory.path, 'incoming')), []);
  t.deepEqual(await backend.list('packs/'), ['packs/1']);
});

test('a lock of a directory that was exchanged meanwhile is none', async (t) => {
  const store = scratch(t);
  const made = await createClientDirectory(system, { store, client: 'c' });
  lockClient(system, made).release();
  const other = path.join(store, '.other');
  fs.cpSync(made.path, other, { recursive: true });
  let isExchanged = false;
  const exchanging: System = {
    ...system,
    native: system.native,
    files: {
      ...system.files,
      open: (file, how) => {
        const fd = system.files.open(file, how);
        if (how === 'write' && !isExchanged) {
          isExchanged = true;
          fs.renameSync(made.path, `${made.path}.old`);
          fs.renameSync(other, made.path);
        }
        return fd;
      },
    },
  };
  t.is(
    thrownCode(() => lockClient(exchanging, made)),
    'CLIENT_BUSY',
  );
  t.true(isExchanged);
  lockClient(exchanging, made).release();
});
