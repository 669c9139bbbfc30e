/** Rendering of a finished backup. */
import type { BackupResult } from '../client/index.js';
import { displayName } from '../model/index.js';
import { print } from './run-tool.js';
import { counted, formatBytes, formatCount, formatSeconds, formatTable } from './units.js';

/** The lines that tell how it went. */
export function backupLines(result: BackupResult): string[] {
  const { progress } = result;
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const { entries, directories, scannedBytes, filesRead, readBytes, contentsSent } = progress;
  print(`Backup set ${result.set} (${displayName(Buffer.from(result.setName))}) is complete.`);
  print(
    `${counted(entries, 'entry', 'entries')} in ` +
      `${counted(directories, 'directory', 'directories')}, ` +
      `${formatBytes(scannedBytes)}; read ${counted(filesRead, 'file')}, ${formatBytes(readBytes)}; ` +
      `sent ${counted(contentsSent, 'content')}, ${formatBytes(progress.sentBytes)}; ` +
      `stored ${formatBytes(result.storedBytes)} in ${formatSeconds(result.elapsedMs)}.`,
  );
  const { vanished, changed, unreadable, incomplete, held, leftOut } = progress;
  if (leftOut > 0) print(`${formatCount(leftOut)} left out by exclude rules (-vv names them).`);
  if (held > 0) {
    print(
      held === 1
        ? '1 directory named was left as it was; if it is meant to be as it is now, say --trust-roots.'
        : `${formatCount(held)} directories named were left as they were; if they are meant to be as ` +
            'they are now, say --trust-roots.',
    );
  }
  if (vanished > 0) print(`${formatCount(vanished)} vanished while being saved.`);
  if (changed > 0) {
    print(`${formatCount(changed)} changed while being read, to be read again next time.`);
  }
  if (incomplete > 0) {
    print(`${counted(incomplete, 'was', 'were')} saved without some of their attributes.`);
  }
  if (unreadable > 0) {
    print(`${formatCount(unreadable)} could not be read; older versions, if any, are kept.`);
  }
  return lines;
}

/** Where the time went, and which stage holds the others up. */
export function printStages(result: BackupResult): void {
  const rows = [['stage', 'at once', 'items', 'bytes', 'busy', 'waiting', 'load']];
  let busiest: { name: string; load: number } | undefined;
  for (const stage of result.stages) {
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
