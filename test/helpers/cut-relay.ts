/** Passes bytes on between a client and a server, and cuts the connection when the client sends a question. */
import net, { type AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';

export interface CutRelay {
  readonly port: number;
  /** Connections that were made. */
  readonly made: number;
  /** Cuts the connection at the next bytes of the client, before the server gets them; so many times. */
  cutNext(times?: number): void;
}

/** Listens in front of a port of this machine. */
export async function cutRelay(t: ExecutionContext, behind: number): Promise<CutRelay> {
  let [cuts, made] = [0, 0];
  const server = net.createServer((near) => {
    made += 1;
    const far = net.connect(behind, '127.0.0.1');
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    near.on('data', (bytes: Buffer) => {
      if (cuts > 0) {
        cuts -= 1;
        end();
      } else far.write(bytes);
    });
    far.on('data', (bytes: Buffer) => near.write(bytes));
    for (const socket of [near, far]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    get made() {
      return made;
    },
    cutNext: (times = 1) => {
      cuts = times;
    },
  };
}
