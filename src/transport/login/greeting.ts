/** Greets a server over a new connection and logs in. Backups, readers and changes of keys begin with it. */
import { displayText } from '../../model/index.js';
import { programVersion, type TcpPlace } from '../../system/index.js';
import {
  type ClientLine,
  decodeMessage,
  type Head,
  hungUp,
  type MessageName,
  PROTOCOL_VERSION,
} from '../index.js';
import type { Login, SessionPlace } from './client-login.js';
import { fromWire, protocolViolation, TardisError } from '../../errors/index.js';

const MAX_SHOWN_CHARS = 255;

export interface Greeted {
  /** Takes the welcome, before any later message. An error that it throws ends the connection. */
  welcome?(head: Head<'welcome'>): void;
  /** Takes each message after the welcome. An error that it throws ends the connection. */
  hear(name: MessageName, bytes: Buffer): void;
  /** Called once, if the connection ends after its welcome. */
  lost(reason: TardisError): void;
}

/**
 * Sends the greeting and answers a challenge. Resolves with the welcome. Rejects with the error of the server or of the
 * login if the connection ends before the welcome, and with CLIENT_ELSEWHERE if the server names another server. Any
 * other message before the welcome is a PROTOCOL_VIOLATION. `place` is the session to resume.
 */
export function greet(
  connection: ClientLine,
  login: Login,
  greeted: Greeted,
  place?: SessionPlace,
): Promise<Head<'welcome'>> {
  return new Promise((resolve, reject) => {
    let isWelcome = false;
    const over = (reason: TardisError | undefined): void => {
      const why = reason ?? hungUp();
      if (isWelcome) greeted.lost(why);
      else reject(why);
    };
    connection.onMessage((name, bytes) => {
      if (isWelcome) {
        greeted.hear(name, bytes);
      } else if (name === 'loginChallenge') {
        login.answer(connection, bytes).catch((error: unknown) => connection.fail(error));
      } else if (name === 'welcome') {
        const { head } = decodeMessage(name, bytes);
        login.confirm(head);
        connection.owes(false);
        greeted.welcome?.(head);
        isWelcome = true;
        resolve(head);
      } else if (name === 'elsewhere') {
        const { head } = decodeMessage(name, bytes);
        login.confirm(head); // only the client's own server may send it away
        connection.owes(false);
        connection.leave();
        reject(elsewhere(head));
      } else {
        const what = `the server sent "${name}" before its welcome`;
        throw protocolViolation(what);
      }
    });
    connection.closed.then(over, (error: unknown) => over(fromWire(error)));
    connection.owes(true);
    login.greet(connection, place);
  });
}

/** Addresses from `elsewhere` messages, by their errors. An `error` message of a server never has an address here. */
const named = new WeakMap<object, TcpPlace>();

/** Returns the address of the other server that a server has named; undefined for any other error. */
export function placeNamedIn(error: unknown): TcpPlace | undefined {
  return error instanceof TardisError ? named.get(error) : undefined;
}

/**
 * Returns the error for a server that names another server. The address is checked before a connection is made to it.
 */
function elsewhere({ host, port }: Head<'elsewhere'>): TardisError {
  const where = displayText(`${host.slice(0, MAX_SHOWN_CHARS)}:${port}`);
  const what = `the client has a session at another server of the store, ${where}`;
  const error = new TardisError('CLIENT_ELSEWHERE', what);
  named.set(error, { host, port });
  return error;
}

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
        throw protocolViolation(`the server answered a token by "${name}"`);
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
