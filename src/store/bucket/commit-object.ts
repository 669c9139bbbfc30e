/**
 * Reads commit objects. Each begins with a label. Then come small records, the heads of the packs that it covers, its
 * commit record, and perhaps parity. An object is created by one PUT. It is untrusted, so all of it is checked.
 */
import { recordDamaged, type TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import { type CommitBody, readCommit } from '../packs/events.js';
import { type PackHeads, readHeads, type RecordHead, recordsOf } from '../packs/heads.js';
import { LABEL_BYTES, readLabel } from '../packs/pack-label.js';
import { addToRanges, areRanges, type PackRanges } from '../packs/pack-ranges.js';
import {
  parseRecord,
  type ParsedRecord,
  readHeader,
  RECORD_HEADER_BYTES,
  recordBytes,
  RecordKind,
} from '../packs/record.js';
import type { Location } from '../layout/layout.js';
import { logPack } from '../layout/bucket-names.js';

/** Maximum size of a commit object that is read. Its records are in memory while it is written, too. */
export const MAX_COMMIT_OBJECT_BYTES: number = 256 << 20;

export interface CommitObject {
  readonly body: CommitBody;
  /** All records that the commit covers, in its own object and in packs. */
  readonly records: readonly (RecordHead & { readonly location: Location })[];
  /** Checksum of the commit record's body. */
  readonly checksum: number;
  /** End of the commit record. Parity may follow. */
  readonly endBytes: number;
}

/**
 * Reads a commit object whole. Throws RECORD_DAMAGED if its records are not exactly those that its commit record
 * covers, and STORE_NEWER for a record of a later release.
 */
export function parseCommitObject(bytes: Buffer, commit: number): CommitObject {
  const own = logPack(commit);
  if (readLabel(bytes)?.pack !== own) throw damaged(commit, 'has the label of another one');
  const records: CommitObject['records'][number][] = [];
  const ranges: PackRanges = new Map();
  const take = (pack: PackNumber, head: RecordHead): void => {
    records.push({ ...head, location: { pack, position: head.position } });
    addToRanges(ranges, pack, head);
  };
  for (let at = LABEL_BYTES; at < bytes.length; ) {
    const record = recordAt(bytes, at, commit);
    const { header, index } = record;
    const end = at + recordBytes(header);
    if (header.kind === RecordKind.commit) {
      if (end !== bytes.length && !isParityAt(bytes, end)) {
        throw damaged(commit, 'goes on behind its commit record');
      }
      const body = readCommit(record);
      if (body.commit !== commit) throw damaged(commit, `contains commit ${body.commit}`);
      if (!areRanges(body.ranges, ranges))
        throw damaged(commit, 'covers other records than it has');
      return { body, records, checksum: header.bodyChecksum, endBytes: end };
    }
    const headerBytes = bytes.subarray(at, at + RECORD_HEADER_BYTES);
    take(own, { header, headerBytes, index, position: at });
    if (header.kind === RecordKind.heads) {
      for (const heads of packsIn(record, own)) {
        for (const head of recordsOf(heads)) take(heads.pack, head);
      }
    }
    at = end;
  }
  throw damaged(commit, 'has no commit record');
}

/** True if parity begins here, and ends with the object. A reader does not need it. */
function isParityAt(bytes: Buffer, at: number): boolean {
  const header = readHeader(bytes, at);
  return header?.kind === RecordKind.parity && at + recordBytes(header) === bytes.length;
}

function recordAt(bytes: Buffer, at: number, commit: number): ParsedRecord {
  const header = bytes.length - at < RECORD_HEADER_BYTES ? undefined : readHeader(bytes, at);
  if (header === undefined) throw damaged(commit, `has no record at ${at}`);
  return parseRecord(bytes.subarray(at, at + recordBytes(header)));
}

/**
 * Returns the heads of packs in a record. Throws RECORD_DAMAGED if one of them is not older than the commit object
 * `own`.
 */
function packsIn(record: ParsedRecord, own: PackNumber): readonly PackHeads[] {
  const packs = readHeads(record);
  if (packs.every(({ pack }) => pack < own)) return packs;
  throw recordDamaged('a commit describes packs of a later session');
}

function damaged(commit: number, what: string): TardisError {
  return recordDamaged(`the object of commit ${commit} ${what}`, { commit });
}
