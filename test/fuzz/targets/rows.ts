/** Rows of listings, with their attributes and ACLs, from the wire or the store. */
import { isDeepStrictEqual } from 'node:util';
import {
  accessAcl,
  aclOwners,
  checkRows,
  copyRowWithDigest,
  countRows,
  decodeRow,
  encodeRow,
  EntryType,
  exactMtimeNs,
  forEachRow,
  isEntryName,
  packAttributes,
  readAttributes,
  renumberAcls,
  RowReader,
  timeAmong,
  withAttributes,
} from '../../../src/model/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';
import { sampleRows } from '../samples/rows.js';

const DIGEST = Buffer.alloc(32, 7);

function readOne(rows: RowReader, at: number): void {
  const row = rows.row(at);
  const entry = decodeRow(rows, at);
  must(encodeRow(entry).equals(row), 'a row that was decoded and encoded is another one');
  must(isEntryName(entry.name), 'a name that no entry can have');
  must(Number.isSafeInteger(entry.sizeBytes), 'an impossible size');
  const { attributes } = entry;
  exactMtimeNs(entry.mtimeNs, attributes);
  const all = [...readAttributes(timeAmong(attributes)), ...readAttributes(attributes)];
  if (attributes !== undefined) {
    must(
      Buffer.concat([timeAmong(attributes), packAttributes(all)]).equals(attributes),
      'attributes that were unpacked and packed are other ones',
    );
    accessAcl(attributes);
    const owners = aclOwners(attributes);
    renumberAcls(attributes, ({ id }) => (id ^ 1) >>> 0);
    must(aclOwners(attributes).length === owners.length, 'renumbering changes how many there are');
  }
  must(
    decodeRow(new RowReader(withAttributes(row, Buffer.alloc(0))), 0).attributes === undefined,
    'attributes stay',
  );
  if (entry.type !== EntryType.file) return;
  const target = Buffer.alloc(row.length + DIGEST.length);
  const end = copyRowWithDigest(rows, at, DIGEST, target, 0);
  const copied = decodeRow(checkRows(target.subarray(0, end), false), 0);
  must(
    isDeepStrictEqual(
      { ...copied, flags: 0 },
      { ...decodeRow(rows, at), flags: 0, digest: DIGEST },
    ),
    'a digest changes more than itself',
  );
}

function read(data: Buffer, sorted: boolean): string {
  const rows = checkRows(data, sorted);
  forEachRow(rows, (at) => readOne(rows, at));
  return magnitude(countRows(rows));
}

export const target: Target = {
  about: 'rows: refused, or each the same when decoded and encoded again',
  seeds: sampleRows,
  fuzz: (data) =>
    [true, false]
      .map((sorted) => attempt(['PROTOCOL_VIOLATION'], () => read(data, sorted)))
      .join(' / '),
  tokens: ['system.posix_acl_access', 'system.posix_acl_default', 'user.x'],
};
