// Pace: slow
/** Effects of the client's settings, given by option, key and variable. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Codec } from '../../src/store/index.js';
import { backup, backupsRunHere, rest, run, Server, succeed } from '../helpers/commands.js';
import { codecsStored, lab, restoredBy } from '../helpers/lab.js';
import { addTo, dir, file, noise, text } from '../helpers/tree.js';
import { ROOT } from '../tidy/house.js';

backupsRunHere();

const KIB = 1 << 10;
const MIB = 1 << 20;

test('directories come from arguments or the key', async (t) => {
  const { at, place, written } = lab(t);
  addTo(at('.'), dir('with space', [file('x', 'x')]));
  const key = `Directories = "${at('with space')}"\n  ${at('tree')}\n`;
  const config = written('cfg', `[Tardis]\n${key}`);
  const local = [...place, '--local'];
  const rootsOf = async (set: number): Promise<boolean[]> =>
    Promise.all(
      ['with space', 'tree'].map(async (name) => {
        const args = [...place, '-b', String(set), at(name)];
        return (await run('lstardis', args)).status === 0;
      }),
    );
  await backup([...local, '--create', '--config', config]);
  t.deepEqual(await rootsOf(1), [true, true]);
  await backup([...local, '--config', config, at('tree')]);
  t.deepEqual(await rootsOf(2), [false, true]);
  await backup(local, { cwd: at('with space') }); // the default is the working directory
  t.deepEqual(await rootsOf(3), [true, false]);
});

test('the server comes from option, key and variable', async (t) => {
  const { store, source, written } = lab(t);
  const server = await Server.during(t, store);
  const args = ['-C', 'me', '--insecure-tcp', '--port', String(server.port), source];
  const [good, elsewhere] = ['127.0.0.1', '192.0.2.1'];
  await backup(['--create', '--server', good, ...args], { env: { TARDIS_SERVER: elsewhere } });
  await backup(args, { env: { TARDIS_SERVER: good } });
  const config = written('cfg', `[Tardis]\nServer = ${good}\n`);
  await backup(['--config', config, ...args], { env: { TARDIS_SERVER: elsewhere } });
  for (const [more, env] of [
    [[], { TARDIS_SERVER: elsewhere }],
    [['--config', written('other', `[Tardis]\nServer = ${elsewhere}\n`)], {}],
  ] as const) {
    const { stderr } = await run('tardis', [...more, ...args], { env });
    t.regex(stderr, /192\.0\.2\.1.*INSECURE_TCP_REFUSED/); // refused before any connection is made
  }
});

test('a job may have Local and a LocalServerCmd of its own', async (t) => {
  const { at, store, written } = lab(t);
  written('mine', `#!/bin/sh\ntouch '${at('was here')}'\nexec '${ROOT}/bin/tardisd' "$@"\n`);
  fs.chmodSync(at('mine'), 0o755);
  const config = written(
    'cfg',
    `[home]\nDatabase = ${store}\nClient = me\nLocal = yes\nLocalServerCmd = sh '${at('mine')}'\n` +
      `Directories = ${at('tree')}\n`,
  );
  await backup(['--create', '--config', config, '--job', 'home']);
  t.true(fs.existsSync(at('was here')));
  fs.rmSync(at('was here'));
  const command = `'${ROOT}/bin/tardisd'`;
  await backup(['--config', config, '--job', 'home', '--local-server-cmd', command]);
  t.false(fs.existsSync(at('was here')));
  const args = ['--config', config, '--job', 'home', '--no-local', '--no-ssl'];
  t.regex((await run('tardis', args)).stderr, /INSECURE_TCP_REFUSED/);
  // A server that the command line names is used, whatever the file has; a variable counts less than the file.
  const named = ['--config', config, '--job', 'home', '--no-ssl'];
  const elsewhere = await run('tardis', [...named, '--server', '192.0.2.1']);
  t.regex(elsewhere.stderr, /192\.0\.2\.1.*INSECURE_TCP_REFUSED/);
  await backup(named, { env: { TARDIS_SERVER: '192.0.2.1' } });
  await backup([...named, '--local', '--server', '192.0.2.1']);
});

test('the local server reads its own configuration', async (t) => {
  const { at, source, written } = lab(t);
  const config = written('local', `[Tardis]\nBaseDir = ${at('its')}\nDBName = its.db\n`);
  const local = ['-C', 'me', '--local', '--create', source];
  await backup(local, { env: { TARDIS_LOCAL_CONFIG: config, TARDIS_DB: at('variable') } });
  t.true(fs.existsSync(at('its', 'me', 'its.db')));
  await backup(['-D', at('option'), '--local-config', config, ...local]);
  t.true(fs.existsSync(at('option', 'me', 'its.db')));
  t.false(fs.existsSync(at('variable')));
});

test('--stats prints statistics of the stages', async (t) => {
  const { place, source, written } = lab(t);
  const local = [...place, '--local', source];
  const shows = (stdout: string): boolean => /^stage +at once/m.test(stdout);
  t.false(shows(await succeed('tardis', ['--create', ...local])));
  t.true(shows(await succeed('tardis', ['--stats', ...local])));
  const config = ['--config', written('cfg', '[Tardis]\nStats = yes\n')];
  t.true(shows(await succeed('tardis', [...config, ...local])));
  t.false(shows(await succeed('tardis', [...config, '--no-stats', ...local])));
});

test('Verbosity names changed and unchanged directories', async (t) => {
  const { place, source, written } = lab(t);
  await rest();
  const local = [...place, '--local', '--no-progress', source];
  const printed = async (args: string[]): Promise<string> =>
    (await run('tardis', [...args, ...local])).stderr;
  t.regex(await printed(['--create', '-v']), /^\+ .*tree\/a$/m);
  t.is(await printed(['-v']), '');
  t.regex(await printed(['-vv']), /^= .*tree\/a$/m);
  t.regex(
    await printed(['--config', written('cfg', '[Tardis]\nVerbosity = 2\n')]),
    /^= .*tree\/a$/m,
  );
});

test('Report lists what was saved, and nothing else', async (t) => {
  const { at, place, source, written } = lab(t);
  addTo(source, file('large', noise(1, 2 * MIB)));
  await rest();
  const local = [...place, '--local', source];
  const saved = (stdout: string): string[] =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith(source))
      .map((line) => path.relative(source, line))
      .sort();
  t.deepEqual(saved(await succeed('tardis', ['--create', '--report', ...local])), [
    'a/one',
    'large',
    'two',
  ]);
  fs.writeFileSync(at('tree', 'two'), 'changed');
  const config = written('cfg', '[Tardis]\nReport = yes\n');
  t.deepEqual(saved(await succeed('tardis', ['--config', config, ...local])), ['two']);
  fs.writeFileSync(at('tree', 'two'), 'once more');
  const json = await succeed('tardis', ['--report', '--json', ...local]);
  const [first, last]: unknown[] = json
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(first, { version: 1, saved: { name: path.join(source, 'two') } });
  t.like(last, { version: 1, set: 3 });
});

test('LogFiles receive the messages of a backup, and its result', async (t) => {
  const { at, place, source, written } = lab(t);
  const local = [...place, '--local', source];
  const key = `LogFiles = ${at('log 1').replace(' ', '\\ ')} "${at('log 2')}"\n`;
  const config = ['--config', written('cfg', `[Tardis]\n${key}Verbosity = 1\n`)];
  await succeed('tardis', ['--create', ...config, ...local]);
  const one = fs.readFileSync(at('log 1'), 'utf8');
  t.is(one, fs.readFileSync(at('log 2'), 'utf8'));
  t.regex(one, /^\d{4}-\d\d-\d\dT\S+Z \+ .*tree\/a$/m);
  t.regex(one, /^\S+Z Backup set 1 .* is complete\.$/m);
  const failing = [...place, '--local', '--logfile', at('log 3'), at('nowhere')];
  t.is((await run('tardis', failing)).status, 1);
  t.regex(fs.readFileSync(at('log 3'), 'utf8'), /nowhere.*\[SOURCE_MISSING\]$/m);
  t.is(fs.readFileSync(at('log 1'), 'utf8'), one);
  const full = await run('tardis', [...local, '--logfile', '/dev/full', '--logfile', at('log 4')]);
  t.is(full.status, 0);
  t.regex(
    full.stderr,
    /cannot write to a log file, closing it: no space left on device \(ENOSPC\)/,
  );
  t.regex(fs.readFileSync(at('log 4'), 'utf8'), /complete\.$/m);
  const nowhere = await run('tardis', [...local, '--logfile', at('no', 'log')]);
  t.regex(nowhere.stderr, /cannot log to .*\(ENOENT\) \[CONFIG_INVALID\]/);
});

test('contents are stored with the codec of CompressData', async (t) => {
  const { at, source, written } = lab(t);
  addTo(source, file('texts', Buffer.alloc(300 * KIB, text(1, 3000))));
  for (const name of ['zstd', 'none', 'zlib', 'snappy'] as const) {
    const config = written(name, `[Tardis]\nCompressData = ${name}\n`);
    for (const how of [
      ['--compress-data', name],
      ['--config', config],
    ]) {
      const store = at(`store ${name} ${how[0]}`);
      await backup(['-D', store, '-C', 'me', '--local', '--create', ...how, source]);
      t.deepEqual(codecsStored(store, 300 * KIB), [Codec[name]], how.join(' '));
    }
  }
  for (const name of ['bzip', 'lzma']) {
    const { stderr } = await run('tardis', ['--compress-data', name, source]);
    t.regex(stderr, /must be one of zstd, none, zlib, snappy: zstd .*\[CONFIG_INVALID\]/);
  }
});

/** Returns the bytes that a first backup stores with these settings. */
async function stored(t: ExecutionContext, source: string, args: string[]): Promise<number> {
  const { place } = lab(t);
  return (await backup([...place, '--local', '--create', ...args, source])).storedBytes;
}

test('a higher CompressLevel stores less', async (t) => {
  const { source, written } = lab(t);
  for (const name of ['ARCHITECTURE.md', 'docs/inside/formats.md', 'docs/inside/protocol.md']) {
    addTo(source, file(path.basename(name), fs.readFileSync(path.join(ROOT, name))));
  }
  const usual = await stored(t, source, []);
  const config = written('cfg', '[Pipeline]\nCompressLevel = 15\n');
  for (const args of [
    ['--compress-level', '15'],
    ['--config', config],
  ]) {
    const bytes = await stored(t, source, args);
    t.true(bytes < usual, `${bytes} of ${usual}`);
  }
});

/** Returns the bytes that a second backup stores, and the number of records of at least 128 KiB that contain them. */
async function storedOfChanges(
  t: ExecutionContext,
  args: string[],
): Promise<{ bytes: number; records: number }> {
  const { at, place, source, store } = lab(t);
  await backup([...place, '--local', '--create', source]);
  const files = Array.from({ length: 14 }, (_, at) =>
    file(`${at}.md`, text(at % 5, 100 * KIB + at)),
  );
  addTo(source, dir('many', [...files, file('middle.md', text(3, 300 * KIB))]));
  const { storedBytes } = await backup([...place, '--local', ...args, source]);
  t.deepEqual(await restoredBy(place, source, at('out')), []);
  return { bytes: storedBytes, records: codecsStored(store, 128 * KIB).length };
}

test('changes are compressed at ChangeLevel in frames of ChangeFrameSize, up to ChangeSize', async (t) => {
  const more = await storedOfChanges(t, []);
  t.is(more.records, 1, 'all of it in one frame');
  const { written } = lab(t);
  const config = written('cfg', '[Pipeline]\nChangeSize = 0\n');
  const asFirst = await storedOfChanges(t, ['--config', config]);
  t.is(asFirst.records, 3, 'two frames of 1 MiB at most, and a record');
  t.true(more.bytes < 0.9 * asFirst.bytes, `${more.bytes} of ${asFirst.bytes}`);
  const low = await storedOfChanges(t, ['--change-level', '1']);
  t.is(low.records, 1);
  t.true(more.bytes < low.bytes, `${more.bytes} of ${low.bytes}`);
  t.is((await storedOfChanges(t, ['--change-frame-size', '2M'])).records, 1);
  const small = ['--frame-size', '256K', '--change-frame-size', '512K'];
  t.is((await storedOfChanges(t, small)).records, 4, 'three frames and a record');
});

test('CompressMsgs makes the metadata on the wire smaller', async (t) => {
  const { source, written, place } = lab(t);
  const many = Array.from({ length: 2000 }, (_, at) => file(`a rather long name, number ${at}`));
  addTo(source, dir('many', many));
  const wire = async (args: string[], client: string): Promise<number> => {
    const to = [...place.slice(0, 2), '-C', client, '--local', '--create'];
    return (await backup([...to, ...args, source])).wireBytes;
  };
  const plain = await wire(['--compress-msgs', 'none'], 'a');
  const config = written('cfg', '[Tardis]\nCompressMsgs = snappy\n');
  for (const [index, args] of [
    ['--compress-msgs', 'snappy'],
    ['--config', config],
  ].entries()) {
    const bytes = await wire(args, `b${index}`);
    t.true(bytes < plain * 0.8, `${bytes} of ${plain}`);
  }
});

test('files below CompressMin are stored uncompressed', async (t) => {
  const { source, written } = lab(t);
  addTo(source, file('texts', text(1, 200 * KIB)));
  t.true((await stored(t, source, [])) < 150 * KIB);
  t.true((await stored(t, source, ['--compress-min', '200K'])) < 150 * KIB);
  const config = written('cfg', '[Tardis]\nCompressMin = 201K\n');
  for (const args of [
    ['--compress-min', '201K'],
    ['--config', config],
  ]) {
    t.true((await stored(t, source, args)) > 200 * KIB, args.join(' '));
  }
});

test('files of the types in NoCompress and NoCompressFile are stored uncompressed', async (t) => {
  const { at, source, written, place } = lab(t);
  addTo(
    source,
    dir('b', [file('one.CSV', text(1, 200 * KIB)), file('large.odd', text(2, 2 * MIB))]),
  );
  /** Returns two booleans, true if uncompressed: for the CSV file and for the large one. */
  const raw = async (args: string[], env: Record<string, string> = {}): Promise<boolean[]> => {
    fs.rmSync(at('store'), { recursive: true, force: true });
    const local = [...place, '--local', '--create', ...args, source];
    const { storedBytes } = await backup(local, { env });
    const isRaw = codecsStored(at('store'), 200 * KIB).includes(Codec.none);
    return [isRaw, storedBytes > 2 * MIB];
  };
  t.deepEqual(await raw([]), [false, false]);
  t.deepEqual(await raw(['--nocompress', 'text/csv']), [true, false]);
  t.deepEqual(await raw(['--nocompress', 'text/*', '--nocompress', '.odd']), [true, true]);
  const key = written('cfg', '[Tardis]\nNoCompress = .odd\n');
  t.deepEqual(await raw(['--config', key]), [false, true]);
  const types = written('types', '# mine\ntext/csv\n.ODD\n');
  t.deepEqual(await raw([], { TARDIS_NOCOMPRESS: types }), [true, true]);
  const named = written('cfg2', `[Tardis]\nNoCompressFile = ${types}\n`);
  t.deepEqual(await raw(['--config', named]), [true, true]);
  const wrong = await run('tardis', [...place, '--local', '--nocompress', 'video/odd', source]);
  t.regex(wrong.stderr, /"video\/odd" is not a MIME type .*CONFIG_INVALID/);
  const missing = { env: { TARDIS_NOCOMPRESS: at('none') } };
  t.regex((await run('tardis', [...place, '--local', source], missing)).stderr, /ENOENT/);
});

test('a file above ChecksumContent is hashed first, and only its new parts are sent', async (t) => {
  const { at, source, written, place } = lab(t);
  const local = [...place, '--local', '--full', source]; // without deltas
  const grow = (bytes: number): void =>
    fs.appendFileSync(at('tree', 'large'), Buffer.alloc(bytes, 1));
  grow(65 * MIB);
  await backup(['--create', ...local]);
  // No stored content has this size, so the client has no reason to look for a copy.
  grow(MIB);
  t.is((await backup(local)).progress.contentsSent, 2);
  grow(MIB);
  t.is((await backup(['--checksum-content', '60M', ...local])).progress.contentsSent, 1);
  grow(MIB);
  const config = written('cfg', '[Tardis]\nChecksumContent = 60M\n');
  t.is((await backup(['--config', config, ...local])).progress.contentsSent, 1);
  grow(MIB);
  t.is((await backup(['--checksum-content', '100M', ...local])).progress.contentsSent, 2);
});

interface Figures {
  readonly stages: readonly { readonly name: string; readonly concurrency: number }[];
  readonly peakInFlightBytes: number;
}

test('pipeline settings reach the stages they are named for', async (t) => {
  const { source, written } = lab(t);
  addTo(
    source,
    dir(
      'b',
      Array.from({ length: 80 }, (_, at) => file(`${at}`, noise(at, 64 * KIB))),
    ),
  );
  addTo(source, file('large', noise('l', 2 * MIB)));
  const figures = async (args: string[]): Promise<Figures & { records: number }> => {
    const { place, store } = lab(t);
    const report: unknown = await backup([...place, '--local', '--create', ...args, source]);
    return { ...(report as Figures), records: codecsStored(store, 1).length };
  };
  const of = ({ stages }: Figures, name: string): number | undefined =>
    stages.find((stage) => stage.name === name)?.concurrency;
  const keys = 'Workers=3\nWalkConcurrency=2\nReadConcurrency=5\nBuildConcurrency=7\n';
  const more = 'CompareConcurrency=9\nSendConcurrency=11\nLargeConcurrency=13\n';
  const config = written('cfg', `[Pipeline]\n${keys}${more}StreamConcurrency=4\n`);
  const tuned = await figures(['--config', config]);
  t.is(of(tuned, 'walk'), 2);
  t.is(of(tuned, 'read'), 5);
  t.is(of(tuned, 'need'), 7);
  t.is(of(tuned, 'build'), 7);
  t.is(of(tuned, 'compare'), 9);
  t.is(of(tuned, 'send'), 11);
  t.is(of(tuned, 'large'), 13);
  t.is(of(tuned, 'large parts'), 4);
  const workers = await figures(['--workers', '3']);
  t.is(of(workers, 'read'), 4); // one more than the workers
  t.is(of(workers, 'large'), 8);
  t.is(of(await figures(['--stream-concurrency', '10']), 'large'), 10); // no less than are read
  const small = await figures(['--frame-size', '128K']);
  t.true(small.records > workers.records, 'smaller frames are more');
  const bytes = await figures(['--parcel-size', '130K']);
  t.true(bytes.records >= 40, 'no frame is larger than its parcel');
  const narrow = ['--budget', '2M', '--parcel-size', '256K', '--stream-concurrency', '1'];
  t.true((await figures(narrow)).peakInFlightBytes <= 2 * MIB);
  t.true(workers.peakInFlightBytes > 2 * MIB - 256 * KIB, 'a parcel of the usual size');
});
