/** `sonic rebuild`: a catalog made anew from the packs, whatever is left of them, and what is lost, by name. */
import type { Found, Settings } from '../config/index.js';
import {
  LOST_AND_FOUND,
  placeOrphans,
  rebuildCatalog,
  type RebuildReport,
} from '../keeper/index.js';
import { throwIfAborted } from '../errors/index.js';
import { displayName, displayText } from '../model/index.js';
import { type ClientDirectory, repairClientDirectory } from '../store/index.js';
import { type System, textBytes } from '../system/index.js';
import { checkClient, type Finding } from '../verify/index.js';
import { ProgressLine } from './progress-line.js';
import { interruptSignal, JSON_VERSION, print } from './run-tool.js';
import { jsonOf, textOf } from './report-check.js';
import { hasPassword } from './sonic-check.js';
import { TimeLeft } from './time-left.js';
import { counted, formatCount } from './units.js';
import { keysOf, unlockClient } from './unlock.js';
import { clientPlace, storeSystem, storeLimits } from './local-store.js';

type Options = Settings<'sonic rebuild'>;

export async function rebuild(
  options: Options,
  found: ReadonlyMap<string, Found>,
): Promise<number> {
  const { client, fromBackup } = options;
  const system = storeSystem(options.umask);
  const directory = await repairClientDirectory(system, clientPlace(options));
  let shown = 'looking for packs';
  const line = new ProgressLine(options.progress, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  const signal = interruptSignal(
    'sonic rebuild',
    'the catalog that was there stays until a new one is whole',
  );
  line.start();
  try {
    const report = await rebuildCatalog(system, directory, {
      fromCopy: fromBackup,
      signal,
      onProgress: (pack, lastPack) => {
        shown = `reading pack ${pack} of ${lastPack}${timeLeft.text(pack - 1, lastPack)}`;
      },
    });
    throwIfAborted(signal);
    shown = 'looking for what is lost';
    line.refresh();
    const isEncrypted = keysOf(system, clientPlace(options))?.isEncrypting === true;
    // Of a client that encrypts no reader would believe a place that the client has not sealed.
    const placed =
      report.isMetadataLost && !isEncrypted
        ? await placeOrphans(system, directory, storeLimits())
        : 0;
    const { damagedRecords, lostCommits } = report;
    const isWhole = damagedRecords + lostCommits === 0;
    const lost = isWhole
      ? []
      : await lostVersions(system, directory, options, found, { isEncrypted, signal });
    line.stop();
    if (options.json) {
      const { commits, keptCatalog, fromCopy } = report;
      const told = { client, commits, damagedRecords, lostCommits, keptCatalog, fromCopy, placed };
      print(JSON.stringify({ version: JSON_VERSION, ...told, lost: lost.map(jsonOf) }));
    } else {
      tell(client, report, lost, fromBackup);
      if (placed > 0) {
        const what = counted(placed, 'directory', 'directories');
        print(`${what} whose place is lost: in ${LOST_AND_FOUND} of the first root, in all sets.`);
      }
    }
    return isWhole ? 0 : 3;
  } finally {
    line.stop();
  }
}

/** Versions that the new catalog knows of and that cannot be restored. */
async function lostVersions(
  system: System,
  directory: ClientDirectory,
  options: Options,
  found: ReadonlyMap<string, Found>,
  { isEncrypted, signal }: { readonly isEncrypted: boolean; readonly signal: AbortSignal },
): Promise<Finding[]> {
  const lost: Finding[] = [];
  const unlocking = { ...options, account: undefined };
  const keyring = hasPassword(found) ? await unlockClient(system, unlocking, found) : undefined;
  await checkClient(system, directory, {
    read: { data: { kind: 'none' }, leastAgeMs: 0 },
    keyring,
    isEncrypted,
    mark: false, // a rebuild marks what it finds
    limits: storeLimits(),
    signal,
    onFinding: (finding) => {
      if (finding.finding === 'version') lost.push(finding);
    },
    onStep: () => undefined,
    onRead: () => undefined,
  });
  return lost;
}

function tell(
  client: string,
  report: RebuildReport,
  lost: readonly Finding[],
  fromBackup: boolean,
): void {
  const { commits, damagedRecords, lostCommits, keptCatalog, fromCopy } = report;
  const checkpoints = counted(commits, 'checkpoint');
  if (fromCopy !== undefined) {
    print(`The catalog of "${client}" was made from ${fromCopy} and ${checkpoints} after it.`);
  } else {
    const why = fromBackup ? ' (no copy of it was of use)' : '';
    print(`The catalog of "${client}" was made anew from ${checkpoints}${why}.`);
  }
  for (const finding of lost) print(displayText(textOf(finding)));
  if (damagedRecords > 0) {
    print(
      `${formatCount(damagedRecords)} records or packs are damaged or missing` +
        `${report.isMetadataLost ? '; sets made so far may lack entries' : ''}. ` +
        'The next backup sends again what the source still has.',
    );
  }
  if (keptCatalog !== undefined) {
    print(
      `The old catalog knew ${formatCount(lostCommits)} later checkpoints, whose packs are cut off or gone. ` +
        `It is kept beside the new one as ${displayName(textBytes(keptCatalog))}: with it in its ` +
        'old place, `regenerate` restores what is left of those sets.',
    );
  }
}
