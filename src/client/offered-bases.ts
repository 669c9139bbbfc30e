/**
 * The bases that the server offers for deltas. Each is kept until the file has been sent or its directory is done.
 * Signatures that arrive before they are requested are buffered here.
 */
import { protocolViolation, type TardisError } from '../errors/index.js';
import { DIGEST_BYTES, listAt, type SlotNumber } from '../model/index.js';
import type { OfferedBasis, SignatureSink } from '../pipeline/index.js';
import { BasisWish, type Head, MAX_OPEN_BASES } from '../transport/index.js';
import type { OutgoingStreams } from './outgoing-streams.js';
import type { Sender } from './sender.js';

/**
 * Maximum number of bytes and of pieces of signatures that arrive before they are requested: twice as many as a server
 * sends without a request.
 */
const MAX_EARLY_BYTES = 16 << 20;
const MAX_EARLY_PIECES = 1024;

/** Keys of a sample and of the whole signature, beside the numbers of ranges. */
const SAMPLE = -1;
const WHOLE = 0;

interface Fetching {
  readonly sink: SignatureSink;
  readonly resolve: (isWhole: boolean) => void;
  readonly reject: (error: Error) => void;
}

interface Piece {
  readonly key: number;
  readonly bytes: Buffer;
  readonly last: boolean;
  readonly failed: boolean;
}

interface Offer {
  readonly number: number;
  readonly slot: SlotNumber;
  readonly key: string;
  readonly head: Head<'basis'>;
  /** Receivers of the sample, of the signature, and of those of ranges, by the number of the range. */
  readonly fetching: Map<number, Fetching>;
  /** Pieces that arrived before they were requested. */
  early: Piece[];
}

export class OfferedBases {
  private readonly byNumber = new Map<number, Offer>();
  private readonly byName = new Map<string, Offer>();
  private readonly bySlot = new Map<SlotNumber, Offer[]>();
  private earlyBytes = 0;
  private ranges = 0;
  private failure: TardisError | undefined;

  constructor(
    private readonly sender: Pick<Sender, 'post'>,
    private readonly streams: Pick<OutgoingStreams, 'delta'>,
  ) {}

  /** Records a basis that the server offers. Throws PROTOCOL_VIOLATION. */
  offer(head: Head<'basis'>): void {
    const { basis: number, slot } = head;
    const key = keyOf(slot, head.name);
    const isWrong =
      this.byNumber.has(number) ||
      this.byName.has(key) ||
      head.mostPercent > 100 ||
      head.digest.length !== DIGEST_BYTES;
    if (isWrong || this.byNumber.size >= MAX_OPEN_BASES) {
      throw protocolViolation('the server sent an invalid basis, or too many');
    }
    const offer: Offer = { number, slot, key, head, fetching: new Map(), early: [] };
    this.byNumber.set(number, offer);
    this.byName.set(key, offer);
    listAt(this.bySlot, slot).push(offer);
  }

  /**
   * Takes a piece of a signature. Ignores a piece of a closed offer, since the piece may have been in flight. Throws
   * PROTOCOL_VIOLATION for too many bytes that were not requested.
   */
  piece({ basis, isSample, range, bytes, last, failed }: Head<'signature'>): void {
    const offer = this.byNumber.get(basis);
    if (offer === undefined) return;
    const key = isSample ? SAMPLE : range;
    const piece = { key, bytes, last, failed };
    const fetching = offer.fetching.get(key);
    if (fetching !== undefined) {
      this.hand(offer, fetching, piece);
      return;
    }
    this.earlyBytes += bytes.length;
    if (this.earlyBytes > MAX_EARLY_BYTES || offer.early.length >= MAX_EARLY_PIECES) {
      throw protocolViolation('the server sent data that was not requested');
    }
    offer.early.push({ ...piece, bytes: Buffer.from(bytes) });
  }

  /** Returns the basis that is offered for a file, or undefined. */
  find(slot: SlotNumber, name: Uint8Array): OfferedBasis | undefined {
    const offer = this.byName.get(keyOf(slot, name));
    if (offer === undefined) return undefined;
    const { number, head } = offer;
    return {
      digest: head.digest,
      sizeBytes: head.sizeBytes,
      mostPercent: head.mostPercent,
      hasSignature: head.hasSignature,
      fetch: (isSample, sink) => {
        const wish = isSample ? BasisWish.sample : BasisWish.signature;
        return this.fetch(offer, isSample ? SAMPLE : WHOLE, sink, () =>
          this.sender.post('basisWish', { basis: number, wish }),
        );
      },
      fetchRange: (range, sink) => {
        this.ranges += 1;
        const head = { ...range, basis: number, range: this.ranges };
        return this.fetch(offer, head.range, sink, () => this.sender.post('rangeWish', head));
      },
      openDelta: (start) => this.streams.delta(number, start),
      release: () => {
        if (!this.close(offer)) return;
        this.sender.post('basisWish', { basis: number, wish: BasisWish.nothing });
      },
    };
  }

  /** Closes the offers in these directories. */
  slotsDone(slots: readonly SlotNumber[]): void {
    for (const slot of slots) for (const offer of this.bySlot.get(slot) ?? []) this.close(offer);
  }

  fail(error: TardisError): void {
    this.failure ??= error;
    for (const offer of this.byNumber.values()) {
      for (const { reject } of offer.fetching.values()) reject(error);
    }
    this.byNumber.clear();
    this.byName.clear();
  }

  private fetch(
    offer: Offer,
    key: number,
    sink: SignatureSink,
    request: () => void,
  ): Promise<boolean> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const fetching = { sink, resolve, reject };
      offer.fetching.set(key, fetching);
      const early = offer.early.filter((piece) => piece.key === key);
      offer.early = offer.early.filter((piece) => piece.key !== key);
      for (const piece of early) {
        this.earlyBytes -= piece.bytes.length;
        this.hand(offer, fetching, piece);
      }
      request();
    });
  }

  private hand(offer: Offer, fetching: Fetching, piece: Piece): void {
    // A signature that cannot be used does not end the session: the file is sent whole.
    const isTaken = !piece.failed && fetching.sink(piece.bytes, piece.last);
    if (isTaken && !piece.last) return;
    offer.fetching.set(piece.key, { ...fetching, sink: () => false });
    fetching.resolve(isTaken);
  }

  private close(offer: Offer): boolean {
    if (!this.byNumber.delete(offer.number)) return false;
    this.byName.delete(offer.key);
    const others = this.bySlot.get(offer.slot)?.filter((other) => other !== offer) ?? [];
    if (others.length === 0) this.bySlot.delete(offer.slot);
    else this.bySlot.set(offer.slot, others);
    for (const { bytes } of offer.early.splice(0)) this.earlyBytes -= bytes.length;
    for (const { resolve } of offer.fetching.values()) resolve(false);
    return true;
  }
}

function keyOf(slot: SlotNumber, name: Uint8Array): string {
  return `${slot}/${Buffer.from(name).toString('latin1')}`;
}
