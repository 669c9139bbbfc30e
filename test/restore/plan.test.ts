/** Restore jobs end at their limits, whatever their files are. */
import test from 'ava';
import type { ContentPiece } from '../../src/history/index.js';
import { type LocatedFile, planJobs } from '../../src/restore/index.js';
import { type BytesBuilder, metadataOf, RowReader } from '../../src/model/index.js';
import { rowOf, sha256 } from '../helpers/rows.js';

const MOST_FILES = 512;
const FILES = 3 * MOST_FILES + 1;

const directory = { path: Buffer.from('directory') };

function located(count: number, piece?: (index: number) => ContentPiece): LocatedFile[] {
  return Array.from({ length: count }, (_, index) => {
    const name = Buffer.from(`file ${index}`);
    const metadata = metadataOf(new RowReader(rowOf(name)), 0);
    const file = { contentId: undefined, metadata, how: 0, directory, name };
    return { file, pieces: piece === undefined ? [] : [piece(index)] };
  });
}

const ROWS = {
  append: (into: BytesBuilder, _metadata: Buffer, name: Buffer): void => into.append(rowOf(name)),
};

function pieceAt(position: number): ContentPiece {
  const place = { object: 'packs/00000001', position, recordBytes: 100, offset: 0 };
  return { ...place, digest: sha256('x'), sizeBytes: 1, basis: undefined };
}

test('a job of empty files ends at its limit, and counts for the memory in flight', (t) => {
  const jobs = planJobs(located(FILES), ROWS);
  t.deepEqual(
    jobs.map(({ files }) => files.length),
    [MOST_FILES, MOST_FILES, MOST_FILES, 1],
  );
  t.true(jobs.every(({ bytes, files }) => bytes >= files.length));
});

test('a job ends at its limit where empty files are followed by others', (t) => {
  const all = [...located(MOST_FILES), ...located(FILES, (index) => pieceAt(index * 100))];
  const jobs = planJobs(all, ROWS);
  t.true(jobs.every(({ files }) => files.length <= MOST_FILES));
  t.is(
    jobs.reduce((sum, { files }) => sum + files.length, 0),
    all.length,
  );
});

test('the files of one record stay in one job', (t) => {
  t.is(
    planJobs(
      located(FILES, () => pieceAt(0)),
      ROWS,
    ).length,
    1,
  );
});
