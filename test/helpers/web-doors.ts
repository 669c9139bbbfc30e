/** The web doors of a store on a port of this machine: the API, archives and WebDAV. */
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { Access, openLocalHistory } from '../../src/history/index.js';
import type { RightName } from '../../src/model/index.js';
import type { TardisError } from '../../src/errors/index.js';
import { nodeSystem } from '../../src/system/index.js';
import type { WebAppOptions } from '../../src/web/api/index.js';
import { archiveRoute } from '../../src/web/archive/index.js';
import { registerDav } from '../../src/web/dav/index.js';
import type { Place } from './inline.js';
import { scratchInMemory } from './scratch.js';
import {
  type Gateway,
  type GatewayOptions,
  giveToken,
  openGateway,
  startOverTls,
} from './web-gateway.js';
import { makeWebLab } from './web-lab.js';

export interface WebDoors {
  /** For example `http://127.0.0.1:40123`. */
  readonly origin: string;
  /** The password of WebDAV; the token of the API. */
  readonly token: string;
  readonly isRemote: boolean;
  /** Returns a token that has one right. */
  tokenOf(right: RightName): Promise<string>;
  /** Errors that the operator would see in the log. */
  readonly reported: TardisError[];
  get(path: string, init?: RequestInit): Promise<Response>;
}

export interface DoorOptions {
  readonly isSealed?: boolean;
  readonly tls?: WebAppOptions['tls'];
  /** True for a program in front of a server of the store, instead of one that reads the store. */
  readonly isRemote?: boolean;
}

export async function openDoors(
  t: ExecutionContext,
  { store, client }: Place,
  { isSealed = false, tls, isRemote = false }: DoorOptions = {},
): Promise<WebDoors> {
  const reported: TardisError[] = [];
  const onError = (error: TardisError): void => {
    reported.push(error);
  };
  const access = new Access(undefined);
  const added = [archiveRoute({ onError })];
  const far = isRemote
    ? await openFar(t, { store, client }, { added, tls, more: registerDav })
    : undefined;
  const lab =
    far ??
    (await makeWebLab(
      client,
      async () => openLocalHistory(nodeSystem(), { store, client, access }),
      isSealed,
      added,
      registerDav,
      tls,
    ));
  t.teardown(() => lab.close());
  await lab.app.listen({ host: '127.0.0.1', port: 0 });
  const origin = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(lab.app.server.address() as AddressInfo).port}`;
  const token = far?.token ?? `${client}:all`;
  const get = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${token}`);
    return fetch(`${origin}${path}`, { ...init, headers });
  };
  const tokenOf = (right: RightName): Promise<string> =>
    isRemote ? nextToken({ store, client }, [right]) : Promise.resolve(`${client}:${right}`);
  return { origin, token, isRemote, tokenOf, reported, get };
}

let accounts = 0;

function nextToken(place: Place, rights: readonly RightName[]): Promise<string> {
  return giveToken(place, `door-${(accounts += 1)}`, rights);
}

async function openFar(
  t: ExecutionContext,
  place: Place,
  options: GatewayOptions,
): Promise<Gateway & { readonly token: string }> {
  const token = await nextToken(place, ['list', 'read', 'admin']);
  const server = await startOverTls(scratchInMemory(t), place.store);
  t.teardown(() => server.stop()); // runs after that of the doors, which was added later
  return { ...(await openGateway(server, options)), token };
}

/** Returns a path with each byte percent-encoded, but for slashes. */
export function quotedPath(path: Buffer | string): string {
  return [...Buffer.from(path)]
    .map((byte) => (byte === 0x2f ? '/' : `%${byte.toString(16).padStart(2, '0')}`))
    .join('');
}
