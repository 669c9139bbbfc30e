/** The web doors of a store on a port of this machine: the API, archives and WebDAV. */
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { Access, openLocalHistory } from '../../src/history/index.js';
import type { TardisError } from '../../src/errors/index.js';
import { nodeSystem } from '../../src/system/index.js';
import type { WebAppOptions } from '../../src/web/api/index.js';
import { archiveRoute } from '../../src/web/archive/index.js';
import { registerDav } from '../../src/web/dav/index.js';
import type { Place } from './inline.js';
import { makeWebLab } from './web-lab.js';

export interface WebDoors {
  /** For example `http://127.0.0.1:40123`. */
  readonly origin: string;
  /** The password of WebDAV; the token of the API. */
  readonly token: string;
  /** Errors that the operator would see in the log. */
  readonly reported: TardisError[];
  get(path: string, init?: RequestInit): Promise<Response>;
}

export async function openDoors(
  t: ExecutionContext,
  { store, client }: Place,
  { isSealed = false, tls }: { isSealed?: boolean; tls?: WebAppOptions['tls'] } = {},
): Promise<WebDoors> {
  const reported: TardisError[] = [];
  const onError = (error: TardisError): void => {
    reported.push(error);
  };
  const access = new Access(undefined);
  const lab = await makeWebLab(
    client,
    async () => openLocalHistory(nodeSystem(), { store, client, access }),
    isSealed,
    [archiveRoute({ onError })],
    registerDav,
    tls,
  );
  t.teardown(() => lab.close());
  await lab.app.listen({ host: '127.0.0.1', port: 0 });
  const origin = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(lab.app.server.address() as AddressInfo).port}`;
  const token = `${client}:all`;
  const get = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${token}`);
    return fetch(`${origin}${path}`, { ...init, headers });
  };
  return { origin, token, reported, get };
}

/** Returns a path with each byte percent-encoded, but for slashes. */
export function quotedPath(path: Buffer | string): string {
  return [...Buffer.from(path)]
    .map((byte) => (byte === 0x2f ? '/' : `%${byte.toString(16).padStart(2, '0')}`))
    .join('');
}
