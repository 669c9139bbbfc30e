/** Where a page is served: its port, and with --listen the addresses and the certificate. */
import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import os from 'node:os';
import { configInvalid, SYSTEM_FOLDER } from '../../config/index.js';
import {
  cachePath,
  configPath,
  isLoopback,
  packageRoot,
  runtimePath,
  statePath,
  textBytes,
  wayTo,
} from '../../system/index.js';
import type { LocalPlace, NetworkPlace } from '../../web/local/index.js';
import { unitPath } from '../sonic/setup-files.js';
import { withOwnTls } from '../tardisd/serving.js';
import type { WebSettings } from './client-settings.js';
import type { PageMemory } from './page-memory.js';

const LOOPBACK = '127.0.0.1';

/**
 * Returns the place of the page: the one of the last start, unless another port is given, or another program has that
 * port now. Throws CONFIG_INVALID, CERTIFICATE_UNUSABLE.
 */
export async function placeOf(
  settings: WebSettings,
  memory: PageMemory,
  warn: (line: string) => void,
): Promise<LocalPlace> {
  const { label, port: kept } = memory.place();
  const network = await networkOf(settings);
  const given = settings.webPort;
  if (given !== 0 || kept === 0) return { label, port: given, network };
  if (await isFree(kept, network?.address ?? LOOPBACK)) return { label, port: kept, network };
  warn(`another program has port ${kept} of this page, so bookmarks do not work this time`);
  return { label, port: 0, network };
}

/** Returns the addresses and the certificate if other machines may reach the page. */
async function networkOf({
  webListen,
  certFile,
  keyFile,
}: WebSettings): Promise<NetworkPlace | undefined> {
  if (webListen === undefined) return undefined;
  if (net.isIP(webListen) === 0)
    throw configInvalid('--listen takes an IP address of this machine');
  if (isLoopback(webListen)) throw configInvalid('--listen is for other addresses than loopback');
  const { readCertificate } = await import('../../server/index.js'); // only with --listen
  const tls = withOwnTls({
    certFile,
    keyFile,
    ssl: true,
    makeCertificate: false,
    insecureTcp: false,
    insecureNetwork: false,
    user: undefined,
    group: undefined,
  });
  if (tls.certFile === undefined || tls.keyFile === undefined) {
    throw configInvalid('--certfile and --keyfile belong together');
  }
  const files = { certFile: tls.certFile, keyFile: tls.keyFile, mayMake: tls.makeCertificate };
  const certificate = await readCertificate(files);
  return { address: webListen, certificate, names: () => namesOf(webListen) };
}

/** Returns the names and addresses under which other machines reach this one at an address, the one to show first. */
function namesOf(address: string): string[] {
  const isAny = ['0.0.0.0', '::'].includes(address);
  const all = Object.values(os.networkInterfaces()).flatMap((one = []) => one);
  const others = all.filter(({ internal }) => !internal).map((one) => one.address);
  const [first, rest] = isAny ? [others, [LOOPBACK, '::1', 'localhost']] : [[address], []];
  const host = os.hostname().toLowerCase();
  return [...first, host, `${host.split('.')[0]!}.local`, ...rest];
}

/**
 * Returns the places of this program, by their paths without links: its settings, state, caches and units, the files that
 * settings name, and its code. A user who changes them can choose commands that run here.
 */
export function ownPlaces(settings: WebSettings): Buffer[] {
  const { configFiles, defaultsFile, passwordFile, keysFile, certFile, keyFile } = settings;
  const folders = [configPath(), statePath(), cachePath(), runtimePath(), SYSTEM_FOLDER];
  const units = (['user', 'system'] as const).flatMap((scope) =>
    (['service', 'timer'] as const).map((kind) => unitPath(scope, kind)),
  );
  const named = [...configFiles, defaultsFile, passwordFile, keysFile, certFile, keyFile];
  return [...[...folders, ...units, packageRoot()].map(textBytes), ...named].flatMap((place) =>
    place === undefined || place.length === 0 ? [] : [wayTo(place).path],
  );
}

/** Returns the fingerprint of the certificate, by which a user can compare the one that a browser shows. */
export function fingerprintOf({ network }: LocalPlace): string | undefined {
  if (network === undefined) return undefined;
  return new X509Certificate(network.certificate.cert).fingerprint256;
}

/** True if no program listens on a port. */
function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
