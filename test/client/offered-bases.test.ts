/** Bases of deltas that the server offers, and their signatures. */
import test from 'ava';
import { OfferedBases } from '../../src/client/index.js';
import { TardisError } from '../../src/errors/index.js';
import { BasisWish, MAX_OPEN_BASES } from '../../src/transport/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { sha256 } from '../helpers/rows.js';

type Offer = Parameters<OfferedBases['offer']>[0];
type Piece = Parameters<OfferedBases['piece']>[0];

const NAME = Buffer.from('large');

function basis(changes: Partial<Offer> = {}): Offer {
  const known = { sizeBytes: 1 << 21, digest: sha256('old'), hasSignature: true, mostPercent: 50 };
  return { basis: 1, slot: 3, name: NAME, ...known, ...changes };
}

function piece(text: string, changes: Partial<Piece> = {}): Piece {
  const whole = { isSample: false, range: 0, last: false, failed: false };
  return { basis: 1, bytes: Buffer.from(text), ...whole, ...changes };
}

function made(): { bases: OfferedBases; requests: unknown[] } {
  const requests: unknown[] = [];
  const sender = { post: (_name: string, head: object) => void requests.push(head) };
  const streams = {
    delta: () => {
      throw new Error('no delta is sent here');
    },
  };
  return { bases: new OfferedBases(sender, streams), requests };
}

test('a basis is found by directory and name, and by nothing else', (t) => {
  const { bases } = made();
  bases.offer(basis());
  t.is(bases.find(3, NAME)?.sizeBytes, 1 << 21);
  t.is(bases.find(4, NAME), undefined);
  t.is(bases.find(3, Buffer.from('Large')), undefined);
});

test('offers that repeat one, or make no sense, are refused', (t) => {
  const wrong: Partial<Offer>[] = [
    { slot: 9 }, // its number
    { basis: 2 }, // its name
    { basis: 2, slot: 9, mostPercent: 101 },
    { basis: 2, slot: 9, digest: Buffer.alloc(31) },
  ];
  for (const changes of wrong) {
    const { bases } = made();
    bases.offer(basis());
    t.is(
      thrownCode(() => bases.offer(basis(changes))),
      'PROTOCOL_VIOLATION',
    );
  }
});

test('a server cannot offer without end', (t) => {
  const { bases } = made();
  for (let number = 1; number <= MAX_OPEN_BASES; number += 1) {
    bases.offer(basis({ basis: number, slot: number }));
  }
  t.is(
    thrownCode(() => bases.offer(basis({ basis: 0, slot: 0 }))),
    'PROTOCOL_VIOLATION',
  );
});

test('a signature is handed on in order, whether it came before the request or after', async (t) => {
  const { bases, requests } = made();
  bases.offer(basis());
  bases.piece(piece('one '));
  const got: string[] = [];
  const fetched = bases.find(3, NAME)!.fetch(false, (bytes) => got.push(bytes.toString()) > 0);
  t.deepEqual(got, ['one ']);
  bases.piece(piece('two '));
  bases.piece(piece('three', { last: true }));
  t.true(await fetched);
  t.deepEqual(got, ['one ', 'two ', 'three']);
  t.deepEqual(requests, [{ basis: 1, wish: BasisWish.signature }]);
});

test('a sample and the whole signature do not mix', async (t) => {
  const { bases } = made();
  bases.offer(basis());
  bases.piece(piece('whole', { last: true }));
  bases.piece(piece('sample', { isSample: true, last: true }));
  const got: string[] = [];
  const take = (bytes: Buffer): boolean => got.push(bytes.toString()) > 0;
  t.true(await bases.find(3, NAME)!.fetch(true, take));
  t.deepEqual(got, ['sample']);
  t.true(await bases.find(3, NAME)!.fetch(false, take));
  t.deepEqual(got, ['sample', 'whole']);
});

test('a signature that failed, or that the receiver rejects, is not whole, and ends no session', async (t) => {
  for (const [isFailed, isTaken] of [
    [true, true],
    [false, false],
  ]) {
    const { bases } = made();
    bases.offer(basis());
    const fetched = bases.find(3, NAME)!.fetch(false, () => isTaken!);
    bases.piece(piece('x', { failed: isFailed!, last: true }));
    bases.piece(piece('late'));
    t.false(await fetched);
  }
});

test('more than may come without a request is refused', (t) => {
  const { bases } = made();
  bases.offer(basis());
  const bytes = Buffer.alloc(8 << 20);
  bases.piece({ ...piece(''), bytes });
  bases.piece({ ...piece(''), bytes });
  t.is(
    thrownCode(() => bases.piece(piece('x'))),
    'PROTOCOL_VIOLATION',
  );
});

test('a released offer is gone, is reported once, and makes room for early pieces', async (t) => {
  const { bases, requests } = made();
  bases.offer(basis());
  bases.piece({ ...piece(''), bytes: Buffer.alloc(16 << 20) });
  const found = bases.find(3, NAME)!;
  found.release();
  found.release();
  t.deepEqual(requests, [{ basis: 1, wish: BasisWish.nothing }]);
  t.is(bases.find(3, NAME), undefined);
  bases.piece(piece('in flight'));
  bases.offer(basis());
  t.notThrows(() => bases.piece({ ...piece(''), bytes: Buffer.alloc(16 << 20) }));
});

test('the offers of a directory end with it, and only those', async (t) => {
  const { bases } = made();
  bases.offer(basis());
  bases.offer(basis({ basis: 2, slot: 4 }));
  const fetched = bases.find(3, NAME)!.fetch(false, () => true);
  bases.slotsDone([3]);
  t.false(await fetched);
  t.is(bases.find(3, NAME), undefined);
  t.not(bases.find(4, NAME), undefined);
});

test('a lost session rejects what is being fetched, and all later requests', async (t) => {
  const { bases } = made();
  bases.offer(basis());
  const found = bases.find(3, NAME)!;
  const fetched = found.fetch(false, () => true);
  bases.fail(new TardisError('CONNECTION_LOST', 'of a test'));
  t.is(await rejectedCode(fetched), 'CONNECTION_LOST');
  t.is(await rejectedCode(found.fetch(true, () => true)), 'CONNECTION_LOST');
});
