/** Builds the first message of a client's session. */
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
    code: '',
    run: '',
    ...changes,
  };
}

/** Returns that message in its wire format. */
export function helloBytes(client: string, changes: Partial<Head<'hello'>> = {}): Buffer {
  return encodeMessage('hello', helloOf(client, changes)).head;
}
