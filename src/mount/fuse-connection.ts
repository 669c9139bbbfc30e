/** Interface between the file system and the kernel. Tests use an implementation of their own. */
import type { ReadBytes } from '../contents/index.js';
import fs from 'node:fs';
import { type FuseCalls, READY_LINKS_BYTES } from '../system/index.js';
import { ReadyFiles } from './ready-files.js';
import { ReadyPages } from './ready-pages.js';
import { NotifyCode, OUT_HEADER_BYTES, type Request } from './protocol.js';
import { NO_BYTES } from '../model/index.js';

/** Number of a request, needed to answer it. */
export interface Unique {
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
}

/** A reply: bytes in memory that may be reused once `reply` returns. */
export type ReplyData = ReadBytes;

export interface Kernel {
  /** Sends a reply: the bytes of `body`, which begins with room for a header, then `data`. */
  reply(to: Unique, body: Buffer, bodyBytes: number, data?: ReplyData): void;
  /** Sends an error as the reply. */
  fail(to: Unique, errno: number): void;
  /** Removes a name of a directory, and everything below it, from the kernel's cache. */
  forgetName(parentLow: number, parentHigh: number, name: Buffer): void;
  /**
   * Records the offset at which the listing of a directory ends. The directory's node must never be used for another
   * directory.
   */
  noteEnd(nodeLow: number, nodeHigh: number, offset: number): void;
  /** Replies that are prepared before their requests arrive. */
  readonly ready: ReadyPages;
  /** Contents that are decoded before their requests arrive. */
  readonly files: ReadyFiles;
  /** Targets of links, as `packListing` records them. */
  readonly links: Buffer;
  /** Drops all recorded ends of listings, links, ready replies and ready contents. Call it when nodes become stale or free. */
  forgetEnds(): void;
}

/** Maximum size of one batch of requests. */
const BATCH_BYTES = 128 << 10;
/** Size of struct fuse_notify_inval_entry_out, which is followed by the name. */
const FORGET_NAME_BYTES = 16;
const NO_REQUEST: Unique = { uniqueLow: 0, uniqueHigh: 0 };

/** The kernel behind a descriptor of /dev/fuse. */
export class FuseConnection implements Kernel {
  readonly ready: ReadyPages = new ReadyPages();
  readonly files: ReadyFiles = new ReadyFiles();
  readonly links: Buffer = Buffer.from(new ArrayBuffer(READY_LINKS_BYTES));
  private readonly small = Buffer.alloc(OUT_HEADER_BYTES);

  /** `onLost` is called if a reply cannot be sent. */
  constructor(
    private readonly native: FuseCalls,
    private readonly fd: number,
    private readonly onLost: (errno: number) => void,
  ) {}

  /**
   * Passes each batch to `onBatch`, and calls `onEnd` when the connection ends. A batch may be empty: see
   * `fuseListen`. `answers` are the replies for entries without attributes (see `AttributeAnswer`).
   */
  listen(
    answers: Uint8Array,
    onBatch: (memory: Buffer, offset: number, bytes: number) => boolean,
    onEnd: (errno: number) => void,
  ): void {
    const memory = Buffer.allocUnsafeSlow(BATCH_BYTES);
    const onRequests = (offset: number, bytes: number, errno: number): boolean => {
      const hasMore = onBatch(memory, offset, bytes);
      if (errno !== 0) onEnd(errno);
      return hasMore;
    };
    const { ready, links, files, native, fd } = this;
    ready.answer = () => native.fuseAnswer(fd);
    native.fuseListen(fd, memory, onRequests, answers, ready.memory, links, files.memory);
  }

  noteEnd(nodeLow: number, nodeHigh: number, offset: number): void {
    this.native.fuseNoteEnd(this.fd, nodeLow, nodeHigh, offset);
  }

  forgetEnds(): void {
    this.ready.drop();
    this.files.drop();
    this.native.fuseForget(this.fd);
  }

  reply(to: Unique, body: Buffer, bodyBytes: number, data?: ReplyData): void {
    writeHead(body, bodyBytes + (data?.bytes ?? 0), 0, to);
    this.send(body, bodyBytes, data);
  }

  fail(to: Unique, errno: number): void {
    writeHead(this.small, OUT_HEADER_BYTES, -errno, to);
    this.send(this.small, OUT_HEADER_BYTES);
  }

  forgetName(parentLow: number, parentHigh: number, name: Buffer): void {
    const message = Buffer.alloc(OUT_HEADER_BYTES + FORGET_NAME_BYTES + name.length + 1);
    writeHead(message, message.length, NotifyCode.invalidateEntry, NO_REQUEST);
    message.writeUInt32LE(parentLow, OUT_HEADER_BYTES);
    message.writeUInt32LE(parentHigh, OUT_HEADER_BYTES + 4);
    message.writeUInt32LE(name.length, OUT_HEADER_BYTES + 8);
    name.copy(message, OUT_HEADER_BYTES + FORGET_NAME_BYTES);
    // In another thread: the kernel waits until requests about that directory are answered, which this thread does.
    fs.write(this.fd, message, 0, message.length, null, () => undefined); // ENOENT: it does not know the name
  }

  private send(head: Buffer, headBytes: number, data?: ReplyData): void {
    const { native, fd } = this;
    const errno =
      data === undefined
        ? native.fuseReply(fd, head, headBytes, NO_BYTES, 0, 0)
        : native.fuseReply(fd, head, headBytes, data.data, data.from, data.bytes);
    if (errno !== 0 && errno !== ABANDONED) this.onLost(errno);
  }
}

/** ENOENT: no process waits for the reply. */
const ABANDONED = 2;

function writeHead(head: Buffer, bytes: number, error: number, to: Unique): void {
  head.writeUInt32LE(bytes, 0);
  head.writeInt32LE(error, 4);
  head.writeUInt32LE(to.uniqueLow, 8);
  head.writeUInt32LE(to.uniqueHigh, 12);
}

/** Returns a copy of the number of a request, for a reply after the request's memory was reused. */
export function uniqueOf({ uniqueLow, uniqueHigh }: Request): Unique {
  return { uniqueLow, uniqueHigh };
}
