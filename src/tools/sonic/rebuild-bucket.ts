/** Implements `sonic rebuild` of a client in a bucket. */
import { configInvalid, type Settings } from '../../config/index.js';
import { displayText } from '../../model/index.js';
import type { CheckResult, Finding } from '../../maintenance/check/index.js';
import { type BucketRebuild, rebuildInBucket } from '../../maintenance/rebuild/index.js';
import {
  type BucketAccess,
  checkClientName,
  fetchClient,
  mendClientObjects,
  openClientDirectory,
} from '../../store/index.js';
import { clientPlace, storeLimits, storeSystem } from '../opening/local-store.js';
import { ProgressLine } from '../output/progress-line.js';
import { interruptSignal } from '../shared/signals.js';
import { PARTLY } from '../output/exit-status.js';
import { jsonText, print } from '../output/output.js';
import { counted, formatBytes } from '../output/units.js';
import { refuseInClear } from '../opening/keys.js';
import { checkRebuilt, placeLost, printPlaced } from './after-rebuild.js';
import { jsonOf, textOf } from './report-check.js';

type Options = Settings<'sonic rebuild'>;

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
  const { isMetadataLost } = report;
  const { isEncrypted, placed } = await placeLost(system, directory, options, isMetadataLost);
  const checked = await checkRebuilt(system, directory, options, {
    read: { data: { kind: 'all' }, leastAgeMs: 0 },
    isEncrypted,
    signal,
    onFinding: (finding) => findings.push(finding),
    onRead: (done, of) => {
      shown = `checking contents: ${formatBytes(done)} of ${formatBytes(of)}`;
    },
  });
  line.stop();
  const outcome = { mended, report, placed, checked, findings };
  if (options.json) printJson(options.client, outcome);
  else printText(options.client, outcome);
  const isWhole = report.lost.length + findings.length + mended.length === 0;
  return isWhole && !isMetadataLost ? 0 : PARTLY;
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
  printPlaced(placed);
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
