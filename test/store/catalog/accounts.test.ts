/**
 * Contents stored by an account of a client, and by the client itself: the client's own record counts, in whatever
 * order they arrive.
 */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { applyContentRecord, Catalog } from '../../../src/store/catalog/index.js';
import {
  buildRecord,
  Codec,
  markOfAccount,
  readHeader,
  RECORD_HEADER_BYTES,
  RecordKind,
  writeContentIndex,
  writeDeltaIndex,
} from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const DIGEST = Buffer.alloc(32, 1);
const BASIS = Buffer.alloc(32, 2);
const NONE = new Set<number>();

function catalogIn(t: ExecutionContext): Catalog {
  const catalog = Catalog.openForWriting(nodeSystem(), path.join(scratchInMemory(t), 'tardis.db'));
  catalog.begin();
  t.teardown(() => catalog.abandon());
  return catalog;
}

interface Sent {
  readonly isDelta?: boolean;
  readonly isSignature?: boolean;
  readonly ofAccount: boolean;
}

/** Applies a record of the content, located in the pack with this number. */
function apply(
  catalog: Catalog,
  at: number,
  { isDelta, isSignature, ofAccount }: Sent,
  moved = NONE,
): void {
  const content = { digest: DIGEST, sizeBytes: 5, fileSizeBytes: 5, chunkBytes: 0 };
  const index =
    isDelta === true
      ? writeDeltaIndex({ ...content, basis: BASIS, isPart: false })
      : writeContentIndex(content);
  const { content: whole, delta, signature } = RecordKind;
  const kind = isDelta === true ? delta : isSignature === true ? signature : whole;
  const record = buildRecord({ kind, codec: Codec.none, rawBytes: 5 }, index, Buffer.alloc(5));
  if (ofAccount) markOfAccount(record);
  const from = record.subarray(RECORD_HEADER_BYTES);
  const location = { pack: at, position: 0 };
  applyContentRecord(catalog, readHeader(record, 0)!, from.subarray(0, index.length), {
    location,
    moved,
  });
}

function placeOf(catalog: Catalog): { pack: number | undefined; isUnproven: boolean } {
  const { contentId } = catalog.contents.find(DIGEST)!;
  const isUnproven = catalog.accounts.isUnproven(contentId);
  return { pack: catalog.contents.stored(contentId)?.pack, isUnproven };
}

test('a record of the client takes the place of one of an account, whichever comes first', (t) => {
  for (const order of [
    [1, 2],
    [2, 1],
  ] as const) {
    const catalog = catalogIn(t);
    for (const at of order) apply(catalog, at, { ofAccount: at === 1 });
    t.deepEqual(placeOf(catalog), { pack: 2, isUnproven: false });
    apply(catalog, 3, { ofAccount: false });
    t.is(placeOf(catalog).pack, 2, 'a second one changes nothing');
  }
});

test('a whole content of an account takes the place of no delta of the client, nor a delta that of anything', (t) => {
  const catalog = catalogIn(t);
  apply(catalog, 1, { ofAccount: false, isDelta: true });
  apply(catalog, 2, { ofAccount: true });
  t.deepEqual(placeOf(catalog), { pack: 1, isUnproven: false });
  t.true(catalog.contents.find(DIGEST)!.isDelta);
  apply(catalog, 3, { ofAccount: false });
  t.is(placeOf(catalog).pack, 3, 'one of the client does');
  const other = catalogIn(t);
  apply(other, 1, { ofAccount: true });
  apply(other, 2, { ofAccount: false, isDelta: true });
  t.deepEqual(placeOf(other), { pack: 2, isUnproven: false });
  t.true(other.contents.find(DIGEST)!.isDelta, 'what is proven counts, though it is a delta');
});

test('what is moved stays what it was', (t) => {
  const catalog = catalogIn(t);
  apply(catalog, 1, { ofAccount: true });
  apply(catalog, 2, { ofAccount: true }, new Set([1]));
  t.deepEqual(placeOf(catalog), { pack: 2, isUnproven: true });
  apply(catalog, 3, { ofAccount: false }, new Set([2]));
  t.deepEqual(
    placeOf(catalog),
    { pack: 3, isUnproven: false },
    'a frame that was proven when it was repacked',
  );
});

test('a content that an account sends again for one that is damaged is not proven', (t) => {
  const catalog = catalogIn(t);
  apply(catalog, 1, { ofAccount: false });
  catalog.contents.markMissing(catalog.contents.find(DIGEST)!.contentId);
  apply(catalog, 2, { ofAccount: true });
  t.deepEqual(placeOf(catalog), { pack: 2, isUnproven: true });
});

test('a signature of an account takes the place of none of the client', (t) => {
  for (const order of [
    [1, 2],
    [2, 1],
  ] as const) {
    const catalog = catalogIn(t);
    for (const at of order) apply(catalog, at, { ofAccount: at === 1, isSignature: true });
    const { contentId } = catalog.contents.find(DIGEST)!;
    t.is(catalog.signatures.find(contentId)?.pack, 2);
    t.false(catalog.accounts.isSignatureUnproven(contentId));
  }
});

test('a content that is forgotten takes the facts about its record along', (t) => {
  const catalog = catalogIn(t);
  apply(catalog, 1, { ofAccount: true });
  const { contentId } = catalog.contents.find(DIGEST)!;
  catalog.gc.dropContent(contentId);
  t.false(catalog.accounts.isUnproven(contentId), 'its number may be given out again');
});
