/** Contents, deltas and signatures that are sent to the server in chunks. */
import { bufferOf, NO_BYTES, releaseMemory } from '../model/index.js';
import type { PeerStream, StreamEnd, StreamStart } from '../pipeline/index.js';
import { type CipherHead, encodeCipherHead } from '../store/index.js';
import type { Head } from '../transport/index.js';
import type { Sender } from './sender.js';

export class OutgoingStreams {
  private last = 0;

  constructor(private readonly sender: Pick<Sender, 'post' | 'send'>) {}

  content({ isPart, codec, fileSizeBytes, cipher }: StreamStart): PeerStream {
    const stream = this.next();
    const open = { stream, isPart, codec, fileSizeBytes, cipher: toWire(cipher) };
    this.sender.post('streamOpen', open);
    return this.streaming(stream, ({ digest, sizeBytes, seal }) =>
      this.sender.send('streamEnd', { stream, digest, sizeBytes, seal }),
    );
  }

  delta(basis: number, { isPart, codec, fileSizeBytes, cipher }: StreamStart): PeerStream {
    const stream = this.next();
    const open = { stream, basis, isPart, codec, fileSizeBytes, cipher: toWire(cipher) };
    this.sender.post('deltaOpen', open);
    return this.streaming(stream, (end) => this.sender.send('deltaEnd', { stream, ...end }));
  }

  signature(cipher: CipherHead | undefined): PeerStream {
    const stream = this.next();
    this.sender.post('signatureOpen', { stream, cipher: toWire(cipher) });
    return this.streaming(stream, (end) => this.sender.send('signatureEnd', { stream, ...end }));
  }

  private next(): number {
    this.last += 1;
    return this.last;
  }

  /** Returns the operations that all kinds of streams share. */
  private streaming(stream: number, sendEnd: (end: EndFields) => Promise<void>): PeerStream {
    let isOpen = true;
    return {
      chunk: async (bytes) => {
        await this.sender.send('streamChunk', { stream }, bytes);
        releaseMemory(bytes); // garbage collection would come after some 60 MB of chunks
      },
      abort: () => {
        if (isOpen) this.sender.post('streamAbort', { stream });
        isOpen = false;
      },
      end: ({ digest, sizeBytes, rawBytes, seal }) => {
        isOpen = false;
        return sendEnd({ digest: bufferOf(digest), sizeBytes, rawBytes, seal: bufferOf(seal) });
      },
    };
  }
}

type EndFields = Pick<Head<'deltaEnd'>, keyof StreamEnd>;

function toWire(cipher: CipherHead | undefined): Buffer {
  return cipher === undefined ? NO_BYTES : encodeCipherHead(cipher);
}
