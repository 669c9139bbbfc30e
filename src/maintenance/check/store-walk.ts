/**
 * Examines all records in the catalog and in the packs of a store. It checks that each is at its place in the catalog,
 * and checks the bytes of the records that are to be read.
 */
import type { PackNumber } from '../../model/index.js';
import type { AuditedContent, AuditedRecord, CatalogAudit } from '../../store/catalog/index.js';
import {
  type Backend,
  hasLabel,
  LABEL_BYTES,
  NO_PACK,
  packName,
  readCommit,
  readEvent,
  readImagePiece,
  readListing,
  readRecord,
  recordBytes,
  RecordKind,
  scanPack,
  type ScannedRecord,
} from '../../store/index.js';
import { yieldRegularly } from '../../system/index.js';
import type { LostContents } from './lost-contents.js';
import type { CommittedRanges } from './committed.js';
import type { CheckCounts, Finding, RecordRole } from './findings.js';
import { type ContentProver, type Fault, faultOf, objectOf } from './prover.js';
import type { ReadMemory } from './read-memory.js';
import type { ReadPlan } from './read-plan.js';

interface WalkParts {
  readonly audit: CatalogAudit;
  readonly backend: Backend;
  readonly committed: CommittedRanges;
  readonly prover: ContentProver;
  readonly casualties: LostContents;
  readonly plan: ReadPlan;
  readonly memory: ReadMemory;
  readonly counts: CheckCounts;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
  readonly onRead: (doneBytes: number, ofBytes: number) => void;
}

/** A range of bytes in a pack. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

export class StoreWalk {
  private readonly breathe: () => Promise<void> | undefined;

  constructor(private readonly parts: WalkParts) {
    this.breathe = yieldRegularly(parts.signal);
  }

  async run(): Promise<void> {
    const { audit, committed } = this.parts;
    const packs = new Set([...committed.packs, ...committed.spokenOf, ...audit.packs()]);
    for (const pack of [...packs].sort((a, b) => a - b)) {
      if (pack === NO_PACK) await this.objects();
      else await this.pack(pack);
    }
    if (!packs.has(NO_PACK)) await this.objects();
  }

  private async objects(): Promise<void> {
    for (const record of this.parts.audit.recordsIn(NO_PACK)) {
      await this.breathe();
      const contents = this.parts.audit.contentsOf(record.recordId);
      // Without a content the file's name is unknown, and nothing needs the record.
      if (contents.length > 0) await this.record(objectOf(record, contents), record, contents);
    }
  }

  private async pack(pack: PackNumber): Promise<void> {
    const { audit, backend, committed } = this.parts;
    const object = packName(pack);
    const sizeBytes = await backend.size(object);
    const records = new Map(audit.recordsIn(pack).map((record) => [record.position, record]));
    const gaps: Stretch[] = [];
    let end = 0;
    for await (const scanned of scanPack(backend, pack, 0, true)) {
      await this.breathe();
      const { position, header } = scanned;
      if (position > end) gaps.push({ from: end, to: position });
      end = position + recordBytes(header);
      const known = records.get(position);
      records.delete(position);
      if (known !== undefined) await this.known(object, known);
      else if (committed.covers(pack, position)) await this.stranger(object, scanned);
      else if (header.kind === RecordKind.parity) await this.parity(object, scanned);
    }
    const last = Math.max(sizeBytes ?? 0, ...committed.endsOf(pack));
    if (last > end) gaps.push({ from: end, to: last });
    const left = [...records.values()];
    for (const record of left) {
      await this.breathe();
      await this.known(object, record);
    }
    for (const gap of gaps) await this.gap(pack, gap, left);
    if ((sizeBytes ?? 0) >= LABEL_BYTES && !(await hasLabel(backend, pack))) {
      const why = 'the label, which has the number and the client of the pack, cannot be read';
      this.report(object, { position: 0, recordBytes: LABEL_BYTES }, 'unneeded', why);
    }
    for (const { position, bytes, why } of committed.disordered(pack, gaps)) {
      if (await this.hasVanished(object)) return;
      this.report(object, { position, recordBytes: bytes }, 'metadata', why);
    }
  }

  private async known(object: string, record: AuditedRecord): Promise<void> {
    await this.record(object, record, this.parts.audit.contentsOf(record.recordId));
  }

  /** Examines a record that the catalog contains. */
  private async record(
    object: string,
    record: AuditedRecord,
    contents: readonly AuditedContent[],
  ): Promise<void> {
    const { prover, plan, counts, casualties, audit } = this.parts;
    counts.records += 1;
    let fault = await prover.headFault(object, record, contents);
    const isRead = plan.includes(object, record.position);
    if (fault === undefined && isRead) {
      fault = await prover.bodyFault(object, record, contents);
      if (fault !== undefined && (await this.isOnlyBasis(object, record, contents))) return;
    }
    if (isRead) this.noteRead(object, record.position, record.recordBytes, fault);
    if (fault === undefined) return;
    if (contents.length > 0) {
      if (await casualties.suspect(contents)) this.report(object, record, 'contents', fault);
      return;
    }
    const isSignature = audit.isSignature(record.recordId);
    this.report(object, record, isSignature ? 'signature' : 'unneeded', fault);
  }

  /**
   * True for a delta whose own bytes are right, so that its basis must be damaged. Then records the basis as suspect,
   * whose damage is reported separately.
   */
  private async isOnlyBasis(
    object: string,
    record: AuditedRecord,
    contents: readonly AuditedContent[],
  ): Promise<boolean> {
    const [content] = contents;
    if (record.kind !== RecordKind.delta || content === undefined) return false;
    if ((await this.parts.prover.checksumFault({ object, ...record })) !== undefined) return false;
    this.noteRead(object, record.position, record.recordBytes, undefined);
    await this.parts.casualties.suspectBasis(content);
    return true;
  }

  /**
   * Examines a committed record that the catalog does not contain: a listing, an event, or a content that was
   * stored twice.
   */
  private async stranger(object: string, { header, position }: ScannedRecord): Promise<void> {
    const { backend, plan, prover, counts } = this.parts;
    counts.records += 1;
    const place = { position, recordBytes: recordBytes(header) };
    if (header.sequence > 0) {
      const fault = await faultOf(async () => {
        const record = await readRecord(backend, object, position, place.recordBytes);
        if (header.kind === RecordKind.event) readEvent(record);
        else if (header.kind === RecordKind.commit) readCommit(record);
        else if (header.kind === RecordKind.image) readImagePiece(record);
        else readListing(record);
      });
      if (fault !== undefined && !(await this.hasVanished(object))) {
        this.report(object, place, 'metadata', fault);
      }
      return;
    }
    if (!plan.includes(object, position)) return;
    const fault = await prover.checksumFault({ object, ...place });
    this.noteRead(object, position, place.recordBytes, fault);
    if (fault !== undefined && !(await this.hasVanished(object))) {
      this.report(object, place, 'unneeded', fault);
    }
  }

  /** Examines the parity at the end of a pack in a bucket, if it is to be read. */
  private async parity(object: string, { header, position }: ScannedRecord): Promise<void> {
    const { plan, prover } = this.parts;
    if (!plan.includes(object, position)) return;
    const place = { position, recordBytes: recordBytes(header) };
    const fault = await prover.checksumFault({ object, ...place });
    if (fault !== undefined && !(await this.hasVanished(object))) {
      this.report(object, place, 'parity', fault);
    }
  }

  /** Reports a gap without records in which committed records should be. */
  private async gap(
    pack: PackNumber,
    { from, to }: Stretch,
    left: readonly AuditedRecord[],
  ): Promise<void> {
    const object = packName(pack);
    const known = left
      .filter(({ position }) => position >= from && position < to)
      .reduce((sum, record) => sum + record.recordBytes, 0);
    const unknownBytes = this.parts.committed.bytesIn(pack, from, to) - known;
    if (unknownBytes <= 0 || (await this.hasVanished(object))) return;
    const why = `${unknownBytes} bytes are not records: listings, events, or what nothing needs`;
    this.report(object, { position: from, recordBytes: to - from }, 'metadata', why);
  }

  /** True if a pack existed when the check began, and was removed since, because its contents were moved or deleted. */
  private async hasVanished(object: string): Promise<boolean> {
    const { committed, backend } = this.parts;
    if ((await backend.size(object)) !== undefined) return false;
    return committed.packs.some((pack) => packName(pack) === object);
  }

  private noteRead(object: string, position: number, bytes: number, fault: Fault): void {
    const { counts, memory, nowMs, onRead } = this.parts;
    counts.recordsRead += 1;
    counts.bytesRead += bytes;
    onRead(counts.bytesRead, counts.bytesToRead);
    // A damaged record is read again by the next check.
    if (fault === undefined) memory.note(object, position, nowMs());
  }

  private report(
    object: string,
    { position, recordBytes: bytes }: { readonly position: number; readonly recordBytes: number },
    role: RecordRole,
    why: string,
  ): void {
    const { counts, onFinding } = this.parts;
    if (role === 'contents') counts.damagedRecords += 1;
    else if (role === 'metadata') counts.damagedMetadata += 1;
    else if (role === 'parity') counts.damagedParity += 1;
    else counts.unneededDamaged += 1;
    onFinding({ finding: 'record', object, position, bytes, role, why });
  }
}
