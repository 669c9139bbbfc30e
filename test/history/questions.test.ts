/** Questions and their answers: both come back as they were, and answers that cannot be are refused. */
import test from 'ava';
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  type Reply,
  type Request,
  STORE_FIGURES,
} from '../../src/history/index.js';
import { NO_MARKS } from '../../src/model/index.js';
import { packName } from '../../src/store/index.js';
import {
  answerTo,
  type AnswerTo,
  type AnyQuestion,
  type Body,
  type EncodedMessage,
  encodeNumbered,
} from '../../src/transport/index.js';

const VIOLATION = { code: 'PROTOCOL_VIOLATION' };
const DIGEST = Buffer.alloc(32, 7);

function whole({ head, attachment }: EncodedMessage): Buffer {
  return Buffer.concat([head, attachment ?? Buffer.alloc(0)]);
}

/** Returns request and reply as the two ends receive them. */
function passed<N extends AnyQuestion>(
  name: N,
  request: Request<N>,
  reply: Reply<N>,
): { request: Request<N>; reply: Reply<N> } {
  const requested = decodeRequest(name, whole(encodeRequest(name, 7, request)));
  const answer = whole(encodeReply(name, requested, reply));
  return { request: requested.request, reply: decodeReply(name, { number: 7, request }, answer) };
}

const SET = {
  set: 3,
  name: 'a title',
  firstName: 'Backup-3',
  state: 'complete',
  openedAtMs: 1000,
  clientTimeMs: -5,
  closedAtMs: undefined,
  stats: { files: 7, ratio: 0.5 },
  marks: { ...NO_MARKS, title: 'a title', priority: -2, tags: ['one', 'two'] },
  isDoubtful: true,
  isSealed: false,
} as const;

test('sets, verdicts, requests to forget and news of jobs come back as they are', (t) => {
  const sets = [SET, { ...SET, set: 4, closedAtMs: 2000 }];
  t.deepEqual(passed('readSets', undefined, sets).reply, sets);

  const change = { title: 'new', isLocked: false, addTags: ['x'], removeTags: [] };
  const marked = passed('markSets', { sets: [1, 2], change }, undefined).request;
  t.like(marked, { sets: [1, 2], change });

  const verdicts = {
    verdicts: [
      { set: 1, reasons: [] },
      { set: 2, reasons: [{ why: 'tag', what: 'kept' } as const, { why: 'newest' } as const] },
    ],
    isClockInDoubt: true,
    unusedTags: ['lost'],
  };
  t.deepEqual(passed('previewPurge', undefined, verdicts).reply, verdicts);

  const path = Buffer.from('/a');
  const requests = [{ id: 1, path, lastSet: 2, requestedAtMs: 3, dueAtMs: 4 }];
  t.deepEqual(
    passed('readForgets', undefined, { requests, report: undefined }).reply.requests,
    requests,
  );

  const news: Reply<'watchWork'> = {
    findings: [
      {
        finding: 'version',
        path,
        sets: [1, 3],
        firstSet: 1,
        sizeBytes: 9,
        digest: DIGEST,
        why: 'missing',
      },
      { finding: 'history', sets: [1] },
    ],
    omitted: 2,
    progress: { step: 'read', done: 1 },
  };
  t.deepEqual(passed('watchWork', undefined, news).reply, news);
});

test('an attachment belongs to the question or the answer that has one', (t) => {
  const piece = { signature: 1, basisBytes: 2, isLast: true, bytes: Buffer.from('signature') };
  t.deepEqual(passed('readerSignature', piece, undefined).request, piece);
  const wanted = { object: 'packs/00000001.pack', position: 0, bytes: 5 };
  t.deepEqual(passed('readObject', wanted, Buffer.from('bytes')).reply, Buffer.from('bytes'));
  t.is(passed('readObject', wanted, undefined).reply, undefined);
  t.throws(() => passed('readObject', wanted, Buffer.from('more than that')), VIOLATION);
});

test('an answer to another question is refused', (t) => {
  const answer = whole(encodeNumbered(answerTo('readSettings'), 8, { settings: [] }));
  t.deepEqual(decodeReply('readSettings', { number: 8, request: undefined }, answer), []);
  t.throws(() => decodeReply('readSettings', { number: 7, request: undefined }, answer), VIOLATION);
});

test('answers whose fields contradict each other or the question are refused', (t) => {
  const wrong: readonly (() => unknown)[] = [
    answering('readSets', undefined, {
      sets: [{ ...wire(), marks: { ...marks(), tags: ['a b'] } }],
    }),
    answering('readSets', undefined, {
      sets: [{ ...wire(), marks: { ...marks(), priority: 1e9 } }],
    }),
    answering('previewPurge', undefined, {
      verdicts: [{ set: 1, reasons: [{ why: 'because' }] }],
      isClockInDoubt: false,
      unusedTags: [],
    }),
    answering('readForgets', undefined, {
      requests: [{ id: 1, path: Buffer.from('a'), lastSet: 1, requestedAtMs: 0, dueAtMs: 0 }],
    }),
    answering(
      'readRoots',
      { set: 1 },
      { roots: [{ root: 1, directory: 1, path: Buffer.from('a') }] },
    ),
    answering(
      'readSeals',
      { set: 1, after: 5 },
      { directories: [5], seals: Buffer.alloc(32), hasMore: false, setSeal: Buffer.alloc(0) },
    ),
    answering('readDirectoryPaths', { set: 1, directories: [1] }, { paths: [] }),
    ...[NaN, 'many'].map((packs) => {
      const numbers = Object.fromEntries(STORE_FIGURES.map((name) => [name, 1]));
      return answering('readFigures', undefined, {
        numbers: { ...numbers, packs: packs as number },
        busiest: [],
      });
    }),
  ];
  for (const [index, decode] of wrong.entries()) t.throws(decode, VIOLATION, `${index}`);
});

test('questions that request too much are refused on arrival', (t) => {
  const after = Buffer.alloc(0);
  const listing = { set: 1, directory: 1, after, limit: 0, withDigests: false };
  const wrong = [
    ['readListing', encodeNumbered('readListing', 1, listing)],
    ['readPlaces', encodeNumbered('readPlaces', 1, { contents: Array<number>(5000).fill(1) })],
    ['readDigests', encodeNumbered('readDigests', 1, { prefix: Buffer.alloc(4), limit: 1 })],
    ['forgetPaths', encodeNumbered('forgetPaths', 1, { paths: [after], undoMs: 0, preview: true })],
  ] as const;
  for (const [name, message] of wrong)
    t.throws(() => decodeRequest(name, whole(message)), VIOLATION);
});

function answering<N extends AnyQuestion>(
  name: N,
  request: Request<N>,
  body: Body<AnswerTo<N>>,
): () => unknown {
  const answer = whole(encodeNumbered(answerTo(name), 1, body));
  return () => decodeReply(name, { number: 1, request }, answer);
}

type WireSet = Body<'setsAre'>['sets'][number];

function wire(): WireSet {
  return { ...SET, stats: {}, marks: marks() };
}

function marks(): WireSet['marks'] {
  return { ...NO_MARKS, tags: [] };
}

test('the state of a store comes back as it is, and blocks that cannot be are refused', (t) => {
  const space = { blockBytes: 4096, blocks: 2 ** 40, freeBlocks: 9, availableBlocks: 7 };
  const state = { catalog: '8/77', isReplaced: true, space };
  t.deepEqual(passed('readStore', undefined, state).reply, state);
  for (const wrong of [
    { ...space, blockBytes: 0 },
    { ...space, blockBytes: 2 ** 32 },
    { ...space, freeBlocks: space.blocks + 1 },
    { ...space, blocks: 8 },
  ]) {
    t.throws(answering('readStore', undefined, { ...state, space: wrong }), VIOLATION);
  }
});

test('sizes of directories come back as they are, and lists that do not fit are refused', (t) => {
  const request = { before: 1, set: 2, directory: 0, by: 'growth', limit: 2 } as const;
  const sums = { files: 3, bytes: 2 ** 40, newBytes: 7, earlierBytes: 0 };
  const found = { isCounted: true, sums, below: [{ directory: 5, ...sums }], more: 4 };
  const { request: decoded, reply } = passed('readSizes', request, found);
  t.deepEqual(decoded, request);
  t.deepEqual(reply, found);
  const none = { isCounted: false, sums: undefined, below: [], more: 0 };
  t.deepEqual(passed('readSizes', request, none).reply, none);
  const odd = { ...sums, files: -1, bytes: 2 ** 60 };
  t.deepEqual(passed('readSizes', request, { ...none, sums: odd }).reply.sums, {
    ...sums,
    files: 0,
    bytes: Number.MAX_SAFE_INTEGER,
  });
  const [below] = found.below;
  for (const wrong of [
    { below: [{ ...below, bytes: -1 }] },
    { sums: { files: 1, bytes: 2 } },
    { below: Array(3).fill(below) },
  ]) {
    t.throws(answering('readSizes', request, { ...found, ...wrong } as typeof found), VIOLATION);
  }
  for (const wrong of [{ by: 'names' }, { before: 3 }, { limit: 5000 }]) {
    const body = { ...request, ...wrong } as typeof request;
    t.throws(
      () => decodeRequest('readSizes', whole(encodeNumbered('readSizes', 1, body))),
      VIOLATION,
    );
  }
});

test('a snapshot that is offered and the pieces of its catalog come back as they are', (t) => {
  const facts = { clientId: 'ab', endedUpTo: 3, commit: 9, point: '9-1-2-3' };
  const offer = { ...facts, offer: 7, catalogBytes: 2 ** 40 };
  t.is(
    passed('openCopy', { known: '9-1-2-3' }, { ...offer, keysSum: DIGEST }).request.known,
    '9-1-2-3',
  );
  for (const keysSum of [DIGEST, Buffer.alloc(0)]) {
    t.deepEqual(passed('openCopy', { known: '' }, { ...offer, keysSum }).reply, {
      ...offer,
      keysSum,
    });
  }
  t.throws(answering('openCopy', { known: '' }, { ...offer, keysSum: Buffer.alloc(7) }), VIOLATION);
  const piece = passed('readCatalog', { offer: 7, piece: 2 }, Buffer.from('piece'));
  t.like(piece.request, { offer: 7, piece: 2 });
  t.is(piece.reply.toString(), 'piece');
});

test('the questions of a server to the peer that it copies are those of a reader, and as strict', (t) => {
  const facts = { clientId: 'ab', endedUpTo: 3, commit: 9, point: '9-1-2-3' };
  const offer = { ...facts, offer: 7, catalogBytes: 2 ** 31 };
  t.deepEqual(passed('copyOpen', { known: '' }, offer).reply, offer);
  t.is(passed('copyPiece', { offer: 7, piece: 2 }, Buffer.from('piece')).reply.toString(), 'piece');
  const object = { object: packName(1), position: 8, bytes: 4 };
  const read = passed('copyObject', object, Buffer.from('some'));
  t.deepEqual(read.request, object);
  t.is(read.reply!.toString(), 'some');
  t.is(passed('copyObject', object, undefined).reply, undefined);
  t.throws(
    answering('copyObject', object, { exists: true, attachment: Buffer.alloc(5) }),
    VIOLATION,
  );
  for (const wrong of [{ object: 'format.json' }, { object: '../me' }, { bytes: 2 ** 40 }]) {
    const question = whole(encodeNumbered('copyObject', 1, { ...object, ...wrong }));
    t.throws(() => decodeRequest('copyObject', question), VIOLATION);
  }
});
