/** Implements `tardis --explain`: prints for each path the rule that includes or excludes it, without a server. */
import { readRoots, type Root } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import {
  type CryptChoice,
  CryptFilter,
  type DecidingLine,
  describeDecision,
  describeRule,
  type ExcludeOptions,
  explainPath,
  type Explanation,
  type WalkReach,
} from '../../excludes/index.js';
import {
  directoryOf,
  displayName,
  EntryType,
  joinPath,
  jsonName,
  lastComponent,
} from '../../model/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { excludeOptions, placeOf } from './exclude-settings.js';
import { cipherChoiceOf } from './filter-settings.js';
import { print, printJson } from '../output/output.js';

/** Prints one answer for each path. Returns the exit status. */
export function explainPaths(settings: Settings<'tardis'>): number {
  const system = nodeSystem();
  const options = excludeOptions(settings);
  const choice = cipherChoiceOf(settings);
  const crypt = choice && new CryptFilter(choice);
  const { roots } = readRoots(system, settings.directories);
  const reach = { crossDevices: settings.crossDevice, maxDepth: settings.maxDepth };
  const explanations = settings.explain.map((path) => {
    const explanation = explained(system, options, { roots, path: placeOf(path), reach });
    return { ...explanation, crypt: crypt && choiceFor(crypt, explanation) };
  });
  if (settings.json) {
    printJson({ explanations: explanations.map(plain) });
  } else {
    for (const explanation of explanations) print(sentence(explanation));
  }
  return explanations.some(({ outcome }) => outcome === 'missing') ? 1 : 0;
}

function explained(
  system: System,
  options: ExcludeOptions,
  {
    roots,
    path,
    reach,
  }: { readonly roots: readonly Root[]; readonly path: Buffer; readonly reach: WalkReach },
): Explanation {
  try {
    // A file that the command line names is kept regardless of the rules.
    const isNamed = ({ path: above, file }: Root): boolean =>
      file !== undefined && joinPath(above, file).equals(path);
    if (roots.some(isNamed)) {
      const kept = { outcome: 'kept', decidedAt: path, decision: undefined } as const;
      return { path, ...kept, type: EntryType.file, emptied: undefined, problems: [] };
    }
    const directories = roots.filter(({ file }) => file === undefined);
    return explainPath(system, options, {
      roots: directories.map((root) => root.path),
      path,
      reach,
    });
  } catch (error) {
    throw failedTo(`examine ${displayName(path)}`, error, 'openSource');
  }
}

/**
 * The answer for a path, with the encryption that its content gets. `crypt` is undefined if no option chooses the
 * encryption, or if the path is not a file that is backed up.
 */
interface Answer extends Explanation {
  readonly crypt: CryptChoice | undefined;
}

/** Returns the encryption of a file; undefined if the path is not a file or is not backed up. */
function choiceFor(
  crypt: CryptFilter,
  { path, type, outcome }: Explanation,
): CryptChoice | undefined {
  if (outcome !== 'kept' || type !== EntryType.file) return undefined;
  return crypt.choose(directoryOf(path).toString('latin1'), lastComponent(path).toString('latin1'));
}

function sentence(explanation: Answer): string {
  const { path, outcome, decidedAt, decision, emptied, problems, crypt } = explanation;
  const why = decision === undefined ? '' : describeDecision(decision);
  const about = decidedAt.equals(path) ? '' : `${displayName(decidedAt)} is `;
  const notes = problems.map(
    (one) => `\n  ${displayName(one.path)} does not apply (${one.reason})`,
  );
  const empty =
    emptied === undefined ? '' : `, but without its contents: ${describeDecision(emptied)}`;
  const by =
    crypt?.rule === undefined ? 'the default' : `#${crypt.tag}, ${describeRule(crypt.rule)}`;
  const stored = crypt === undefined ? '' : `; encryption ${crypt.algorithm} by ${by}`;
  const verdict = {
    kept: why === '' ? 'kept; no rule matches it' : `kept by ${why}`,
    leftOut: about === '' ? `left out: ${why}` : `left out, as ${about}left out: ${why}`,
    outside: 'not in any of the directories to back up',
    missing: about === '' ? 'it does not exist' : `${about}missing`,
    otherDevice: `left out, as ${about}on another file system`,
    tooDeep: `left out, as ${about}too deep to be entered (--maxdepth)`,
  }[outcome];
  return `${displayName(path)}: ${verdict}${stored}${empty}${notes.join('')}`;
}

function plain(explanation: Answer): object {
  const { path, outcome, decidedAt, decision, emptied, problems, crypt } = explanation;
  return {
    path: jsonName(path),
    outcome,
    decidedAt: jsonName(decidedAt),
    reason: decision?.reason ?? null,
    rule: decision?.rule === undefined ? null : plainRule(decision.rule),
    encryption: crypt === undefined ? null : plainChoice(crypt),
    emptiedBy: emptied?.reason ?? null,
    problems: problems.map((one) => ({ file: jsonName(one.path), reason: one.reason })),
  };
}

function plainChoice({ algorithm, tag, rule }: CryptChoice): object {
  return { algorithm, tag: tag ?? null, rule: rule === undefined ? null : plainRule(rule) };
}

function plainRule({ origin, line, text }: DecidingLine): object {
  const named = jsonName(Buffer.from(origin.name, 'latin1'));
  const pattern = jsonName(Buffer.from(text, 'latin1'));
  return origin.kind === 'file'
    ? { file: named, line, pattern }
    : { option: origin.name, number: line, pattern };
}
