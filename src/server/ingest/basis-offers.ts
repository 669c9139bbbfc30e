/**
 * Offers of bases for deltas. When a listing shows that a large file has changed, its previous version is offered as a
 * basis, if a delta on it is allowed; if too many deltas build on each other already, the version below them that is stored
 * whole. The signature of the basis is sent at once while few bytes of such signatures are
 * in flight; otherwise, it is sent on request. If the basis is large and has no stored signature, a sample of its
 * blocks is signed instead. So no step waits for a round trip.
 *
 * An offer is valid until the client gives it back, or until the last row of the file's directory was sent.
 */
import type { HeadRow } from '../../store/catalog/index.js';
import {
  blockBytesFor,
  isRangeOf,
  LEAST_DELTA_BYTES,
  SAMPLED_FROM_BYTES,
  signatureBytesFor,
} from '../../delta/index.js';
import { protocolViolation } from '../../errors/index.js';
import {
  type ContentId,
  DIGEST_BYTES,
  EntryType,
  listAt,
  METADATA_FROM,
  RowOffset,
  type RowReader,
  sameMetadata,
  type SlotNumber,
  UNKNOWN_SIZE_BYTES,
} from '../../model/index.js';
import type { System } from '../../system/index.js';
import { BasisWish, type Head, MAX_OPEN_BASES, type MessageName } from '../../transport/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import type { DeltaLimits } from '../storage/storage-options.js';
import { SignatureSource } from './signature-source.js';
import type { SlotState } from './slots.js';
import type { Trust } from './trust.js';

/** Maximum number of bytes in flight of signatures and samples that are sent without a request. */
const PUSH_WINDOW_BYTES = 8 << 20;
/** Number of bytes that a sample counts as; it is larger than any sample. */
const SAMPLE_BYTES = 64 << 10;

export type Answer = <N extends MessageName>(name: N, head: Head<N>) => void;

interface Offer {
  readonly number: number;
  readonly slot: SlotNumber;
  readonly contentId: ContentId;
  readonly sizeBytes: number;
  /** Number of bytes of the signature or sample, if it was sent without a request; 0 otherwise. */
  readonly pushedBytes: number;
}

/** A file for which a basis is offered. */
interface OfferedFile {
  readonly slot: SlotNumber;
  readonly name: Buffer;
  /** True if its size differs from the basis; undefined if the client has sought it, and will request the signature. */
  readonly isResized: boolean | undefined;
}

export class BasisOffers {
  private readonly open = new Map<number, Offer>();
  private readonly bySlot = new Map<SlotNumber, number[]>();
  private last = 0;
  private pushedBytes = 0;
  private readonly source: SignatureSource;
  private readonly limits: DeltaLimits;
  private readonly answer: Answer;
  private readonly trust: Trust;

  constructor(
    system: System,
    private readonly store: StoreWriter,
    {
      limits,
      trust,
      answer,
    }: { readonly limits: DeltaLimits; readonly trust: Trust; readonly answer: Answer },
  ) {
    this.trust = trust;
    this.limits = limits;
    this.answer = answer;
    this.source = new SignatureSource(system, store, trust, answer);
  }

  /**
   * Offers the client a basis for a file that has changed, if a delta on it is allowed, and may send its signature.
   * `at` is the file's new row, `head` its stored entry.
   */
  consider(slot: SlotState, rows: RowReader, at: number, head: HeadRow): void {
    const { limits } = this;
    const { contentId: stored, metadata } = head;
    // With equal metadata, the file is read again only because it changed just before the last backup. A basis would be
    // fetched from the bucket and then not used.
    if (limits.isRemote === true && sameMetadata(metadata, rows, at)) return;
    if (limits.saveFull || limits.maxChain === 0 || this.open.size >= MAX_OPEN_BASES) return;
    if (stored === undefined || !head.isStored || !this.trust.inContent(stored)) return;
    const isFile = metadata[RowOffset.type - METADATA_FROM] === EntryType.file;
    const newBytes = rows.sizeBytes(at);
    const oldBytes = Number(metadata.readBigUInt64LE(RowOffset.sizeBytes - METADATA_FROM));
    if (!isFile || newBytes < LEAST_DELTA_BYTES) return;
    // The size of a delta on the content of another owner would show how much of it that owner has guessed.
    if (uidOf(head) !== rows.uid(at)) return;
    const isSized = newBytes !== UNKNOWN_SIZE_BYTES;
    const otherBytes = isSized ? Math.abs(newBytes - oldBytes) : 0;
    if (otherBytes > (oldBytes * limits.maxChangePercent) / 100) return;
    const isResized = newBytes !== oldBytes;
    const { entries } = this.store.catalog;
    const contentId = this.unlessFull(stored, (whole) =>
      entries
        .versions(slot.directory, rows.name(at))
        .some((version) => version.contentId === whole && uidOf(version) === rows.uid(at)),
    );
    if (contentId === undefined) return;
    this.offer({ slot: slot.number, name: rows.name(at), isResized }, contentId);
  }

  /**
   * Offers the first of these contents that is stored and may be a basis, for a file that has no offer. Returns the number
   * of the offer; 0 if there is none. A content that is not stored is skipped, since garbage collection may have deleted it.
   * The client knows to whom the contents below belong.
   */
  seek(slot: SlotNumber, name: Buffer, digests: Buffer): number {
    const { limits, store } = this;
    if (limits.saveFull || limits.maxChain === 0 || this.open.size >= MAX_OPEN_BASES) return 0;
    for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
      const found = store.catalog.contents.find(digests.subarray(at, at + DIGEST_BYTES));
      if (found?.isStored !== true || !this.trust.inContent(found.contentId)) continue;
      const contentId = this.unlessFull(found.contentId, () => true);
      const number = contentId && this.offer({ slot, name, isResized: undefined }, contentId);
      if (number) return number;
    }
    return 0;
  }

  /**
   * Offers a content as the basis of a file, unless it is too small or large for a delta.
   * Returns the number of the offer; 0 if there is none.
   */
  private offer({ slot, name, isResized }: OfferedFile, contentId: ContentId): number {
    const { limits, store } = this;
    const { contents, signatures } = store.catalog;
    const { sizeBytes = 0, digest, recordBytes = 0 } = contents.stored(contentId) ?? {};
    const blockBytes = blockBytesFor(sizeBytes);
    if (sizeBytes < LEAST_DELTA_BYTES || blockBytes === undefined || digest === undefined) return 0;
    const hasSignature =
      signatures.find(contentId) !== undefined && this.trust.inSignature(contentId);
    const signatureBytes = signatureBytesFor(sizeBytes, blockBytes);
    const isSample = !hasSignature && sizeBytes > SAMPLED_FROM_BYTES;
    // An encrypted content that is small is sent in place of the signature, which only the client can make.
    const madeBytes = isSample ? SAMPLE_BYTES : Math.max(signatureBytes, recordBytes);
    const bytes = hasSignature ? signatureBytes : madeBytes;
    // A signature without a request should be useful: a file of unchanged size may only have a new time.
    const isOfUse = isResized !== undefined && (hasSignature || isSample || isResized);
    const isPushed = isOfUse && this.pushedBytes + bytes <= PUSH_WINDOW_BYTES;
    this.last += 1;
    const offer = {
      number: this.last,
      slot,
      contentId,
      sizeBytes,
      pushedBytes: isPushed ? bytes : 0,
    };
    this.open.set(offer.number, offer);
    listAt(this.bySlot, slot).push(offer.number);
    this.answer('basis', {
      basis: offer.number,
      slot,
      name,
      sizeBytes,
      mostPercent: limits.maxChangePercent,
      hasSignature,
      digest,
    });
    this.pushedBytes += offer.pushedBytes;
    if (isPushed) this.source.send(offer.number, contentId, isSample);
    return offer.number;
  }

  /**
   * Returns a stored content as a basis. If its chain of deltas is full, returns the whole content below, which the chain
   * begins again from, if `isOwn` is true for it: equal contents of two owners share a chain, and below it may be what only
   * one of them knows.
   */
  private unlessFull(
    contentId: ContentId,
    isOwn: (whole: ContentId) => boolean,
  ): ContentId | undefined {
    const { bases } = this.store.catalog;
    if (bases.chainLength(contentId) < this.limits.maxChain) return contentId;
    const whole = bases.wholeBelow(contentId);
    const isTrusted = whole !== undefined && this.trust.inContent(whole);
    return isTrusted && isOwn(whole) ? whole : undefined;
  }

  /**
   * Handles a client's request for the signature of an offer, or the return of an offer. Throws PROTOCOL_VIOLATION.
   */
  takeWish({ basis, wish }: Head<'basisWish'>): void {
    if (!Object.values<number>(BasisWish).includes(wish)) {
      throw protocolViolation('unknown wish for a basis');
    }
    const offer = this.open.get(basis);
    // The offer may have ended with its directory while the message was in flight.
    if (offer === undefined) return;
    if (wish === BasisWish.nothing) this.close(offer);
    else this.source.send(basis, offer.contentId, wish === BasisWish.sample);
  }

  /** Handles a client's request for the signature of a range of an offered basis. Throws PROTOCOL_VIOLATION. */
  takeRangeWish({ basis, range, ...signed }: Head<'rangeWish'>): void {
    const offer = this.open.get(basis);
    if (offer === undefined) return;
    if (range === 0 || !isRangeOf(offer.sizeBytes, signed)) {
      throw protocolViolation('an impossible range of a basis');
    }
    this.source.send(basis, offer.contentId, false, { ...signed, number: range });
  }

  /** Returns the content of an open offer. Throws PROTOCOL_VIOLATION. */
  contentOf(basis: number): ContentId {
    const offer = this.open.get(basis);
    if (offer === undefined) throw protocolViolation('the basis of a delta was not offered');
    return offer.contentId;
  }

  /** Ends the offers of a directory that is done. */
  slotDone(slot: SlotNumber): void {
    for (const number of this.bySlot.get(slot) ?? []) {
      const offer = this.open.get(number);
      if (offer !== undefined) this.close(offer);
    }
    this.bySlot.delete(slot);
  }

  /** Stops sending, without waiting for a read in progress. */
  halt(): void {
    this.source.halt();
  }

  /** Stops sending. Resolves when no read is in progress. */
  stop(): Promise<void> {
    return this.source.stop();
  }

  private close(offer: Offer): void {
    this.open.delete(offer.number);
    this.pushedBytes -= offer.pushedBytes;
    this.source.forget(offer.number);
  }
}

function uidOf({ metadata }: { readonly metadata: Buffer }): number {
  return metadata.readUInt32LE(RowOffset.uid - METADATA_FROM);
}
