/** A restore, or the reading, of one large file ends soon after it is stopped, and leaves nothing half-done. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openLocalHistory } from '../../src/history/index.js';
import { ContentReader, newRestoreProgress, runRestore } from '../../src/restore/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

/** More than one piece of the largest size (64 MiB). */
const FILE_BYTES = 80 << 20;

/** A client with a set of one large file. */
async function labOf(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const source = folderIn(home, 'source');
  const file = path.join(source, 'large');
  fs.writeFileSync(file, noise(1, FILE_BYTES));
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true });
  return { place, file, output: path.join(home, 'out') };
}

/** Returns a system that stops the work once some bytes of it are written. */
function stoppedAfter(bytes: number, work: AbortController) {
  const system = inlineSystem();
  let written = 0;
  const { files } = system;
  const write: typeof files.write = (fd, data, position) => {
    written += data.length;
    if (written >= bytes) work.abort();
    files.write(fd, data, position);
  };
  return { system: { ...system, files: { ...files, write } }, written: () => written };
}

test('a restore of a large file ends in its middle, and leaves nothing of it', async (t) => {
  const { place, file, output } = await labOf(t);
  const work = new AbortController();
  const { system, written } = stoppedAfter(1 << 20, work);
  const jobs = new InlineJobs(system);
  using history = openLocalHistory(system, place);
  const { set } = await history.findSet(undefined);
  const request = { set, paths: [Buffer.from(file)], output: Buffer.from(output), workers: 1 };
  const means = { history, jobs, progress: newRestoreProgress(), signal: work.signal };
  await t.throwsAsync(runRestore(system, means, request), { code: 'INTERRUPTED' });
  t.true(written() < FILE_BYTES / 2, `${written()} bytes were written`);
  t.deepEqual(
    fs.readdirSync(output).filter((name) => !name.startsWith('.tardis-restore')),
    [],
  );
  await runRestore(inlineSystem(), { ...means, signal: undefined }, request);
  t.true(fs.readFileSync(path.join(output, 'large')).equals(fs.readFileSync(file)));
});

test('a large file is read no further once its reading is stopped', async (t) => {
  const { place, file } = await labOf(t);
  const work = new AbortController();
  const system = inlineSystem();
  using history = openLocalHistory(system, place);
  const { set } = await history.findSet(undefined);
  const entry = await history.find(Buffer.from(file), set);
  const [pieces = []] = await history.locate([entry!]);
  const reader = new ContentReader(system, history, false, work.signal);
  let read = 0;
  const readAll = async (): Promise<void> => {
    for await (const chunk of reader.bytes(pieces)) {
      read += chunk.length;
      work.abort();
    }
  };
  await t.throwsAsync(readAll, { code: 'INTERRUPTED' });
  t.true(read < FILE_BYTES);
  reader.close();
});
