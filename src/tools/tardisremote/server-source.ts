/** Converts the settings for a server that is read instead of a store on this machine. */
import { X509Certificate } from 'node:crypto';
import { configInvalid, DEFAULT_PORT } from '../../config/index.js';
import { TardisError, systemReason } from '../../errors/index.js';
import { displayLine, displayName } from '../../model/index.js';
import { type Address, placeIn, readSmallFile } from '../../system/index.js';
import { linkWith, type TlsOptions } from '../../transport/index.js';
import type { ReachedPlace } from '../../web/remote/index.js';

/**
 * Time without an answer after which a connection counts as lost. It is short, since requesters wait for the
 * connection.
 */
const TIMEOUT_MS = 30_000;
const MAX_FILE_BYTES = 1 << 20;

/**
 * Returns the address of a server, given as `HOST[:PORT]` or as the path of a unix socket. Tokens are sent to the
 * server, so over TCP, TLS and a valid certificate are always required. Throws CONFIG_INVALID.
 */
export function serverSource(text: string, certificateFile: Buffer | undefined): ReachedPlace {
  const link = linkWith(TIMEOUT_MS);
  if (text.startsWith('/')) return { address: { kind: 'unix', path: text }, link };
  const address = addressIn(text);
  if (certificateFile === undefined) return { address, tls: { validate: true }, link };
  return { address, tls: trustingFile(certificateFile), link };
}

/**
 * Returns TLS options that trust the certificates in a file, as it is at each connection, since the server may renew its
 * certificate. While the file cannot be read, its former certificates are trusted. Throws CONFIG_INVALID.
 */
function trustingFile(file: Buffer): TlsOptions & { readonly validate: true } {
  let known = readTrusted(file);
  return {
    validate: true,
    get trusted() {
      try {
        known = readTrusted(file);
      } catch (error) {
        if (!(error instanceof TardisError)) throw error; // a file that is being replaced: the next connection reads it
      }
      return known;
    },
  };
}

/** Parses `HOST`, `HOST:PORT`, an IPv6 address, or `[IPv6]:PORT`. */
function addressIn(text: string): Address {
  const place = placeIn(text);
  if (place !== undefined)
    return { kind: 'tcp', host: place.host, port: place.port ?? DEFAULT_PORT };
  const shown = displayLine(text);
  throw configInvalid(`"${shown}": the server of tardisremote is HOST[:PORT] or a unix socket`);
}

function readTrusted(file: Buffer): Buffer {
  try {
    const bytes = readSmallFile(file, MAX_FILE_BYTES);
    new X509Certificate(bytes).toString(); // throws if the bytes are not a certificate
    return bytes;
  } catch (error) {
    if (error instanceof TardisError) throw error;
    const why = systemReason(error, 'it is no certificate (PEM)');
    throw configInvalid(`cannot use ${displayName(file)}: ${why}`, error);
  }
}
