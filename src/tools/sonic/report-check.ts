/** Prints each finding of a check at once, and the result at the end. */
import type { SettingsNamed } from '../../config/index.js';
import { ERROR_TABLE, isErrorCode } from '../../errors/index.js';
import { displayName, displayText, jsonName, type SetNumber } from '../../model/index.js';
import type { CheckOutcome } from '../../maintenance/admin/index.js';
import type {
  CopyFinding,
  Finding,
  PackFinding,
  ReadData,
  SealFinding,
  StrayFinding,
} from '../../maintenance/check/index.js';
import { setRanges } from '../shared/report-purge.js';
import type { SourceResult } from './check-source.js';
import type { ParityReport } from './check-parity.js';
import type { ProgressLine } from '../output/progress-line.js';
import { jsonText, print } from '../output/output.js';
import { counted, formatBytes, formatCount, formatSeconds } from '../output/units.js';
import { inFrontWords } from '../output/command-names.js';

/** Maximum number of versions printed, since a lost pack affects many files. --json prints all versions. */
const MAX_SHOWN = 1000;

type ReportOptions = SettingsNamed<'client' | 'mark' | 'throughServer'>;

/** Returns the number of faults that a check has found in needed data. */
export function faultsIn(result: CheckOutcome): number {
  const { catalogFaults, damagedRecords, damagedMetadata, lostVersions, damagedKeys } = result;
  const lost = lostVersions + result.doubtfulSets;
  const { strangePacks, strayFiles, unreadableFiles } = result;
  const foreign = strangePacks + strayFiles + unreadableFiles + result.damagedCopies;
  const unusable =
    damagedKeys + result.damagedParity + result.damagedAccounts + result.unprovenSets + foreign;
  return catalogFaults + damagedRecords + damagedMetadata + lost + unusable;
}

/** True if needed data is damaged. Damage on which nothing depends is reported, but is not a failure. */
export function isDamaged(result: CheckOutcome): boolean {
  return faultsIn(result) > 0;
}

/** Prints each finding when it is found. */
export class FindingPrinter {
  versions = 0;

  constructor(
    private readonly asJson: boolean,
    private readonly line: ProgressLine,
  ) {}

  report(finding: Finding): void {
    if (this.asJson) {
      print(jsonText(jsonOf(finding)));
      return;
    }
    if (finding.finding === 'version') {
      this.versions += 1;
      if (this.versions > MAX_SHOWN) return;
    }
    this.line.clear();
    print(displayText(textOf(finding)));
  }
}

export function jsonOf(finding: Finding): object {
  if (finding.finding !== 'version') return finding;
  const { path, digest, ...rest } = finding;
  return { ...rest, ...jsonName(path), digest: digest.toString('hex') };
}

export function textOf(finding: Finding): string {
  switch (finding.finding) {
    case 'version': {
      const why = {
        damaged: 'damaged',
        missing: 'missing',
        rests: 'depends on data that is damaged or missing',
      }[finding.why];
      const { sets } = finding;
      return `lost: ${displayName(finding.path)}, version ${finding.firstSet}, in ${setsText(sets)}: ${why}`;
    }
    case 'record': {
      const { object, position, bytes, role, why } = finding;
      const what = {
        contents: 'contents',
        signature: 'a signature (can be made again)',
        metadata: 'listings or events',
        parity: 'parity (can be made again)',
        unneeded: 'not needed',
      }[role];
      return `record: ${object} at ${position}, ${formatCount(bytes)} bytes (${what}): ${why}`;
    }
    case 'catalog':
      return `catalog: ${finding.what}`;
    case 'keys': {
      const { file, state } = finding;
      const what = {
        mended: 'was damaged or lost, and has been restored from its copy',
        damaged: 'is damaged or lost; the next backup restores it from its copy',
        lost: 'the newest key record is damaged, and so is its copy',
        gone: 'have no key record left, and without one nobody can read the backups: restore them with `sonic keys --insert --keys FILE`',
        other: 'is not the record in keys/: one of them belongs to another client',
      }[state];
      return `keys: ${file} ${what}`;
    }
    case 'account': {
      const { account, state } = finding;
      const what = {
        senseless:
          'has no rights, since its file is invalid: give it rights with `sonic account --change`',
        gone: 'has keys, but no file of rights: create it again with `sonic account --add`',
      }[state];
      return `account: "${account}" ${what}`;
    }
    case 'pack':
      return `pack: ${finding.file} ${labelText(finding)}: it is not used and will not be changed`;
    case 'stray':
      return strayText(finding);
    case 'unreadable':
      return `unreadable: ${finding.why}`;
    case 'copy':
      return copyText(finding);
    case 'seal':
      return sealText(finding);
    case 'doubtful':
      return `doubtful: ${setsText(finding.sets)} may lack entries because of an earlier loss, or show older ones`;
    case 'history': {
      const { versions, sets } = finding;
      const what = 'history: listings, events or checkpoints are missing from the packs';
      if (versions === undefined) return `${what}, and the catalog is unusable`;
      if (versions === 0) return `${what}; no listed entry depends on them`;
      return `${what}: only the catalog still has ${counted(versions, 'version')}, begun in ${setsText(sets)}`;
    }
  }
}

function strayText({ file, kind, isInTheWay }: StrayFinding): string {
  const what = {
    file: 'a file',
    directory: 'a directory',
    other: 'a socket, a pipe, a link or a device',
  }[kind];
  return isInTheWay
    ? `stray: ${file} is ${what} in the place of a plain file of the store`
    : `stray: ${file} is ${what} that does not belong there, and is not used`;
}

function copyText({ copy, state, why }: CopyFinding): string {
  const what = {
    damaged: 'is damaged',
    foreign: 'is foreign',
    left: 'was left by an interrupted session',
  }[state];
  return `copy: the copy of the catalog ${copy} ${what}: ${why}`;
}

function sealText({ set, directories }: SealFinding): string {
  if (directories === undefined) return `seal: set ${set} is not what the client sealed`;
  const [what, have] =
    directories === 1
      ? ['a directory', 'has']
      : [counted(directories, 'directory', 'directories'), 'have'];
  return `seal: in set ${set} ${what} ${have} other entries than the client sealed`;
}

/** Returns `set 3`, or `sets 1-4, 7`. */
function setsText(sets: readonly SetNumber[]): string {
  return `${sets.length === 1 ? 'set' : 'sets'} ${setRanges(sets, Infinity)}`;
}

export function printJson(
  { client }: ReportOptions,
  result: CheckOutcome,
  elapsedMs: number,
  also: { isClean: boolean; source: SourceResult | undefined; parity: ParityReport | undefined },
): void {
  const { notMarked, omitted, ...counts } = result;
  const { isClean, source, parity } = also;
  print(
    jsonText({
      finding: 'end',
      client,
      isClean,
      ...counts,
      notMarked,
      source,
      parity,
      ...(omitted > 0 ? { omitted } : {}),
      elapsedMs,
    }),
  );
}

export function printText(
  options: ReportOptions,
  result: CheckOutcome,
  elapsedMs: number,
  { data, shown, unrepaired }: { data: ReadData; shown: FindingPrinter; unrepaired: number },
): void {
  const { client } = options;
  if (shown.versions > MAX_SHOWN) {
    print(`… and ${formatCount(shown.versions - MAX_SHOWN)} more versions; --json lists all.`);
  }
  const { records, bytesRead } = result;
  const took = `${formatBytes(bytesRead)} read, in ${formatSeconds(elapsedMs)}`;
  print(`Checked ${counted(records, 'record')} of "${client}"; ${took}.`);
  if (result.omitted > 0) {
    const what = counted(result.omitted, 'finding');
    print(`${what} more than a server reports: run the check on its machine, without --server.`);
  }
  if (!result.isOpened) {
    const why =
      options.throughServer === undefined ? 'no password was given' : 'a server has no keys';
    print(`Encrypted data was only compared with its checksums: ${why}.`);
  }
  if (result.isForgetful && data.kind !== 'none') {
    const why = 'its disk is full, the store is read-only, or another check writes there';
    print(
      `The next check will not know what this one has read, since checked.db cannot be written (${why}).`,
    );
  }
  if (result.unneededDamaged > 0) {
    print(`${counted(result.unneededDamaged, 'record')} damaged that no file needs.`);
  }
  if (!isDamaged(result) && records === 0) {
    print('There is no backup: none was made yet, or all data of the client is gone.');
  } else if (!isDamaged(result) && unrepaired > 0) {
    const what = counted(unrepaired, 'file');
    print(`What the backups need is whole, but ${what} could not be repaired.`);
  } else if (!isDamaged(result)) {
    print(
      data.kind === 'none' ? 'No damage found; stored contents were not read.' : 'No damage found.',
    );
  } else printDamage(options, result);
  if (result.cleared > 0) {
    print(
      `${counted(result.cleared, 'content')} no longer marked as damaged, since they can be read.`,
    );
  }
}

/** Prints a summary of the damage, and advice. */
function printDamage({ mark }: ReportOptions, result: CheckOutcome): void {
  const { catalogFaults, damagedMetadata, damagedRecords, lostVersions, marked } = result;
  const { notMarked } = result;
  if (lostVersions > 0) print(`${counted(lostVersions, 'version')} of files cannot be restored.`);
  else if (damagedRecords > 0) print('All versions of files can be restored.');
  if (catalogFaults > 0) print('The catalog is damaged: run `sonic rebuild`.');
  if (damagedMetadata > 0) {
    const safe =
      catalogFaults === 0 ? 'The catalog still has their information: keep a copy of it. ' : '';
    print(`Listings or events are damaged. ${safe}See docs/damage/recovery.md.`);
  }
  if (result.unprovenSets > 0) {
    print(
      'Data that does not match its seal was lost, mixed with another state of the store, or changed by somebody without the keys. See docs/damage/recovery.md.',
    );
  }
  if (result.doubtfulSets > 0) {
    const what = counted(result.doubtfulSets, 'set');
    print(
      `${what} may lack entries: restore what is left, or delete them once a later set is intact.`,
    );
  }
  if (result.strangePacks > 0) {
    const what = counted(result.strangePacks, 'file');
    print(
      `${what} in packs/ that ${result.strangePacks === 1 ? 'is not a pack' : 'are not packs'} of this client: move them elsewhere.`,
    );
  }
  if (result.strayFiles > 0) {
    const what = counted(result.strayFiles, 'file or directory', 'files or directories');
    const [be, them] = result.strayFiles === 1 ? ['does', 'it'] : ['do', 'them'];
    print(`${what} that ${be} not belong there: find out who created ${them}, and remove ${them}.`);
  }
  if (result.unreadableFiles > 0) {
    const what = counted(result.unreadableFiles, 'file');
    print(
      `${what} cannot be read completely: check the disk, the system log, and owner and mode. See docs/damage/recovery.md, "Files that cannot be read".`,
    );
  }
  if (result.damagedParity > 0) {
    const what = counted(result.damagedParity, 'parity record');
    print(
      inFrontWords(
        `${what} damaged: the backups are whole, but less of later damage could be repaired. \`sonic check --repair\` makes parity again.`,
      ),
    );
  }
  if (result.damagedCopies > 0) {
    const what = counted(result.damagedCopies, 'copy of the catalog', 'copies of the catalog');
    print(
      inFrontWords(
        `${what} in the bucket cannot be used, so that machines without a cache take longer: \`sonic check --repair\` replaces what is wrong.`,
      ),
    );
  }
  if (marked > 0) {
    print(`Marked as damaged: the next backup sends again what the source still has.`);
  } else if (notMarked !== undefined) {
    const why = `${displayText(notMarked.code)}: ${displayText(notMarked.message)}`;
    print(`The damage could not be marked (${why}). ${guidanceOf(notMarked.code)}`);
  } else if (damagedRecords > 0 && mark && catalogFaults === 0) {
    print('Already marked as damaged: the next backup sends again what the source still has.');
  }
}

/** Returns advice for damage that could not be marked: how to solve the problem, and to run the check again. */
function guidanceOf(code: string): string {
  if (code === 'CLIENT_BUSY' || !isErrorCode(code)) return 'Run the check again.';
  return `${ERROR_TABLE[code].guidance} Then run the check again.`;
}

/** Describes the pack that a file contains, by its label. */
export function labelText({ pack, clientId, isOwn, client }: PackFinding): string {
  if (isOwn) return `contains pack ${pack} of this client`;
  if (client !== undefined) return `contains pack ${pack} of the client "${client}"`;
  if (clientId === '') return `contains pack ${pack}, and its label names no client`;
  return `contains pack ${pack} of another client (its id is ${clientId})`;
}
