/** The first message of a session, as a client says it. */
import { encodeMessage, type Head, PROTOCOL_VERSION } from '../../src/transport/index.js';

export function helloOf(client: string, changes: Partial<Head<'hello'>> = {}): Head<'hello'> {
  return {
    protocol: PROTOCOL_VERSION,
    software: 'test',
    client,
    account: '',
    create: false,
    purpose: 'backup',
    keys: Buffer.alloc(0),
    ticket: Buffer.alloc(0),
    upTo: 0,
    ...changes,
  };
}

/** The same as it goes over the wire. */
export function helloBytes(client: string, changes: Partial<Head<'hello'>> = {}): Buffer {
  return encodeMessage('hello', helloOf(client, changes)).head;
}
