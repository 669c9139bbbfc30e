/** The log and the certificate of a program that serves. */
import net from 'node:net';
import path from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { configInvalid, type SettingsNamed } from '../../config/index.js';
import { failedTo, TardisError } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import type { CertificateFiles } from '../../server/index.js';
import {
  configPath,
  isLoopback,
  makeDirectories,
  openToAppend,
  textBytes,
} from '../../system/index.js';
import { makeFor, type RunAs } from './server-process.js';

const LOOPBACK = '127.0.0.1';
const LEVELS = ['error', 'info', 'debug', 'trace'];
/** Maximum number of characters of log text that are buffered if the log cannot be written. */
const MAX_UNWRITTEN_LOG_CHARS = 1 << 20;

type LogSettings = RunAs & SettingsNamed<'verbose' | 'logFile'>;

export type CertificateSettings = RunAs &
  SettingsNamed<'ssl' | 'certFile' | 'keyFile' | 'makeCertificate'>;

/** Opens the log of the program. Throws CONFIG_INVALID. */
export async function openLog(settings: LogSettings): Promise<Logger> {
  const level = LEVELS[Math.min(settings.verbose, 3)] ?? 'error';
  return pino({ level, base: null }, logTo(await logDescriptor(settings)));
}

/**
 * Returns a stream to the log. If the log cannot be written, sessions continue, and text beyond MAX_UNWRITTEN_LOG_CHARS
 * is dropped.
 */
function logTo(fd: number): ReturnType<typeof destination> {
  const log = destination({ dest: fd, sync: true, maxLength: MAX_UNWRITTEN_LOG_CHARS });
  return log.on('error', () => undefined);
}

/** Opens the log file and returns its descriptor; without a log file, that of standard error. */
async function logDescriptor(settings: LogSettings): Promise<number> {
  const { logFile: file } = settings;
  if (file === undefined) return 2;
  try {
    return await makeFor(settings, file, () => openToAppend(file));
  } catch (error) {
    throw failedTo(`log to ${displayName(file)}`, error, 'useNamedFile');
  }
}

type TlsSettings = CertificateSettings &
  Partial<SettingsNamed<'localSocket'>> &
  SettingsNamed<'insecureTcp' | 'insecureNetwork'>;

/**
 * Returns the settings with TLS, unless they say how to do without it, and with a certificate of this program's own if
 * they name none. That one is made at the first start, in the configuration directory of the user who starts the program.
 */
export function withOwnTls<S extends TlsSettings>(settings: S): S {
  const { localSocket, insecureTcp, insecureNetwork, certFile, keyFile } = settings;
  if (localSocket !== undefined) return settings;
  const { ssl = !(insecureTcp || insecureNetwork) } = settings;
  if (!ssl || certFile !== undefined || keyFile !== undefined) return { ...settings, ssl };
  const [ownCert, ownKey] = ['tardisd-cert.pem', 'tardisd-key.pem'].map((name) => configPath(name));
  makeDirectories(path.dirname(ownCert!));
  const own = { certFile: textBytes(ownCert!), keyFile: textBytes(ownKey!) };
  return { ...settings, ssl, ...own, makeCertificate: true };
}

type ListenSettings = SettingsNamed<'ssl' | 'listenAddress' | 'insecureTcp' | 'insecureNetwork'>;

/**
 * Returns the host to listen on: that of the settings; if they name none, `any` with TLS, and only this machine without.
 * Throws CONFIG_INVALID, and INSECURE_TCP_REFUSED with `what` is refused.
 */
export function listenHost(
  { ssl, listenAddress: given, insecureTcp, insecureNetwork }: ListenSettings,
  { any, what }: { readonly any: string; readonly what: string },
): string {
  if (given !== undefined && net.isIP(given) === 0) {
    throw configInvalid('Address must be an IP address of this machine');
  }
  if (ssl === true) return given ?? any;
  const host = given ?? LOOPBACK;
  if (!(insecureTcp || insecureNetwork) || !(isLoopback(host) || insecureNetwork)) {
    throw new TardisError('INSECURE_TCP_REFUSED', `refusing to ${what} (${host})`);
  }
  return host;
}

/** Returns the files with certificate and key for TLS; undefined without TLS. Throws CONFIG_INVALID. */
export function certificateFiles(settings: CertificateSettings): CertificateFiles | undefined {
  const { ssl, certFile, keyFile, makeCertificate } = settings;
  if (ssl !== true) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw configInvalid('SSL needs CertFile and KeyFile');
  }
  return {
    certFile,
    keyFile,
    mayMake: makeCertificate,
    makeWith: (make) => makeFor(settings, keyFile, () => makeFor(settings, certFile, make)),
  };
}
