/** Mounts a directory, and serves the mount until it is unmounted or a signal comes. */
import fs from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { RecordDecoder, SpareMemory } from '../../contents/index.js';
import type { Settings } from '../../config/index.js';
import { asTardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { displayText } from '../../model/index.js';
import {
  AttributeUse,
  RequestHandler,
  FuseConnection,
  LastingHistory,
  mountAt,
  type Mounted,
} from '../../mount/index.js';
import { shownStore } from '../../store/index.js';
import type { Following } from '../../store/writer/index.js';
import {
  absolutePath,
  byteText,
  type DiskSpace,
  looseDelay,
  nodeSystem,
  type System,
} from '../../system/index.js';
import { followBucket } from '../opening/follow-bucket.js';
import { openHistory, usesServer } from '../opening/history.js';
import { endingSignals } from '../shared/signals.js';
import { logTo } from './mount-log.js';

/** Maximum number of records that are decoded at once, since libuv's pool has four threads. */
const MOST_AT_ONCE = 4;
/**
 * V8 flag that lets the heap grow by only a fifth between garbage collections. A listing leaves unused entries, which
 * would otherwise fill four times as much memory before they are freed. The flag is set after all modules are loaded,
 * since V8 would reject their compiled code with it.
 */
const HEAP_FLAG = '--heap-growing-percent=20';
/** Interval of the search for new and deleted sets. REMOTE_REFRESH_MS is that for a server. */
const LOCAL_REFRESH_MS = 5000;
const REMOTE_REFRESH_MS = 30_000;
const MS = 1000;
/** Maximum wait for the end of a mount that is unmounted while it is in use. */
const MAX_END_MS = 1000;

type MountSettings = Settings<'tardisfs'>;

interface ServeOptions {
  readonly mountPoint: Buffer;
  /** Called once the directory is mounted. */
  readonly onReady: () => void;
}

/** Resolves when the directory is unmounted. Throws the errors of opening the history and of mounting. */
export async function serveMount(
  settings: MountSettings,
  { mountPoint, onReady }: ServeOptions,
): Promise<void> {
  const log = logTo(settings);
  const system = nodeSystem();
  const following = await followBucket(settings, log);
  await following?.refresh(settings.client);
  const lasting = await openLasting(system, settings, log);
  const { history } = lasting;
  let isOver = true;
  try {
    const sets = await history.sets(); // fails before the mount if the store cannot be read
    const point = absolutePath(mountPoint);
    // For other users the kernel must check permissions. For a user who may not read everything, it does so as early as
    // it can.
    const checksPermissions =
      settings.defaultPermissions || settings.allowOther || !history.access.isUnrestricted;
    // Root may read everything, so of these checks only ACLs matter.
    const isRoot = process.geteuid?.() === 0;
    const attributeUse = new AttributeUse(history);
    if (!checksPermissions) await attributeUse.look(sets);
    const checksAcls = checksPermissions || (isRoot && attributeUse.mayHaveAcls);
    attributeUse.mayRefuse = !checksAcls;
    const mounted = await mountAt(system, {
      path: point,
      source: usesServer(settings)
        ? settings.server
        : displayText(shownStore(byteText(settings.database))),
      allowsOthers: settings.allowOther,
      checksPermissions,
      isNoExec: settings.noExec,
      store: history.directory && path.dirname(history.directory.path),
    });
    onReady(); // requests wait until they are answered
    isOver = await serve({
      system,
      settings,
      following,
      lasting,
      mounted,
      log,
      checksAcls,
      attributeUse,
    });
  } finally {
    await following?.close();
    lasting.close();
  }
  if (!isOver) process.exit(0); // waiting for the kernel would keep the process alive
}

interface Serving {
  readonly system: System;
  readonly settings: MountSettings;
  /** Access to the bucket, if the store is in one; otherwise undefined. */
  readonly following: Following | undefined;
  readonly lasting: LastingHistory;
  readonly mounted: Mounted;
  readonly log: (line: string) => void;
  readonly checksAcls: boolean;
  readonly attributeUse: AttributeUse;
}

/**
 * Serves the mount until its end. Returns false if the kernel has not ended the mount, since a process still uses it.
 */
async function serve(serving: Serving): Promise<boolean> {
  const { system, settings, lasting, mounted, log, checksAcls, attributeUse } = serving;
  const { history } = lasting;
  setFlagsFromString(HEAP_FLAG);
  const kernel = new FuseConnection(system.native, mounted.fd, (errno) =>
    log(`a reply could not be sent (errno ${errno})`),
  );
  const decodedAtOnce = Math.max(1, Math.min(settings.workers, MOST_AT_ONCE));
  const files = new RequestHandler({
    system,
    history,
    decoder: new RecordDecoder(system, decodedAtOnce, new SpareMemory()),
    kernel,
    current: settings.recentSet,
    versionsFor: settings.allowOther ? process.geteuid?.() : undefined,
    log,
    checksAcls,
    attributeUse,
    space: () => spaceOf(system, lasting),
    onFailure: () => lasting.lookAfterFailure(),
    look: () => lasting.look(),
  });
  lasting.onReplaced = () => files.restart();
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    kernel.listen(
      attributeUse.answers,
      (memory, offset, bytes) => files.batch(memory, offset, bytes),
      () => {
        isOver = true;
        resolve();
      },
    );
  });
  const refreshing = setInterval(() => {
    refresh(serving, files).catch((error: unknown) => {
      log(`the sets cannot be read: ${asTardisError(error).message}`);
    });
  }, refreshMs(serving));
  try {
    if (!settings.foreground) process.stderr.destroy();
    await Promise.race([ended, interrupted(mounted, ended, log)]);
    return isOver;
  } finally {
    clearInterval(refreshing);
    files.close();
    if (isOver) fs.closeSync(mounted.fd); // otherwise the kernel is read until the process ends
  }
}

/** Unmounts at the first signal, and waits until the mount ends. */
function interrupted(
  mounted: Mounted,
  ended: Promise<void>,
  log: (line: string) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      mounted
        .unmount()
        .then(() => Promise.race([ended, looseDelay(MAX_END_MS)]))
        .catch((error: unknown) => log(`unmounting failed: ${String(error)}`))
        .finally(resolve);
    };
    for (const name of endingSignals('SIGINT', 'SIGTERM')) process.on(name, stop);
  });
}

function refreshMs({ settings, following, lasting }: Serving): number {
  if (following !== undefined) return settings.refreshSeconds * MS;
  return lasting.history.isRemote ? REMOTE_REFRESH_MS : LOCAL_REFRESH_MS;
}

async function refresh(
  { settings, following, lasting }: Serving,
  files: RequestHandler,
): Promise<void> {
  await following?.attempt(settings.client);
  if (await lasting.look()) await files.refresh();
}

/** Returns the size of the file system that has the store; for a server, the size that it sent last. */
function spaceOf(system: System, { history, space }: LastingHistory): DiskSpace {
  const { directory } = history;
  return directory === undefined ? space : system.files.space(directory.path);
}

/** Opens the history of a mount, which can be opened again later. Throws the errors of `openHistory`. */
async function openLasting(
  system: System,
  settings: MountSettings,
  warn: (line: string) => void,
): Promise<LastingHistory> {
  const open = async (triesFirst: boolean): Promise<History> => {
    const opening = { warn, keepsCatalog: true, triesFirst };
    const history = await openHistory(system, settings, opening);
    if (settings.allowUnproven) history.acceptUnproven?.();
    return history;
  };
  const history = await open(true);
  try {
    return await LastingHistory.of(history, { reopen: () => open(false), warn });
  } catch (error) {
    history.close();
    throw error;
  }
}
