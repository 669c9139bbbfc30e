/** Opens a client of a store by a token, through a server of its own with TLS, as a program in front of a server does. */
import type { History } from '../../src/history/index.js';
import { openHistoryByToken, type TokenHistory } from '../../src/remote/index.js';
import { RIGHTS } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { endingWith } from './web-server.js';
import type { HistoryLab } from './history-lab.js';
import { giveToken, startOverTls, type TlsServer } from './web-gateway.js';

let readers = 0;

/** Opens a client with an account of all rights. Closing the history ends the server. */
export async function openByToken(lab: HistoryLab, client: string): Promise<History> {
  const server = await startOverTls(lab.home, lab.place.store);
  try {
    readers += 1; // a second token of an account would replace the first
    const token = await giveToken(lab.place, `reader-${readers}`, RIGHTS);
    const shown = `${client}${token.slice(token.indexOf('/'))}`;
    const { history } = await openTokenAt(server, client, shown);
    return endingWith(history, () => void server.stop());
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Logs in to a server by a token. */
export function openTokenAt(
  { address, tls }: Pick<TlsServer, 'address' | 'tls'>,
  client: string,
  token: string,
): Promise<TokenHistory> {
  return openHistoryByToken(nodeSystem(), { address, tls }, client, token);
}
