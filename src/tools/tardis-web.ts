/** Implements `tardis-web`: shows a client's history in the browser of the user who starts it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { RecordDecoder } from '../contents/index.js';
import { asTardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { environmentOfOthers, makeTemporary, nodeSystem } from '../system/index.js';
import {
  type ArchiveResult,
  archiveRoute,
  type BegunArchive,
  selectionRoute,
  Selections,
} from '../web/archive/index.js';
import { registerDav } from '../web/dav/index.js';
import { Job, Jobs, type LocalPlace, type LocalServer, serveLocally } from '../web/local/index.js';
import { openRestoreJobs } from '../workers/index.js';
import { followBucket } from './opening/follow-bucket.js';
import { PARTLY } from './output/exit-status.js';
import { print, printJson } from './output/output.js';
import { clientPlace } from './opening/local-store.js';
import { openHistory, usesServer } from './opening/history.js';
import { interruptSignal } from './shared/signals.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { complain } from './output/command-names.js';
import { givenNewPassword } from './opening/password.js';
import { readPage } from './shared/own-files.js';
import type { WebSettings } from './tardis-web/client-settings.js';
import { PageMemory } from './tardis-web/page-memory.js';
import { fingerprintOf, ownPlaces, placeOf } from './tardis-web/page-place.js';
import { Places } from './tardis-web/places.js';

const MS = 1000;

const OPENER = 'xdg-open';
const OWNER_ONLY = 0o600;

/** Sets the password of the page or makes a code, if that is requested; otherwise serves the page. */
async function start(settings: WebSettings): Promise<number> {
  const place = usesServer(settings) ? `server ${settings.server}` : clientPlace(settings).store;
  const memory = new PageMemory(nodeSystem(), place, settings.client);
  const password = await givenNewPassword(settings, {
    prompt: 'Password of the page',
    isNew: true,
  });
  if (password !== undefined) {
    await memory.setPassword(password);
    print('The password of the page is set; a page that is open takes it at once.');
    return 0;
  }
  if (!settings.makesSignInCode) return serve(settings, memory);
  const { address } = memory.place();
  const where = address === '' ? 'the page, which was never started' : address;
  print(`Type this code at ${where}\n\n    ${await memory.makeCode()}\n`);
  print('It signs one browser in, within ten minutes.');
  return 0;
}

async function serve(settings: WebSettings, memory: PageMemory): Promise<number> {
  const warn = (line: string): void => {
    complain('tardis-web', line);
  };
  const system = nodeSystem();
  const following = await followBucket(settings, warn);
  await following?.refresh(settings.client);
  using history = await openHistory(system, settings, { warn });
  const places = new Places({ system, settings, following, warn });
  const looking = setInterval(() => void places.refresh(), settings.refreshSeconds * MS);
  try {
    if (settings.allowUnproven) history.acceptUnproven?.();
    await history.sets(); // fails here if the store cannot be read
    const { workers } = settings;
    const place = await placeOf(settings, memory, warn);
    const selections = new Selections();
    const jobs = new Jobs();
    const server = await serveLocally({
      system,
      ...places.find(settings.client),
      history,
      others: places,
      decoder: new RecordDecoder(system),
      jobs,
      openJobs: () => openRestoreJobs(system, workers),
      workers,
      guarded: place.network && (() => ownPlaces(settings)),
      place,
      isSecret: (secret, address) => memory.isSecret(secret, address),
      idleMs: settings.idleEnd * MS,
      readPage,
      clients: (opened) => places.list(opened),
      lateAfterMs: settings.overdueSeconds * MS,
      added: [
        archiveRoute({
          onError: ({ message }) => warn(displayText(message)),
          onBegin: (archive) => noteArchive(jobs, archive),
          selections,
        }),
        selectionRoute(selections),
      ],
      extend: registerDav,
      warn,
    });
    // The handler of signals is installed before the address is printed, since a signal may come as soon as somebody
    // can read it.
    const signal = interruptSignal('tardis-web', 'the page no longer works');
    remember(memory, place, server, warn);
    const closeOpened = await shown({ ...server, place }, settings, warn);
    try {
      await Promise.race([server.ended, aborted(signal)]);
    } finally {
      closeOpened();
      await server.close();
    }
    places.closed(history);
    return places.isDoubtful ? PARTLY : 0;
  } finally {
    clearInterval(looking);
    await places.close();
  }
}

/**
 * Prints the address and, if requested, opens it in the browser. Returns a function that removes the files made for
 * that.
 */
async function shown(
  { url, address, port, programKey, place }: LocalServer & { readonly place: LocalPlace },
  { json, openBrowser: isOpened }: WebSettings,
  warn: (line: string) => void,
): Promise<() => void> {
  const fingerprint = fingerprintOf(place);
  if (json) {
    printJson({ url, address, port, programKey, fingerprint });
  } else {
    print(`Open this address; it works once:\n\n    ${url}\n`);
    print(`A bookmark is ${address}`);
    if (fingerprint !== undefined) {
      print(`Its certificate has the SHA-256 fingerprint\n${fingerprint}`);
    }
    print('Ctrl-C ends it.');
  }
  return isOpened ? openBrowser(url, warn) : () => undefined;
}

/** Remembers the place of the page for its next start, unless it has another port this time. */
function remember(
  memory: PageMemory,
  { label, port: wanted }: LocalPlace,
  { port, address }: LocalServer,
  warn: (line: string) => void,
): void {
  const kept = memory.place();
  if (kept.port !== 0 && wanted === 0) return;
  try {
    memory.keepPlace({ label, port, address });
  } catch (error) {
    const { code, message } = asTardisError(error);
    warn(displayText(`the address of the page will not last: ${message} [${code}]`));
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** Lists an archive as a job while it is sent. One that was sent whole, or whose reader wanted no more, is forgotten. */
function noteArchive(
  jobs: Jobs,
  { client, history, set, paths, progress, stop }: BegunArchive,
): (result: ArchiveResult) => void {
  const job = jobs.add(new Job({ client, kind: 'archive', set, paths }, progress, history));
  job.signal.addEventListener('abort', stop, { once: true });
  return ({ failures, error }) => {
    job.end({ failures, error });
    if (error === undefined && failures.length === 0) jobs.forget(job.id);
  };
}

const command = toolCommand({ tool: 'tardis-web', isWork: true, run: start });
export default runTool(command);

/**
 * Opens an address that other users must not see. Every user can see the arguments of a command. So the browser gets a
 * file that only its user can read, and that redirects to the address. Returns a function that removes the file.
 */
function openBrowser(url: string, warn: (line: string) => void): () => void {
  const folder = makeTemporary('web');
  const file = path.join(folder, 'open.html');
  const page = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=${url}"><title>Tardis</title>\n`;
  writeFileSync(file, page, { mode: OWNER_ONLY });
  const how = { stdio: 'ignore', detached: true, env: environmentOfOthers() } as const;
  const child = spawn(OPENER, [pathToFileURL(file).href], how);
  child.on('error', () => warn(`${OPENER} is not there; open the address yourself`));
  child.on('exit', (status) => {
    if (status !== 0 && status !== null) warn(`${OPENER} failed; open the address yourself`);
  });
  child.unref();
  return () => rmSync(folder, { recursive: true, force: true });
}
