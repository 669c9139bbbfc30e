/** Determines the address of a server, the TLS options for it, and the credentials to log in to it. */
import { configInvalid, isSshText, parseSshPlace, type SshPlace } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { displayLine } from '../../model/index.js';
import type { RemotePlace } from '../../remote/index.js';
import {
  type Address,
  hostAndPort,
  hostInUrl,
  isHost,
  isLoopback,
  MAX_PORT,
  openProgram,
  type ProgramAddress,
  type TcpPlace,
} from '../../system/index.js';
import type { Elsewhere } from '../../transport/login/index.js';
import { linkWith, type Retry, sshError, type TlsOptions } from '../../transport/index.js';
import { formatSeconds } from '../output/units.js';
import { keyFileOf, type KeysSettings, promptFor } from './keys.js';
import { identityAt, type IdentitySettings } from './known-state.js';
import { givenPassword, type PasswordSettings, promptUnlessNever } from './password.js';
import tty from 'node:tty';
import { hasTerminal } from '../output/terminal.js';
import { printWarning } from '../output/progress-line.js';

export interface ServerSettings {
  readonly port: number;
  /** Port of a URL without one; undefined for that of its protocol. */
  readonly remoteUrlPort: number | undefined;
  readonly ssl: boolean | undefined;
  readonly validateCerts: boolean | undefined;
  readonly insecureTcp: boolean;
  readonly insecureNetwork: boolean;
}

interface ServerPlace {
  readonly address: Address;
  /** TLS options; undefined for a connection without TLS. */
  readonly tls: TlsOptions | undefined;
  /** Path of an HTTP interface in its URL; undefined if the server is a `tardisd`. */
  readonly webPath?: string | undefined;
}

/** Returns the line that announces a retry. */
export function retryText({ reason, waitMs, forMs }: Retry): string {
  const isSilent = reason.code === 'TIMED_OUT' && reason.context['isUnanswered'] !== true;
  const isLost = reason.code === 'CONNECTION_LOST' || isSilent;
  const what = isLost ? 'connection lost' : displayLine(reason.message);
  const next = `${what}, trying again in ${Math.max(1, Math.round(waitMs / 1000))} s`;
  return forMs === undefined
    ? next
    : `${next}, and for ${formatSeconds(forMs)} in all (--reconnect)`;
}

/**
 * Returns the address of the server. The server is a unix socket if the host is an absolute path, one that
 * `ssh` starts if it begins with ssh://, and the HTTP interface of a tardisremote if it is another URL. Otherwise TLS is used, unless an option requests plain TCP. A host may
 * have a port of its own (HOST:PORT). Several hosts are separated by commas. `isProven` is true if a password will
 * authenticate the server, so that its certificate need not be valid. Throws CONFIG_INVALID, INSECURE_TCP_REFUSED.
 */
export function serverPlace(
  host: string,
  settings: ServerSettings,
  isProven: boolean,
): ServerPlace {
  // A unix socket needs no TLS: the permissions of its directory limit access.
  if (host.startsWith('/')) return { address: { kind: 'unix', path: host }, tls: undefined };
  if (isSshText(host)) return { address: sshAddress(host), tls: undefined };
  if (HTTP.test(host)) return webPlace(host, settings, isProven);
  const [first, ...others] = hostsIn(host, settings.port);
  for (const place of [first!, ...others]) {
    requireHost(place.host);
    requirePort(place.port);
  }
  const address: Address = { kind: 'tcp', ...first!, ...(others.length === 0 ? {} : { others }) };
  return { address, tls: tlsTo([first!, ...others], settings, isProven) };
}

/**
 * Returns how a client follows a server's reference to another one; undefined unless TCP has reached that server. The
 * connection to the other one is as safe as this one, and neither a unix socket nor ssh has TLS.
 */
export function elsewhereOf(
  address: Address | undefined,
  settings: ServerSettings,
  isProven: boolean,
): Elsewhere | undefined {
  if (address?.kind !== 'tcp') return undefined;
  return (host, port) => placeElsewhere({ host, port }, settings, isProven);
}

/**
 * Returns the address of a server that another server has named. TLS is used if the connection to that other server
 * uses it. Throws CONFIG_INVALID if the text is not a host, and INSECURE_TCP_REFUSED.
 */
function placeElsewhere(place: TcpPlace, settings: ServerSettings, isProven: boolean): Address {
  requireHost(place.host);
  requirePort(place.port);
  tlsTo([place], settings, isProven);
  return { kind: 'tcp', ...place };
}

/** Maximum number of servers in a list. */
const MAX_SERVERS = 16;

/**
 * Returns the addresses of a server, or of several in a list. A port of its own counts more than `port`. Throws
 * CONFIG_INVALID for too many.
 */
function hostsIn(text: string, port: number): TcpPlace[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length > MAX_SERVERS) {
    throw configInvalid(`more than ${MAX_SERVERS} servers are named`);
  }
  return parts.map((part) => {
    const place = hostAndPort(part);
    return { host: place.host, port: place.port ?? port };
  });
}

function requirePort(port: number): void {
  if (port > 0 && port <= MAX_PORT) return;
  throw configInvalid(port === 0 ? 'the port must not be 0' : `a port is at most ${MAX_PORT}`);
}

/**
 * Returns the TLS options for the servers; undefined for connections without TLS. Warns of plain TCP over a network.
 * Throws INSECURE_TCP_REFUSED.
 */
function tlsTo(
  places: readonly TcpPlace[],
  { ssl, validateCerts, insecureTcp, insecureNetwork }: ServerSettings,
  isProven: boolean,
): TlsOptions | undefined {
  const isPlainAllowed = insecureTcp || insecureNetwork;
  if (ssl ?? !isPlainAllowed) return { validate: validateCerts ?? !isProven };
  const remote = places.find(({ host }) => !isLoopback(host));
  if (!isPlainAllowed || (remote !== undefined && !insecureNetwork)) {
    const { host, port } = remote ?? places[0]!;
    throw new TardisError(
      'INSECURE_TCP_REFUSED',
      `refusing plain TCP to ${hostInUrl(displayLine(host))}:${port}`,
    );
  }
  if (remote !== undefined) {
    printWarning('the connection is plain TCP: everything sent can be read and changed on its way');
  }
  return undefined;
}

/** Matches the URL of an HTTP interface (tardisremote). */
const HTTP = /^https?:\/\//i;
const HAS_PORT = /^https:\/\/[^/]*:\d+(?:\/|$)/i;
const HTTPS_PORT = 443;

/** Returns the address of an HTTP interface by its URL. Throws CONFIG_INVALID. */
function webPlace(
  text: string,
  { validateCerts, remoteUrlPort }: ServerSettings,
  isProven: boolean,
): ServerPlace {
  const shown = displayLine(text);
  if (!URL.canParse(text)) throw configInvalid(`"${shown}" is no URL`);
  const { protocol, hostname, port, pathname, username, search, hash } = new URL(text);
  if (protocol !== 'https:') {
    throw configInvalid(
      `"${shown}" is plain HTTP, which no tool reads: give https://, and start tardisremote with a certificate`,
    );
  }
  if (username !== '' || search !== '' || hash !== '' || hostname === '') {
    throw configInvalid(`"${shown}": the URL of a tardisremote is https://HOST:PORT/`);
  }
  const address: Address = {
    kind: 'tcp',
    host: hostname,
    // A URL has no port of its own if that is the usual one of its protocol.
    port:
      port !== '' ? Number(port) : HAS_PORT.test(text) ? HTTPS_PORT : (remoteUrlPort ?? HTTPS_PORT),
  };
  const tls = { validate: validateCerts ?? !isProven };
  return { address, tls, webPath: pathname.replace(/\/+$/, '') };
}

/** Throws CONFIG_INVALID for the URL of an HTTP interface, in a command that changes a store. */
export function requireNoWeb(host: string): void {
  if (!HTTP.test(host)) return;
  const what = 'an HTTP interface (tardisremote) is for reading: name the host of a tardisd';
  throw configInvalid(what);
}

/** Throws CONFIG_INVALID for text that is not a host. */
function requireHost(host: string): void {
  if (isHost(host)) return;
  const shown = displayLine(host);
  const what =
    'Server is a host name or an IP address (with a port: HOST:PORT), ssh://[USER@]HOST[:PORT]/PLACE, or the absolute path of a unix socket';
  throw configInvalid(`"${shown}" is not a host: ${what}`);
}

export type ServerLoginSettings = PasswordSettings &
  KeysSettings &
  ServerSettings &
  IdentitySettings & { readonly timeoutSeconds: number };

/**
 * Returns the address, the credentials and the connection settings of a server. With `isNew`, the server will get the
 * verifier of a new password. Such a password does not authenticate the server, so its certificate must be valid.
 * Throws PASSWORD_*, CONFIG_INVALID, INSECURE_TCP_REFUSED.
 */
export async function remotePlace(
  host: string,
  settings: ServerLoginSettings,
  isNew = false,
): Promise<RemotePlace> {
  const { client, account, timeoutSeconds } = settings;
  const prompt = promptFor(client, account);
  const password = await givenPassword(settings, prompt);
  const isProven = password !== undefined && !isNew;
  const place = serverPlace(host, settings, isProven);
  return {
    ...place,
    elsewhere: elsewhereOf(place.address, settings, isProven),
    client,
    credentials: {
      password,
      account,
      ask: (over) => promptUnlessNever(settings, prompt, over),
      keyFile: keyFileOf(settings),
      identity: identityAt(settings, place.address),
    },
    link: linkWith(timeoutSeconds * 1000),
  };
}

/**
 * Options of ssh. A backup needs no terminal there, and gives the other machine no way back to this one: neither agent
 * nor display nor forwarded ports, whatever is in the configuration of ssh. No command of this configuration runs
 * there in place of `tardisd`, or here beside it. These options are in OpenSSH since 7.6.
 */
const OPTIONS =
  '-T -a -x -o ClearAllForwardings=yes -o RemoteCommand=none -o PermitLocalCommand=no'.split(' ');

/**
 * Returns the address of a server that ssh reaches, ssh://[USER@]HOST[:PORT]/PLACE. Without a terminal, ssh may not
 * prompt. Throws CONFIG_INVALID.
 */
function sshAddress(text: string, mayPrompt: boolean = isTerminalHere()): ProgramAddress {
  const place = parseSshPlace(text, '--server');
  const { user, host, port, path } = place;
  const command = [
    'ssh',
    ...OPTIONS,
    ...(mayPrompt ? [] : ['-o', 'BatchMode=yes']),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
    // A shell on the other machine reads this text. No character that it misreads between quotes is in the path.
    path === undefined ? 'tardisd --stdio' : `tardisd --stdio --database '${path}'`,
  ];
  const name = nameOf(place);
  return {
    kind: 'program',
    name,
    mayPrompt,
    open: () => openProgram(command),
    errorOf: (error, end) => sshError(name, error, end),
  };
}

function nameOf({ user, host, port, path }: SshPlace): string {
  const shownHost = host.includes(':') ? `[${host}]` : host;
  const shownPath = path === undefined ? '' : path.replace(/^\.\//, '/~/');
  return `ssh://${user === undefined ? '' : `${user}@`}${shownHost}${port === undefined ? '' : `:${port}`}${shownPath}`;
}

/** True if this process has a terminal, on which ssh can prompt. */
function isTerminalHere(): boolean {
  return tty.isatty(0) || tty.isatty(2) || hasTerminal();
}
