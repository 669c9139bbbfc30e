/** The server's certificate: read from its files, or created once, self-signed, by the `openssl` command. */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { promisify } from 'node:util';
import { systemCode, TardisError, systemReason } from '../../errors/index.js';
import { DAY_MS, displayName } from '../../model/index.js';
import {
  byteText,
  foreignHand,
  loadTls,
  readSmallFile,
  reportIfExposed,
} from '../../system/index.js';
import type { Certificate } from '../../transport/index.js';

const MAX_FILE_BYTES = 1 << 20;
const OPENSSL_TIMEOUT_MS = 60_000;
const VALID_DAYS = '3650';
/** Time before its end from which a certificate is reported. Certificates of 90 days are usually renewed 30 days before. */
const SOON_MS = 21 * DAY_MS;

export interface CertificateFiles {
  readonly certFile: Buffer;
  readonly keyFile: Buffer;
  /** True if both files may be created when neither exists. */
  readonly mayMake: boolean;
  /**
   * Calls `make` with the privileges needed to create the files. Undefined if the process itself has these privileges.
   */
  readonly makeWith?: (make: () => Promise<void>) => Promise<void>;
}

/**
 * Reads certificate and key, and creates both first if allowed. Throws CERTIFICATE_UNUSABLE if they cannot be made or
 * read, or do not belong together.
 */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const { certFile, keyFile, mayMake } = files;
  const { makeWith = (make) => make() } = files;
  if (mayMake && ![certFile, keyFile].some(isThere)) await makeWith(() => makeCertificate(files));
  const [cert, key] = [read(certFile), read(keyFile)];
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      loadTls().createSecureContext({ cert, key }); // refuses more: DER, weak keys and digests
      return { cert, key };
    }
  } catch (error) {
    // OpenSSL's message, which contains no bytes of the key.
    const why = error instanceof Error ? error.message.split('::').at(-1)! : 'unknown';
    throw unusable(`${displayName(certFile)} or ${displayName(keyFile)} cannot be used: ${why}`);
  }
  throw unusable(`the key in ${displayName(keyFile)} does not belong to ${displayName(certFile)}`);
}

/** True if a file has this name, also a link to one that is not there now: its disk may be mounted later. */
function isThere(file: Buffer): boolean {
  try {
    return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw unusable(`cannot look at ${displayName(file)}: ${systemReason(error)}`);
  }
}

function read(file: Buffer): Buffer {
  try {
    return readSmallFile(file, MAX_FILE_BYTES);
  } catch (error) {
    if (error instanceof TardisError) throw error;
    throw unusable(`cannot read ${displayName(file)}: ${systemReason(error)}`);
  }
}

/**
 * Creates a self-signed certificate. An elliptic-curve key is generated fast, even on a Raspberry Pi. The key file is
 * renamed last, so that its presence means a complete pair. Throws CERTIFICATE_UNUSABLE if that fails.
 */
async function makeCertificate({ certFile, keyFile }: CertificateFiles): Promise<void> {
  const host = os.hostname();
  const names = [`DNS:${host}`, 'DNS:localhost', 'IP:127.0.0.1', 'IP:::1'];
  const paths = [keyFile, certFile].map((file) => byteText(file));
  const [newKey, newCert] = paths.map((file) => `${file}.new`);
  const words = ['req', '-x509', '-new', '-key', newKey!, '-out', newCert!, '-sha256'];
  words.push('-days', VALID_DAYS, '-subj', `/CN=${host}`);
  words.push('-addext', `subjectAltName=${names.join(',')}`);
  const hand = foreignHand(keyFile, true) ?? foreignHand(certFile, true);
  if (hand !== undefined)
    throw unusable(`cannot make ${displayName(certFile)}: others could exchange it: ${hand}`);
  try {
    fs.rmSync(newKey!, { force: true }); // left by an interrupted run
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    fs.writeFileSync(newKey!, pem, { mode: 0o600, flag: 'wx' });
    await promisify(execFile)('openssl', words, { timeout: OPENSSL_TIMEOUT_MS });
    fs.chmodSync(newCert!, 0o644);
    fs.renameSync(newCert!, paths[1]!);
    fs.renameSync(newKey!, paths[0]!);
    reportIfExposed(paths[0]!, 'the private key', 'with it they can pose as this server');
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    const isMissing = systemCode(error) === 'ENOENT' && String(error).includes('openssl');
    const why = isMissing ? 'the command openssl is missing' : lastLine(output, error);
    throw unusable(`cannot make ${displayName(certFile)}: ${why}`);
  }
}

function lastLine(output: string, error: unknown): string {
  const line = output.trim().split('\n').at(-1)!.slice(0, 200);
  return line === '' ? systemReason(error, 'openssl failed') : line;
}

function unusable(message: string): TardisError {
  return new TardisError('CERTIFICATE_UNUSABLE', message);
}

/** Returns what a client may find wrong with the dates of a certificate, now or soon; undefined if nothing. */
export function validityFault(cert: Buffer, nowMs: number): string | undefined {
  const { validFrom } = new X509Certificate(cert);
  const endsMs = certificateEndMs(cert);
  if (nowMs >= endsMs) return 'the certificate has expired: clients refuse it';
  if (nowMs < Date.parse(validFrom)) return 'the certificate is not valid yet: clients refuse it';
  const days = Math.floor((endsMs - nowMs) / DAY_MS);
  return endsMs - nowMs < SOON_MS ? `the certificate expires in ${days} days` : undefined;
}

/** Returns the time at which a certificate expires. */
export function certificateEndMs(cert: Buffer): number {
  return Date.parse(new X509Certificate(cert).validTo);
}
