/** A restore decodes few records more than once, even if its workers are faster than the walk, and lets no worker wait long. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type {
  ContentPiece,
  History,
  HistoryEntry,
  RequestedContent,
} from '../../src/history/index.js';
import { EntryType, metadataOf, RowReader } from '../../src/model/index.js';
import { newRestoreProgress, runRestore } from '../../src/restore/index.js';
import type { ListingPage } from '../../src/store/catalog/index.js';
import type { JobRunner, RestoreInput } from '../../src/workers/index.js';
import { inlineSystem } from '../helpers/inline.js';
import { entryOf, rowOf, sha256 } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';

const FILES = 8192;
const CONTENT_BYTES = 1000;
const FILES_PER_RECORD = 32;
const DIRECTORY = 7;
const DIGEST = sha256('x');

function entryAt(name: string, index: number | undefined): HistoryEntry {
  const type = index === undefined ? EntryType.directory : EntryType.file;
  const shape = { type, sizeBytes: index === undefined ? 0 : CONTENT_BYTES };
  const metadata = metadataOf(new RowReader(rowOf(name, { ...shape, digest: DIGEST })), 0);
  const childId = index === undefined ? DIRECTORY : undefined;
  const more = { metadata, contentId: index, childId, directory: 1, firstSet: 1 };
  return { ...entryOf(name, shape), ...more } as unknown as HistoryEntry;
}

const ENTRIES = Array.from({ length: FILES }, (_, index) =>
  entryAt(`file ${String(index).padStart(5, '0')}`, index),
);

/** Returns the place of a content in a record of `FILES_PER_RECORD` contents. */
function inRecord(record: number, place: number): ContentPiece {
  return {
    object: 'packs/00000001.pack',
    position: record * 100_000,
    recordBytes: 20_000,
    offset: place * CONTENT_BYTES,
    digest: DIGEST,
    sizeBytes: CONTENT_BYTES,
    basis: undefined,
  };
}

interface Restored {
  /** Number of jobs that decode each record. */
  readonly decodes: ReadonlyMap<number, number>;
  readonly files: number;
  /** Number of jobs that had begun when the last page of the directory was requested. */
  readonly jobsBeforeEnd: number;
}

/** Restores one directory by workers that finish each job at once. */
async function restored(
  t: ExecutionContext,
  located: (index: number) => ContentPiece,
): Promise<Restored> {
  const decodes = new Map<number, number>();
  let [jobsBegun, jobsBeforeEnd, files] = [0, 0, 0];
  const history = {
    client: 'me',
    isRemote: false,
    directory: {},
    access: { mayRead: () => true },
    owners: async () => [],
    roots: async () => [],
    notes: async () => [],
    find: async () => entryAt('directory', undefined),
    list: async ({ after, limit }: ListingPage) => {
      jobsBeforeEnd = jobsBegun;
      const from = ENTRIES.findIndex(({ name }) => Buffer.compare(name, after) > 0);
      return from < 0 ? [] : ENTRIES.slice(from, from + limit);
    },
    locate: async (contents: readonly RequestedContent[]) =>
      contents.map(({ contentId }) => [located(contentId!)]),
  } as unknown as History;
  const run = async (_name: string, { records, places }: RestoreInput): Promise<unknown> => {
    jobsBegun += 1;
    files += places.length / 4;
    for (const { position } of records) decodes.set(position, (decodes.get(position) ?? 0) + 1);
    return { output: { files: 0, bytes: 0, unchanged: 0, failures: [] } };
  };
  const jobs = { run } as unknown as JobRunner;
  const output = Buffer.from(path.join(scratchInMemory(t), 'out'));
  const request = { set: 1, paths: [Buffer.from('/directory')], output, workers: 2 };
  const means = { history, jobs, progress: newRestoreProgress() };
  const { failures } = await runRestore(inlineSystem(), means, request);
  t.deepEqual(failures, []);
  return { decodes, files, jobsBeforeEnd };
}

test('records whose copies are far away are decoded twice at most', async (t) => {
  const records = FILES / FILES_PER_RECORD;
  const { decodes, files } = await restored(t, (index) => {
    const place = index % FILES_PER_RECORD;
    const own = Math.floor(index / FILES_PER_RECORD);
    // The last file of each record is a copy of a content of one of the first four.
    return place === FILES_PER_RECORD - 1 ? inRecord(own % 4, 16) : inRecord(own, place);
  });
  t.is(files, FILES);
  t.is(decodes.size, records);
  t.true(Math.max(...decodes.values()) <= 2);
});

test('workers do not wait for the end of a walk that finds few files of each record', async (t) => {
  const { jobsBeforeEnd, files } = await restored(t, (index) => inRecord(index, 20));
  t.is(files, FILES);
  t.true(jobsBeforeEnd > 0);
});
