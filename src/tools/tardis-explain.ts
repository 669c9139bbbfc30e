/** `tardis --explain`: what takes paths into a backup or out of it. No server is asked. */
import { readRoots } from '../client/index.js';
import type { Found, Settings } from '../config/index.js';
import { systemCode, TardisError } from '../errors/index.js';
import {
  type CryptChoice,
  CryptFilter,
  type DecidingLine,
  describeDecision,
  describeRule,
  type ExcludeOptions,
  explainPath,
  type Explanation,
} from '../excludes/index.js';
import { displayName, EntryType, jsonName, lastComponent } from '../model/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { excludeOptions, placeOf } from './exclude-settings.js';
import { cryptWishOf } from './filter-settings.js';
import { JSON_VERSION, print } from './run-tool.js';

/** Prints one answer for each path; returns the exit status. */
export function explainPaths(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
): number {
  const system = nodeSystem();
  const options = excludeOptions(settings, found);
  const wish = cryptWishOf(settings);
  const crypt = wish && new CryptFilter(wish);
  const roots = readRoots(system, settings.directories).roots.map((root) => root.path);
  const explanations = settings.explain.map((path) => {
    const explanation = explained(system, options, roots, placeOf(path));
    return { ...explanation, crypt: crypt && choiceFor(crypt, explanation) };
  });
  if (settings.json) {
    print(JSON.stringify({ version: JSON_VERSION, explanations: explanations.map(plain) }));
  } else {
    for (const explanation of explanations) print(sentence(explanation));
  }
  return explanations.some(({ outcome }) => outcome === 'missing') ? 1 : 0;
}

function explained(
  system: System,
  options: ExcludeOptions,
  roots: readonly Buffer[],
  path: Buffer,
): Explanation {
  try {
    return explainPath(system, options, roots, path);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const message = `cannot look at ${displayName(path)}: ${code}`;
    throw new TardisError('SOURCE_MISSING', message, {}, error);
  }
}

/** With what a content will be encrypted, if the client does. */
interface Answer extends Explanation {
  readonly crypt: CryptChoice | undefined;
}

/** Undefined for what has no content, or is not backed up. */
function choiceFor(
  crypt: CryptFilter,
  { path, type, outcome }: Explanation,
): CryptChoice | undefined {
  if (outcome !== 'kept' || type !== EntryType.file) return undefined;
  const name = lastComponent(path);
  const directory = path.subarray(0, Math.max(1, path.length - name.length - 1));
  return crypt.choose(directory.toString('latin1'), name.toString('latin1'));
}

function sentence(explanation: Answer): string {
  const { path, outcome, decidedAt, decision, emptied, problems, crypt } = explanation;
  const why = decision === undefined ? '' : describeDecision(decision);
  const about = decidedAt.equals(path) ? '' : `${displayName(decidedAt)} is `;
  const notes = problems.map((one) => `\n  ${displayName(one.path)} does not hold (${one.reason})`);
  const empty =
    emptied === undefined ? '' : `, but nothing that is in it: ${describeDecision(emptied)}`;
  const by =
    crypt?.rule === undefined ? 'the default' : `#${crypt.tag}, ${describeRule(crypt.rule)}`;
  const stored = crypt === undefined ? '' : `; encryption ${crypt.algorithm} by ${by}`;
  const said = {
    kept: why === '' ? 'kept; nothing says anything about it' : `kept by ${why}`,
    leftOut: about === '' ? `left out: ${why}` : `left out, as ${about}left out: ${why}`,
    outside: 'in none of the directories to back up',
    missing: about === '' ? 'there is nothing of this name' : `${about}not there`,
    otherDevice: `left out, as ${about}on another file system`,
  }[outcome];
  return `${displayName(path)}: ${said}${stored}${empty}${notes.join('')}`;
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
