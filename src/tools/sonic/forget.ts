/**
 * Implements `sonic forget-path`: deletes paths from all existing sets, with the contents that only these paths use. A
 * request may have a waiting time, in which it can be withdrawn. After that time the client is rewritten without the
 * paths.
 */
import type { Settings } from '../../config/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { asTardisError, TardisError, usageError } from '../../errors/index.js';
import {
  dueForgets,
  forgetRequestsOf,
  previewForget,
  requireRequests,
} from '../../store/writer/index.js';
import {
  displayLine,
  displayName,
  type ForgetReport,
  type ForgetRequest,
  jsonName,
} from '../../model/index.js';
import { finishSwitched, forgetHere } from '../../maintenance/rewrite/index.js';
import { spanOf } from '../../retention/index.js';
import { type ClientDirectory, newestKeys, openClientDirectory } from '../../store/index.js';
import { absolutePath, type System } from '../../system/index.js';
import type { Admin } from '../../maintenance/admin/index.js';
import { openAdmin } from '../opening/admin.js';
import { requireYes } from './confirm.js';
import { withRewriteProgress } from '../output/step-progress.js';
import { interruptSignal } from '../shared/signals.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { abortRewrite, rewriteWithout } from './rekey.js';
import { counted, formatBytes, formatTable, formatTime } from '../output/units.js';
import { unlockClient } from '../opening/keys.js';
import { clientPlace, storeSystem, storeLimits } from '../opening/local-store.js';

type Options = Settings<'sonic forget-path'>;
const GOES_ON = 'the same command continues it';

export async function forgetPath(options: Options): Promise<number> {
  requireOneRequest(options);
  if (options.abort) return abortRewrite(options);
  const system = storeSystem(options.umask);
  if (options.finishForgets) return finish(options, system);
  using there = await openAdmin(system, options);
  await there.sets(); // refuses a store that was rolled back
  if (options.undoForgets.length > 0) await undo(options, there);
  else if (options.pathsToForget.length === 0) await list(options, there);
  else await request(options, there, system.clock.nowMs());
  return 0;
}

/** Throws USAGE unless exactly one action is selected, with options that fit it. */
function requireOneRequest(options: Options): void {
  const { pathsToForget, listForgets, undoForgets, finishForgets, forgetNow, abort } = options;
  const requests = [
    pathsToForget.length > 0,
    listForgets,
    undoForgets.length > 0,
    finishForgets,
    abort,
  ].filter(Boolean).length;
  if (requests !== 1) {
    throw usageError('give the paths to forget, or one of --list, --undo, --finish and --abort');
  }
  if (
    (options.previewForget && undoForgets.length > 0) ||
    ((options.previewForget || options.rehearse) && (listForgets || abort))
  ) {
    throw usageError('--preview can be used with paths or --finish, --dry-run also with --undo');
  }
  if (forgetNow && !finishForgets) throw usageError('--now needs --finish');
  if (finishForgets && options.throughServer !== undefined) {
    throw new TardisError(
      'CAPABILITY_MISSING',
      'a server itself carries out requests that are due; if the client encrypts, run this on the machine of the server, without --server',
    );
  }
}

// --- requesting ----------------------------------------------------------------------------------

async function request(options: Options, there: Admin, nowMs: number): Promise<void> {
  const { client, json } = options;
  const undoMs = spanOf(options.undoPeriod, '--undo-period');
  const paths = options.pathsToForget.map(absolutePath);
  const what = paths.map(displayName).join(', ');
  const report = await there.previewForget(paths);
  if (report.rootsBelow > 0) {
    throw usageError(
      `${what} is a root or contains one; give paths below the root, or delete the sets that have it`,
    );
  }
  if (report.versions === 0) {
    throw new TardisError('NO_SUCH_PATH', `no set of "${client}" has ${what} below a root`);
  }
  if (options.previewForget || options.rehearse) {
    if (json) printJson({ client, isPreview: true, ...report });
    else described(report, 'would').forEach(print);
    return;
  }
  const before = (await there.forgets()).filter((one) =>
    paths.some((path) => path.equals(one.path)),
  );
  if (!options.deleteYes) requireForgetting(client, paths, report, nowMs + undoMs);
  const requests = await there.requestForgets(paths, undoMs);
  if (json) return printJson({ client, requests: requests.map(reported), ...report });
  described(report, 'will').forEach(print);
  for (const { id, path, dueAtMs } of before) {
    print(
      `${id}: ${displayName(path)} was already requested: it will be deleted at ${formatTime(dueAtMs)}.`,
    );
  }
  for (const { id, path, dueAtMs } of requests) {
    const undoing = `\`sonic forget-path --undo ${id}\` undoes this until then`;
    print(`${id}: ${displayName(path)} will be deleted at ${formatTime(dueAtMs)}; ${undoing}.`);
  }
}

/** Prompts for confirmation of a request. Throws CONFIRMATION_NEEDED. */
function requireForgetting(
  client: string,
  paths: readonly Buffer[],
  report: ForgetReport,
  dueAtMs: number,
): void {
  const list = paths.map((path) => `  ${displayName(path)}`).join('\n');
  const what = `This will be deleted permanently from all sets of "${client}" at ${formatTime(dueAtMs)}:`;
  requireYes(
    `${what}\n${list}\n${described(report, 'will').join('\n')}\nForget it?`,
    `${counted(paths.length, 'path')} would be forgotten`,
  );
}

function described(report: ForgetReport, will: 'will' | 'would'): string[] {
  const { versions, fileBytes, sets, lockedSets, contents, contentBytes } = report;
  const { heldElsewhere, isInNewest } = report;
  return [
    `${counted(versions, 'version')} in ${counted(sets, 'set')} ${will} be deleted: ${formatBytes(fileBytes)} of files; ${counted(contents, 'content')} of ${formatBytes(contentBytes)} not used elsewhere.`,
    ...(heldElsewhere === 0
      ? []
      : [`${counted(heldElsewhere, 'content')} ${will} be kept, since other paths use them.`]),
    ...(lockedSets === 0
      ? []
      : [`${counted(lockedSets, 'set')} of them locked: a lock does not keep paths.`]),
    ...(isInNewest
      ? [
          'The newest set has it: unless it is removed or excluded at the source, the next backup saves it again.',
        ]
      : []),
  ];
}

// --- pending requests ----------------------------------------------------------------------------

async function list({ client, json }: Options, there: Admin): Promise<void> {
  const requests = await there.forgets();
  if (json) return printJson({ client, requests: requests.map(reported) });
  if (requests.length === 0) return print(`No paths of "${client}" are to be forgotten.`);
  const rows = requests.map(({ id, path, lastSet, requestedAtMs, dueAtMs }) => [
    String(id),
    formatTime(requestedAtMs),
    formatTime(dueAtMs),
    String(lastSet),
    displayName(path),
  ]);
  print(formatTable([['number', 'requested', 'due', 'up to set', 'path'], ...rows], [0, 3]));
}

function reported({ path, ...rest }: ForgetRequest): object {
  return { ...rest, ...jsonName(path) };
}

async function undo(options: Options, there: Admin): Promise<void> {
  const { client, json, undoForgets, rehearse } = options;
  const ids = undoForgets.map((text) => {
    if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
    throw usageError(`"${displayLine(text)}" is not the number of a request`);
  });
  if (rehearse) requireRequests(client, await there.forgets(), ids);
  else await there.withdrawForget(ids);
  const reported = rehearse ? { wouldUndo: ids } : { undone: ids };
  if (json) printJson({ client, ...reported });
  else if (rehearse) print(`would undo: ${ids.join(', ')}`);
  else print(`Undone: ${ids.join(', ')}. Nothing of "${client}" was changed.`);
}

// --- executing -----------------------------------------------------------------------------------

function dueOf({ forgetNow }: Options, system: System, directory: ClientDirectory) {
  const all = forgetRequestsOf(system, directory);
  return forgetNow ? all : dueForgets(all, system.clock.nowMs());
}

async function finish(options: Options, system: System): Promise<number> {
  const { client, json } = options;
  const directory = openClientDirectory(system, clientPlace(options));
  const due = dueOf(options, system, directory);
  if (due.length === 0) {
    const isTrial = options.previewForget || options.rehearse;
    // No request is left if an earlier run has carried them out, but that run may not have removed all old data.
    const isRest = !isTrial && (await finishSwitched(system, directory));
    if (json) printJson({ client, forgotten: 0 });
    else if (isRest) print(`The rest of the old data of "${client}" was removed.`);
    else print(`No requests for "${client}" are due.`);
    return 0;
  }
  if (options.previewForget || options.rehearse) {
    const report = previewForget(
      system,
      directory,
      due.map(({ path }) => path),
    );
    if (json) printJson({ client, isPreview: true, requests: due.length, ...report });
    else described(report, 'would').forEach(print);
    return 0;
  }
  try {
    return await carryOut(options, system, directory, due);
  } catch (error) {
    if (asTardisError(error).code !== 'CLIENT_BUSY') throw error;
    const still = dueOf(options, system, openClientDirectory(system, clientPlace(options)));
    // Another command has carried some of them out, or withdrawn them, while this one waited for its turn.
    if (still.length < due.length) return await finish(options, system);
    throw error;
  }
}

async function carryOut(
  options: Options,
  system: System,
  directory: ClientDirectory,
  due: readonly ForgetRequest[],
): Promise<number> {
  const { client, json } = options;
  const keys = newestKeys(system, directory.path);
  if (keys !== undefined && parseKeyRecord(keys.bytes).isEncrypting) {
    return rewriteWithout({ ...options, yes: options.deleteYes }, due);
  }
  if (!options.deleteYes) requireFinish(client, due);
  await unlockClient(system, options); // a client that does not encrypt may still have a password
  const result = await withRewriteProgress(system, options.progress, (onProgress) =>
    forgetHere(system, directory, due, {
      limits: storeLimits(options),
      skipFile: options.storeSkipFile,
      verify: options.verify,
      acceptDamage: options.acceptDamage,
      signal: interruptSignal('sonic forget-path', GOES_ON),
      onProgress,
    }),
  );
  if (json) {
    printJson({ client, forgotten: due.length, ...result });
  } else print(`${counted(due.length, 'request')} carried out: "${client}" was rewritten.`);
  return result.lostVersions === 0 ? 0 : PARTLY;
}

/** Prompts for confirmation before paths are deleted. Throws CONFIRMATION_NEEDED. */
function requireFinish(client: string, due: readonly ForgetRequest[]): void {
  const list = due.map(({ id, path }) => `  ${id}: ${displayName(path)}`).join('\n');
  requireYes(
    `This will be deleted from "${client}" now, permanently, and cannot be undone:\n${list}\nContinue?`,
    'this cannot be undone',
  );
}
