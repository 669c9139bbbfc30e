/** What a check tells: findings as they are found, and in the end what they come to. */
import { displayName, displayText, jsonName } from '../model/index.js';
import type { CheckResult, Finding, ReadData } from '../verify/index.js';
import type { ProgressLine } from './progress-line.js';
import { JSON_VERSION, print } from './run-tool.js';
import { counted, formatBytes, formatCount, formatSeconds } from './units.js';

/** Of a lost pack every file tells; a terminal needs no million of lines. */
const MAX_SHOWN = 1000;

interface ToldOptions {
  readonly client: string;
  readonly mark: boolean;
  readonly throughServer: string | undefined;
}

/** What both ways of checking tell in the end. */
export interface Told extends Omit<CheckResult, 'notMarked'> {
  readonly notMarked: { readonly code: string; readonly message: string } | undefined;
  /** Findings that a server had too many of. */
  readonly omitted: number;
}
/** Damage that nothing depends on is told, and is no failure. */
export function isDamaged(result: Told): boolean {
  const { catalogFaults, damagedRecords, damagedMetadata, lostVersions } = result;
  return catalogFaults + damagedRecords + damagedMetadata + lostVersions > 0;
}

/** Says what is found as it is found. */
export class Teller {
  versions = 0;
  private readonly asJson: boolean;
  private readonly line: ProgressLine;

  constructor(asJson: boolean, line: ProgressLine) {
    this.asJson = asJson;
    this.line = line;
  }

  tell(finding: Finding): void {
    if (this.asJson) {
      print(JSON.stringify({ version: JSON_VERSION, ...jsonOf(finding) }));
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
        rests: 'rests on what is damaged or missing',
      }[finding.why];
      const { sets } = finding;
      return `lost: ${displayName(finding.path)}, version ${finding.firstSet}, in ${setsText(sets)}: ${why}`;
    }
    case 'record': {
      const { object, position, bytes, role, why } = finding;
      const what = {
        contents: 'contents',
        signature: 'a signature (a new one can be made)',
        metadata: 'listings or events',
        unneeded: 'nothing needs it',
      }[role];
      return `record: ${object} at ${position}, ${formatCount(bytes)} bytes (${what}): ${why}`;
    }
    case 'catalog':
      return `catalog: ${finding.what}`;
    case 'history': {
      const { versions, sets } = finding;
      const what = 'history: listings, events or checkpoints are missing from the packs';
      if (versions === undefined) return `${what}, and the catalog cannot be used`;
      if (versions === 0) return `${what}; nothing that is listed depends on them`;
      return `${what}: only the catalog still knows ${counted(versions, 'version')}, begun in ${setsText(sets)}`;
    }
  }
}

/** `set 3`, or `sets 1-4, 7`. */
function setsText(sets: readonly number[]): string {
  const runs: [from: number, to: number][] = [];
  for (const set of sets) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === set - 1) last[1] = set;
    else runs.push([set, set]);
  }
  const text = runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  return `${sets.length === 1 ? 'set' : 'sets'} ${text}`;
}

export function tellJson({ client }: ToldOptions, result: Told, elapsedMs: number): void {
  const { notMarked, omitted, ...counts } = result;
  const isClean = !isDamaged(result);
  print(
    JSON.stringify({
      version: JSON_VERSION,
      finding: 'end',
      client,
      isClean,
      ...counts,
      notMarked,
      ...(omitted > 0 ? { omitted } : {}),
      elapsedMs,
    }),
  );
}

export function tellText(
  options: ToldOptions,
  result: Told,
  elapsedMs: number,
  { data, hasKeys, shown }: { data: ReadData; hasKeys: boolean; shown: Teller },
): void {
  const { client } = options;
  if (shown.versions > MAX_SHOWN) {
    print(`… and ${formatCount(shown.versions - MAX_SHOWN)} more versions; --json names all.`);
  }
  const { records, bytesRead } = result;
  const took = `${formatBytes(bytesRead)} read, in ${formatSeconds(elapsedMs)}`;
  print(`Looked at ${counted(records, 'record')} of "${client}"; ${took}.`);
  if (result.omitted > 0) {
    const what = counted(result.omitted, 'finding');
    print(`${what} more than a server tells: check on its machine, without --server.`);
  }
  if (!result.isOpened && !hasKeys) {
    const why =
      options.throughServer === undefined ? 'no password was given' : 'a server has no keys';
    print(`What is encrypted was compared with its checksums only: ${why}.`);
  }
  if (result.isForgetful && (data.kind === 'percent' || data.kind === 'bytes')) {
    print('The next check does not know what this one has read: the store cannot be written to.');
  }
  if (result.unneededDamaged > 0) {
    print(`${counted(result.unneededDamaged, 'record')} that no file needs: damaged.`);
  }
  if (!isDamaged(result)) {
    print(data.kind === 'none' ? 'Nothing is wrong; contents were not read.' : 'Nothing is wrong.');
  } else tellDamage(options, result);
  if (result.cleared > 0) {
    print(`${counted(result.cleared, 'content')} counted as damaged, and can be read: no longer.`);
  }
}

/** What was found, and what to do about it. */
function tellDamage({ mark }: ToldOptions, result: Told): void {
  const { catalogFaults, damagedMetadata, damagedRecords, lostVersions, marked } = result;
  const { notMarked } = result;
  if (lostVersions > 0) print(`${counted(lostVersions, 'version')} of files cannot be restored.`);
  else if (damagedRecords > 0) print('All versions of files can be restored.');
  if (catalogFaults > 0) print('The catalog is damaged: run `sonic rebuild`.');
  if (damagedMetadata > 0) {
    const safe = catalogFaults === 0 ? 'The catalog knows what they said: keep a copy of it. ' : '';
    print(`Listings or events are damaged. ${safe}See docs/recovery.md.`);
  }
  if (marked > 0) {
    print(`Marked: the next backup sends again what the source still has of them.`);
  } else if (notMarked !== undefined) {
    const why = `${displayText(notMarked.code)}: ${displayText(notMarked.message)}`;
    print(`The damage could not be marked (${why}): run the check again.`);
  } else if (damagedRecords > 0 && mark && catalogFaults === 0) {
    print('It is marked already: the next backup sends again what the source still has.');
  }
}
