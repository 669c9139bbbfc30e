/**
 * Maps each range of a content to the delta commands that produce it, so that a range can be read without the bytes
 * before it. The commands are librsync's: https://librsync.github.io/page_formats.html. The first byte of a command: 0
 * end; 1 to 64 that many literal bytes follow; 65 to 68 literal bytes, after a length of 1 to 8 bytes; 69 to 84 a
 * copy, with position and length of 1 to 8 bytes each. Numbers are big endian.
 */
import { recordDamaged, type TardisError } from '../errors/index.js';
import { startBefore } from '../model/index.js';

/** Maximum number of commands in one delta, for writers as well. The index takes 16 bytes for each. */
export const MAX_COMMANDS: number = 1 << 18;

const MAGIC = 0x7273_0236;
const MAGIC_BYTES = 4;
const Op = { end: 0, literalMost: 0x40, literalN: 0x41, copy: 0x45, most: 0x54 } as const;
const FIRST_ROOM = 256;

/** A range of a content. Its bytes begin at `from` in the basis or, with `isLiteral`, in the delta itself. */
interface Stretch {
  readonly isLiteral: boolean;
  readonly from: number;
  readonly bytes: number;
}

export class DeltaIndex {
  /** Length of the content. */
  sizeBytes = 0;
  private count = 0;
  /**
   * Position in the content where each command begins, and its source: a position in the basis or, if
   * negative, -1 minus a position in the delta.
   */
  private starts = new Float64Array(FIRST_ROOM);
  private sources = new Float64Array(FIRST_ROOM);

  private constructor(private readonly basisBytes: number) {}

  /**
   * Reads a whole delta in pieces. Throws RECORD_DAMAGED if it is malformed, copies from outside of the
   * basis, has too many commands, or produces any other length than `sizeBytes`.
   */
  static async read(
    delta: AsyncIterable<Uint8Array>,
    basisBytes: number,
    sizeBytes: number,
  ): Promise<DeltaIndex> {
    const index = new DeltaIndex(basisBytes);
    const parser = new Parser(index);
    for await (const piece of delta) parser.push(piece);
    if (!parser.isOver || index.sizeBytes !== sizeBytes) throw malformed();
    return index;
  }

  get memoryBytes(): number {
    return this.starts.byteLength + this.sources.byteLength;
  }

  /** Yields the ranges that make up `bytes` bytes from `position` on, or those up to the end of the content. */
  *stretches(position: number, bytes: number): Generator<Stretch> {
    const end = Math.min(position + bytes, this.sizeBytes);
    let command = startBefore(this.starts, this.count, position);
    for (; position < end; command += 1) {
      const skip = position - this.starts[command]!;
      const next = command + 1 < this.count ? this.starts[command + 1]! : this.sizeBytes;
      const source = this.sources[command]!;
      const isLiteral = source < 0;
      const from = (isLiteral ? -1 - source : source) + skip;
      const stretch = { isLiteral, from, bytes: Math.min(next, end) - position };
      yield stretch;
      position += stretch.bytes;
    }
  }

  /**
   * Adds the next command. Throws RECORD_DAMAGED if it is empty, copies from outside of the basis, or is one too many.
   */
  add(isLiteral: boolean, from: number, bytes: number): void {
    const isOutside = !isLiteral && (from > this.basisBytes || bytes > this.basisBytes - from);
    const size = this.sizeBytes + bytes;
    if (bytes === 0 || isOutside || !Number.isSafeInteger(size)) throw malformed();
    const last = this.count - 1;
    const source = isLiteral ? -1 - from : from;
    // A copy that continues the previous one is merged with it.
    const isNext =
      !isLiteral &&
      last >= 0 &&
      this.sources[last]! >= 0 &&
      source === this.sources[last]! + (this.sizeBytes - this.starts[last]!);
    if (!isNext) {
      if (this.count === MAX_COMMANDS) throw malformed();
      if (this.count === this.starts.length) this.grow();
      this.starts[this.count] = this.sizeBytes;
      this.sources[this.count] = source;
      this.count += 1;
    }
    this.sizeBytes = size;
  }

  private grow(): void {
    const room = this.starts.length * 2;
    const [starts, sources] = [new Float64Array(room), new Float64Array(room)];
    starts.set(this.starts);
    sources.set(this.sources);
    [this.starts, this.sources] = [starts, sources];
  }
}

/** Parses commands from pieces that may end anywhere. */
class Parser {
  isOver = false;
  private readonly head = Buffer.alloc(1 + 8 + 8);
  private headBytes = 0;
  private hasMagic = false;
  /** Number of bytes of the current literal that have not arrived yet. */
  private skipBytes = 0;
  /** Number of bytes of the delta read so far. */
  private at = 0;

  constructor(private readonly index: DeltaIndex) {}

  push(piece: Uint8Array): void {
    let from = 0;
    while (from < piece.length) {
      if (this.isOver) throw malformed();
      if (this.skipBytes > 0) {
        const skipped = Math.min(this.skipBytes, piece.length - from);
        this.skipBytes -= skipped;
        this.at += skipped;
        from += skipped;
        continue;
      }
      this.head[this.headBytes] = piece[from]!;
      this.headBytes += 1;
      this.at += 1;
      from += 1;
      if (this.headBytes === this.neededBytes()) {
        this.take();
        this.headBytes = 0;
      }
    }
  }

  /**
   * Returns the length of the magic number or command, as far as its first bytes determine it. Throws RECORD_DAMAGED
   * for an unknown command.
   */
  private neededBytes(): number {
    if (!this.hasMagic) return MAGIC_BYTES;
    const op = this.head[0]!;
    if (op > Op.most) throw malformed();
    if (op <= Op.literalMost) return 1;
    if (op < Op.copy) return 1 + (1 << (op - Op.literalN));
    return 1 + (1 << ((op - Op.copy) >> 2)) + (1 << ((op - Op.copy) & 3));
  }

  private take(): void {
    if (!this.hasMagic) {
      if (this.head.readUInt32BE(0) !== MAGIC) throw malformed();
      this.hasMagic = true;
      return;
    }
    const op = this.head[0]!;
    if (op === Op.end) this.isOver = true;
    else if (op < Op.copy) {
      const bytes = op <= Op.literalMost ? op : this.number(1, this.headBytes - 1);
      this.index.add(true, this.at, bytes);
      this.skipBytes = bytes;
    } else {
      const positionBytes = 1 << ((op - Op.copy) >> 2);
      const position = this.number(1, positionBytes);
      const bytes = this.number(1 + positionBytes, this.headBytes - 1 - positionBytes);
      this.index.add(false, position, bytes);
    }
  }

  private number(at: number, bytes: number): number {
    let value = 0;
    for (let place = at; place < at + bytes; place += 1) value = value * 256 + this.head[place]!;
    return value;
  }
}

function malformed(): TardisError {
  return recordDamaged('the commands of a delta are invalid');
}
