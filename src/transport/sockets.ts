/** Connections over a unix socket, TCP, TLS or the pipes of a program: listening and connecting. */
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import type http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type tls from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { errnoText, TardisError, systemReason } from '../errors/index.js';
import { displayText } from '../model/index.js';
import {
  type Address,
  checkSocketPath,
  closing,
  describeAddress,
  hostInUrl,
  loadHttp,
  loadHttps,
  loadTls,
  O_PATH,
  onSafeWay,
  OpenFd,
  reportLongWait,
  type SocketAddress,
  type System,
  textBytes,
  tlsFault,
} from '../system/index.js';
import { type Channel, Connection, NO_CHANNEL } from './connection.js';
import { DEFAULT_GATE, Gate, type GateLimits } from './gate.js';
import type { LinkOptions } from './link-times.js';
import { WebMessageSocket } from './web-message-socket.js';

/** Maximum size of a message. It exceeds every size in the message table. */
export const MAX_MESSAGE_BYTES = 17 << 20;
export const CONNECT_TIMEOUT_MS = 30_000;
/** The time for a connection if the user may have to type; that of sshd for a login. */
const PROMPT_TIMEOUT_MS = 120_000;
const BACKLOG_CONNECTIONS = 128;
const HTTP_HEAD_BYTES = 8 << 10;
/** Maximum number of bytes received before the login: greeting, proof, a small first message. */
const MAX_STRANGER_BYTES = 4 << 10;
/** Label from which both ends of a TLS connection derive the same keying material; a relay between them cannot. */
const EXPORTER_LABEL = 'EXPORTER-tardis-login';
const KEYING_BYTES = 32;
const TLS_VERSION = 'TLSv1.3';

/** A certificate with its chain, and its private key, as PEM. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Requests that `use` is called with each certificate that replaces this one. Undefined if none ever does. */
  onRenewed?(use: (renewed: Certificate) => void): void;
}

export interface ListenOptions {
  /** Receives each new connection, before its login. */
  readonly onConnection: (connection: Connection) => void;
  /** Certificate for TLS; without it, the server uses plain TCP. */
  readonly certificate?: Certificate | undefined;
  readonly gate?: GateLimits;
}

/** Standard input and output of a server that a program, such as ssh, has started for one client. */
export interface PipedPlace {
  readonly kind: 'piped';
  readonly socket: Duplex;
}

/** Where a server listens. */
export type ListenPlace = SocketAddress | PipedPlace;

interface Closing {
  /** Stops accepting; open connections stay open. */
  readonly close: () => Promise<void>;
}

export interface Listener extends Closing {
  readonly address: SocketAddress;
}

/**
 * Listens until closed. A unix socket gets mode 0600. Throws LISTEN_FAILED if the address cannot be used, and
 * CONFIG_INVALID if the path is too long.
 */
export async function listen(
  system: System,
  address: SocketAddress,
  link: LinkOptions,
  options: ListenOptions,
): Promise<Listener> {
  if (address.kind === 'unix') checkSocketPath(address.path);
  const { server, close } = serverFor(system, link, options);
  await removeStaleSocket(address);
  await start(server, address);
  return { address: boundAddress(server, address), close };
}

/** Serves the peer at the other end of a pipe, as one that has connected to a socket of this machine. */
export function servePiped(
  system: System,
  { socket }: PipedPlace,
  link: LinkOptions,
  options: ListenOptions,
): Closing {
  const { server, close } = serverFor(system, link, options);
  server.emit('connection', socket);
  return { close };
}

/** Returns a server that does not listen yet. */
function serverFor(
  system: System,
  link: LinkOptions,
  { onConnection, certificate, gate: limits = DEFAULT_GATE }: ListenOptions,
): { readonly server: http.Server } & Closing {
  const server = httpServer(certificate);
  const gate = new Gate(limits);
  server.on('connection', (socket: net.Socket) => gate.enter(socket));
  const sockets = new WebSocketServer({
    server,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    // Browsers always send the origin of the page, so no web page can connect to a local server.
    verifyClient: ({ origin }: { origin: string | undefined }) => origin === undefined,
  });
  sockets.on('connection', (socket, request) => {
    onConnection(strangersConnection(system, socket, { raw: request.socket, link, gate }));
  });
  sockets.on('error', () => undefined); // the same error reaches the server's own listener
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      sockets.close();
      gate.close();
      server.closeAllConnections(); // cuts half-sent HTTP requests; upgraded connections are not affected
    });
  return { server, close };
}

function httpServer(certificate: Certificate | undefined): http.Server {
  const refuse: http.RequestListener = (_request, response) => {
    response.writeHead(426, { connection: 'close' }).end();
  };
  const limits = { maxHeaderSize: HTTP_HEAD_BYTES };
  if (certificate === undefined) return loadHttp().createServer(limits, refuse);
  const context = ({ cert, key }: Certificate) => ({ cert, key, minVersion: TLS_VERSION }) as const;
  const server = loadHttps().createServer({ ...limits, ...context(certificate) }, refuse);
  certificate.onRenewed?.((renewed) => server.setSecureContext(context(renewed)));
  return server;
}

/** Returns a connection whose peer has not logged in; its bytes and its time are limited. */
function strangersConnection(
  system: System,
  socket: WebSocket,
  {
    raw,
    link,
    gate,
  }: { readonly raw: net.Socket; readonly link: LinkOptions; readonly gate: Gate },
): Connection {
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes <= MAX_STRANGER_BYTES) return;
    raw.off('data', count);
    connection.pause();
    connection.fail(new TardisError('MESSAGE_TOO_LARGE', 'too much was sent before the login'));
  };
  const connection = new Connection(new WebMessageSocket(socket), {
    ...link,
    receives: 'to-server',
    clock: system.clock,
    channel: channelOf(raw),
    onAdmitted: () => {
      raw.off('data', count);
      gate.admit(raw);
    },
  });
  raw.prependListener('data', count);
  gate.onLate(raw, () => connection.fail(new TardisError('TIMED_OUT', 'nobody logged in in time')));
  return connection;
}

/** Returns the channel to which a login over a socket is bound. */
export function channelOf(socket: net.Socket): Channel {
  const peerAddress = socket.remoteAddress ?? '';
  if (!isTls(socket)) {
    const kind = peerAddress === '' ? 'unix' : 'tcp';
    return { kind, keyingMaterial: Buffer.alloc(0), peerAddress };
  }
  const keyingMaterial = socket.exportKeyingMaterial(KEYING_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
  return { kind: 'tls', keyingMaterial, peerAddress };
}

/** True for a socket over TLS. The module of TLS is loaded only once there is such a socket. */
function isTls(socket: net.Socket): socket is tls.TLSSocket {
  return 'encrypted' in socket && socket instanceof loadTls().TLSSocket;
}

/** Removes a unix socket on which no process listens: a killed server left it. Does nothing for other addresses. */
async function removeStaleSocket(address: SocketAddress): Promise<void> {
  if (address.kind !== 'unix') return;
  if (fs.lstatSync(address.path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path: address.path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (isStale) fs.unlinkSync(address.path);
}

/** Returns the address for a message; all addresses of the machine have no name. */
function shownListener(address: SocketAddress): string {
  const isOfAll = address.kind === 'tcp' && address.host === '';
  return isOfAll ? `port ${address.port}` : describeAddress(address);
}

function start(server: http.Server, address: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new TardisError(
          'LISTEN_FAILED',
          `cannot listen on ${shownListener(address)}: ${systemReason(error, error.message)}`,
          {},
          error,
        ),
      );
    });
    if (address.kind === 'unix') {
      const umask = process.umask(0o177); // the socket has mode 0600 from the start
      server.listen({ path: address.path, backlog: BACKLOG_CONNECTIONS }, () => {
        closeToOthers(address.path);
        resolve();
      });
      process.umask(umask);
    } else {
      const host = address.host === '' ? {} : { host: address.host };
      server.listen({ ...host, port: address.port, backlog: BACKLOG_CONNECTIONS }, resolve);
    }
  });
}

/** Gives a socket mode 0600, which a default ACL of its directory can prevent. Nothing that was put in its place is changed. */
function closeToOthers(socket: string): void {
  onSafeWay(textBytes(socket), 'output', (at) => {
    using opened = new OpenFd(closing, fs.openSync(at, O_PATH | fs.constants.O_NOFOLLOW));
    if (fs.fstatSync(opened.fd).isSocket()) fs.chmodSync(`/proc/self/fd/${opened.fd}`, 0o600);
  });
}

/** Returns the bound address; it has the real port if port 0 was requested. */
function boundAddress(server: http.Server, address: SocketAddress): SocketAddress {
  if (address.kind === 'unix') return address;
  const bound = server.address() as net.AddressInfo;
  return { kind: 'tcp', host: address.host || bound.address, port: bound.port };
}

/**
 * Sets the mask of frames to zero. The mask protects proxies from crafted bytes; there are no proxies on a unix
 * socket or inside TLS.
 */
function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

/** A client's TLS settings. */
export interface TlsOptions {
  /** True if the certificate must be trusted by this machine, for the requested host. */
  readonly validate: boolean;
  /**
   * Certificates (PEM) that are trusted instead of the machine's. If the server's own certificate is the first of
   * them, the name of the host is not checked.
   */
  readonly trusted?: Buffer | undefined;
  /** SHA-256 of the only certificate that is accepted, whatever this machine trusts; undefined for no such limit. */
  readonly fingerprint?: Buffer | undefined;
}

/** Returns host and port as in a URL, which cannot contain a zone: `fe80::1%eth0` becomes `[fe80::1]`. */
export function hostInHeader({ host, port }: Address & { kind: 'tcp' }): string {
  return `${hostInUrl(host).replace(/%[^\]]*/, '')}:${port}`;
}

/**
 * Connects, over TLS if `tlsOptions` is given. Throws SERVER_UNREACHABLE if there is no connection, CERTIFICATE_REFUSED
 * if the certificate is not trusted, and TIMED_OUT if the server does not answer.
 */
export function connect(
  system: System,
  address: Address,
  link: LinkOptions,
  tlsOptions?: TlsOptions,
): Promise<Connection> {
  const host = address.kind === 'tcp' ? hostInHeader(address) : 'localhost';
  let startMs = system.clock.monotonicMs();
  let raw: net.Socket | undefined;
  const isSafe = address.kind !== 'tcp' || tlsOptions !== undefined;
  const program = address.kind === 'program' ? address.open() : undefined;
  const socket = new WebSocket(`ws://${host}/`, {
    createConnection: () => {
      if (address.kind === 'program') return program!.socket;
      raw = dial(system, address, tlsOptions);
      // Starts the measurement again after the TLS handshake, since the computations of both ends would count
      // otherwise.
      raw.once('secureConnect', () => void (startMs = system.clock.monotonicMs()));
      return raw;
    },
    ...(isSafe ? { generateMask: zeroMask } : {}),
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    skipUTF8Validation: true,
  });
  return new Promise((resolve, reject) => {
    // ws's own handshakeTimeout has no effect on a connection that is made by `createConnection`.
    const patienceMs = Math.min(link.connectMs ?? connectMsTo(address), link.timeoutMs);
    const timer = setTimeout(() => {
      const where = describeAddress(address);
      const text = `no answer from ${where} in ${patienceMs / 1000} s`;
      reject(new TardisError('TIMED_OUT', text, { isUnanswered: true }));
      socket.terminate(); // its error is ignored, because the promise is settled
    }, patienceMs);
    socket.once('open', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      const { clock } = system;
      const roundTripMs = address.kind === 'tcp' ? clock.monotonicMs() - startMs : 0;
      const channel = raw === undefined ? NO_CHANNEL : channelOf(raw);
      program?.passMessages((line) =>
        reportLongWait(`${describeAddress(address)}: ${displayText(line)}`),
      );
      resolve(
        new Connection(new WebMessageSocket(socket), {
          ...link,
          receives: 'to-client',
          clock,
          roundTripMs,
          channel,
        }),
      );
    });
    socket.once('unexpected-response', (request, { statusCode = 0, headers }) => {
      clearTimeout(timer);
      reject(answeredError(describeAddress(address), statusCode, headers));
      request.destroy();
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      if (address.kind !== 'program') return reject(connectError(error, address, tlsOptions));
      program!.socket.destroy();
      void program!.ended.then((end) => reject(address.errorOf(error, end)));
    });
  });
}

/** Returns the time for a first answer. A user may have to type a password for the program. */
function connectMsTo(address: Address): number {
  const mayPrompt = address.kind === 'program' && address.mayPrompt;
  return mayPrompt ? PROMPT_TIMEOUT_MS : CONNECT_TIMEOUT_MS;
}

/** Opens a socket to a server, over TLS if `tlsOptions` is given. `protocols` are offered by ALPN. */
export function dial(
  system: System,
  address: SocketAddress,
  tlsOptions: TlsOptions | undefined,
  protocols?: readonly string[],
): net.Socket {
  const socket = system.network.connect(address);
  if (tlsOptions === undefined || address.kind === 'unix') return socket;
  const host = address.host.replace(/^\[(.*)\]$/, '$1');
  const { fingerprint } = tlsOptions;
  const secure = loadTls().connect({
    socket,
    host,
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    minVersion: TLS_VERSION,
    rejectUnauthorized: tlsOptions.validate,
    ...(tlsOptions.trusted === undefined ? {} : trusting(tlsOptions.trusted)),
    ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
  });
  // Before the program of the server can answer, so that no message was sent to it.
  if (fingerprint !== undefined) {
    secure.once('secureConnect', () => requireFingerprint(secure, fingerprint));
  }
  return secure;
}

/** Ends a connection to a server with another certificate than the expected one. */
function requireFingerprint(secure: tls.TLSSocket, fingerprint: Buffer): void {
  const { raw } = secure.getPeerCertificate();
  if (createHash('sha256').update(raw).digest().equals(fingerprint)) return;
  const error = new Error('it is not the one that the code names');
  secure.destroy(Object.assign(error, { code: 'CERT_OTHER' }));
}

/** Returns the TLS options for a server that has a known certificate, or a certificate signed by it. */
function trusting(trusted: Buffer): tls.ConnectionOptions {
  const { raw: known } = new X509Certificate(trusted);
  return {
    ca: trusted,
    checkServerIdentity: (host, certificate) =>
      certificate.raw.equals(known) ? undefined : loadTls().checkServerIdentity(host, certificate),
  };
}

const BAD_CERTIFICATE = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_)/;

/** Matches the errors of a handshake, in code or message. */
const OF_HANDSHAKE = /^(ERR_SSL_|EPROTO)/;
/** Matches the reason in the message of such an error: `…:SSL routines:FUNCTION:REASON:…`. */
const REASON = /:SSL routines:[^:]*:([^:]+):/;
/** Remedies, by the text of the reason in OpenSSL. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /application protocol/,
    'it serves no HTTP interface: name a tardisd by HOST:PORT, without https://',
  ],
  [/protocol version|unsupported protocol/, 'it has an older TLS only: TLS 1.3 is needed'],
  [
    /./, // bytes that are no TLS have several reasons
    'it speaks no TLS: give the server a certificate (--ssl), or leave TLS out here (--insecure-tcp)',
  ],
];

/** Returns the error for a server that cannot be reached. `tlsOptions` is undefined for a connection without TLS. */
export function connectError(
  error: Error,
  address: Address,
  tlsOptions: TlsOptions | undefined,
): TardisError {
  const where = describeAddress(address);
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (BAD_CERTIFICATE.test(code)) {
    const text = `the certificate of ${where} is not trusted: ${tlsFault(error)}`;
    return new TardisError('CERTIFICATE_REFUSED', text, { cause: code }, error);
  }
  const text = `cannot reach the server at ${where}: ${unreachableText(error, code, tlsOptions)}`;
  return new TardisError('SERVER_UNREACHABLE', text, { cause: code }, error);
}

/**
 * Returns the error for an answer with an HTTP status in place of a connection, as of a proxy whose server is away. Its cause is
 * the status; `seconds` are those of Retry-After, 0 if there are none.
 */
export function answeredError(
  where: string,
  status: number,
  headers: http.IncomingHttpHeaders,
): TardisError {
  const text = `cannot reach the server at ${where}: the answer is HTTP status ${status}`;
  const context = { cause: `HTTP ${status}`, seconds: retrySeconds(headers) };
  return new TardisError('SERVER_UNREACHABLE', text, context);
}

/** Returns the seconds of Retry-After. A date in it counts from the date of the answer. */
function retrySeconds({ 'retry-after': after = '', date = '' }: http.IncomingHttpHeaders): number {
  if (/^\d{1,9}$/.test(after)) return Number(after);
  const ms = Date.parse(after) - Date.parse(date);
  return ms > 0 ? Math.ceil(ms / 1000) : 0;
}

function unreachableText({ message }: Error, code: string, tlsOptions?: TlsOptions): string {
  if (OF_HANDSHAKE.test(code)) {
    const reason = REASON.exec(message)?.[1] ?? code;
    return `${REMEDIES.find(([pattern]) => pattern.test(reason))![1]} (${reason})`;
  }
  // A server with TLS ends a connection that begins without it.
  if (tlsOptions === undefined && message === 'socket hang up') {
    return `${message}; if it has a certificate, leave out --insecure-tcp`;
  }
  const words = errnoText(code);
  return words === code ? message : words;
}
