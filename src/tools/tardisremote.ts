/** Implements `tardisremote`, which serves the clients of a store over HTTP, for reading. */
import type { Settings } from '../config/index.js';
import { closeSharedStores, requireStore, shownStore } from '../store/index.js';
import type { Following } from '../store/writer/index.js';
import { absolutePath, byteText, hostInUrl, nodeSystem, type System } from '../system/index.js';
import { isInBackground, reportToStarter, serveOrGo } from './shared/background.js';
import { followBucket } from './opening/follow-bucket.js';
import { print, printJson } from './output/output.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { inBucket } from './shared/tool-store.js';
import { atHangup } from './shared/signals.js';
import { becomeUser, writePidFile } from './tardisd/server-process.js';
import { LiveCertificate } from './tardisd/live-certificate.js';
import { listenHost, openLog, withOwnTls } from './tardisd/serving.js';
import { serverSource } from './tardisremote/server-source.js';
import { type RemoteOptions, startRemote } from './tardisremote/start-remote.js';

const command = toolCommand({
  tool: 'tardisremote',
  isWork: true,
  run: (settings) =>
    serveOrGo({ ...settings, pidFile: settings.remotePidFile }, () => serve(settings)),
});

type RemoteSettings = Settings<'tardisremote'>;

async function serve(given: RemoteSettings): Promise<void> {
  let settings = withOwnTls(given);
  let following: Following | undefined;
  const host = listenHost(settings, { any: '::', what: 'serve plain HTTP' });
  const log = await openLog(settings);
  const { remotePidFile, compress, allowCache: allowsCache, trustedProxies } = settings;
  const { logExceptions } = settings;
  const pidFile =
    remotePidFile === undefined ? undefined : writePidFile(remotePidFile, 'tardisremote');
  try {
    const certificate = await LiveCertificate.open(settings, log); // may be readable by root only
    atHangup(() => certificate?.look());
    becomeUser(settings);
    const system = nodeSystem();
    // The cache belongs to the user of the server.
    if (settings.readServer === undefined) settings = await inBucket('tardisremote', settings);
    const note = (line: string): void => log.error(line);
    following = await followBucket(settings, note);
    await following?.requireBucket();
    const { source, shown } = sourceOf(settings, system, following);
    const place = { host, port: settings.remotePort, certificate };
    const how = { compress, allowsCache, trustedProxies, logExceptions };
    const options = { source, ...how, log, place };
    const remote = await startRemote(system, options);
    log.info({ address: `${hostInUrl(host)}:${remote.port}` }, 'listening');
    const ended = new Promise<void>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve());
    });
    if (!isInBackground()) printReady(settings, host, remote.port, shown);
    reportToStarter();
    await ended;
    await remote.close();
  } finally {
    await following?.close();
    await closeSharedStores();
    pidFile?.remove();
  }
}

/**
 * Returns the source to serve, and the fields that name it in the JSON output. Throws NO_SUCH_STORE, CONFIG_INVALID.
 */
function sourceOf(
  { readServer, serverCertificate, database, catalogFile }: RemoteSettings,
  system: System,
  following: Following | undefined,
): { source: RemoteOptions['source']; shown: Readonly<Record<string, string>> } {
  if (readServer !== undefined) {
    const server = serverSource(readServer, serverCertificate);
    return { source: { server }, shown: { server: readServer } };
  }
  const store = byteText(absolutePath(database));
  requireStore(system.files, store);
  return { source: { store, catalogFile, following }, shown: { store: shownStore(store) } };
}

function printReady(
  { json, ssl }: RemoteSettings,
  host: string,
  port: number,
  source: Readonly<Record<string, string>>,
): void {
  const isAny = host === '::';
  const shown = isAny ? 'localhost' : hostInUrl(host);
  const url = `${ssl === true ? 'https' : 'http'}://${shown}:${port}/`;
  if (json) printJson({ ready: url, ...source });
  else print(`Ready: ${url} is the page, ${url}api/v1/docs describes the interface.`);
}

export default runTool(command);
