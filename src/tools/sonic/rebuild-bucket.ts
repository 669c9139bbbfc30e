/** Implements `sonic rebuild` of a client in a bucket. */
import { configInvalid, type Settings } from '../../config/index.js';
import { displayText } from '../../model/index.js';
import { checkClient, type CheckResult, type Finding } from '../../maintenance/check/index.js';
import {
  type BucketRebuild,
  LOST_AND_FOUND,
  placeOrphans,
  rebuildInBucket,
} from '../../maintenance/rebuild/index.js';
import { Catalog } from '../../store/catalog/index.js';
import {
  type BucketAccess,
  checkClientName,
  type ClientDirectory,
  fetchClient,
  mendClientObjects,
  openClientDirectory,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { jsonText } from '../output/json-text.js';
import { clientPlace, storeLimits, storeSystem } from '../opening/local-store.js';
import { compareShown } from '../opening/rollback.js';
import { ProgressLine } from '../output/progress-line.js';
import { interruptSignal } from '../shared/signals.js';
import { print } from '../output/output.js';
import { counted, formatBytes } from '../output/units.js';
import { hasPassword, mayEncrypt, refuseInClear, unlockClient } from '../opening/keys.js';
import { jsonOf, textOf } from './report-check.js';

type Options = Settings<'sonic rebuild'>;

/** Exit status if something is damaged or lost. */
const FOUND_STATUS = 3;
/** Maximum number of lost commits that are listed. */
const MAX_NAMED = 20;

export async function rebuildThere(access: BucketAccess, options: Options): Promise<number> {
  if (options.isQuick) {
    throw configInvalid(
      `${access.shown} is a bucket, of which a rebuild reads only what --quick reads`,
    );
  }
  const system = storeSystem(options.umask);
  checkClientName(options.client);
  const mended = await mendClientObjects(system, access, options.client);
  await fetchClient(system, access, options.client);
  const before = openClientDirectory(system, clientPlace(options));
  refuseInClear(system, options);
  let shown = 'reading commits';
  using line = new ProgressLine(options.progress, () => shown);
  const signal = interruptSignal('sonic rebuild', 'nothing was changed yet');
  const findings: Finding[] = [];
  line.start();
  const report = await rebuildInBucket(system, before, {
    packsOnly: options.packsOnly,
    limits: storeLimits(options),
    signal,
    onProgress: (done, of) => {
      shown = `copying contents: ${done} of ${of}`;
    },
  });
  const { directory } = report;
  compareShown(system, options); // only now, since the catalog that shows the seals may have been lost before
  const isEncrypted = mayEncrypt(system, clientPlace(options));
  const isDoubtful = report.isMetadataLost || doubtfulUpTo(system, directory) > 0;
  // Orphans of an encrypting client are not moved, since readers reject a place that the client has not sealed.
  const isPlaced = !isEncrypted && isDoubtful;
  const placed = isPlaced ? await placeOrphans(system, directory, storeLimits(options)) : 0;
  const unlocking = { ...options, account: undefined };
  const keyring = hasPassword(options) ? await unlockClient(system, unlocking) : undefined;
  const checked = await checkClient(system, directory, {
    read: { data: { kind: 'all' }, leastAgeMs: 0 },
    keyring,
    isEncrypted,
    mark: true,
    limits: storeLimits(options),
    signal,
    onFinding: (finding) => findings.push(finding),
    onStep: () => undefined,
    onRead: (done, of) => {
      shown = `checking contents: ${formatBytes(done)} of ${formatBytes(of)}`;
    },
  });
  line.stop();
  const outcome = { mended, report, placed, checked, findings };
  if (options.json) printJson(options.client, outcome);
  else printText(options.client, outcome);
  const isWhole = report.lost.length + findings.length + mended.length === 0;
  return isWhole && !report.isMetadataLost ? 0 : FOUND_STATUS;
}

interface Outcome {
  /** Objects of the client that were made again. */
  readonly mended: readonly string[];
  readonly report: BucketRebuild;
  /** Number of directories that had lost their parent directory and were moved to another place. */
  readonly placed: number;
  readonly checked: CheckResult;
  readonly findings: readonly Finding[];
}

function doubtfulUpTo(system: System, { catalogPath }: ClientDirectory): number {
  return Catalog.reading(system, catalogPath, ({ state }) => state.readDoubtfulUpTo());
}

function printJson(client: string, { mended, report, placed, checked, findings }: Outcome): void {
  const { commits, lost, isMetadataLost, knowsMore, isNewGeneration } = report;
  const { marked, cleared } = checked;
  const outcome = { client, commits, lostCommits: lost, isDoubtful: isMetadataLost, knowsMore };
  const done = {
    objectsMade: mended,
    isNewGeneration,
    placed,
    marked,
    cleared,
    findings: findings.map(jsonOf),
  };
  print(jsonText({ ...outcome, ...done }));
}

function printText(client: string, { mended, report, placed, checked, findings }: Outcome): void {
  const { commits, lost, isMetadataLost, knowsMore, isNewGeneration } = report;
  for (const name of mended) print(`The object ${name} was lost or damaged, and was made again.`);
  print(`The catalog of "${client}" was rebuilt from ${counted(commits, 'commit')}.`);
  for (const { commit, why } of lost.slice(0, MAX_NAMED)) print(`commit ${commit}: ${why}`);
  if (lost.length > MAX_NAMED) print(`… and ${lost.length - MAX_NAMED} more; --json lists all.`);
  if (knowsMore)
    print('The catalog of this machine was intact, and had the facts of these commits.');
  for (const finding of findings) print(displayText(textOf(finding)));
  if (isMetadataLost) print('Sets made so far may lack entries.');
  if (isNewGeneration) {
    print('What is left is in a new generation of the client, which other machines find.');
  }
  if (placed > 0) {
    const what = counted(placed, 'directory', 'directories');
    print(
      `${what} whose parents are lost: moved to ${LOST_AND_FOUND} of their roots, in all sets.`,
    );
  }
  const { lostVersions, marked, notMarked } = checked;
  if (lostVersions > 0 || marked > 0) {
    print(`${counted(lostVersions, 'version')} of files cannot be restored.`);
    print('The next backup sends again what the source still has.');
  }
  if (notMarked !== undefined) {
    const why = `${displayText(notMarked.code)}: ${displayText(notMarked.message)}`;
    print(`The damage could not be marked (${why}). Run the rebuild again.`);
  }
}
