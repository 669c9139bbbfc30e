// Pace: slow
/** Deltas: only the new data of large files is sent and stored, and any version restores exactly. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ContentRanges } from '../../src/contents/index.js';
import { DirectoryBackend, RecordKind } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { backup, backupsRunHere, BIN, rest, run, succeed } from '../helpers/commands.js';
import {
  backupInline,
  type InlineBackup,
  inlineSystem,
  type Place,
  rebuildInline,
  restoreInline,
  withHistory,
} from '../helpers/inline.js';
import { dumpCatalog } from '../helpers/packed-store.js';
import { recordsIn } from '../helpers/records.js';
import { readersAgree } from '../helpers/second-reader.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree, noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;

/** A source with one large file, its store, and all versions of the file. */
class Versions {
  readonly home: string;
  readonly source: string;
  readonly place: Place;
  readonly all: Buffer[] = [];
  private outputs = 0;

  constructor(t: ExecutionContext) {
    this.home = scratchInMemory(t);
    this.source = path.join(this.home, 'tree');
    this.place = { store: path.join(this.home, 'store'), client: 'me' };
    makeTree(this.source, [dir('a', [file('small', 'x')])]);
  }

  get file(): string {
    return path.join(this.source, 'a', 'large');
  }

  get catalog(): string {
    return path.join(this.place.store, 'me', 'tardis.db');
  }

  get newest(): Buffer {
    return this.all.at(-1)!;
  }

  /** Backs up the next version in a set of its own. */
  async save(content: Buffer, options: InlineBackup = {}) {
    fs.writeFileSync(this.file, content);
    this.all.push(content);
    const create = this.all.length === 1;
    return backupInline(inlineSystem(), this.place, [this.source], { create, ...options });
  }

  async restored(set: number): Promise<Buffer> {
    this.outputs += 1;
    const output = path.join(this.home, `out ${this.outputs}`);
    const request = { paths: [this.file], output, set: String(set) };
    const failures = await restoreInline(inlineSystem(), this.place, request);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    const content = fs.readFileSync(path.join(output, 'large'));
    fs.rmSync(output, { recursive: true });
    return content;
  }

  async check(t: ExecutionContext): Promise<void> {
    for (const [index, content] of this.all.entries()) {
      t.true((await this.restored(index + 1)).equals(content), `version ${index + 1}`);
    }
    await readersAgree(t, this.source, ['-D', this.place.store, '-C', this.place.client]);
  }

  async kinds(): Promise<number[]> {
    const kinds = (await recordsIn(path.join(this.place.store, 'me'))).map(({ kind }) => kind);
    return kinds.filter((kind) => CONTENT_KINDS.has(kind));
  }

  /** Returns the length of the chain of deltas that a reader applies for the first piece of the newest version. */
  async chain(): Promise<number> {
    return withHistory(this.place, async (archive) => {
      const { set } = await archive.findSet(undefined);
      const entry = await archive.find(Buffer.from(this.file), set);
      let [pieces] = await archive.locate([entry!]);
      let length = 0;
      for (; pieces?.[0]?.basis !== undefined; length += 1) pieces = pieces[0].basis;
      return length;
    });
  }
}

const CONTENT_KINDS = new Set<number>([RecordKind.content, RecordKind.part, RecordKind.delta]);

function changed(content: Buffer, seed: number, times: number, bytes = 4096): Buffer {
  const random = seededRandom(seed);
  const copy = Buffer.from(content);
  for (let n = 0; n < times; n += 1) {
    noise(`${seed} ${n}`, bytes).copy(copy, Math.floor(random.next() * (copy.length - bytes)));
  }
  return copy;
}

test('of a large file that changes only what is new travels, and every version comes back', async (t) => {
  const versions = new Versions(t);
  const first = noise('v', 3 * MIB + 123);
  await versions.save(first);
  const sent = async (content: Buffer): Promise<number> => {
    const { progress } = await versions.save(content);
    t.is(progress.deltasSent, 1);
    return progress.sentBytes;
  };
  t.true((await sent(changed(first, 1, 5))) < 5 * 6200);
  const inserted = Buffer.concat([Buffer.from('at the front '), versions.newest]);
  t.true((await sent(inserted)) < 2000, 'an insertion');
  const cut = Buffer.concat([inserted.subarray(0, MIB), inserted.subarray(MIB + 5000)]);
  t.true((await sent(cut)) < 4000, 'a deletion');
  const moved = Buffer.concat([cut.subarray(2 * MIB), cut.subarray(0, 2 * MIB)]);
  t.true((await sent(moved)) < 4000, 'a move');
  t.is(await versions.chain(), 4);
  await versions.check(t);
  const before = dumpCatalog(versions.catalog);
  await rebuildInline(versions.place);
  t.deepEqual(dumpCatalog(versions.catalog), before, 'a rebuild knows bases and chains');
});

test('a file in parts is compared with all of its basis, and a part that is there is not sent', async (t) => {
  const versions = new Versions(t);
  const first = noise('p', 66 * MIB);
  await versions.save(first);
  // Shifts all bytes, so that some move across the border between the parts.
  const shifted = Buffer.concat([Buffer.from('shifted'), changed(first, 3, 20)]);
  const { progress } = await versions.save(shifted);
  t.is(progress.deltasSent, 2);
  t.true(progress.sentBytes < 25 * 6200, `${progress.sentBytes}`);
  const third = Buffer.from(shifted);
  third.write('only in the last part', 65 * MIB);
  const last = await versions.save(third);
  t.like(last.progress, { contentsSent: 1, deltasSent: 1 });
  t.true(last.progress.sentBytes < 4000);
  await versions.check(t);
  const before = dumpCatalog(versions.catalog);
  await rebuildInline(versions.place);
  t.deepEqual(dumpCatalog(versions.catalog), before);
});

test('ranges of a chain are read without what is before them', async (t) => {
  const versions = new Versions(t);
  await versions.save(noise('r', 3 * MIB));
  for (let n = 0; n < 4; n += 1) {
    const at = n * 300_001;
    const { newest } = versions;
    const next = Buffer.concat([newest.subarray(at, MIB), changed(newest, n, 30, 700)]);
    await versions.save(next);
  }
  t.is(await versions.chain(), 4);
  const random = seededRandom(5);
  await withHistory(versions.place, async (archive) => {
    const { set } = await archive.findSet(undefined);
    const entry = await archive.find(Buffer.from(versions.file), set);
    const [pieces] = await archive.locate([entry!]);
    const { files, native } = nodeSystem();
    const backend = new DirectoryBackend(archive.directory!.path, files);
    const ranges = new ContentRanges({ backend, native, keys: undefined }, pieces!);
    t.is(ranges.sizeBytes, versions.newest.length);
    for (let round = 0; round < 300; round += 1) {
      const from = Math.floor(random.next() * versions.newest.length);
      const bytes = Math.floor(random.next() ** 3 * (versions.newest.length - from));
      const target = Buffer.alloc(bytes + 7, 0xee);
      await ranges.read(from, target, 3, bytes);
      t.true(target.subarray(3, 3 + bytes).equals(versions.newest.subarray(from, from + bytes)));
      t.is(target[2], 0xee);
      t.is(target[3 + bytes], 0xee);
    }
    const past = ranges.read(ranges.sizeBytes - 1, Buffer.alloc(2), 0, 2);
    await t.throwsAsync(past, { message: /ends before/ });
    backend.close();
  });
});

test('a chain comes out of --stdout and --tar as well', async (t) => {
  const versions = new Versions(t);
  await versions.save(noise('s', 2 * MIB));
  for (let n = 0; n < 3; n += 1) await versions.save(changed(versions.newest, n, 3));
  t.is(await versions.chain(), 3);
  const tool = path.join(BIN, 'regenerate');
  const place = ['-D', versions.place.store, '-C', 'me'];
  const options = { maxBuffer: 64 * MIB };
  const piped = spawnSync(tool, [...place, '--stdout', versions.file], options);
  t.true(piped.stdout.equals(versions.newest), String(piped.stderr));
  const tarred = spawnSync(tool, [...place, '-b', '3', '--tar', '-', versions.file], options);
  const archive = path.join(versions.home, 'archive.tar');
  fs.writeFileSync(archive, tarred.stdout);
  const listed = spawnSync('tar', ['-xOf', archive], options);
  t.true(listed.stdout.equals(versions.all[2]!), String(tarred.stderr));
});

test('a rewritten file, and one that grew or shrank too much, are sent whole', async (t) => {
  const versions = new Versions(t);
  await versions.save(noise('w', 20 * MIB));
  const rewritten = await versions.save(noise('other', 20 * MIB));
  t.like(rewritten.progress, { contentsSent: 1, deltasSent: 0 });
  t.true(rewritten.progress.sentBytes < 20.2 * MIB, 'and nothing besides');
  const grown = await versions.save(Buffer.concat([versions.newest, noise('more', 11 * MIB)]));
  t.is(grown.progress.deltasSent, 0);
  const small = await versions.save(noise('t', 3 * MIB));
  t.is(small.progress.deltasSent, 0);
  // The comparison finds this file to be mostly new: it drops the delta and sends the whole file.
  const half = Buffer.concat([noise('n', 2 * MIB), versions.newest.subarray(0, MIB)]);
  const dropped = await versions.save(half);
  t.like(dropped.progress, { contentsSent: 1, deltasSent: 0 });
  await versions.check(t);
});

test('a basis that is damaged is reported for what rests on it, and both are sent again', async (t) => {
  const versions = new Versions(t);
  await versions.save(noise('d', 2 * MIB));
  await versions.save(changed(versions.newest, 1, 3));
  await versions.save(changed(versions.newest, 2, 3));
  const { place, file: large } = versions;
  await withHistory(place, async (archive) => {
    const { set } = await archive.findSet('1');
    const entry = await archive.find(Buffer.from(large), set);
    const [pieces] = await archive.locate([entry!]);
    const { object, position, recordBytes } = pieces![0]!;
    const handle = fs.openSync(path.join(archive.directory!.path, object), 'r+');
    fs.writeSync(handle, 'damage', position + recordBytes - 100_000);
    fs.closeSync(handle);
  });
  const store = ['-D', place.store, '-C', 'me'];
  const found = await run('regenerate', [...store, '-o', path.join(versions.home, 'bad'), large]);
  t.is(found.status, 3, found.stderr);
  t.regex(found.stderr, /large: a content that it depends on is damaged.*\[RECORD_DAMAGED\]/);
  t.regex(found.stderr, /the damage was marked/);
  const { progress } = await backupInline(inlineSystem(), place, [versions.source]);
  t.like(progress, { contentsSent: 1, deltasSent: 0 });
  t.true((await versions.restored(4)).equals(versions.newest));
  t.true((await versions.restored(3)).equals(versions.newest));
  const old = await run('regenerate', [
    ...store,
    '-b',
    '2',
    '-o',
    path.join(versions.home, 'b'),
    large,
  ]);
  t.is(old.status, 3);
  await rebuildInline(place);
  t.true((await versions.restored(3)).equals(versions.newest));
});

test('signatures are found again by a rebuild, and kept once', async (t) => {
  const versions = new Versions(t);
  const settings = { sendSignatures: true };
  await versions.save(noise('l', 2 * MIB), { settings });
  fs.copyFileSync(versions.file, path.join(versions.source, 'a', 'copy'));
  await versions.save(changed(versions.newest, 1, 2), { settings });
  const before = dumpCatalog(versions.catalog);
  t.is(before['signatures']?.length, 2);
  await rebuildInline(versions.place);
  t.deepEqual(dumpCatalog(versions.catalog), before);
  const { progress } = await versions.save(changed(versions.newest, 2, 2));
  t.is(progress.deltasSent, 1);
  await versions.check(t);
});

// --- settings ----------------------------------------------------------------------------------

test('SendSig stores the signatures of large files', async (t) => {
  const { at, store, written } = lab(t);
  makeTree(at('files'), [dir('a', [file('large', noise('l', 3 * MIB)), file('small', 'x')])]);
  await rest();
  const signatures = async (client: string, ...args: string[]): Promise<number> => {
    await backup(['-D', store, '-C', client, '--local', '--create', ...args, at('files')]);
    const kinds = await recordsIn(path.join(store, client));
    return kinds.filter(({ kind }) => kind === RecordKind.signature).length;
  };
  t.is(await signatures('off'), 0);
  t.is(await signatures('flag', '--send-sig'), 1);
  const config = written('cfg', '[Tardis]\nSendSig = True\n');
  t.is(await signatures('key', '--config', config), 1);
});

/** Backs up versions by command. Returns for each one whether it was stored as a delta. */
async function areDeltas(
  t: ExecutionContext,
  server: string,
  contents: readonly Buffer[],
  more: (index: number) => string[] = () => [],
): Promise<boolean[]> {
  const { store, source, written } = lab(t);
  const deltas: boolean[] = [];
  for (const [index, content] of contents.entries()) {
    // Each run has a cache of its own, so no basis is sought beyond the name.
    const env = {
      TARDIS_LOCAL_CONFIG: written('server', `[Tardis]\n${server}\n`),
      XDG_CACHE_HOME: path.join(store, `../cache ${index}`),
    };
    fs.writeFileSync(path.join(source, 'large'), content);
    await rest();
    const args = ['-D', store, '-C', 'me', '--local', ...(index === 0 ? ['--create'] : [])];
    await backup([...args, ...more(index), source], { env });
    const kinds = (await recordsIn(path.join(store, 'me'))).map(({ kind }) => kind);
    deltas.push(kinds.findLast((kind) => CONTENT_KINDS.has(kind)) === RecordKind.delta);
    const out = path.join(store, `../out ${index}`);
    await succeed('regenerate', ['-D', store, '-C', 'me', '-o', out, path.join(source, 'large')]);
    t.true(fs.readFileSync(path.join(out, 'large')).equals(content), `version ${index}`);
  }
  return deltas;
}

const SERIES = [noise('series', 2 * MIB)];
while (SERIES.length < 5) SERIES.push(changed(SERIES.at(-1)!, SERIES.length, 2));

test('MaxDeltaChain bounds the deltas that build on each other', async (t) => {
  t.deepEqual(await areDeltas(t, 'MaxDeltaChain = 2', SERIES), [false, true, true, true, true]);
  t.deepEqual(await areDeltas(t, 'MaxDeltaChain = 0', SERIES.slice(0, 2)), [false, false]);
});

test('MaxChangePercent decides which files are requested in full', async (t) => {
  const grown = Buffer.concat([SERIES[0]!, noise('grown', 0.4 * MIB)]);
  const other = changed(SERIES[0]!, 9, 1, 0.3 * MIB);
  t.deepEqual(await areDeltas(t, '', [SERIES[0]!, grown]), [false, true]);
  t.deepEqual(await areDeltas(t, 'MaxChangePercent = 10', [SERIES[0]!, grown]), [false, false]);
  t.deepEqual(await areDeltas(t, '', [SERIES[0]!, other]), [false, true]);
  t.deepEqual(await areDeltas(t, 'MaxChangePercent = 10', [SERIES[0]!, other]), [false, false]);
});

test('SaveFull stores whole files only', async (t) => {
  t.deepEqual(await areDeltas(t, 'SaveFull = True', SERIES.slice(0, 3)), [false, false, false]);
});

test('Full sends whole files instead of deltas', async (t) => {
  const full = (index: number): string[] => (index === 2 ? ['--full'] : []);
  t.deepEqual(await areDeltas(t, '', SERIES.slice(0, 4), full), [false, true, false, true]);
  // The file is unchanged: only the key Full makes the client send it again, whole.
  const { at, store, source, written } = lab(t);
  const place = ['-D', store, '-C', 'me', '--local'];
  const large = path.join(source, 'large');
  for (const content of SERIES.slice(0, 2)) {
    fs.writeFileSync(large, content);
    await rest();
    await backup([...place, '--create', source]).catch(() => backup([...place, source]));
  }
  const config = written('cfg', '[Tardis]\nFull = True\n');
  const { progress } = await backup([...place, '--config', config, source]);
  t.is(progress.contentsSent, 1);
  t.is((await backup([...place, '--config', config, source])).progress.contentsSent, 0);
  t.is((await backup([...place, source])).progress.filesRead, 0, 'skip hashes are kept');
  const kinds = (await recordsIn(path.join(store, 'me'))).map(({ kind }) => kind);
  t.is(
    kinds.findLast((kind) => CONTENT_KINDS.has(kind)),
    RecordKind.content,
  );
  for (const [index, set] of ['1', '2', '3'].entries()) {
    const out = at(`out ${set}`);
    await succeed('regenerate', ['-D', store, '-C', 'me', '-b', set, '-o', out, large]);
    t.true(fs.readFileSync(path.join(out, 'large')).equals(SERIES[Math.min(index, 1)]!));
  }
});
