/**
 * "Delta on B": when a listing shows that a large file has changed, the version it replaces is offered as
 * a basis, if a delta on it is allowed. Its signature (of a large basis that has none a sample) goes to the
 * client at once while not much of such is on its way, else when it is wanted; so nobody waits for a round
 * trip.
 *
 * An offer holds until the client gives it back, or until its directory is done.
 */
import type { HeadRow } from '../../catalog/index.js';
import {
  blockBytesFor,
  LEAST_DELTA_BYTES,
  SAMPLED_FROM_BYTES,
  signatureBytesFor,
} from '../../delta/index.js';
import { TardisError } from '../../errors/index.js';
import { EntryType, METADATA_FROM, RowOffset, type RowReader } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { BasisWish, type Head, MAX_OPEN_BASES, type MessageName } from '../../transport/index.js';
import type { ClientStore } from '../../keeper/index.js';
import { SignatureSource } from './signature-source.js';
import type { SlotState } from './slots.js';

export interface DeltaLimits {
  /** Deltas on deltas at most; 0: everything is stored whole. */
  readonly maxChain: number;
  /** A file that grew or shrank by more, or would take more of its size as a delta, is sent whole. */
  readonly maxChangePercent: number;
  /** Everything is stored whole. */
  readonly saveFull: boolean;
}

/** Signatures and samples that are sent without being asked for, while no more of them are out. */
const PUSH_WINDOW_BYTES = 8 << 20;
/** More than any sample has. */
const SAMPLE_BYTES = 64 << 10;

export type Answer = <N extends MessageName>(name: N, head: Head<N>) => void;

interface Offer {
  readonly number: number;
  readonly slot: number;
  readonly contentId: number;
  readonly sizeBytes: number;
  /** Of the signature, if it was sent unasked. */
  readonly pushedBytes: number;
}

export class BasisOffers {
  private readonly open = new Map<number, Offer>();
  private readonly bySlot = new Map<number, number[]>();
  private last = 0;
  private pushedBytes = 0;
  private readonly source: SignatureSource;
  private readonly store: ClientStore;
  private readonly limits: DeltaLimits;
  private readonly answer: Answer;

  constructor(system: System, store: ClientStore, limits: DeltaLimits, answer: Answer) {
    this.store = store;
    this.limits = limits;
    this.answer = answer;
    this.source = new SignatureSource(system, store, answer);
  }

  /** Looks at a file that has changed: `at` is what it is now, `head` what is stored of it. */
  consider(slot: SlotState, rows: RowReader, at: number, head: HeadRow): void {
    const { limits, store } = this;
    const { contentId, metadata } = head;
    if (limits.saveFull || limits.maxChain === 0 || this.open.size >= MAX_OPEN_BASES) return;
    if (contentId === undefined || !head.isStored) return;
    const isFile = metadata[RowOffset.type - METADATA_FROM] === EntryType.file;
    const newBytes = rows.sizeBytes(at);
    const oldBytes = Number(metadata.readBigUInt64LE(RowOffset.sizeBytes - METADATA_FROM));
    if (!isFile || newBytes < LEAST_DELTA_BYTES) return;
    if (Math.abs(newBytes - oldBytes) > (oldBytes * limits.maxChangePercent) / 100) return;
    const { bases, contents, signatures } = store.catalog;
    const { sizeBytes = 0, digest } = contents.stored(contentId) ?? {};
    const blockBytes = blockBytesFor(sizeBytes);
    if (sizeBytes < LEAST_DELTA_BYTES || blockBytes === undefined || digest === undefined) return;
    if (bases.chainLength(contentId) >= limits.maxChain) return;
    const hasSignature = signatures.find(contentId) !== undefined;
    const signatureBytes = signatureBytesFor(sizeBytes, blockBytes);
    // What is sent unasked should be of use: a file of the same size may just have been touched.
    const isSample = !hasSignature && sizeBytes > SAMPLED_FROM_BYTES;
    const bytes = isSample ? SAMPLE_BYTES : signatureBytes;
    const isOfUse = hasSignature || isSample || newBytes !== oldBytes;
    const isPushed = isOfUse && this.pushedBytes + bytes <= PUSH_WINDOW_BYTES;
    this.last += 1;
    const offer = {
      number: this.last,
      slot: slot.number,
      contentId,
      sizeBytes,
      pushedBytes: isPushed ? bytes : 0,
    };
    this.open.set(offer.number, offer);
    const others = this.bySlot.get(slot.number);
    if (others === undefined) this.bySlot.set(slot.number, [offer.number]);
    else others.push(offer.number);
    this.answer('basis', {
      basis: offer.number,
      slot: slot.number,
      name: rows.name(at),
      sizeBytes,
      mostPercent: limits.maxChangePercent,
      hasSignature,
      digest,
    });
    this.pushedBytes += offer.pushedBytes;
    if (isPushed) this.source.send(offer.number, contentId, isSample);
  }

  /** What the client wants of an offer, or that it is done with it. */
  wish({ basis, wish }: Head<'basisWish'>): void {
    if (!Object.values<number>(BasisWish).includes(wish)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'an unknown wish');
    }
    const offer = this.open.get(basis);
    // It may have been taken back with its directory, by messages that crossed.
    if (offer === undefined) return;
    if (wish === BasisWish.nothing) this.close(offer);
    else this.source.send(basis, offer.contentId, wish === BasisWish.sample);
  }

  /** The content that an open offer is of. Throws PROTOCOL_VIOLATION. */
  contentOf(basis: number): number {
    const offer = this.open.get(basis);
    if (offer === undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a delta on what was not offered');
    }
    return offer.contentId;
  }

  /** Nothing more will be said of a directory. */
  slotDone(slot: number): void {
    for (const number of this.bySlot.get(slot) ?? []) {
      const offer = this.open.get(number);
      if (offer !== undefined) this.close(offer);
    }
    this.bySlot.delete(slot);
  }

  /** Sends no more, whatever is being read. */
  halt(): void {
    this.source.halt();
  }

  /** Sends no more; resolves when nothing is being read. */
  stop(): Promise<void> {
    return this.source.stop();
  }

  private close(offer: Offer): void {
    this.open.delete(offer.number);
    this.pushedBytes -= offer.pushedBytes;
    this.source.forget(offer.number);
  }
}
