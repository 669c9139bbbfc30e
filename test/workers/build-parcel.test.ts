import test from 'ava';
import * as fc from 'fast-check';
import { Scheme } from '../../src/model/index.js';
import {
  Codec,
  decode,
  parseRecord,
  readContentIndex,
  readFrameIndex,
  RecordKind,
} from '../../src/store/index.js';
import { seededRandom } from '../support/seeded-random.js';
import {
  type BuildInput,
  type ContentBlock,
  type FrameOptions,
  InlineJobs,
} from '../../src/workers/index.js';
import { systemWith } from '../helpers/jobs.js';
import { sha256 } from '../helpers/rows.js';

interface Content {
  readonly bytes: Buffer;
  readonly isRaw?: boolean;
  readonly kind?: number;
  readonly scheme?: number;
  readonly owner?: number;
  readonly isWanted?: boolean;
}

const FRAMES: FrameOptions = {
  compression: { codec: Codec.zstd, level: 1 },
  smallBytes: 1000,
  smallRawBytes: 1000,
  frameBytes: 2500,
};

function blockOf(contents: readonly Content[]): ContentBlock {
  let at = 0;
  const starts = contents.map(({ bytes }) => (at += bytes.length) - bytes.length);
  return {
    bytes: Buffer.concat(contents.map(({ bytes }) => bytes)),
    digests: Buffer.concat(contents.map(({ bytes }) => sha256(bytes))),
    starts: Uint32Array.from(starts),
    sizes: Uint32Array.from(contents, ({ bytes }) => bytes.length),
    isRaw: Uint8Array.from(contents, ({ isRaw }) => (isRaw === true ? 1 : 0)),
    kinds: Uint32Array.from(contents, ({ kind }) => kind ?? 0),
    schemes: Uint8Array.from(contents, ({ scheme }) => scheme ?? 0),
    access: Uint32Array.from(
      contents.flatMap(({ owner }) => (owner === undefined ? [] : [owner, 0, 0])),
    ),
  };
}

interface Group {
  readonly kind: number;
  readonly codec: number;
  readonly rawBytes: number;
  readonly contents: readonly Buffer[];
}

/** Runs the job and parses its records; each content must match its digest. */
async function compress(
  contents: readonly Content[],
  frames: FrameOptions = FRAMES,
): Promise<Group[]> {
  const wanted = Uint8Array.from(contents, ({ isWanted }) => (isWanted === false ? 0 : 1));
  const input: BuildInput = { contents: blockOf(contents), wanted, frames };
  const { output } = await new InlineJobs(systemWith()).run('build', input);
  let at = 0;
  const groups = output.recordLengths.map((length) => {
    const { header, index, body } = parseRecord(output.records.subarray(at, at + length));
    at += length;
    const raw = Buffer.alloc(header.rawBytes);
    decode(header.codec, body, raw);
    const slices =
      header.kind === RecordKind.frame
        ? readFrameIndex(header, index)
        : [{ ...readContentIndex(index), offset: 0 }];
    const found = slices.map(({ digest, offset, sizeBytes }) => {
      const content = raw.subarray(offset, offset + sizeBytes);
      if (!sha256(content).equals(digest)) throw new Error('a content is not what its digest says');
      return content;
    });
    return { kind: header.kind, codec: header.codec, rawBytes: raw.length, contents: found };
  });
  if (at !== output.records.length) throw new Error('bytes of no record');
  return groups;
}

const text = (character: string, bytes: number): Buffer => Buffer.alloc(bytes, character);

test('small contents share frames up to their size', async (t) => {
  const contents = ['a', 'b', 'c', 'd', 'e'].map((letter) => ({ bytes: text(letter, 1000) }));
  const groups = await compress(contents);
  t.deepEqual(
    groups.map(({ kind, codec, contents: { length } }) => [kind, codec, length]),
    [
      [RecordKind.frame, Codec.zstd, 2],
      [RecordKind.frame, Codec.zstd, 2],
      [RecordKind.frame, Codec.zstd, 1],
    ],
  );
});

test('contents above the size of small ones have a record each', async (t) => {
  const groups = await compress([
    { bytes: text('a', 1000) },
    { bytes: text('b', 1001) },
    { bytes: text('c', 50_000) },
    { bytes: text('d', 10) },
  ]);
  const shown = groups.map(({ kind, rawBytes }) => [kind, rawBytes]);
  t.deepEqual(
    shown.sort(([, a], [, b]) => a! - b!),
    [
      [RecordKind.content, 1001],
      [RecordKind.frame, 1010],
      [RecordKind.content, 50_000],
    ],
  );
});

test('what never shrinks is kept apart, and stored as it is', async (t) => {
  const groups = await compress([
    { bytes: text('a', 500) },
    { bytes: text('b', 500), isRaw: true },
    { bytes: text('c', 500) },
    { bytes: text('d', 500), isRaw: true },
    { bytes: text('e', 5000), isRaw: true },
  ]);
  const lettersBy = (codec: number): string[] =>
    groups
      .filter((group) => group.codec === codec)
      .map((group) => group.contents.map((content) => content.toString('latin1', 0, 1)).join(''));
  t.deepEqual(lettersBy(Codec.zstd), ['ac']);
  t.deepEqual(lettersBy(Codec.none).sort(), ['bd', 'e']);
});

test('contents of different schemes never share a record', async (t) => {
  const keys = {
    scheme: Scheme.chaCha,
    epoch: 1,
    contents: [{ epoch: 1, key: Buffer.alloc(32, 7) }],
    digests: Buffer.alloc(32, 9),
  };
  const { aes, readable } = Scheme;
  const schemes = [0, readable, aes, readable, 0, readable];
  const contents = schemes.map((scheme, index) => ({
    bytes: text(String(index), index === 5 ? 5000 : 100),
    isRaw: true,
    scheme,
  }));
  const input = { contents: blockOf(contents), wanted: Buffer.alloc(6, 1), frames: FRAMES, keys };
  const { output } = await new InlineJobs(systemWith()).run('build', input);
  let at = 0;
  const found = output.recordLengths.map((length) => {
    const record = Buffer.from(output.records.subarray(at, at + length));
    at += length;
    const letters = schemes.filter((_scheme, index) => record.includes(text(String(index), 100)));
    const { header, index } = parseRecord(record);
    const count = header.kind === RecordKind.frame ? readFrameIndex(header, index).length : 1;
    return `scheme ${header.scheme}: ${count} contents, ${letters.length} in plain`;
  });
  t.deepEqual(found.sort(), [
    `scheme ${aes}: 1 contents, 0 in plain`,
    `scheme ${Scheme.chaCha}: 2 contents, 0 in plain`,
    `scheme ${readable}: 1 contents, 1 in plain`,
    `scheme ${readable}: 2 contents, 2 in plain`,
  ]);
});

test('contents with different access are not compressed together, and share frames if they are stored raw', async (t) => {
  const owners = [1, 2, 1, 2];
  for (const isRaw of [false, true]) {
    const contents = owners.map((owner, index) => ({
      bytes: text(String(index), 100),
      owner,
      isRaw,
    }));
    const groups = await compress(contents);
    const found = groups.map(({ contents: all }) =>
      all.map((bytes) => String(bytes).charAt(0)).join(''),
    );
    t.deepEqual(found.sort(), isRaw ? ['0123'] : ['02', '13']);
  }
});

test('contents of one kind lie side by side', async (t) => {
  const contents = [3, 1, 3, 2, 1, 2].map((kind, index) => ({
    bytes: Buffer.from(`${kind}${index}`),
    kind,
  }));
  const [frame] = await compress(contents);
  t.deepEqual(frame!.contents.map(String), ['11', '14', '23', '25', '30', '32']);
});

test('only what is wanted is made a record of', async (t) => {
  const contents = ['a', 'b', 'c'].map((letter, index) => ({
    bytes: text(letter, 800 + index * 800),
    isWanted: letter === 'c',
  }));
  const groups = await compress(contents);
  t.is(groups.length, 1);
  t.is(groups[0]!.contents[0]!.toString('latin1', 0, 1), 'c');
  t.deepEqual(await compress(contents.map((content) => ({ ...content, isWanted: false }))), []);
  t.deepEqual(await compress([]), []);
});

test('with a limit of 0 every content has a record of its own', async (t) => {
  const contents = ['a', 'b'].map((letter) => ({ bytes: text(letter, 5) }));
  const groups = await compress(contents, { ...FRAMES, smallBytes: 0 });
  t.deepEqual(
    groups.map(({ kind }) => kind),
    [RecordKind.content, RecordKind.content],
  );
});

test('the memory of earlier jobs makes no difference', async (t) => {
  const noise = seededRandom(3).bytes(5000);
  const contents = [{ bytes: text('a', 400) }, { bytes: noise }, { bytes: text('b', 900) }];
  const fresh = await compress(contents);
  // The last one needs more memory than is kept.
  for (const bytes of [1, 100_000, 5 << 20]) {
    await compress([{ bytes: seededRandom(bytes).bytes(bytes) }]);
    t.deepEqual(await compress(contents), fresh);
  }
});

test('every wanted content comes out once, in a record within the limits', async (t) => {
  const anyContent = fc.record({
    bytes: fc
      .tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(9), fc.boolean())
      .map(([bytes, seed, isNoise]) =>
        isNoise ? seededRandom(seed).bytes(bytes) : Buffer.alloc(bytes, seed),
      ),
    isRaw: fc.boolean(),
    kind: fc.nat(3),
    isWanted: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(anyContent, { maxLength: 25, size: 'max' }), async (contents) => {
      const groups = await compress(contents);
      const keys = (list: readonly Buffer[]): string[] =>
        list.map((bytes) => sha256(bytes).toString('hex')).sort();
      const wanted = contents.filter(({ isWanted }) => isWanted).map(({ bytes }) => bytes);
      t.deepEqual(keys(groups.flatMap((group) => group.contents)), keys(wanted));
      for (const { kind, rawBytes, contents: list } of groups) {
        if (kind === RecordKind.content) t.true(rawBytes > FRAMES.smallBytes);
        else t.true(rawBytes <= FRAMES.frameBytes || list.length === 1);
      }
    }),
    { numRuns: 60 },
  );
});
