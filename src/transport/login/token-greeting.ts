/** Greets a server with the token of an account. The token is sent only where nobody else can read it. */
import { fromWire, TardisError } from '../../errors/index.js';
import { programVersion } from '../../system/index.js';
import { type ClientLine, decodeMessage, type Head, hungUp, PROTOCOL_VERSION } from '../index.js';
import type { Greeted } from './greeting.js';

/**
 * Sends a token and resolves with the answer. Over TLS, the caller has checked the certificate. Rejects with
 * INSECURE_TCP_REFUSED over plain TCP, with PROTOCOL_VERSION if the versions differ, with PROTOCOL_VIOLATION for any
 * other message, and with the error of the server.
 */
export function greetByToken(
  connection: ClientLine,
  token: string,
  { hear, lost }: Pick<Greeted, 'hear' | 'lost'>,
): Promise<Head<'tokenTaken'>> {
  if (connection.channel.kind === 'tcp') {
    connection.leave();
    const what = 'a token is sent over TLS or a unix socket only';
    return Promise.reject(new TardisError('INSECURE_TCP_REFUSED', what));
  }
  return new Promise((resolve, reject) => {
    let isTaken = false;
    const over = (reason: TardisError | undefined): void => {
      const why = reason ?? hungUp();
      if (isTaken) lost(why);
      else reject(why);
    };
    connection.onMessage((name, bytes) => {
      if (isTaken) {
        hear(name, bytes);
        return;
      }
      if (name !== 'tokenTaken') {
        throw new TardisError('PROTOCOL_VIOLATION', `the server answered a token by "${name}"`);
      }
      const { head } = decodeMessage(name, bytes);
      if (head.protocol !== PROTOCOL_VERSION) {
        const what = `the server speaks protocol ${head.protocol}, this program ${PROTOCOL_VERSION}`;
        throw new TardisError('PROTOCOL_VERSION', what);
      }
      connection.owes(false);
      isTaken = true;
      resolve(head);
    });
    connection.closed.then(over, (error: unknown) => over(fromWire(error)));
    connection.owes(true);
    const software = `tardis-pipeline ${programVersion()}`;
    connection.send('loginToken', { protocol: PROTOCOL_VERSION, software, token });
  });
}
