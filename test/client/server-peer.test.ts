// Pace: slow
/** The server as a backup uses it: each answer belongs to a request of its own, and everything else ends the session. */
import test from 'ava';
import { ServerPeer } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import {
  encodeMessage,
  type Head,
  type MessageName,
  NOTHING_SETTLED,
} from '../../src/transport/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { FakeConnection } from '../helpers/fake-connection.js';
import { PLAIN_SET } from '../helpers/hand-made-peer.js';
import { rowOf, rowsOf, entryOf } from '../helpers/rows.js';

const NO_BYTES = Buffer.alloc(0);
const OPENED: Head<'setOpened'> = {
  set: 1,
  name: 'a set',
  empty: true,
  protection: [],
  sealedSet: 0,
  seal: NO_BYTES,
  lastEntries: 0,
  doubtfulUpTo: 0,
  lostRecords: 0,
  strangePacks: [],
};
const CLOSED: Head<'setClosed'> = { set: 1, storedBytes: 0, usedBytes: 0, isRecorded: true };
const NOT_SEALED = { seal: NO_BYTES, opened: NO_BYTES };
const PLAIN = { purge: false, waits: true, runs: [] };

class Lab {
  readonly peer = new ServerPeer({ compressHeads: false });
  readonly connection = new FakeConnection();
  /** Code of the error that has ended the connection. */
  code: string | undefined;

  async begin(): Promise<this> {
    this.peer.line.onLost = ({ code }) => {
      this.code = code;
    };
    const greeting = this.connection.greetedBy(this.peer.line);
    this.connection.welcome({ creditBytes: 1 << 23 });
    await greeting;
    return this;
  }

  /** Sends a message of the server. */
  answer<N extends MessageName>(name: N, head: Head<N>): void {
    this.connection.deliver(name, encodeMessage(name, head).head);
  }

  /** Sends a message, and returns the code with which it ends the session; undefined if it is taken. */
  async codeOf<N extends MessageName>(name: N, head: Head<N>): Promise<string | undefined> {
    this.answer(name, head);
    await turn();
    return this.code;
  }

  async heads(...slots: number[]): Promise<Uint8Array> {
    const rows = Buffer.concat(slots.map((slot) => rowOf(`d${slot}`)));
    const numbers = { slots: Uint32Array.from(slots), parents: Int32Array.from(slots, () => -1) };
    const hashes = Buffer.alloc(32 * slots.length);
    return (await this.peer.heads({ ...numbers, rows, hashes }, true)).same;
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** True if a promise is still open. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  await turn();
  const open = Symbol('open');
  const first = await Promise.race([promise.catch(() => undefined), Promise.resolve(open)]);
  return first === open;
}

function differs(slot: number, wanted: readonly number[]): Head<'differs'> {
  return { slot, last: true, wanted: Buffer.from(wanted), known: NO_BYTES, gone: [] };
}

test('each request resolves with its own answer', async (t) => {
  const lab = await new Lab().begin();
  const opened = lab.peer.openSet(PLAIN_SET);
  lab.answer('setOpened', OPENED);
  t.is((await opened).name, 'a set');
  t.true(lab.peer.isEmpty);
  const heads = [lab.heads(1, 2), lab.heads(3)];
  lab.answer('headsAnswer', { slots: [1, 2], same: Buffer.from([1, 0]), seals: NO_BYTES });
  lab.answer('headsAnswer', { slots: [3], same: Buffer.from([1]), seals: NO_BYTES });
  t.deepEqual(
    (await Promise.all(heads)).map((same) => [...same]),
    [[1, 0], [1]],
  );
  const verdicts = [2, 1].map((count) => lab.peer.verdicts(Buffer.alloc(32 * count), true));
  lab.answer('verdicts', { question: 2, verdicts: Buffer.from([7]) });
  lab.answer('verdicts', { question: 1, verdicts: Buffer.from([5, 6]) });
  t.deepEqual(
    (await Promise.all(verdicts)).map((all) => [...all]),
    [[5, 6], [7]],
  );
  const closed = lab.peer.closeSet({}, NOT_SEALED, PLAIN);
  const settled = lab.peer.settled();
  lab.answer('setClosed', CLOSED);
  t.is((await closed).set, 1);
  t.true(await isOpen(settled));
  lab.answer('settled', NOTHING_SETTLED);
  t.true((await settled).isDone);
  t.is(lab.code, undefined);
});

test('listings of several directories are answered in any order, pages of one in theirs', async (t) => {
  const lab = await new Lab().begin();
  const [one, two] = [rowOf('one'), rowsOf(entryOf('a'), entryOf('b'))];
  const gone = Buffer.from('gone');
  const listings = [
    lab.peer.listing(1, one, false),
    lab.peer.listing(2, two, true),
    lab.peer.listing(1, two, true),
  ];
  lab.answer('differs', { ...differs(2, [1, 2]), gone: [gone] });
  lab.answer('differs', differs(1, [3]));
  t.deepEqual([...(await listings[0]!).wanted], [3]);
  t.true(await isOpen(listings[2]!));
  lab.answer('differs', differs(1, [4, 5]));
  t.deepEqual(
    (await Promise.all(listings)).map((all) => [[...all.wanted], all.gone]),
    [
      [[3], []],
      [[1, 2], [gone]],
      [[4, 5], []],
    ],
  );
});

test('a listing in several messages is answered when each of them is', async (t) => {
  const lab = await new Lab().begin();
  const names = Array.from({ length: 6000 }, (_, index) => String(index).padStart(250, '0'));
  const listing = lab.peer.listing(9, rowsOf(...names.map((name) => entryOf(name))), true);
  const rows = lab.connection.heads('listing').map((head) => head.rows);
  t.true(rows.length > 1);
  const counts = rows.map((page) => names.filter((name) => page.includes(name)).length);
  for (const count of counts) {
    t.true(await isOpen(listing));
    lab.answer('differs', differs(9, Array<number>(count).fill(1)));
  }
  t.is((await listing).wanted.length, names.length);
});

/** Messages of a server without a request, and after their request was answered. */
const ANSWERS: {
  readonly [name: string]: {
    readonly ask: (lab: Lab) => Promise<unknown>;
    readonly answer: (lab: Lab) => void;
    /** Answers that have another shape, or belong to another request. */
    readonly wrong: readonly ((lab: Lab) => void)[];
  };
} = {
  setOpened: {
    ask: ({ peer }) => peer.openSet(PLAIN_SET),
    answer: (lab) => lab.answer('setOpened', OPENED),
    wrong: [(lab) => lab.answer('setClosed', CLOSED)],
  },
  setClosed: {
    ask: ({ peer }) => peer.closeSet({}, NOT_SEALED, PLAIN),
    answer: (lab) => lab.answer('setClosed', CLOSED),
    wrong: [
      (lab) => lab.answer('setOpened', OPENED),
      (lab) => lab.answer('settled', NOTHING_SETTLED),
    ],
  },
  settled: {
    ask: ({ peer }) => peer.settled(),
    answer: (lab) => lab.answer('settled', NOTHING_SETTLED),
    wrong: [(lab) => lab.answer('setClosed', CLOSED)],
  },
  headsAnswer: {
    ask: (lab) => lab.heads(1, 2),
    answer: (lab) =>
      lab.answer('headsAnswer', { slots: [1, 2], same: Buffer.alloc(2), seals: NO_BYTES }),
    wrong: [0, 1, 3].map((count) => (lab) => {
      lab.answer('headsAnswer', { slots: [1, 2], same: Buffer.alloc(count), seals: NO_BYTES });
    }),
  },
  differs: {
    ask: ({ peer }) => peer.listing(4, rowOf('a'), true),
    answer: (lab) => lab.answer('differs', differs(4, [1])),
    wrong: [differs(5, [1]), differs(4, []), differs(4, [1, 1])].map((head) => (lab) => {
      lab.answer('differs', head);
    }),
  },
  verdicts: {
    ask: ({ peer }) => peer.verdicts(Buffer.alloc(64), false),
    answer: (lab) => lab.answer('verdicts', { question: 1, verdicts: Buffer.alloc(2) }),
    wrong: [
      { question: 2, verdicts: Buffer.alloc(2) },
      { question: 1, verdicts: Buffer.alloc(1) },
      { question: 1, verdicts: Buffer.alloc(3) },
    ].map((head) => (lab) => lab.answer('verdicts', head)),
  },
};

for (const [name, { ask, answer, wrong }] of Object.entries(ANSWERS)) {
  test(`an answer without a request, or twice, ends the session: ${name}`, async (t) => {
    const unasked = await new Lab().begin();
    answer(unasked);
    await turn();
    t.is(unasked.code, 'PROTOCOL_VIOLATION', 'no request');
    const lab = await new Lab().begin();
    const answered = ask(lab);
    answer(lab);
    await answered;
    t.is(lab.code, undefined);
    answer(lab);
    await turn();
    t.is(lab.code, 'PROTOCOL_VIOLATION', 'twice');
  });

  test(`a request takes no other answer, none with more or fewer items, and fails with the session: ${name}`, async (t) => {
    for (const lie of [undefined, ...wrong]) {
      const lab = await new Lab().begin();
      const answered = ask(lab);
      lie?.(lab);
      t.true(await isOpen(answered), 'no other message is taken for the answer');
      t.is(lab.code, lie && 'PROTOCOL_VIOLATION');
      lab.peer.fail(new TardisError('TIMED_OUT', 'a test'));
      t.is(await rejectedCode(answered), 'TIMED_OUT');
      t.is(await rejectedCode(ask(lab)), 'TIMED_OUT', 'a later request');
      answer(lab);
      t.is(await rejectedCode(ask(lab)), 'TIMED_OUT', 'an answer after the end changes nothing');
    }
  });
}

test('messages that are not for a backup end the session, receipts do not', async (t) => {
  const code = async <N extends MessageName>(name: N, head: Head<N>) =>
    (await new Lab().begin()).codeOf(name, head);
  const violation = 'PROTOCOL_VIOLATION';
  t.is(await code('setsAre', { question: 1, sets: [] }), violation);
  t.is(await code('keysSet', { number: 1 }), violation);
  t.is(await code('copyDone', { ...COUNTS, sets: [] }), violation);
  t.is(await code('received', { upTo: 0 }), undefined);
  t.is(await code('durable', { upTo: 0 }), undefined);
});

const COUNTS = { copiedRecords: 0, copiedBytes: 0, lostVersions: 0, allSets: 0 };

test('a message that cannot be decoded ends the session', async (t) => {
  const lab = await new Lab().begin();
  const opened = lab.peer.openSet(PLAIN_SET);
  const { head } = encodeMessage('setOpened', OPENED);
  lab.connection.deliver('setOpened', head.subarray(0, -1));
  t.true(await isOpen(opened));
  t.is(lab.code, 'PROTOCOL_VIOLATION');
});
