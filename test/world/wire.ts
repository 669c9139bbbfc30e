/** The network of the world: links of messages within this thread, with a delay, that are cut or fall silent. */
import {
  Connection,
  InnerListener,
  innerSockets,
  type MessageSocket,
} from '../../src/transport/index.js';
import type { System } from '../../src/system/index.js';
import { TardisError } from '../../src/errors/index.js';

/** Time that a message takes. All take the same, so that they keep their order. */
const WAY_MS = 1;

type Link = Parameters<InnerListener['open']>[0];
type Take = Parameters<InnerListener['open']>[1];

/** The end of a link, after a number of messages in both directions. */
export interface Cut {
  readonly afterMessages: number;
  /** With `silent` nothing arrives any more, and no end learns of it. */
  readonly how: 'cut' | 'silent';
}

/** One link of the world; its ends count messages together. */
class Wire {
  private messages = 0;
  private isOver = false;
  readonly ends: MessageSocket[] = [];

  constructor(private readonly cut: Cut | undefined) {}

  /** Counts a message. Returns false if it is lost. */
  passes(): boolean {
    this.messages += 1;
    const { cut } = this;
    if (!this.isOver && cut !== undefined && this.messages > cut.afterMessages) {
      this.isOver = true;
      if (cut.how === 'cut') for (const end of this.ends) end.terminate();
    }
    return !this.isOver;
  }

  /** Returns an end whose messages take a moment, and are lost once the wire is over. */
  end(inner: MessageSocket): MessageSocket {
    this.ends.push(inner);
    let pending = 0;
    const later = (send: () => void, bytes = 0): void => {
      if (!this.passes()) return;
      pending += bytes;
      setTimeout(() => {
        pending -= bytes;
        send();
      }, WAY_MS);
    };
    return {
      get isOpen() {
        return inner.isOpen;
      },
      get bufferedBytes() {
        return inner.bufferedBytes + pending;
      },
      listen: (events) => inner.listen(events),
      send: (...parts) => {
        const message = Buffer.concat(parts);
        later(() => inner.send(message), message.length);
      },
      sendLast: (message) => {
        const own = Buffer.from(message);
        later(() => inner.sendLast(own), own.length);
      },
      ping: (data) => later(() => inner.ping(data)),
      pause: () => inner.pause(),
      resume: () => inner.resume(),
      close: (code) => later(() => inner.close(code)),
      terminate: () => inner.terminate(),
    };
  }
}

/** A server's place in the world, to which clients connect. */
export class WorldListener extends InnerListener {
  /** The fates of the next links, in their order; later ones are never cut. */
  readonly cuts: Cut[] = [];
  private taking: { readonly link: Link; readonly take: Take } | undefined;

  override open(link: Link, take: Take): void {
    this.taking = { link, take };
  }

  override close(): void {
    this.taking = undefined;
  }

  override connect({ clock }: System, link: Link): Connection {
    if (this.taking === undefined) {
      throw new TardisError('SERVER_UNREACHABLE', 'no server listens in the world');
    }
    const wire = new Wire(this.cuts.shift());
    const [client, server] = innerSockets().map((end) => wire.end(end)) as [
      MessageSocket,
      MessageSocket,
    ];
    const { link: own, take } = this.taking;
    take(new Connection(server, { ...own, receives: 'to-server', clock }));
    return new Connection(client, { ...link, receives: 'to-client', clock });
  }
}
