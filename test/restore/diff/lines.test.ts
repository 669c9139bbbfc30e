/** Differing lines of two files. */
import test from 'ava';
import { type LineDifference, lineDifference } from '../../../src/restore/diff/index.js';

type Contents = Parameters<typeof lineDifference>[0];
type Seen = NonNullable<Parameters<typeof lineDifference>[1]>;

/** Files by their text; each is read in pieces of 3 bytes, from one buffer. */
const contents = {
  async *bytes({ path }: Seen) {
    const memory = Buffer.alloc(3);
    for (let at = 0; at < path.length; at += 3) {
      const bytes = path.copy(memory, 0, at);
      yield memory.subarray(0, bytes);
    }
  },
} as Pick<Contents, 'bytes'> as Contents;

const seen = (text: string | Buffer, sizeBytes = text.length): Seen =>
  ({ path: Buffer.from(text), entry: { sizeBytes }, stored: undefined }) as unknown as Seen;

const OPTIONS = { context: 1, mostBytes: 1000, showsBinary: false, timeoutMs: 60_000 };

function difference(
  before: string | Buffer | undefined,
  after: string | Buffer | undefined,
  options: Partial<typeof OPTIONS> = {},
): Promise<LineDifference> {
  const [one, other] = [before, after].map((text) => (text === undefined ? text : seen(text)));
  return lineDifference(contents, one, other, { ...OPTIONS, ...options });
}

test('lines that differ have their context, and the numbers of their first lines', async (t) => {
  const before = 'a\nb\nc\nd\ne\nf\ng\n';
  t.deepEqual(await difference(before, before.replace('d', 'D')), {
    hunks: [
      {
        beforeStart: 3,
        beforeLines: 3,
        afterStart: 3,
        afterLines: 3,
        lines: [' c', '-d', '+D', ' e'],
      },
    ],
  });
  const far = await difference(before, `new\n${before.replace('g', 'G')}`);
  t.is('hunks' in far ? far.hunks.length : 0, 2);
});

test('equal files have no hunks', async (t) => {
  t.deepEqual(await difference('a\nb', 'a\nb'), { hunks: [] });
  t.deepEqual(await difference('', undefined), { hunks: [] });
});

test('a file that only one side has begins at line 0 of the other', async (t) => {
  const [created, deleted] = [
    await difference(undefined, 'a\nb\n'),
    await difference('a\nb\n', undefined),
  ];
  t.like(created, { hunks: [{ beforeStart: 0, beforeLines: 0, afterStart: 1, afterLines: 2 }] });
  t.like(deleted, { hunks: [{ beforeStart: 1, beforeLines: 2, afterStart: 0, afterLines: 0 }] });
});

test('a missing newline at the end is shown', async (t) => {
  const reported = await difference('a\n', 'a');
  t.true('hunks' in reported && reported.hunks[0]!.lines.some((line) => line.startsWith('\\')));
});

test('bytes that are not UTF-8 come back as they are', async (t) => {
  const reported = await difference('', Buffer.from([0xff, 0xe9, 0x0a]));
  t.deepEqual('hunks' in reported ? reported.hunks[0]!.lines : [], ['+\u00ff\u00e9']);
});

test('binary files are only reported to differ, unless they are to be shown', async (t) => {
  t.deepEqual(await difference('a\0b', 'a'), { why: 'binary' });
  t.true('hunks' in (await difference('a\0b', 'a', { showsBinary: true })));
});

test('a file over the limit is not read, and one that grows over it is given up', async (t) => {
  t.deepEqual(await difference('a'.repeat(11), 'a', { mostBytes: 10 }), { why: 'too large' });
  const grown = seen('a'.repeat(11), 5);
  const reported = await lineDifference(contents, grown, seen('a'), { ...OPTIONS, mostBytes: 10 });
  t.deepEqual(reported, { why: 'too large' });
});
