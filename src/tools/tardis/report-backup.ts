/** Prints the report of a finished backup. */
import type { BackupResult } from '../../client/index.js';
import type { BackupProgress } from '../../pipeline/index.js';
import { isBucket, type Settings, usualClientFile } from '../../config/index.js';
import { displayLine, displayName } from '../../model/index.js';
import { byteText } from '../../system/index.js';
import { settledLines } from '../shared/report-purge.js';
import { print } from '../output/output.js';
import { shellWord } from '../output/shell-word.js';
import { counted, formatBytes, formatCount, formatSeconds, formatTable } from '../output/units.js';

/**
 * The bytes sent may exceed the bytes read by this factor and by HEADS_BYTES, because of the headers of records. Beyond
 * that, the report explains that changed files were sent again.
 */
const HEADS_SHARE = 1.02;
const HEADS_BYTES = 1 << 20;

/** Returns the lines of the report. */
export function backupLines(result: BackupResult, client: string, isPurge: boolean): string[] {
  const { progress } = result;
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const { entries, directories, scannedBytes, filesRead, readBytes, contentsSent } = progress;
  print(`Backup set ${result.set} (${displayLine(result.setName)}) is complete.`);
  print(
    `${counted(entries, 'entry', 'entries')} in ` +
      `${counted(directories, 'directory', 'directories')}, ` +
      `${formatBytes(scannedBytes)}; read ${counted(filesRead, 'file')}, ${formatBytes(readBytes)}; ` +
      `sent ${counted(contentsSent, 'content')}, ${formatBytes(progress.sentBytes)}; ` +
      `stored ${formatBytes(result.storedBytes)} in ${formatSeconds(result.elapsedMs)}.`,
  );
  if (progress.sentBytes > readBytes * HEADS_SHARE + HEADS_BYTES) {
    print(
      'More was sent than read: data is sent again if a connection is lost for good, a file changes or a delta does not pay.',
    );
  }
  const { holeBytes, missingBytes } = progress;
  if (holeBytes !== 0 || missingBytes !== 0) {
    const ofHoles = holeBytes === 0 ? '' : `, ${formatBytes(holeBytes)} of them in holes`;
    const sum = formatBytes(readBytes + holeBytes + missingBytes);
    print(`The files that were read have a total size of ${sum}${ofHoles}.`);
  }
  const {
    vanished,
    changed,
    unreadable,
    incomplete,
    inconsistent,
    protected: kept,
    leftOut,
    notEntered,
  } = progress;
  if (leftOut > 0) print(`${formatCount(leftOut)} left out by exclude rules (-vv lists them).`);
  if (notEntered.count > 0) print(notEnteredText(notEntered));
  if (kept > 0) {
    print(
      kept === 1
        ? '1 directory was left as it was in the last set; if its present state is right, give --trust-roots.'
        : `${formatCount(kept)} directories were left as they were in the last set; if their present ` +
            'state is right, give --trust-roots.',
    );
  }
  if (vanished > 0) print(`${formatCount(vanished)} vanished while being saved.`);
  if (changed > 0) {
    print(`${formatCount(changed)} changed while being read, and are read again next time.`);
  }
  if (inconsistent > 0) {
    print(
      `${formatCount(inconsistent)} returned other data than expected from their size or another reading. ` +
        'The data is saved, and they are read again next time.',
    );
  }
  if (incomplete > 0) {
    print(`${counted(incomplete, 'was', 'were')} saved without some of their attributes.`);
  }
  if (unreadable > 0) {
    print(`${formatCount(unreadable)} could not be read; older versions, if any, are kept.`);
  }
  if (result.settled !== undefined) lines.push(...settledLines(client, result.settled, isPurge));
  return lines;
}

/**
 * Returns the lines after the first backup of a new client: whether it is encrypted, how to look, and how to restore.
 * `tardis setup`, whose configuration the run then has, prints the last two itself, and writes the sheet of keys.
 */
export function nextLines(settings: Settings<'tardis'>, isEncrypted: boolean): string[] {
  const { client, local, server, configFiles, sources } = settings;
  const isOfSetup = configFiles.map(byteText).includes(usualClientFile());
  const store = local ? `-D ${storeWords(settings)}` : `--server ${shellWord(server)}`;
  const place = `${store} -C ${shellWord(client)}`;
  const holder = isBucket(sources.get('database')) ? 'reads the bucket' : 'has the disk';
  const encrypt = local
    ? `whoever ${holder} can read it; \`sonic encrypt ${place}\` encrypts it`
    : 'the server can read it; a client that is created with --password or a password file is encrypted';
  return [
    isEncrypted
      ? `It is encrypted: without the password nobody can read it.${isOfSetup ? '' : ` \`sonic keys ${place} --pdf FILE\` prints its keys.`}`
      : `It is not encrypted: ${encrypt}.`,
    ...(isOfSetup
      ? []
      : [`look:    tardis list ${place}`, `restore: tardis restore ${place} -o DIRECTORY PATH`]),
  ];
}

/** Returns the words that name the store to another command. The path of a bucket's store is that of its cache. */
function storeWords({ database, sources, endpoint }: Settings<'tardis'>): string {
  const given = sources.get('database');
  if (!isBucket(given)) return shellWord(byteText(database));
  const isTyped = endpoint !== undefined && sources.get('endpoint')?.source === 'command line';
  return `${shellWord(String(given!.value))}${isTyped ? ` --endpoint ${shellWord(endpoint)}` : ''}`;
}

/** Returns a line about the directories that were not entered, and how to enter them. */
export function notEnteredText({ count, first }: BackupProgress['notEntered']): string {
  const more = count - first.length;
  const names = [...first.map(displayName), ...(more > 0 ? [`${formatCount(more)} more`] : [])];
  return (
    `${counted(count, 'mount or subvolume was', 'mounts or subvolumes were')} not entered: ` +
    `${names.join(', ')}; name a directory to save it too, or enter all with --crossdevice.`
  );
}

/** Prints the time spent in each stage, and names the stage that limits the others. */
export function printStages(result: BackupResult): void {
  const rows = [['stage', 'at once', 'items', 'bytes', 'busy', 'waiting', 'load']];
  let busiest: { name: string; load: number } | undefined;
  const hasLarge = result.stages.some(({ name, items }) => name === 'large' && items > 0);
  for (const stage of result.stages) {
    if (stage.name.startsWith('large') && !hasLarge) continue;
    const load = stage.busyMs / result.elapsedMs;
    if (busiest === undefined || load > busiest.load) busiest = { name: stage.name, load };
    rows.push([
      stage.name,
      String(stage.concurrency),
      formatCount(stage.items),
      formatBytes(stage.bytes),
      formatSeconds(stage.busyMs),
      formatSeconds(stage.waitingMs),
      load.toFixed(2),
    ]);
  }
  print('');
  print(formatTable(rows, [1, 2, 3, 4, 5, 6]));
  const peak = formatBytes(result.peakInFlightBytes);
  print(`wire ${formatBytes(result.wireBytes)}, at most ${peak} of contents in flight`);
  const send = result.stages.find((stage) => stage.name === 'send');
  const waitsForServer = send !== undefined && send.waitingMs > result.elapsedMs * send.items * 0.5;
  print(
    waitsForServer
      ? 'tune: the server or the link is the slowest part (send waits).'
      : `tune: "${busiest?.name ?? 'walk'}" is the busiest stage ` +
          `(load ${busiest?.load.toFixed(2) ?? '0'} of a thread).`,
  );
}
