/**
 * Connects a server to clients in the same process. It has no socket, so no other process can reach the server, and
 * nothing remains on the disk if the process is killed.
 */
import { TardisError } from '../errors/index.js';
import type { System } from '../system/index.js';
import { Connection } from './connection.js';
import { innerSockets } from './inner-sockets.js';
import type { LinkOptions } from './link-times.js';

type Take = (connection: Connection) => void;

export class InnerListener {
  readonly kind = 'inner';
  private take: { readonly link: LinkOptions; readonly onConnection: Take } | undefined;

  /** Accepts connections from now on: each one is passed to `onConnection`. */
  open(link: LinkOptions, onConnection: Take): void {
    this.take = { link, onConnection };
  }

  /** Accepts no further connections; open ones stay open. */
  close(): void {
    this.take = undefined;
  }

  /** Returns the client's end of a new connection. Throws SERVER_UNREACHABLE if none are accepted. */
  connect({ clock }: System, link: LinkOptions): Connection {
    if (this.take === undefined) {
      throw new TardisError('SERVER_UNREACHABLE', 'the server in this process has ended');
    }
    const [client, server] = innerSockets();
    const { link: serverLink, onConnection } = this.take;
    // Neither end can be silent while the other one works, whatever the process waited for.
    const lasting = { clock, timeoutMs: Infinity };
    onConnection(new Connection(server, { ...serverLink, receives: 'to-server', ...lasting }));
    return new Connection(client, { ...link, receives: 'to-client', ...lasting });
  }
}
